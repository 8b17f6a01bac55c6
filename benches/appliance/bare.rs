//! What everything is measured against: Rocket as it comes, with one route and its logging off.

use rocket::{Config, config::LogLevel, get, routes};

/// The variable that makes this program be the bare server.
pub const PORT: &str = "BENCH_BARE_PORT";

#[get("/")]
fn hello() -> &'static str {
    "Hello, world!"
}

/// Serves until a signal ends it.
pub fn serve(port: u16) {
    let config = Config { port, log_level: LogLevel::Off, ..Config::release_default() };
    let rocket = rocket::custom(config).mount("/", routes![hello]);
    rocket::execute(rocket.launch()).expect("the port is free");
}
