//! What verifiers and supervisors ask for.

use super::{Answer, Verbs};
use crate::web::Problem;
use crate::web::reply::Reply;
use rocket::http::{Header, Status};
use rocket::{Route, get, routes};
use serde_json::json;

pub fn routes() -> Vec<Route> {
    routes![jwks, healthz, readyz]
}

/// How long verifiers may keep the keys.
const JWKS_SECONDS: u32 = 300;

#[get("/.well-known/jwks.json")]
fn jwks(auth: &Verbs) -> Answer {
    let reply = Reply::json(&auth.jwks()?);
    Ok(reply
        .header(Header::new("Cache-Control", format!("public, max-age={JWKS_SECONDS}")))
        // Keys are public: any page may verify by them.
        .header(Header::new("Access-Control-Allow-Origin", "*")))
}

/// The process answers.
#[get("/healthz")]
fn healthz() -> Reply {
    Reply::json(&json!({ "status": "ok" }))
}

/// The store answers as well. A clock that is not followed is for people to look at: everything is served all the same.
#[get("/readyz")]
fn readyz(auth: &Verbs) -> Answer {
    match auth.failure() {
        None if auth.clock_behind_ms().is_some() => {
            Ok(Reply::json(&json!({ "status": "ready", "clock": "behind" })))
        }
        None => Ok(Reply::json(&json!({ "status": "ready" }))),
        Some(why) => {
            Err(Problem::new(Status::ServiceUnavailable, "store_failed", "The store does not answer")
                .detail(why.to_string()))
        }
    }
}
