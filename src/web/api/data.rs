//! `/api/v1/sessions/{id}/data`: an app's own data on a session.

use super::oauth::{ClientApp, basic};
use super::page::{bad, id};
use super::{Answer, Verbs};
use crate::auth::check::Admin;
use crate::auth::data::{DataKeeper, SessionData};
use crate::web::reply::Reply;
use crate::web::{JsonBody, Problem};
use rocket::http::{Header, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Route, get, put, routes};
use serde_json::{Map, Value};

pub fn routes() -> Vec<Route> {
    routes![read, write]
}

/// An app by its secret (Basic), or an administrator; nobody else.
enum Keeper {
    App(ClientApp),
    Admin(Admin),
}

impl Keeper {
    fn as_keeper(&self) -> DataKeeper<'_> {
        match self {
            Self::App(app) => DataKeeper::App(&app.0.value),
            Self::Admin(admin) => DataKeeper::Admin(admin),
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Keeper {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        if basic(request).is_some() {
            ClientApp::from_request(request).await.map(Self::App)
        } else {
            Admin::from_request(request).await.map(Self::Admin)
        }
    }
}

/// `If-Match` (RFC 9110 section 13.1.1): none, any, or one revision.
struct IfMatch(Option<u32>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for IfMatch {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match request.headers().get_one("if-match") {
            None | Some("*") => Outcome::Success(Self(None)),
            Some(tag) => match tag.trim_matches('"').parse() {
                Ok(revision) => Outcome::Success(Self(Some(revision))),
                // A tag that we never gave matches nothing.
                Err(_) => Outcome::Error((Problem::of_status(Status::PreconditionFailed).leave(request), ())),
            },
        }
    }
}

fn answer(data: &SessionData) -> Reply {
    let value: Value =
        data.json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let value = if value.is_null() { Value::Object(Map::new()) } else { value };
    Reply::json(&value).header(Header::new("ETag", format!("\"{}\"", data.revision)))
}

#[get("/api/v1/sessions/<session>/data")]
async fn read(auth: &Verbs, keeper: Keeper, session: &str) -> Answer {
    Ok(answer(&auth.read_data(keeper.as_keeper(), &id(session)?).await?))
}

#[put("/api/v1/sessions/<session>/data", data = "<body>")]
async fn write(
    auth: &Verbs,
    keeper: Keeper,
    if_match: IfMatch,
    session: &str,
    body: JsonBody<Map<String, Value>>,
) -> Answer {
    let json = serde_json::to_string(&body.0).map_err(|_| bad("data", "A JSON object."))?;
    let data = auth.write_data(keeper.as_keeper(), &id(session)?, &json, if_match.0).await?;
    Ok(answer(&data))
}
