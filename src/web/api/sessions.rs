//! `/api/v1/admin/sessions`.

use super::page::{Paging, bad, id, page};
use super::{Answer, Verbs};
use crate::auth::check::Admin;
use crate::auth::sessions::{SESSION_IDS_MAX, ShownState};
use crate::model::app::Strategy;
use crate::model::blacklist::REASON_LENGTH_MAX;
use crate::model::job::SessionFilter;
use crate::model::{SessionId, UserId};
use crate::web::json::object;
use crate::web::reply::Reply;
use crate::web::view::admin_session;
use crate::web::{JsonBody, Problem, Site};
use rocket::{Route, State, delete, get, post, routes};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

pub fn routes() -> Vec<Route> {
    routes![list, read, end, revoke, overview]
}

/// # Errors
/// `validation_failed` for another word.
pub fn state_of(text: Option<&str>, default: ShownState) -> Result<ShownState, Problem> {
    match text {
        None | Some("") => Ok(default),
        Some("live") => Ok(ShownState::Live),
        Some("ended") => Ok(ShownState::Ended),
        Some("all") => Ok(ShownState::All),
        Some(_) => Err(bad("state", "One of live, ended, all.")),
    }
}

/// A filter as it is written: in a query or in JSON.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    user: Option<String>,
    app: Option<String>,
    strategy: Option<String>,
    network: Option<String>,
}

impl Filter {
    /// `None`: it names somebody whom nobody is, so nothing matches.
    async fn read(&self, auth: &Verbs, admin: &Admin) -> Result<Option<SessionFilter>, Problem> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let user = match given(&self.user) {
            None => None,
            Some(text) => match text.parse::<UserId>() {
                Ok(id) => Some(id),
                Err(_) => match auth.find_user(admin, &text).await {
                    Ok(user) => Some(user.value.id),
                    Err(crate::auth::Refusal::NotFound) => return Ok(None),
                    Err(other) => return Err(other.into()),
                },
            },
        };
        let app = given(&self.app).map(|text| text.parse()).transpose();
        let network = given(&self.network).map(|text| text.parse()).transpose();
        Ok(Some(SessionFilter {
            user,
            app: app.map_err(|_| bad("app", "An app's id."))?,
            strategy: given(&self.strategy).map(|text| strategy_of(&text)).transpose()?,
            network: network.map_err(|_| bad("network", "An address, or a network like 192.0.2.0/24."))?,
        }))
    }
}

/// # Errors
/// `validation_failed` for another word.
pub fn strategy_of(text: &str) -> Result<Strategy, Problem> {
    [Strategy::Session, Strategy::Jwt, Strategy::Tracked, Strategy::Refresh]
        .into_iter()
        .find(|strategy| strategy.as_str() == text)
        .ok_or_else(|| bad("strategy", "One of session, jwt, tracked, refresh."))
}

#[get("/api/v1/admin/sessions?<state>&<user>&<app>&<strategy>&<network>&<paging..>")]
#[allow(clippy::too_many_arguments)] // one per query parameter: Rocket takes only one trailing form
async fn list(
    auth: &Verbs,
    admin: Admin,
    state: Option<&str>,
    user: Option<String>,
    app: Option<String>,
    strategy: Option<String>,
    network: Option<String>,
    paging: Paging<'_>,
) -> Answer {
    let filter = Filter { user, app, strategy, network };
    let state = state_of(state, ShownState::Live)?;
    let Some(filter) = filter.read(auth, &admin).await? else {
        return Ok(Reply::json(&page(Vec::new(), None)));
    };
    let found = auth.list_sessions(&admin, &filter, state, paging.cursor()?, paging.limit()?).await?;
    let items = found.items.iter().map(|shown| admin_session(auth, shown, admin.session_id())).collect();
    Ok(Reply::json(&page(items, found.next.map(|id| id.to_string()))))
}

#[get("/api/v1/admin/sessions/<session>")]
async fn read(auth: &Verbs, admin: Admin, session: &str) -> Answer {
    let shown = auth.session(&admin, &id(session)?).await?;
    Ok(Reply::json(&admin_session(auth, &shown, admin.session_id())))
}

#[delete("/api/v1/admin/sessions/<session>")]
async fn end(auth: &Verbs, admin: Admin, session: &str) -> Answer {
    auth.revoke_session(&admin, &id(session)?, "").await?;
    Ok(Reply::no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    ids: Option<Vec<String>>,
    #[serde(default, deserialize_with = "object")]
    filter: Option<Filter>,
    #[serde(default)]
    reason: String,
}

#[post("/api/v1/admin/sessions/revoke", data = "<body>")]
async fn revoke(auth: &Verbs, admin: Admin, body: JsonBody<Revoke>) -> Answer {
    let body = body.0;
    if body.reason.chars().count() > REASON_LENGTH_MAX || body.reason.chars().any(char::is_control) {
        return Err(bad("reason", "Up to 200 characters, no control characters."));
    }
    let (ended, skipped) = match (body.ids, body.filter) {
        (Some(ids), None) if ids.len() <= SESSION_IDS_MAX => {
            let ids: Result<Vec<SessionId>, _> = ids.iter().map(|text| text.parse()).collect();
            let ids = ids.map_err(|_| bad("ids", "Each an id of a session."))?;
            auth.revoke_sessions(&admin, &ids, &body.reason).await?
        }
        (Some(_), None) => return Err(bad("ids", "At most 200.")),
        (None, Some(filter)) => match filter.read(auth, &admin).await? {
            Some(filter) => (auth.revoke_matching(&admin, filter, &body.reason).await?, 0),
            None => (0, 0),
        },
        _ => return Err(bad("ids", "Either ids or filter.")),
    };
    Ok(Reply::json(&json!({ "ended": ended, "skipped": skipped })))
}

#[get("/api/v1/admin/overview")]
fn overview(auth: &Verbs, admin: Admin, site: &State<Arc<Site>>) -> Reply {
    let figures = auth.figures(&admin);
    let attention: Vec<_> = site.attention.untrusted_proxy().into_iter().map(untrusted_proxy).collect();
    Reply::json(&json!({
        "live_sessions": figures.live_sessions, "users": figures.users, "apps": figures.apps,
        "blacklist": figures.blacklist, "attention": attention,
    }))
}

fn untrusted_proxy(peer: std::net::IpAddr) -> serde_json::Value {
    let message = format!(
        "{peer} sends X-Forwarded-For but is not in trusted_proxies, so all its callers share one address. If it is \
         your proxy, add it to trusted_proxies."
    );
    json!({ "code": "untrusted_proxy", "message": message })
}
