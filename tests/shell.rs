//! The shell over a real socket: what Rocket's local client never shows.

use hallpass::config::Config;
use hallpass::web::{self, JsonBody, Site};
use rocket::fairing::AdHoc;
use rocket::{Build, Rocket, Shutdown, post, routes};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

#[post("/api/v1/echo", data = "<body>")]
fn echo(body: JsonBody<String>) -> String {
    body.0
}

struct Server {
    port: u16,
    shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(mut config: Config) -> Self {
        // Free a moment ago; with port 0 both loopback addresses would get different ones.
        config.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let port = config.port;
        let site = Arc::new(Site::new(Arc::new(config), [0; 4]).unwrap());
        let (up, is_up) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mount = |rocket: Rocket<Build>| {
                let up = up.clone();
                let ready = AdHoc::on_liftoff("ready", move |rocket| {
                    let _ = up.send((rocket.config().address.is_ipv4(), rocket.shutdown()));
                    Box::pin(async {})
                });
                rocket.mount("/", routes![echo]).attach(ready)
            };
            web::run(
                &site.config,
                web::launch(&site, None, mount, || Box::pin(async {}), std::future::pending()),
            )
            .unwrap()
            .unwrap();
        });
        let mut ready = is_up.iter();
        let shutdown = ready.find_map(|(first, shutdown)| first.then_some(shutdown)).unwrap();
        Self { port, shutdown, thread: Some(thread) }
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The server may close hard on a body that it did not want; what came before counts.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.clone().notify();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn assert_holds(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "{part:?} is not in:\n{answer}");
    }
}

#[test]
fn what_rocket_cannot_parse_leaves_with_the_same_headers() {
    let server = Server::start(Config::default());
    let answer =
        server.ask("BREW /api/v1/pot?code=secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_holds(&answer, &["HTTP/1.1 400", "problem+json", "nosniff", "no-store", "frame-ancestors 'none'"]);
    assert!(!answer.contains("secret") && !answer.to_lowercase().contains("server:"));
}

#[test]
fn a_body_that_never_ends_is_given_up() {
    let mut config = Config::default();
    config.limits.body_seconds = 1;
    let server = Server::start(config);
    for (kind, beginning) in [
        ("application/json", "\"a beginning without end"),
        ("application/x-www-form-urlencoded", "login=without-end"),
    ] {
        let answer = server.ask(&format!(
            "POST /api/v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\
             Connection: close\r\n\r\n{beginning}",
        ));
        assert_holds(&answer, &["HTTP/1.1 408", "request_timeout"]);
    }
}

#[test]
fn a_form_that_names_another_method_is_refused() {
    let server = Server::start(Config::default());
    let answer = server.ask(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 14\r\nConnection: close\r\n\r\n_method=delete",
    );
    assert_holds(&answer, &["HTTP/1.1 400", "method_field"]);
}

#[test]
fn shutting_down_takes_seconds_even_with_an_open_connection() {
    let server = Server::start(Config::default());
    let _idle = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    let started = std::time::Instant::now();
    drop(server);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn localhost_answers_on_both_loopback_addresses() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::start(Config::default());
    let connects = || TcpStream::connect((Ipv6Addr::LOCALHOST, server.port)).is_ok();
    let up = (0..100).any(|_| {
        connects() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }
    });
    assert!(up);
}

#[test]
fn a_command_that_asks_begins_nothing_in_a_directory_that_was_named_wrongly() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("dtaa");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"));
        // What steers tests is no option of the program.
        command.env_clear().env("HALLPASS_DATA_DIR", &data);
        command.args(arguments).current_dir(&directory).output().unwrap()
    };
    for arguments in [&["user", "list"][..], &["user", "disable", "ada"], &["key", "rotate"], &["store-id"]] {
        let output = run(arguments);
        assert!(!output.status.success() && !data.exists(), "{arguments:?}");
        assert_holds(&String::from_utf8_lossy(&output.stderr), &["there is no store", "data_dir"]);
    }
    assert!(run(&["setup-link"]).status.success() && run(&["user", "list"]).status.success());
}

#[test]
fn it_serves_on_when_nobody_reads_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command.env_clear().env("HALLPASS_DATA_DIR", directory.path().join("data"));
    command.env("HALLPASS_PORT", port.to_string()).current_dir(&directory);
    let mut server = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(server.stdout.take());
    let answers = || {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
    };
    let up = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        answers()
    });
    // What is said is said within this time.
    std::thread::sleep(Duration::from_millis(500));
    let still_up = answers() && server.try_wait().unwrap().is_none();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(up && still_up, "up: {up}, and still: {still_up}");
}
