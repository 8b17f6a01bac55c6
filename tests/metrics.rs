//! The metrics on an address of their own: that serves nothing else, and nobody else serves them.

#[path = "program/mod.rs"]
mod program;

use program::{Server, run, words};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

const TOKEN: &str = "a-token-of-more-than-sixteen-bytes";

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The whole answer.
fn get(port: u16, path: &str, header: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_address_that_is_taken_stops_the_start() {
    let parent = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = run(&parent.path().join("data"), &["serve"], &[("HALLPASS_METRICS__PORT", &port)]);
    assert!(!refused.status.success() && words(&refused).contains("metrics.port"), "{refused:?}");
}

#[test]
fn their_own_address_serves_the_metrics_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let (own, main) = (free_port(), free_port().to_string());
    let options = [("HALLPASS_METRICS__PORT", own.to_string()), ("HALLPASS_PORT", main.clone())];
    let options: Vec<_> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _server = Server::start(&parent.path().join("data"), &options);
    let answer = get(own, "/metrics", "");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("application/openmetrics-text"),
        "{answer}"
    );
    assert!(answer.contains("hallpass_store_commits_total") && answer.contains("# EOF"), "{answer}");
    assert!(answer.contains("nosniff"), "{answer}");
    for path in
        ["/", "/login", "/healthz", "/api/v1/auth/session", "/assets/x/y.css", "/.well-known/jwks.json"]
    {
        assert!(get(own, path, "").starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(get(main.parse().unwrap(), "/metrics", "").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_token_is_asked_for_on_their_own_address_too() {
    let parent = tempfile::tempdir().unwrap();
    let (own, file) = (free_port(), parent.path().join("token"));
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let (port, file) = (own.to_string(), file.to_str().unwrap());
    let options = [("HALLPASS_METRICS__PORT", port.as_str()), ("HALLPASS_METRICS__TOKEN_FILE", file)];
    let _server = Server::start(&parent.path().join("data"), &options);
    assert!(get(own, "/metrics", "").starts_with("HTTP/1.1 401"));
    assert!(get(own, "/metrics", "Authorization: Bearer wrong\r\n").starts_with("HTTP/1.1 401"));
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert!(get(own, "/metrics", &right).starts_with("HTTP/1.1 200"));
}
