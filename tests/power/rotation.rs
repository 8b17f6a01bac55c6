//! Sixty-four presentations of one refresh token at the same time, and the power goes between apply and sync.

use crate::disk::Disk;
use crate::past::{Past, assert_none};
use crate::recording::started;
use crate::server::{Api, House};
use crate::shim::{Shim, library};
use crate::{dice, images_of_an_occasion};
use serde_json::json;

const PRESENTATIONS: usize = 64;
/// Long enough that many presentations meet while the first one's group is synced.
const SYNC_MS: u32 = 20;

fn present(api: &Api, token: &str) -> Option<String> {
    api.post("/api/v1/auth/refresh", None, json!({ "refresh_token": token }))?.text("refresh_token")
}

#[test]
fn of_a_token_presented_64_times_at_once_every_answer_works_after_a_power_cut_and_all_are_one() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    let disk = Disk::of(house.directory());
    let shim = Shim::over(&mut house, library);
    let mut server = house.start();
    let answer = server.api.sign_in("admin", crate::server::ADMIN_PASSWORD, "default").unwrap();
    let first = answer.text("refresh_token").unwrap_or_else(|| panic!("no refresh token: {answer:?}"));
    shim.delay_syncs(SYNC_MS);
    let begun = shim.now();
    let mut answers: Vec<(u64, String)> = std::thread::scope(|scope| {
        let present = || {
            let next = present(&server.api, &first).expect("a successor");
            (shim.now(), next)
        };
        let presentations: Vec<_> = (0..PRESENTATIONS).map(|_| scope.spawn(present)).collect();
        presentations.into_iter().map(|it| it.join().unwrap()).collect()
    });
    answers.sort();
    assert!(server.terminate().success());
    assert!(answers.iter().all(|(_, next)| *next == answers[0].1), "{answers:#?}");

    let past = Past { disk, records: shim.records() };
    // From before the first group to the last answer, and a little beyond.
    let from = past.records.partition_point(|record| record.end <= begun);
    let to = past.records.partition_point(|record| record.end <= answers[PRESENTATIONS - 1].0);
    let moments =
        past.moments(images_of_an_occasion(), from - 1..(to + 2).min(past.records.len()), &mut dice);
    assert_none(past.cut(&moments, &mut dice, |house, cut| {
        let answered = answers.partition_point(|(at, _)| *at <= cut);
        // Where nobody was answered the first token is still good; it may have been spent.
        let promised = answers[..answered].first().map_or(&first, |(_, next)| next);
        started(house, |api| {
            let works = present(api, promised).is_some();
            if works { vec![] } else { vec![format!("after {answered} answers the token does not work")] }
        })
    }));
}
