//! `/api/v1/admin/blacklist`.

use super::page::{bad, id, page};
use super::{Answer, Verbs};
use crate::auth::blacklist::Strike;
use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::keys::target_of;
use crate::model::blacklist::Target;
use crate::web::reply::Reply;
use crate::web::view::blacklist_entry;
use crate::web::{JsonBody, Problem};
use rocket::http::Status;
use rocket::{Route, delete, get, post, routes};
use serde::Deserialize;

pub fn routes() -> Vec<Route> {
    routes![list, add, remove]
}

#[get("/api/v1/admin/blacklist")]
fn list(auth: &Verbs, admin: Admin) -> Reply {
    let items = auth.list_blacklist(&admin).iter().map(|entry| blacklist_entry(auth, &entry.value)).collect();
    Reply::json(&page(items, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    token: Option<String>,
    jti: Option<String>,
    sid: Option<String>,
    user_id: Option<String>,
    kid: Option<String>,
    #[serde(default)]
    reason: String,
}

#[post("/api/v1/admin/blacklist", data = "<body>")]
async fn add(auth: &Verbs, admin: RecentAdmin, body: JsonBody<Add>) -> Answer {
    let Add { token, jti, sid, user_id, kid, reason } = body.0;
    let strike = match (token, jti, sid, user_id, kid) {
        (Some(text), None, None, None, None) => Strike::Secret(text.trim().to_owned()),
        (None, Some(text), None, None, None) => {
            Strike::Token(text.parse().map_err(|_| bad("jti", "A token's identifier."))?)
        }
        (None, None, Some(text), None, None) => {
            Strike::Session(text.parse().map_err(|_| bad("sid", "A session's id."))?)
        }
        (None, None, None, Some(text), None) => {
            Strike::User(text.parse().map_err(|_| bad("user_id", "A user's id."))?)
        }
        (None, None, None, None, Some(text)) => Strike::Key(text),
        _ => return Err(bad("token", "Exactly one of token, jti, sid, user_id, kid.")),
    };
    let entry = auth.blacklist(&admin, strike, &reason).await?;
    Ok(Reply::created(&blacklist_entry(auth, &entry.value)))
}

#[delete("/api/v1/admin/blacklist/<entry>")]
async fn remove(auth: &Verbs, admin: RecentAdmin, entry: &str) -> Answer {
    auth.unblacklist(&admin, &target(entry)?).await?;
    Ok(Reply::no_content())
}

fn target(entry: &str) -> Result<Target, Problem> {
    let (kind, subject) = entry.split_once('-').ok_or_else(|| Problem::of_status(Status::NotFound))?;
    match kind {
        "token" => id(subject).map(Target::Token),
        "session" => id(subject).map(Target::Session),
        "user" => id(subject).map(Target::User),
        "key" => Ok(target_of(subject)?),
        _ => Err(Problem::of_status(Status::NotFound)),
    }
}
