//! One owner: two processes never have one data directory, and what the program makes is its owner's alone.

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

struct Server {
    child: Child,
    /// Open for as long as it runs: it says more than the first line.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Comes back once it serves.
    fn start(data: &Path) -> Self {
        // Under a umask that would let everybody read.
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 022; exec \"$0\" serve", env!("CARGO_BIN_EXE_hallpass")]);
        let mut child = options(&mut shell, data).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().starts_with("Hallpass serves")), "it does not start");
        Self { child, _said: said }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn options<'a>(command: &'a mut Command, data: &Path) -> &'a mut Command {
    // What steers tests is no option of the program.
    command.env_clear().env("HALLPASS_DATA_DIR", data).env("HALLPASS_PORT", "0");
    command.env("HALLPASS_LOG__LEVEL", "error").current_dir(data.parent().unwrap())
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    options(command.args(arguments), data).output().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_process_is_refused_by_whatever_name_it_calls_the_directory() {
    let parent = tempfile::tempdir().unwrap();
    let (data, link) = (parent.path().join("data"), parent.path().join("link"));
    let _server = Server::start(&data);
    symlink(&data, &link).unwrap();
    // As a snapshot in the making looks: a second start must not tidy it away under the first.
    let making = data.join("store/snap.1.generating");
    std::fs::write(&making, "").unwrap();
    for name in [&data, &link, &data.join("../data")] {
        let second = run(name, &["serve"]);
        assert!(
            !second.status.success() && words(&second).contains("in use by another process"),
            "{second:?}"
        );
        assert!(making.exists());
        // A command goes to the one that runs.
        assert!(run(name, &["store-id"]).status.success());
    }
}

#[test]
fn whatever_the_program_makes_is_its_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let _server = Server::start(&data);
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
    assert!(run(&data, &["setup-link"]).status.success());
    let db: PathBuf = data.join("store/db");
    std::fs::set_permissions(&db, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = run(&data, &["user", "list"]);
    let said = words(&refused);
    assert!(!refused.status.success() && said.contains("store/db") && said.contains("chmod go-w"), "{said}");
}
