//! The JSON API under `/api/v1`, and the OAuth endpoints.

pub mod apps;
pub mod auth;
pub mod backups;
pub mod blacklist;
pub mod data;
pub mod keys;
pub mod me;
pub mod oauth;
pub mod page;
pub mod sessions;
pub mod transfer;
pub mod users;
pub mod wellknown;

use super::caller::auth_of;
use super::cors::{self, Preflight};
use super::{Problem, reply::Reply};
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Route, State, options, routes};
use std::path::PathBuf;
use std::sync::Arc;

/// The verbs, as Rocket keeps them.
pub type Verbs = State<Arc<crate::auth::Auth>>;
/// What handlers answer.
pub type Answer = Result<Reply, Problem>;

/// Every route of the API.
pub fn routes() -> Vec<Route> {
    let mut all = routes![preflight];
    all.extend(auth::routes());
    all.extend(me::routes());
    all.extend(users::routes());
    all.extend(sessions::routes());
    all.extend(apps::routes());
    all.extend(backups::routes());
    all.extend(blacklist::routes());
    all.extend(keys::routes());
    all.extend(data::routes());
    all.extend(transfer::routes());
    all.extend(oauth::routes());
    all.extend(wellknown::routes());
    all
}

/// Lets any enabled app's origin ask before it calls; the call itself is granted to its own app only.
struct AnyOrigin;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AnyOrigin {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        if let Ok(auth) = auth_of(request) {
            cors::decide(request, auth.origins());
        }
        Outcome::Success(Self)
    }
}

#[options("/api/v1/<_path..>")]
fn preflight(_path: PathBuf, _origin: AnyOrigin, preflight: Preflight) -> Preflight {
    preflight
}
