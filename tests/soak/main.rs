//! The program at work for hours: whether memory, disk and latency stay what they were. `tests/soak.sh HOURS` runs it.
//!
//! People sign in, rotate, check and are signed out at a steady rate. Their sessions live for minutes, so that the
//! sweep has its share of the work. Whatever was ended must stay ended, also after the restart at the end.

mod appliance;
mod figures;
mod people;
#[path = "../../benches/shared/mod.rs"]
mod shared;

use appliance::Home;
use figures::Figures;
use people::{Crowd, VERBS, Verb};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Without the variable: about seven seconds, so that `cargo test` keeps the soak itself from rotting.
const HOURS: f64 = 0.002;
const ROW_SECONDS_MAX: f64 = 60.0;
const ROWS_MIN: f64 = 3.0;
/// Threads to a verb: one slow answer must not hold up the next.
const HANDS: usize = 4;
/// Whoever fails so often has said enough.
const FAULTS_MAX: usize = 100;

fn hours() -> f64 {
    match std::env::var("HALLPASS_SOAK_HOURS") {
        Ok(text) => text.parse().expect("HALLPASS_SOAK_HOURS is a number"),
        Err(_) => HOURS,
    }
}

#[test]
fn under_a_steady_load_nothing_fails_and_what_was_ended_stays_ended() {
    let seconds = hours() * 3600.0;
    let home = Home::new();
    let server = home.start();
    let crowd = Crowd::gather(server.api.clone());
    let figures = Figures::begin(&server);
    println!("{}\n", people::described());
    figures::print_head();
    let began = Instant::now();
    let ends = began + Duration::from_secs_f64(seconds);
    let turns = VERBS.map(|_| AtomicU64::new(0));
    std::thread::scope(|scope| {
        for (verb, turn) in VERBS.iter().zip(&turns) {
            for _ in 0..HANDS {
                scope.spawn(|| act_in_turn(verb, turn, &crowd, &figures, began, ends));
            }
        }
        let step = Duration::from_secs_f64((seconds / ROWS_MIN).min(ROW_SECONDS_MAX));
        let mut row_ends = began + step;
        while row_ends <= ends && figures.faults() < FAULTS_MAX {
            std::thread::sleep(row_ends.saturating_duration_since(Instant::now()));
            figures.print_row(began.elapsed(), &server, &crowd);
            row_ends += step;
        }
    });
    assert_eq!(figures.said(), "", "{} acts failed", figures.faults());

    let server = server.end().start();
    println!("\nOpened again in {:.0} ms, with {:.1} MiB on disk.", server.open_ms, home.disk_mib());
    let (alive, ended) = crowd.hold_to_answers(&server.api);
    println!("{alive} live sessions went on, {ended} ended ones stayed ended.");
    assert!(alive > 0 && ended > 0, "there was nobody to look at");
    // The running one is asked.
    println!("\n{}", home.command("verify"));
    let home = server.end();
    println!("Compacted: {}", home.command("compact"));
    let server = home.start();
    println!("Opened again in {:.0} ms, with {:.1} MiB on disk.", server.open_ms, home.disk_mib());
    assert_eq!(crowd.hold_to_answers(&server.api).1, ended);
}

/// Keeps to the verb's rate. A latency counts from when the act was due, so that waiting in line is not left out.
fn act_in_turn(
    verb: &Verb,
    turn: &AtomicU64,
    crowd: &Crowd,
    figures: &Figures,
    began: Instant,
    ends: Instant,
) {
    while figures.faults() < FAULTS_MAX {
        let number = turn.fetch_add(1, Ordering::Relaxed);
        let due = began + Duration::from_secs_f64(number as f64 / verb.per_second);
        if due >= ends {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        match (verb.act)(crowd, number) {
            Ok(()) => figures.note(verb.name, due.elapsed()),
            Err(fault) => figures.note_fault(verb.name, &fault),
        }
    }
}
