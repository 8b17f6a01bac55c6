//! `/api/v1/me`: one's own profile, password and sessions.

use super::page::{Paging, id, page};
use super::{Answer, Verbs};
use crate::auth::check::Member;
use crate::auth::logout::Scope;
use crate::auth::sessions::ShownState;
use crate::model::password::Password;
use crate::web::api::auth::reply_to;
use crate::web::api::sessions::state_of;
use crate::web::caller::{Caller, Visit};
use crate::web::reply::Reply;
use crate::web::view::{UserView, own_session};
use crate::web::{JsonBody, Problem};
use rocket::{Route, delete, get, patch, post, put, routes};
use serde::{Deserialize, Deserializer};

pub fn routes() -> Vec<Route> {
    routes![read, update, password, sessions, end_session, revoke_others]
}

#[get("/api/v1/me")]
fn read(member: Member) -> Reply {
    Reply::json(&UserView::from(member.user()))
}

/// Tells `null` (take it away) from absent (leave it).
pub fn some_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: Option<String>,
    #[serde(default, deserialize_with = "some_null")]
    email: Option<Option<String>>,
}

#[patch("/api/v1/me", data = "<body>")]
async fn update(auth: &Verbs, member: Member, body: JsonBody<Update>) -> Answer {
    let user = auth.update_own(&member, body.0.name, body.0.email).await?;
    Ok(Reply::json(&UserView::from(&user.value)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current_password: Password,
    new_password: Password,
    device_token: Option<String>,
}

#[put("/api/v1/me/password", data = "<body>")]
async fn password(
    auth: &Verbs,
    _member: Member,
    caller: Caller,
    visit: Visit<'_>,
    body: JsonBody<NewPassword>,
) -> Answer {
    let NewPassword { current_password, new_password, device_token } = body.0;
    let device = device_token.as_deref().or(visit.device);
    let issued = auth
        .change_own_password(&caller.signed_in, current_password, new_password, device, &visit.client)
        .await?;
    Ok(reply_to(&visit, &caller, &issued))
}

#[get("/api/v1/me/sessions?<state>&<paging..>")]
async fn sessions(auth: &Verbs, member: Member, state: Option<&str>, paging: Paging<'_>) -> Answer {
    let state = state_of(state, ShownState::Live)?;
    let own = member.signed_in().session_id();
    let found = auth.list_own_sessions(&member, state, paging.cursor()?, paging.limit()?).await?;
    let items = found.items.iter().map(|shown| own_session(auth, shown, own));
    Ok(Reply::json(&page(items.collect(), found.next.map(|id| id.to_string()))))
}

#[delete("/api/v1/me/sessions/<session>")]
async fn end_session(auth: &Verbs, member: Member, session: &str) -> Answer {
    auth.end_own_session(&member, &id(session)?).await?;
    Ok(Reply::no_content())
}

#[post("/api/v1/me/sessions/revoke-others")]
async fn revoke_others(auth: &Verbs, _member: Member, caller: Caller, visit: Visit<'_>) -> Answer {
    let issued = auth.logout(&caller.signed_in, Scope::Others).await?;
    let issued = issued.ok_or_else(|| Problem::of_status(rocket::http::Status::InternalServerError))?;
    Ok(reply_to(&visit, &caller, &issued))
}
