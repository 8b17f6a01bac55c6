//! Backups with the real program: made and verified by it, restored on the command line and from the set-up page, and
//! broken off in the middle.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "a fence around the orchard";
const PASSPHRASE: &str = "a passphrase for the shelf";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory, and the program on it.
struct House {
    directory: tempfile::TempDir,
    port: u16,
}

struct Server<'a> {
    house: &'a House,
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    setup_link: Option<String>,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let house = Self { directory, port: free_port() };
        house.write("password", PASSWORD.as_bytes());
        house.write("passphrase", PASSPHRASE.as_bytes());
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        command.args(arguments).env_clear().current_dir(self.directory.path());
        command.env("HALLPASS_PORT", self.port.to_string()).env("HALLPASS_LOG__LEVEL", "warn");
        command.env("HALLPASS_PASSWORD__ARGON2_MEMORY_KIB", "64");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {output:?}");
        assert!(!said.contains("panicked"), "{said}");
    }

    fn furnish(&self) {
        for (login, admin) in [("ada", true), ("grace", false)] {
            let mut arguments = vec!["user", "add", login, "--password-file", "password"];
            arguments.extend(admin.then_some("--admin"));
            self.good(&arguments);
        }
    }

    fn serve(&self) -> Server<'_> {
        let mut child = self.program(&["serve"]).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Server { house: self, child, said, setup_link: None };
        server.wait_until_it_serves();
        server
    }

    fn ask(&self, request: ureq::http::Request<String>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.run(request).unwrap();
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        (answer.status().as_u16(), serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn post(&self, path: &str, bearer: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = ureq::http::Request::post(format!("http://127.0.0.1:{}{path}", self.port))
            .header("Content-Type", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("Authorization", format!("Bearer {bearer}"));
        }
        self.ask(request.body(body.to_string()).unwrap())
    }

    fn get(&self, path: &str, bearer: &str) -> (u16, Value) {
        let request = ureq::http::Request::get(format!("http://127.0.0.1:{}{path}", self.port));
        self.ask(request.header("Authorization", format!("Bearer {bearer}")).body(String::new()).unwrap())
    }

    fn sign_in(&self, login: &str) -> (u16, String) {
        let body = json!({ "login": login, "password": PASSWORD });
        let (status, body) = self.post("/api/v1/auth/login", None, &body);
        (status, body["access_token"].as_str().unwrap_or_default().to_owned())
    }
}

impl Server<'_> {
    fn wait_until_it_serves(&mut self) {
        let mut serves = false;
        self.setup_link = None;
        for line in &mut self.said {
            let line = line.unwrap();
            serves |= line.starts_with("Hallpass serves");
            if line.contains("/setup?code=") {
                self.setup_link = Some(line.trim().to_owned());
            }
            if serves && (line.contains("A new link") || line.contains("administrators find")) {
                return;
            }
        }
        panic!("it does not start");
    }

    fn stop(mut self) {
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_round_trip_by_the_command_line_ends_everything_and_tells_what_differs() {
    let house = House::new();
    house.furnish();
    house.refused(&["backup", "--passphrase-file", "nowhere"], "nowhere");
    let server = house.serve();
    house.refused(&["backup", "--to", "password"], "File exists");
    house.refused(&["restore", "password"], "the appliance runs");
    let (_, token) = house.sign_in("grace");
    assert_eq!(house.get("/api/v1/auth/session", &token).0, 200);
    house.good(&["backup-key", "key"]);
    house.refused(&["backup-key", "key"], "File exists");
    assert_eq!(std::fs::metadata(house.path("key")).unwrap().len(), 32);
    assert_eq!(house.good(&["backup", "--key-file", "key", "--to", "kept.backup"]), "kept.backup");
    let own = house.good(&["backup", "--passphrase-file", "passphrase"]);
    let listed = house.good(&["backups"]);
    assert!(listed.lines().count() == 1 && listed.contains("passphrase\tverified"), "{listed}");
    assert!(Path::new(&own).starts_with(house.data().join("backups")), "{own}");
    house.good(&["user", "disable", "grace"]);
    server.stop();

    // Each way to have it wrong has its own words, and changes nothing.
    house.refused(&["restore", "kept.backup", "--key-file", "key"], "say --yes");
    for (arguments, words) in [
        (vec!["kept.backup"], "encrypted to a key file"),
        (vec!["kept.backup", "--passphrase-file", "passphrase"], "encrypted to a key file"),
        (vec![own.as_str()], "encrypted to a passphrase"),
        (vec![own.as_str(), "--passphrase-file", "password"], "is not the one of this backup"),
        (vec!["password"], "no backup of Hallpass"),
        (vec!["nowhere"], "No such file"),
    ] {
        house.refused(&[&["restore", "--yes"][..], &arguments].concat(), words);
    }
    let before = house.good(&["user", "list", "grace"]);
    assert!(before.contains("disabled"), "{before}");
    let said = house.good(&["restore", "--yes", "kept.backup", "--key-file", "key"]);
    assert!(said.contains("grace\tstate: disabled -> enabled"), "{said}");
    assert!(said.contains("All signing keys are new"), "{said}");

    let _server = house.serve();
    let (status, body) = house.get("/api/v1/auth/session", &token);
    assert_eq!((status, &body["code"]), (401, &json!("token_blacklisted")));
    assert_eq!(house.sign_in("grace").0, 200);
}

#[test]
fn an_empty_directory_takes_a_backup_and_a_store_that_cannot_be_read_is_set_aside() {
    let (house, empty) = (House::new(), House::new());
    house.furnish();
    // Nobody runs: the command opens the store itself.
    let made = house.good(&["backup"]);
    std::fs::copy(&made, empty.path("moved.backup")).unwrap();
    let mut other = empty.program(&["restore", "moved.backup"]);
    let other = other.env("HALLPASS_REQUIRE_STORE", "00000000-0000-4000-8000-000000000000").output().unwrap();
    let words = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && words.contains("require_store names"), "{words}");
    let mut tight = empty.program(&["restore", "moved.backup"]);
    let tight = tight.env("HALLPASS_STORE__FREE_FLOOR_MB", "4294967295").output().unwrap();
    let words = String::from_utf8_lossy(&tight.stderr).into_owned();
    assert!(!tight.status.success() && words.contains("not enough room"), "{words}");
    assert!(!empty.data().join("next").exists() && !empty.data().join("store").exists());
    let said = empty.good(&["restore", "moved.backup"]);
    assert!(said.contains("another master key") && said.contains("old passwords count"), "{said}");
    let server = empty.serve();
    assert_eq!(empty.sign_in("ada").0, 200);
    server.stop();

    let db = house.data().join("store/db");
    let mut bytes = std::fs::read(&db).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    bytes[..64].fill(0xa5);
    std::fs::write(&db, bytes).unwrap();
    house.refused(&["user", "list"], "estore");
    let said = house.good(&["restore", "--yes", &made]);
    assert!(said.contains("could not be read") && said.contains("old passwords count"), "{said}");
    assert_eq!(house.good(&["user", "list"]).lines().count(), 2);
}

/// Sends a form with a file, as a browser without JavaScript does.
fn upload(house: &House, cookies: &str, fields: &[(&str, &str)], file: &[u8], cut: usize) -> String {
    upload_at(HERE, house, cookies, fields, file, cut)
}

fn upload_at(
    at: IpAddr,
    house: &House,
    cookies: &str,
    fields: &[(&str, &str)],
    file: &[u8],
    cut: usize,
) -> String {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(
        b"--xx\r\nContent-Disposition: form-data; name=\"backup\"; filename=\"a/../b.backup\"\r\n",
    );
    body.extend_from_slice(b"Content-Type: application/octet-stream\r\n\r\n");
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--xx--\r\n");
    let length = body.len();
    body.truncate(length - cut);
    let mut stream = TcpStream::connect((at, house.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /setup/restore HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n\
         Cookie: {cookies}\r\nContent-Type: multipart/form-data; boundary=xx\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n",
        port = house.port
    );
    stream.write_all(head.as_bytes()).unwrap();
    // One that is refused early may hang up before it has read all.
    let _ = stream.write_all(&body);
    if cut > 0 {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn page(house: &House, path: &str, cookies: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, house.port)).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n",
        house.port
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn cookies_of(answer: &str) -> Vec<String> {
    let set = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    set.map(|cookie| cookie.split(';').next().unwrap_or_default().to_owned()).collect()
}

/// Cookies and form token of a browser that opened the set-up link.
fn opened(house: &House, link: &str) -> (String, String) {
    let path = &link[link.find("/setup?").unwrap()..];
    let mut cookies = cookies_of(&page(house, path, ""));
    let form = page(house, "/setup", &cookies.join("; "));
    cookies.extend(cookies_of(&form));
    let token = form.split("name=\"token\" value=\"").nth(1).unwrap_or_default();
    (cookies.join("; "), token.split('"').next().unwrap_or_default().to_owned())
}

#[test]
fn the_set_up_page_restores_a_backup_and_the_program_starts_anew_with_it() {
    let house = House::new();
    house.furnish();
    let made = house.good(&["backup", "--passphrase-file", "passphrase"]);
    let backup = std::fs::read(made).unwrap();

    let new = House::new();
    let mut server = new.serve();
    let link = server.setup_link.clone().expect("set-up is open");
    let (cookies, token) = opened(&new, &link);
    let send = |cookies: &str, token: &str, passphrase: &str, file: &[u8], cut| {
        upload(&new, cookies, &[("token", token), ("passphrase", passphrase)], file, cut)
    };
    let status = |answer: &str| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let without_code =
        cookies.split("; ").filter(|cookie| !cookie.contains("code=")).collect::<Vec<_>>().join("; ");
    assert_eq!(status(&send(&without_code, &token, PASSPHRASE, &backup, 0)), "403");
    assert_eq!(status(&send(&cookies, "forged", PASSPHRASE, &backup, 0)), "403");
    for (passphrase, file, words) in [
        ("", &backup[..], "encrypted to a passphrase"),
        ("quite another one", &backup, "is not the one of this backup"),
        ("short", &backup, "at least 12 characters"),
        (PASSPHRASE, &backup[..backup.len() - 9], "cut off"),
        (PASSPHRASE, b"", "Choose the file"),
        ("", b"PK\x03\x04 something else", "no backup of Hallpass"),
    ] {
        let answer = send(&cookies, &token, passphrase, file, 0);
        assert!(status(&answer) == "422" && answer.contains(words), "{words}: {answer}");
    }
    // An upload that breaks off is given up, and does not stand in the way of the next.
    let answer = send(&cookies, &token, PASSPHRASE, &backup, 200);
    assert!(answer.is_empty() || status(&answer).starts_with('4'), "{answer}");
    assert!(std::fs::read_dir(new.data().join("upload")).unwrap().next().is_none(), "uploads are left");

    // By whichever address of localhost the browser happens to take.
    let at = if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        IpAddr::from(Ipv6Addr::LOCALHOST)
    } else {
        HERE
    };
    let answer = upload_at(at, &new, &cookies, &[("token", &token), ("passphrase", PASSPHRASE)], &backup, 0);
    assert!(status(&answer) == "200" && answer.contains("The backup is restored"), "{answer}");
    // The same process, under the same number, serves the restored store.
    server.wait_until_it_serves();
    assert!(server.child.try_wait().unwrap().is_none());
    assert_eq!(server.setup_link, None);
    let (status_of_ada, token_of_ada) = new.sign_in("ada");
    assert_eq!(status_of_ada, 200);
    assert_eq!(new.get("/api/v1/auth/session", &token_of_ada).1["user"]["role"], "admin");
    // Set-up is closed: the link and the page are good for nothing.
    assert_eq!(status(&send(&cookies, &token, PASSPHRASE, &backup, 0)), "404");
    assert_eq!(new.good(&["store-id"]), house.good(&["store-id"]));
    assert_eq!(std::fs::read_dir(new.data().join("aside")).unwrap().count(), 1);
}

#[test]
fn an_upload_larger_than_the_bound_is_refused_before_it_is_read() {
    let new = House::new();
    let child =
        new.program(&["serve"]).env("HALLPASS_BACKUP__UPLOAD_MB_MAX", "1").stdout(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut server = Server { house: &new, child, said, setup_link: None };
    server.wait_until_it_serves();
    let (cookies, token) = opened(server.house, server.setup_link.as_deref().unwrap());
    let large = vec![7; 2 << 20];
    let answer = upload(&new, &cookies, &[("token", &token)], &large, 0);
    // The connection may be closed hard while the rest is still on its way.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    let small = upload(&new, &cookies, &[("token", &token)], b"no backup", 0);
    assert!(small.starts_with("HTTP/1.1 422"), "{small}");
}

#[test]
fn a_check_of_a_backup_removes_no_directory_that_was_there_before() {
    let house = House::new();
    house.furnish();
    let made = house.good(&["backup", "--to", "good.backup"]);
    let data = house.data();
    let mut child = house
        .program(&["verify-backup", &made, data.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"secret\":null}").unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains("refused") && said.contains("File exists"), "{said}");
    assert_eq!(house.good(&["user", "list"]).lines().count(), 2);
}

/// Kills the program in the middle of backups and restores, again and again; `HALLPASS_BACKUP_KILLS` says how often.
#[test]
fn killed_in_the_middle_nothing_harmful_is_left() {
    let kills = std::env::var("HALLPASS_BACKUP_KILLS").map_or(12, |text| text.parse().expect("a number"));
    let house = House::new();
    house.furnish();
    let made = house.good(&["backup", "--to", "good.backup"]);
    for n in 0..kills {
        let verb: &[&str] = if n % 2 == 0 { &["backup"] } else { &["restore", "--yes", &made] };
        let mut child = house.program(verb).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        // Spread over what a whole run takes.
        let wait = Duration::from_millis(5 + (n as u64 * 37) % 260);
        while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
        // Whichever store counts now, it opens, with everybody in it.
        let users = house.good(&["user", "list"]);
        assert_eq!(users.lines().count(), 2, "round {n}: {users}");
        assert!(!house.data().join("next").exists(), "round {n}");
        for line in house.good(&["backups"]).lines() {
            assert!(!line.contains("NOT VERIFIED"), "round {n}: {line}");
        }
    }
    let server = house.serve();
    let left: Vec<_> = std::fs::read_dir(house.data().join("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(house.sign_in("ada").0, 200);
    server.stop();
}
