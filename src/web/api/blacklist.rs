//! `/api/v1/admin/blacklist`.

use super::page::{Paging, bad, id, page};
use super::{Answer, Verbs};
use crate::auth::blacklist::{Place, Strike};
use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::keys::target_of;
use crate::model::Time;
use crate::model::blacklist::Target;
use crate::web::reply::Reply;
use crate::web::view::{blacklist_entry, entry_id};
use crate::web::{JsonBody, Problem};
use rocket::http::Status;
use rocket::{Route, delete, get, post, routes};
use serde::Deserialize;
use std::cmp::Reverse;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

pub fn routes() -> Vec<Route> {
    routes![list, add, remove]
}

#[get("/api/v1/admin/blacklist?<kind>&<paging..>")]
fn list(auth: &Verbs, admin: Admin, kind: Option<&str>, paging: Paging<'_>) -> Answer {
    let kind = kind.filter(|kind| !kind.is_empty());
    if kind.is_some_and(|kind| !["token", "session", "user", "key"].contains(&kind)) {
        return Err(bad("kind", "One of token, session, user, key."));
    }
    let cursor = paging.cursor::<Cursor>()?.map(|cursor| cursor.0);
    let (found, next) = auth.list_blacklist(&admin, kind, cursor, paging.limit()?);
    let items = found.iter().map(|entry| blacklist_entry(auth, &entry.value)).collect();
    Ok(Reply::json(&page(items, next.map(|place| Cursor(place).to_string()))))
}

/// A place in the list as text: `milliseconds-kind-subject`.
struct Cursor(Place);

impl Display for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (Reverse(at), target) = &self.0;
        write!(f, "{}-{}", at.ms(), entry_id(target))
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (ms, entry) = text.split_once('-').ok_or_else(|| Problem::of_status(Status::NotFound))?;
        Ok(Self((Reverse(Time::from_ms(id(ms)?)), target(entry)?)))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_one_that_the_list_gave() {
        let id = "019ab5c2-7d1e-7f00-8000-00000000abcd";
        for bad in
            ["", "7", "7-", "-token", "x-token-7", "7-token-", "7-word-word", &format!("7-tokens-{id}")]
        {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
        let text = format!("7-session-{id}");
        let Cursor((Reverse(at), target)) = text.parse().unwrap();
        assert_eq!((at, target), (Time::from_ms(7), Target::Session(id.parse().unwrap())));
        assert_eq!(Cursor((Reverse(at), target)).to_string(), text);
    }
}
