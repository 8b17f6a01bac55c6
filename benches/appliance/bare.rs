//! What everything is measured against: Rocket as it comes, with its logging off.

use rocket::http::{ContentType, Header};
use rocket::response::{Responder, Response, Result};
use rocket::{Config, Request, State, config::LogLevel, get, routes};
use std::io::Cursor;

/// The variables that make this program be the bare server: its port, and what it answers at `/same`.
pub const PORT: &str = "BENCH_BARE_PORT";
pub const ANSWER: &str = "BENCH_BARE_ANSWER";

#[get("/")]
fn hello() -> &'static str {
    "Hello, world!"
}

/// An answer from a constant: its headers, a line each, an empty line, and its body.
struct Same(Vec<(String, String)>, String);

impl Same {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or_default();
        let pair =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(head.lines().filter_map(pair).collect(), body.to_owned())
    }
}

impl<'r> Responder<'r, 'r> for &'r Same {
    fn respond_to(self, _: &'r Request<'_>) -> Result<'r> {
        let mut answer = Response::build().header(ContentType::JSON).finalize();
        for (name, value) in &self.0 {
            answer.set_header(Header::new(name.as_str(), value.as_str()));
        }
        answer.set_sized_body(self.1.len(), Cursor::new(self.1.as_bytes()));
        Ok(answer)
    }
}

#[get("/same")]
fn same(answer: &State<Same>) -> &Same {
    answer.inner()
}

/// Serves until a signal ends it.
pub fn serve(port: u16) {
    let config = Config { port, log_level: LogLevel::Off, ..Config::release_default() };
    let answer = Same::parse(&std::env::var(ANSWER).unwrap_or_default());
    let rocket = rocket::custom(config).manage(answer).mount("/", routes![hello, same]);
    rocket::execute(rocket.launch()).expect("the port is free");
}
