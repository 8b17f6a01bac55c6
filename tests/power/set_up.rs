//! Power cuts while several people follow the set-up link at the same time.

use crate::browser::Browser;
use crate::disk::Disk;
use crate::past::{Past, assert_none};
use crate::recording::started;
use crate::server::{ADMIN_PASSWORD, Api, House};
use crate::shim::{Shim, library};
use crate::{dice, images_of_an_occasion};

const PASSWORD: &str = "a long and lovely passphrase";
const LOGINS: [&str; 4] = ["ada", "ben", "cleo", "dora"];

/// Tries to become the first administrator; whether the program says so.
fn set_up(api: &Api, path: &str, login: &str) -> bool {
    let mut browser = Browser::new(api);
    browser.open(path).unwrap();
    let fields = [("login", login), ("new_password", PASSWORD), ("new_password_again", PASSWORD)];
    browser.submit("/setup", "/setup", &fields).is_some_and(|answer| answer.status == 303)
}

fn administrators(api: &Api) -> Vec<&'static str> {
    let opens = |login: &&str| api.sign_in(login, PASSWORD, "hallpass").unwrap().is_ok();
    LOGINS.into_iter().filter(opens).collect()
}

#[test]
fn after_a_power_cut_during_set_up_there_is_the_one_who_was_told_so_or_set_up_is_still_open() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    house.attended = true;
    let disk = Disk::of(house.directory());
    let shim = Shim::over(&mut house, library);
    let mut server = house.start();
    let link = house.command(&["setup-link"]).expect("a set-up link");
    let path = &link[link.rfind("/setup?").expect("a link")..];
    let mut told: Vec<(u64, &str)> = std::thread::scope(|scope| {
        let (api, shim) = (&server.api, &shim);
        let attempt = |login| move || set_up(api, path, login).then(|| (shim.now(), login));
        let attempts: Vec<_> = LOGINS.into_iter().map(|login| scope.spawn(attempt(login))).collect();
        attempts.into_iter().filter_map(|attempt| attempt.join().unwrap()).collect()
    });
    assert_eq!(told.len(), 1, "{told:?}");
    let (told_at, first) = told.remove(0);
    assert!(server.terminate().success());

    let past = Past { disk, records: shim.records() };
    let moments = past.moments(images_of_an_occasion(), past.all(), &mut dice);
    assert_none(past.cut(&moments, &mut dice, |house, cut| {
        started(house, |api| {
            let found = administrators(api);
            // Where set-up was still open this start has made the one that its configuration names.
            let was_open = api.sign_in("admin", ADMIN_PASSWORD, "hallpass").unwrap().is_ok();
            match found[..] {
                [] if cut < told_at && was_open => vec![],
                [found] if found == first && !was_open => vec![],
                _ => vec![format!(
                    "{found:?}, open: {was_open}; {first} was told at {told_at}, the cut at {cut}"
                )],
            }
        })
    }));
}
