//! `/api/v1/admin/keys`.

use super::page::page;
use super::{Answer, Verbs};
use crate::auth::check::{Admin, RecentAdmin};
use crate::model::claims::Algorithm;
use crate::web::OptionalJson;
use crate::web::reply::Reply;
use crate::web::view;
use rocket::{Route, get, post, routes};
use serde::Deserialize;
use serde_json::json;

pub fn routes() -> Vec<Route> {
    routes![list, rotate]
}

#[get("/api/v1/admin/keys")]
fn list(auth: &Verbs, admin: Admin) -> Reply {
    Reply::json(&page(auth.list_keys(&admin).iter().map(|key| view::key(&key.value)).collect(), None))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default)]
    algorithm: Algorithm,
}

#[post("/api/v1/admin/keys/rotate", data = "<body>")]
async fn rotate(auth: &Verbs, admin: RecentAdmin, body: OptionalJson<Rotate>) -> Answer {
    let algorithm = body.0.algorithm;
    let kid = auth.rotate_key(&admin, algorithm).await?;
    Ok(Reply::created(&json!({ "kid": kid, "algorithm": algorithm })))
}
