//! Export and import by the command line: the real program, with a running appliance and without one.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// bcrypt's of "a long and lovely passphrase".
const BCRYPT: &str = "$2y$04$X.SgHobHUOCewdqDgafKJOlwnDpFJ1fmSL9C7rK7Gge7.xsyWEmm2";

/// A data directory, with files beside it.
struct Place {
    directory: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        Self { directory: tempfile::tempdir().unwrap(), port }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        // What steers tests is no option of the program.
        command.env_clear().current_dir(&self.directory).args(arguments);
        command.env("HALLPASS_ADDRESS", "127.0.0.1").env("HALLPASS_PORT", self.port.to_string());
        command.env("HALLPASS_STORE__CACHE_MB", "8").env("HALLPASS_LOG__LEVEL", "error");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.program(arguments).stdin(Stdio::null()).output().unwrap())
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.program(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever is refused early hears no more.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::of(child.wait_with_output().unwrap())
    }

    fn serve(&self) -> Serving {
        let child = self.program(&["serve"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        let (socket, serving) = (self.path("data/control.sock"), Serving(child));
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        serving
    }
}

/// A running appliance, ended with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Ended with this code, and said this somewhere.
    #[track_caller]
    fn is(&self, code: i32, parts: &[&str]) {
        let said = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, Some(code), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in: {said}");
        }
        assert!(!self.err.contains("panicked"), "{said}");
    }
}

/// `HALLPASS_TRANSFER_USERS`, or few.
fn users() -> usize {
    std::env::var("HALLPASS_TRANSFER_USERS").map_or(1000, |text| text.parse().expect("a number of users"))
}

fn file(users: usize) -> String {
    let mut text = String::from("{\"type\":\"header\",\"schema\":1}\n");
    for n in 0..users {
        let line = json!({
            "type": "user", "login": format!("user{n}"), "email": format!("user{n}@example.org"),
            "email_verified": true, "name": format!("User Number{n}"), "password_hash": BCRYPT,
        });
        writeln!(text, "{line}").unwrap();
    }
    text + "{\"type\":\"end\"}\n"
}

#[test]
fn what_cannot_be_exported_or_imported_says_so() {
    let place = Place::new();
    std::fs::write(place.path("good"), file(1)).unwrap();
    // Looking begins nothing.
    place.run(&["export"]).is(1, &["there is no store"]);
    place.run(&["import", "good", "--dry-run"]).is(1, &["there is no store"]);
    assert!(!place.path("data").exists());
    place.run(&["import", "nothing"]).is(1, &["nothing", "No such file"]);
    place.run(&["import", "."]).is(1, &["is a directory"]);
    place.run(&["import", "good", "--format", "csv"]).is(2, &["one of json, htpasswd"]);
    place.run_with_input(&["import", "-"], "").is(1, &["header"]);
    place
        .run_with_input(&["import", "-"], "nonsense\n".repeat(100_000).as_str())
        .is(1, &["The first line must be"]);
    std::fs::write(place.path("there"), "mine").unwrap();
    place.run(&["export", "--to", "there"]).is(1, &["there", "exists"]);
    place.run(&["export", "--to", "no/such/place"]).is(1, &["no/such/place"]);
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("link")).unwrap();
    place.run(&["export", "--to", "link"]).is(1, &["exists"]);
    assert_eq!(std::fs::read_to_string(place.path("there")).unwrap(), "mine");
    assert!(!place.path("elsewhere").exists());
}

#[test]
fn refused_lines_are_listed_and_the_exit_code_tells() {
    let place = Place::new();
    let lines = [
        "{\"type\":\"header\",\"schema\":1}".to_owned(),
        json!({ "type": "user", "login": "a b", "email": "x" }).to_string(),
        json!({ "type": "user", "login": "ada", "password_hash": BCRYPT }).to_string(),
        "{\"type\":\"user\",\"login\":\"b\",\"\\u001b[31m\":1}".to_owned(),
        "{\"type\":\"end\"}".to_owned(),
    ];
    std::fs::write(place.path("people"), lines.join("\n")).unwrap();
    let begun = place.run(&["import", "people"]);
    begun.is(
        3,
        &[
            "line 2: login: This has a space",
            "(bad_character)",
            "line 2: email: This is no e-mail address. (not_an_email)",
            "line 4: [31m: There is no such field (unknown_field)",
            "Imported 1 users and 0 apps; 0 were there already; 2 lines were refused.",
        ],
    );
    assert!(!begun.out.contains('\u{1b}') && !begun.out.contains(BCRYPT), "{}", begun.out);
    let again = place.run(&["import", "people", "--dry-run"]);
    again.is(3, &["Would import 0 users and 0 apps; 1 were there already; 2 lines were refused."]);
    place.run(&["user", "list"]).is(0, &["ada"]);
    let htpasswd = format!("grace:{BCRYPT}\n");
    place.run_with_input(&["import", "-", "--format", "htpasswd"], &htpasswd).is(0, &["Imported 1 users"]);
}

#[test]
fn any_number_of_users_goes_in_and_out_of_a_running_appliance() {
    let users = users();
    let (place, other) = (Place::new(), Place::new());
    let _serving = place.serve();
    std::fs::write(place.path("people"), file(users)).unwrap();
    let dry = place.run(&["import", "people", "--dry-run"]);
    dry.is(
        0,
        &[&format!("Would import {users} users and 0 apps; 0 were there already; 0 lines were refused.")],
    );
    assert_eq!(place.run(&["user", "list"]).out, "");
    let began = Instant::now();
    place.run(&["import", "people"]).is(0, &[&format!("Imported {users} users")]);
    eprintln!("{users} users were imported in {:?}", began.elapsed());
    place
        .run(&["import", "people"])
        .is(0, &[&format!("0 users and 0 apps; {users} were there already; 0 lines")]);

    let exported = place.run(&["export", "--to", "out.ndjson"]);
    exported.is(0, &[&format!("{users} users and 2 apps were exported"), "keep it as safe"]);
    let path = place.path("out.ndjson");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1 + 2 + users + 1);
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(end, json!({ "type": "end", "apps": 2, "users": users }));

    // Into an appliance that never ran, and the same lines out of it.
    other.run(&["import", path.to_str().unwrap()]).is(0, &[&format!("Imported {users} users")]);
    let back = other.run(&["export"]);
    back.is(0, &[&format!("{users} users")]);
    let differs = text.lines().skip(1).zip(back.out.lines().skip(1)).find(|(a, b)| a != b);
    assert_eq!((differs, back.out.lines().count()), (None, text.lines().count()));
}

#[test]
fn an_import_that_is_killed_is_run_again_and_is_whole() {
    let place = Place::new();
    std::fs::write(place.path("people"), file(5000)).unwrap();
    let mut serving = place.serve();
    let importing = place.program(&["import", "people"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut importing = importing.unwrap();
    std::thread::sleep(Duration::from_millis(300));
    serving.0.kill().unwrap();
    serving.0.wait().unwrap();
    assert_eq!(importing.wait().unwrap().code(), Some(1));
    let again = place.run(&["import", "people"]);
    again.is(0, &["0 lines were refused"]);
    eprintln!("{}", again.out);
    let out = place.run(&["export"]).out;
    assert_eq!(out.lines().filter(|line| line.starts_with("{\"type\":\"user\"")).count(), 5000);
}
