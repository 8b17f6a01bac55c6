//! Histories of concurrent callers, each explained by one order of what they did.

mod bursts;
mod claims;
#[path = "../simulation/dice.rs"]
mod dice;
mod duels;
mod engine;
mod explain;
mod home;
mod model;
mod order;
mod verbs;
#[path = "../simulation/world.rs"]
#[allow(dead_code)] // time stands still here
mod world;

/// Histories of each kind in an ordinary `cargo test`.
const ROUNDS: u64 = 4;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => default,
    }
}

/// The seeds of this run: new ones every time, or those from the one that is asked for.
fn seeds() -> impl Iterator<Item = u64> {
    let chance = u64::from_be_bytes(hallpass::entropy::Entropy::system().bytes()) >> 16;
    let first = number("HALLPASS_HISTORY_SEED", chance);
    let rounds = number("HALLPASS_HISTORY_ROUNDS", ROUNDS);
    println!("HALLPASS_HISTORY_SEED={first} HALLPASS_HISTORY_ROUNDS={rounds}");
    first..first + rounds
}

#[test]
fn what_the_engine_answers_many_threads_is_what_one_after_the_other_would_get() {
    seeds().for_each(engine::run);
}

/// Each history is on threads that really meet.
fn on_threads<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("threads").block_on(work)
}

#[test]
fn of_every_two_verbs_that_meet_at_a_guard_one_comes_first() {
    let times = number("HALLPASS_DUELS", 1);
    let seed = seeds().next().expect("a seed");
    let fought = on_threads(duels::fight(seed, times));
    println!("{fought} duels");
}

#[test]
fn what_verbs_answer_in_bursts_is_what_some_order_of_them_would_get() {
    on_threads(async {
        for seed in seeds() {
            bursts::run(seed).await;
        }
    });
}

#[test]
fn of_those_who_claim_a_new_appliance_in_every_way_one_is_the_first() {
    on_threads(async {
        for _ in 0..number("HALLPASS_HISTORY_ROUNDS", ROUNDS) {
            claims::race().await;
        }
    });
}
