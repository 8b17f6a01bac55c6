//! `/api/v1/admin/users`.

use super::me::some_null;
use super::page::{Paging, bad, id, key_text, page};
use super::{Answer, Verbs};
use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::users::{NewUser, UserChange};
use crate::model::UserId;
use crate::model::name::words;
use crate::model::password::Password;
use crate::model::user::{Role, Standing, User};
use crate::store::user::UserFilter;
use crate::web::reply::Reply;
use crate::web::view::admin_user;
use crate::web::{JsonBody, Problem};
use rocket::{Route, delete, get, patch, post, put, routes};
use serde::Deserialize;
use serde_json::Value;

pub fn routes() -> Vec<Route> {
    routes![list, create, read, update, delete, set_password, cut_off, end_sessions]
}

async fn view(auth: &Verbs, user: &User) -> Result<Value, Problem> {
    Ok(admin_user(user, &auth.roster(&user.id).await?))
}

#[get("/api/v1/admin/users?<q>&<state>&<role>&<paging..>")]
async fn list(
    auth: &Verbs,
    admin: Admin,
    q: Option<&str>,
    state: Option<&str>,
    role: Option<&str>,
    paging: Paging<'_>,
) -> Answer {
    let standing = match state {
        None | Some("" | "all") => None,
        Some("enabled") => Some(Standing::Enabled),
        Some("disabled") => Some(Standing::Disabled),
        Some(_) => return Err(bad("state", "One of enabled, disabled, all.")),
    };
    let role = match role {
        None | Some("" | "all") => None,
        Some("admin") => Some(Role::Admin),
        Some("user") => Some(Role::User),
        Some(_) => return Err(bad("role", "One of admin, user, all.")),
    };
    let filter = UserFilter { words: q.map(words).unwrap_or_default(), standing, role };
    let found = auth.list_users(&admin, &filter, paging.key_cursor()?, paging.limit()?).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for user in &found.items {
        items.push(view(auth, &user.value).await?);
    }
    Ok(Reply::json(&page(items, found.next.map(key_text))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    login: String,
    email: Option<String>,
    #[serde(default)]
    name: String,
    password: Option<Password>,
    #[serde(default = "user_role")]
    role: Role,
    #[serde(default)]
    groups: Vec<String>,
}

const fn user_role() -> Role {
    Role::User
}

#[post("/api/v1/admin/users", data = "<body>")]
async fn create(auth: &Verbs, admin: RecentAdmin, body: JsonBody<Create>) -> Answer {
    let Create { login, email, name, password, role, groups } = body.0;
    let new = NewUser { login, email, email_verified: true, name, role, groups, password };
    let user = auth.create_user(&admin, new).await?;
    Ok(Reply::created(&view(auth, &user.value).await?))
}

#[get("/api/v1/admin/users/<user>")]
async fn read(auth: &Verbs, admin: Admin, user: &str) -> Answer {
    let user = auth.read_user(&admin, &id(user)?)?;
    Ok(Reply::json(&view(auth, &user.value).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    login: Option<String>,
    #[serde(default, deserialize_with = "some_null")]
    email: Option<Option<String>>,
    email_verified: Option<bool>,
    name: Option<String>,
    role: Option<Role>,
    groups: Option<Vec<String>>,
    state: Option<State>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Enabled,
    Disabled,
}

#[patch("/api/v1/admin/users/<user>", data = "<body>")]
async fn update(auth: &Verbs, admin: RecentAdmin, user: &str, body: JsonBody<Update>) -> Answer {
    let Update { login, email, email_verified, name, role, groups, state } = body.0;
    let standing = state.map(|state| match state {
        State::Enabled => Standing::Enabled,
        State::Disabled => Standing::Disabled,
    });
    // An e-mail that an administrator enters is confirmed by that, unless they say otherwise.
    let email_verified =
        email_verified.or_else(|| email.as_ref().filter(|email| email.is_some()).map(|_| true));
    let change = UserChange { login, email, email_verified, name, role, groups, standing };
    let user = auth.update_user(&admin, &id(user)?, change).await?;
    Ok(Reply::json(&view(auth, &user.value).await?))
}

#[delete("/api/v1/admin/users/<user>")]
async fn delete(auth: &Verbs, admin: RecentAdmin, user: &str) -> Answer {
    auth.delete_user(&admin, &id::<UserId>(user)?).await?;
    Ok(Reply::no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    new_password: Password,
}

#[put("/api/v1/admin/users/<user>/password", data = "<body>")]
async fn set_password(auth: &Verbs, admin: RecentAdmin, user: &str, body: JsonBody<NewPassword>) -> Answer {
    auth.set_password(&admin, &id(user)?, body.0.new_password).await?;
    Ok(Reply::no_content())
}

#[post("/api/v1/admin/users/<user>/cut-off")]
async fn cut_off(auth: &Verbs, admin: RecentAdmin, user: &str) -> Answer {
    let user = auth.cut_off(&admin, &id(user)?).await?;
    Ok(Reply::json(&view(auth, &user.value).await?))
}

#[delete("/api/v1/admin/users/<user>/sessions")]
async fn end_sessions(auth: &Verbs, admin: Admin, user: &str) -> Answer {
    auth.end_all_of_user(&admin, &id(user)?, "").await?;
    Ok(Reply::no_content())
}
