//! One owner: two processes never have one data directory, and what the program makes is its owner's alone.

#[path = "program/mod.rs"]
mod program;

use program::{Server, run, words};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

#[test]
fn a_second_process_is_refused_by_whatever_name_it_calls_the_directory() {
    let parent = tempfile::tempdir().unwrap();
    let (data, link) = (parent.path().join("data"), parent.path().join("link"));
    let _server = Server::start(&data, &[]);
    symlink(&data, &link).unwrap();
    // As a snapshot in the making looks: a second start must not tidy it away under the first.
    let making = data.join("store/snap.1.generating");
    std::fs::write(&making, "").unwrap();
    for name in [&data, &link, &data.join("../data")] {
        let second = run(name, &["serve"], &[]);
        assert!(
            !second.status.success() && words(&second).contains("in use by another process"),
            "{second:?}"
        );
        assert!(making.exists());
        // A command goes to the one that runs.
        assert!(run(name, &["store-id"], &[]).status.success());
    }
}

#[test]
fn whatever_the_program_makes_is_its_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let _server = Server::start(&data, &[]);
    let mut open = Vec::new();
    let mut waiting = vec![data.clone()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let found = std::fs::symlink_metadata(&path).unwrap();
        if found.permissions().mode() & 0o077 != 0 {
            open.push(path.clone());
        }
        seen += 1;
        if found.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(open.is_empty() && seen > 6, "{seen} looked at, open: {open:?}");
}

#[test]
fn a_store_that_others_could_write_is_refused_in_words() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    assert!(run(&data, &["setup-link"], &[]).status.success());
    let db: PathBuf = data.join("store/db");
    std::fs::set_permissions(&db, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = run(&data, &["user", "list"], &[]);
    let said = words(&refused);
    assert!(!refused.status.success() && said.contains("store/db") && said.contains("chmod go-w"), "{said}");
}
