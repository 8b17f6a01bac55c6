//! A store that has lost something, in the operator's hands: what is said, what is refused, and the ways out.

#[allow(dead_code)] // most of it is for verbs
mod house;

use hallpass::model::Time;
use house::{House, copy, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const USERS: u8 = 0x02;
const CLAIMED: &[u8] = b"\x01claimed";
const ADMINS: &[u8] = b"\x01admins";

/// A data directory with a store that people have used, and what they hold of it.
struct Used {
    directory: tempfile::TempDir,
    facts: Value,
}

impl Used {
    fn new() -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let facts = std::fs::read_to_string(fixtures.join("format-1.json")).unwrap();
        let facts = serde_json::from_str(&facts).unwrap();
        let used = Self { directory: tempfile::tempdir().unwrap(), facts };
        copy(&fixtures.join("format-1"), &used.data());
        let (_, said) = used.hallpass(&["verify"], 1);
        assert!(said.contains("has format 1, which is older"), "{said}");
        let (users, _) = used.hallpass(&["user", "list"], 0);
        assert_eq!(users.lines().count(), 4, "{users}");
        used
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the program says, on both streams.
    #[track_caller]
    fn hallpass(&self, arguments: &[&str], code: i32) -> (String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        command.env_clear().current_dir(self.directory.path()).args(arguments);
        command.env("HALLPASS_DATA_DIR", self.data());
        let output = command.output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(output.status.code(), Some(code), "{out}{err}");
        assert!(!err.contains("panicked"), "{err}");
        (out, err)
    }

    fn lose(&self, keys: &[Vec<u8>]) {
        let db = sled::Config::new().path(self.data().join("store")).open().unwrap();
        let mut batch = sled::Batch::default();
        keys.iter().for_each(|key| batch.remove(key.as_slice()));
        db.apply_batch(batch).unwrap();
        db.flush().unwrap();
    }

    fn user_key(&self, login: &str) -> Vec<u8> {
        let (users, _) = self.hallpass(&["user", "list", login], 0);
        let id = users.trim().split('\t').next_back().unwrap();
        let id = uuid::Uuid::parse_str(id).unwrap();
        [&[USERS], id.as_bytes().as_slice()].concat()
    }
}

#[rocket::async_test]
async fn what_is_lost_is_read_before_it_is_accepted_and_then_everybody_is_signed_out() {
    let used = Used::new();
    let (said, _) = used.hallpass(&["verify"], 0);
    assert!(said.contains("users\t4 records\twhole") && said.contains("The store is whole"), "{said}");
    let (_, said) = used.hallpass(&["verify", "--accept-loss", "00000000"], 1);
    assert!(said.contains("nothing to accept"), "{said}");

    used.lose(&[used.user_key("ben"), CLAIMED.to_vec(), ADMINS.to_vec()]);
    let (_, said) = used.hallpass(&["user", "list"], 1);
    assert!(said.contains("table users: 3 records where 4 were written"), "{said}");
    assert!(said.contains("hallpass verify") && said.contains("data/store"), "{said}");
    let (out, said) = used.hallpass(&["verify"], 1);
    assert!(out.contains("LOST: table users: 3 records where 4 were written"), "{out}");
    assert!(out.contains("users\t3 records\tNOT WHOLE, 4 were written"), "{out}");
    let code = said.trim().rsplit(' ').next().unwrap();
    let (_, said) = used.hallpass(&["verify", "--accept-loss", "00000000"], 1);
    assert!(said.contains("not the code"), "{said}");
    let (out, _) = used.hallpass(&["verify", "--accept-loss", code], 0);
    assert!(
        out.contains("Everybody was signed out") && out.contains("aside/before-accepting-loss-"),
        "{out}"
    );

    let (users, _) = used.hallpass(&["user", "list"], 0);
    assert!(users.lines().count() == 3 && !users.contains("ben"), "{users}");
    used.hallpass(&["verify"], 0);
    let (_, said) = used.hallpass(&["setup-link"], 1);
    assert!(said.contains("set-up is closed"), "{said}");
    // The one administrator that is left cannot be disabled: they were counted anew.
    let (_, said) = used.hallpass(&["user", "disable", "admin"], 1);
    assert!(said.contains("administrator"), "{said}");

    // A good while later than the operator's doing, by the clock of the house.
    let later = Time::from_ms(1_800_000_000_000);
    let house = House::over(&used.data(), later, |config| config.port = 18431).await;
    let anyone = house.anyone();
    let given = |path: &str| text(used.facts.pointer(path).unwrap());
    for path in ["/live/ada_web_session", "/live/ben_tracker_access", "/dead/cleo_web_session"] {
        assert_eq!(anyone.check(&given(path)).await.status, 401, "{path}");
    }
    assert_eq!(anyone.refresh(&given("/live/ada_default_refresh")).await.status, 401);
    anyone.login("ada", &given("/password")).await.is(200);
    anyone.login("admin@example.org", &given("/admin_password")).await.is(200);
}

#[test]
fn without_its_sidecar_a_store_is_not_taken_for_whole() {
    let used = Used::new();
    std::fs::remove_file(used.data().join("sidecar")).unwrap();
    let (_, said) = used.hallpass(&["user", "list"], 1);
    assert!(said.contains("data/sidecar is missing") && said.contains("hallpass verify"), "{said}");
    let (out, said) = used.hallpass(&["verify"], 1);
    assert!(out.contains("LOST: the sidecar is missing"), "{out}");
    used.hallpass(&["verify", "--accept-loss", said.trim().rsplit(' ').next().unwrap()], 0);
    used.hallpass(&["user", "list"], 0);
}

#[test]
fn without_its_sidecar_a_store_is_not_taken_for_one_that_has_just_begun_because_the_key_lies_elsewhere() {
    let used = Used::new();
    let key = used.directory.path().join("key");
    std::fs::rename(used.data().join("key"), &key).unwrap();
    let options = used.directory.path().join("Rocket.toml");
    std::fs::write(&options, format!("master_key_file = {key:?}\n")).unwrap();
    used.hallpass(&["user", "list"], 0);
    let sidecar = used.data().join("sidecar");
    std::fs::write(&sidecar, "").unwrap();
    let (_, said) = used.hallpass(&["user", "list"], 1);
    assert!(said.contains("data/sidecar is missing"), "{said}");
    std::fs::remove_file(&sidecar).unwrap();
    let (_, said) = used.hallpass(&["user", "list"], 1);
    assert!(said.contains("data/sidecar is missing"), "{said}");
}

#[test]
fn what_waits_to_take_a_stores_place_does_so_before_the_store_is_looked_at() {
    let used = Used::new();
    let next = used.data().join("next");
    copy(&used.data().join("store"), &next.join("store"));
    std::fs::copy(used.data().join("sidecar"), next.join("sidecar")).unwrap();
    std::fs::write(next.join("ready"), "before-restore-1").unwrap();
    used.lose(&[CLAIMED.to_vec()]);
    used.hallpass(&["verify"], 0);
    assert!(used.data().join("aside/before-restore-1/store").exists() && !next.exists());
    used.hallpass(&["user", "list"], 0);
}

#[test]
fn a_swap_that_broke_off_between_its_renames_is_no_missing_store() {
    let used = Used::new();
    let (next, aside) = (used.data().join("next"), used.data().join("aside/before-restore-1"));
    copy(&used.data().join("store"), &next.join("store"));
    std::fs::copy(used.data().join("sidecar"), next.join("sidecar")).unwrap();
    std::fs::write(next.join("ready"), "before-restore-1").unwrap();
    std::fs::create_dir_all(&aside).unwrap();
    std::fs::rename(used.data().join("store"), aside.join("store")).unwrap();
    assert_eq!(used.hallpass(&["user", "list"], 0).0.lines().count(), 4);
    assert!(!next.exists() && aside.join("sidecar").exists());
}

#[test]
fn compaction_keeps_everything_and_refuses_a_store_that_is_not_whole() {
    let used = Used::new();
    let (before, _) = used.hallpass(&["verify"], 0);
    let (said, _) = used.hallpass(&["compact"], 0);
    assert!(said.contains("MB"), "{said}");
    assert_eq!(used.hallpass(&["verify"], 0).0, before);
    let ben = used.user_key("ben");
    used.lose(&[ben]);
    let (_, said) = used.hallpass(&["compact"], 1);
    assert!(said.contains("table users"), "{said}");
    assert!(!used.data().join("next/ready").exists());
    used.hallpass(&["verify"], 1);
}
