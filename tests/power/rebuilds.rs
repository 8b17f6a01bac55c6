//! Power cuts while the store as a whole is made or replaced: set-up by hand, migration, compaction.

use crate::disk::Disk;
use crate::past::{Past, assert_none};
use crate::recording::{Load, Recording, started};
use crate::server::{Api, House, copy};
use crate::shim::{Shim, library};
use crate::{dice, images_of_an_occasion};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOAD: Load = Load { people: 2, time: Duration::from_millis(700), sync_ms: 0 };

#[test]
fn a_power_cut_during_compaction_loses_nothing() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    let promises = Recording::of(&mut house, library, LOAD, &mut dice).promises;
    let file = |house: &House| std::fs::metadata(house.data().join("store/db")).unwrap().ino();
    let before = file(&house);
    let past = past_of(&mut house, library, |house| {
        house.command(&["compact"]).expect("it is compacted");
    });
    assert_ne!(file(&house), before, "the store was not written anew: there was nothing to gain");
    let moments = past.moments(images_of_an_occasion(), past.all(), &mut dice);
    assert_none(past.cut(&moments, &mut dice, |house, _| promises.hold(house, u64::MAX)));
}

#[test]
fn a_power_cut_during_a_restore_leaves_the_old_store_whole_or_the_new_one_with_everything_ended() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("backup").display().to_string();
    let earlier = Recording::of(&mut house, library, LOAD, &mut dice).promises;
    house.command(&["backup", "--to", &file]).expect("a backup");
    let later = Recording::of(&mut house, library, LOAD, &mut dice).promises;
    let past = past_of(&mut house, library, |house| {
        house.command(&["restore", &file, "--yes"]).expect("it is restored");
    });
    let mut moments = past.moments(images_of_an_occasion(), past.all(), &mut dice);
    // With the last sync it is done, and may be answered.
    moments.push(past.records.len() - 1);
    let end = past.records[past.records.len() - 1].end;
    assert_none(past.cut(&moments, &mut dice, |house, cut| {
        started(house, |api| match later.is_known(api) {
            true if cut == end => vec!["what was restored is not there".into()],
            true => later.faults(api, u64::MAX),
            false => [&earlier, &later].into_iter().flat_map(|promises| promises.still_open(api)).collect(),
        })
    }));
}

#[test]
fn a_power_cut_while_the_first_format_is_brought_forward_loses_nothing() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), house_of_the_fixture());
    let past = past_of(&mut house, library, |house| house.start().kill());
    assert!(house.data().join("aside/before-format-2/store/db").exists());
    let moments = past.moments(images_of_an_occasion(), past.all(), &mut dice);
    assert_none(past.cut(&moments, &mut dice, |house, _| {
        let mut faults = started(house, of_the_fixture);
        let aside = house.data().join("aside/before-format-2");
        for file in ["store/db", "store/conf", "sidecar"] {
            if std::fs::read(aside.join(file)).ok() != std::fs::read(fixture().join(file)).ok() {
                faults.push(format!("the copy of {file} is not what it was"));
            }
        }
        faults
    }));
}

fn past_of(house: &mut House, library: &Path, happens: impl FnOnce(&House)) -> Past {
    let disk = Disk::of(house.directory());
    let shim = Shim::over(house, library);
    happens(house);
    Shim::off(house);
    Past { disk, records: shim.records() }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

pub fn house_of_the_fixture() -> House {
    let house = House::new();
    copy(&fixture(), &house.data());
    set_mode(&house.data(), 0o700);
    set_mode(&house.data().join("key"), 0o600);
    house
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What the fixture promises at any date.
pub fn of_the_fixture(api: &Api) -> Vec<String> {
    let facts = std::fs::read_to_string(fixture().with_extension("json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
    let fact = |path: &str| facts.pointer(path).unwrap().as_str().unwrap().to_owned();
    let mut faults = Vec::new();
    for (login, password, opens) in
        [("admin", "/admin_password", true), ("ben", "/password", true), ("cleo", "/password", false)]
    {
        let answer = api.sign_in(login, &fact(password), "default").unwrap();
        if answer.is_ok() != opens {
            faults.push(format!("{login}: {answer:?}"));
        }
    }
    let ended = api.get("/api/v1/auth/session", Some(&fact("/dead/cleo_web_session"))).unwrap();
    if ended.is_ok() {
        faults.push("what was ended opens again".into());
    }
    faults
}
