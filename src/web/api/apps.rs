//! `/api/v1/admin/apps`.

use super::page::{bad, id, page};
use super::sessions::strategy_of;
use super::{Answer, Verbs};
use crate::auth::apps::AppFields;
use crate::auth::check::{Admin, RecentAdmin};
use crate::model::AppId;
use crate::model::app::{App, ReplayMatch};
use crate::model::claims::Algorithm;
use crate::web::reply::Reply;
use crate::web::view::{self, At};
use crate::web::{JsonBody, Problem};
use rocket::{Route, delete, get, patch, post, routes};
use serde::Deserialize;
use serde_json::{Value, json};

pub fn routes() -> Vec<Route> {
    routes![list, create, read, update, delete, add_secret, remove_secret, confirm]
}

async fn view(auth: &Verbs, app: &App) -> Result<Value, Problem> {
    let mut secrets = Vec::with_capacity(app.secrets.len());
    for secret in &app.secrets {
        let last_used_at = auth.secret_last_used(&secret.id).await?.map(At::from);
        secrets.push(json!({
            "id": secret.id, "created_at": At::from(secret.created_at), "last_used_at": last_used_at,
            "suspended": secret.suspended,
        }));
    }
    Ok(view::app(app, secrets))
}

#[get("/api/v1/admin/apps")]
async fn list(auth: &Verbs, admin: Admin) -> Answer {
    let mut items = Vec::new();
    for app in auth.list_apps(&admin) {
        items.push(view(auth, &app.value).await?);
    }
    Ok(Reply::json(&page(items, None)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    id: String,
    strategy: String,
    #[serde(default)]
    confidential: bool,
    name: Option<String>,
    audience: Option<String>,
    algorithm: Option<Algorithm>,
    access_minutes: Option<u32>,
    idle_minutes: Option<u32>,
    absolute_minutes: Option<u32>,
    remember_minutes: Option<u32>,
    origins: Option<Vec<String>>,
    replay_match: Option<ReplayMatch>,
    appliance_access: Option<bool>,
}

#[post("/api/v1/admin/apps", data = "<body>")]
async fn create(auth: &Verbs, admin: RecentAdmin, body: JsonBody<Create>) -> Answer {
    let body = body.0;
    let rule = "1 to 32 of a-z, 0-9 and -, beginning with a letter; not device, form or code.";
    let id: AppId = body.id.parse().map_err(|_| bad("id", rule))?;
    let fields = AppFields {
        name: body.name,
        audience: body.audience,
        algorithm: body.algorithm,
        access_minutes: body.access_minutes,
        idle_minutes: body.idle_minutes,
        absolute_minutes: body.absolute_minutes,
        remember_minutes: body.remember_minutes,
        origins: body.origins,
        replay_match: body.replay_match,
        appliance_access: body.appliance_access,
        disabled: None,
    };
    let strategy = strategy_of(&body.strategy)?;
    let (app, secret) = auth.create_app(&admin, id, strategy, body.confidential, fields).await?;
    let mut created = view(auth, &app.value).await?;
    if let Some(secret) = secret {
        created["client_secret"] = json!(secret.reveal());
    }
    Ok(Reply::created(&created))
}

#[get("/api/v1/admin/apps/<app>")]
async fn read(auth: &Verbs, admin: Admin, app: &str) -> Answer {
    let app = auth.read_app(&admin, &id(app)?)?;
    Ok(Reply::json(&view(auth, &app.value).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: Option<String>,
    audience: Option<String>,
    algorithm: Option<Algorithm>,
    access_minutes: Option<u32>,
    idle_minutes: Option<u32>,
    absolute_minutes: Option<u32>,
    remember_minutes: Option<u32>,
    origins: Option<Vec<String>>,
    replay_match: Option<ReplayMatch>,
    appliance_access: Option<bool>,
    state: Option<State>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Enabled,
    Disabled,
}

#[patch("/api/v1/admin/apps/<app>", data = "<body>")]
async fn update(auth: &Verbs, admin: RecentAdmin, app: &str, body: JsonBody<Update>) -> Answer {
    let body = body.0;
    let fields = AppFields {
        name: body.name,
        audience: body.audience,
        algorithm: body.algorithm,
        access_minutes: body.access_minutes,
        idle_minutes: body.idle_minutes,
        absolute_minutes: body.absolute_minutes,
        remember_minutes: body.remember_minutes,
        origins: body.origins,
        replay_match: body.replay_match,
        appliance_access: body.appliance_access,
        disabled: body.state.map(|state| state == State::Disabled),
    };
    let app = auth.update_app(&admin, &id(app)?, fields).await?;
    Ok(Reply::json(&view(auth, &app.value).await?))
}

#[delete("/api/v1/admin/apps/<app>")]
async fn delete(auth: &Verbs, admin: RecentAdmin, app: &str) -> Answer {
    auth.delete_app(&admin, &id(app)?).await?;
    Ok(Reply::no_content())
}

#[post("/api/v1/admin/apps/<app>/secrets")]
async fn add_secret(auth: &Verbs, admin: RecentAdmin, app: &str) -> Answer {
    let (secret_id, secret) = auth.add_app_secret(&admin, &id(app)?).await?;
    Ok(Reply::created(&json!({ "id": secret_id, "client_secret": secret.reveal() })))
}

/// Secrets that were suspended when everything was ended count again.
#[post("/api/v1/admin/apps/<app>/secrets/confirm")]
async fn confirm(auth: &Verbs, admin: RecentAdmin, app: &str) -> Answer {
    let app = auth.confirm_app_secrets(&admin, &id(app)?).await?;
    Ok(Reply::json(&view(auth, &app.value).await?))
}

#[delete("/api/v1/admin/apps/<app>/secrets/<secret>")]
async fn remove_secret(auth: &Verbs, admin: RecentAdmin, app: &str, secret: &str) -> Answer {
    auth.remove_app_secret(&admin, &id(app)?, &id(secret)?).await?;
    Ok(Reply::no_content())
}
