//! `/oauth2`: token, introspection, revocation, in the RFCs' own forms and errors.

use super::Verbs;
use crate::auth::introspect::Active;
use crate::auth::{Auth, Refusal};
use crate::model::app::{App, AppStanding};
use crate::store::Row;
use crate::web::Problem;
use crate::web::caller::{auth_of, client_of};
use crate::web::form::Form;
use crate::web::reply::Reply;
use base64::Engine as _;
use rocket::data::{Data, FromData};
use rocket::http::{Header, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Route, data, post, routes};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn routes() -> Vec<Route> {
    routes![token, introspect, revoke]
}

/// A confidential app that proved itself by Basic.
pub struct ClientApp(pub Arc<Row<App>>);

/// An `Authorization: Basic` of the request: id and secret, form-decoded (RFC 6749 section 2.3.1).
pub fn basic(request: &Request<'_>) -> Option<(String, String)> {
    let (scheme, text) = request.headers().get_one("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok().unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let (id, secret) = text.split_once(':').unwrap_or_default();
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    rocket::http::RawStr::new(text).url_decode_lossy().into_owned()
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientApp {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let found = match (auth_of(request), basic(request)) {
            (Ok(auth), Some((id, secret))) => {
                auth.authenticate_app(&id, &secret).await.map_err(Problem::from)
            }
            (Err(problem), _) => Err(problem),
            (_, None) => Err(Refusal::InvalidClient.into()),
        };
        match found {
            Ok(app) => Outcome::Success(Self(app)),
            Err(problem) => Outcome::Error((problem.leave(request), ())),
        }
    }
}

/// A refusal in OAuth's own form (RFC 6749 section 5.2).
fn oauth_error(status: u16, code: &'static str, text: &'static str) -> Reply {
    let reply = Reply::json(&json!({ "error": code, "error_description": text }));
    let reply = Reply { status: Status::new(status), refusal: Some(code), ..reply };
    match status {
        401 => reply.header(Header::new("WWW-Authenticate", r#"Basic realm="hallpass""#)),
        _ => reply,
    }
}

fn invalid_client() -> Reply {
    oauth_error(401, "invalid_client", "The app is unknown, or did not prove itself.")
}

fn from_refusal(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::InvalidClient => invalid_client(),
        Refusal::Store(_) | Refusal::StorageFull | Refusal::Overloaded | Refusal::Fault(_) => {
            tracing::error!(?refusal, "an OAuth request failed");
            oauth_error(503, "temporarily_unavailable", "Try again shortly.")
        }
        _ => oauth_error(
            400,
            "invalid_grant",
            "The token is unknown, used, expired, revoked, or another app's.",
        ),
    }
}

/// A form with the caller's proof of itself. That every field came once (RFC 6749 section 3.1) is left to
/// [`OauthForm::get`], which knows OAuth's words for it.
struct OauthForm {
    form: Form,
    has_repeated_field: bool,
    header: Option<(String, String)>,
    client: crate::auth::Client,
}

#[rocket::async_trait]
impl<'r> FromData<'r> for OauthForm {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let form = match Form::read(request, data).await {
            Ok(form) => form,
            Err(problem) => return data::Outcome::Error((problem.leave(request), ())),
        };
        let has_repeated_field = form.has_repeated_field();
        data::Outcome::Success(Self {
            form,
            has_repeated_field,
            header: basic(request),
            client: client_of(request),
        })
    }
}

impl OauthForm {
    fn get(&self, name: &str) -> Result<Option<&str>, Reply> {
        if self.has_repeated_field {
            return Err(oauth_error(400, "invalid_request", "A parameter came twice."));
        }
        Ok(self.form.get(name))
    }

    fn need(&self, name: &str) -> Result<&str, Reply> {
        self.get(name)?.ok_or_else(|| oauth_error(400, "invalid_request", "A parameter is missing."))
    }

    /// The calling app: confidential ones prove themselves, by header or by form but not by both.
    async fn app(&self, auth: &Auth) -> Result<Arc<Row<App>>, Reply> {
        let (form_id, form_secret) = (self.get("client_id")?, self.get("client_secret")?);
        let (id, secret) = match (&self.header, form_secret) {
            (Some(_), Some(_)) => {
                return Err(oauth_error(400, "invalid_request", "Prove the app in one way only."));
            }
            (Some((id, secret)), None) => {
                if form_id.is_some_and(|form_id| form_id != id) {
                    return Err(invalid_client());
                }
                (id.as_str(), Some(secret.as_str()))
            }
            (None, secret) => (form_id.ok_or_else(invalid_client)?, secret),
        };
        if let Some(secret) = secret {
            return auth.authenticate_app(id, secret).await.map_err(from_refusal);
        }
        let app = id
            .parse()
            .ok()
            .and_then(|id| auth.app(&id))
            .map(|app| (app.value.standing, app.value.confidential, app));
        match app {
            Some((AppStanding::Enabled, false, app)) => Ok(app),
            _ => Err(invalid_client()),
        }
    }

    async fn confidential_app(&self, auth: &Auth) -> Result<Arc<Row<App>>, Reply> {
        let app = self.app(auth).await?;
        if app.value.confidential { Ok(app) } else { Err(invalid_client()) }
    }
}

/// RFC 6749 section 6. The token's own app only.
#[post("/oauth2/token", data = "<form>")]
async fn token(auth: &Verbs, form: OauthForm) -> Reply {
    match refresh(auth, &form).await {
        Ok(value) => Reply::json(&value).header(Header::new("Pragma", "no-cache")),
        Err(reply) => reply,
    }
}

async fn refresh(auth: &Auth, form: &OauthForm) -> Result<Value, Reply> {
    let app = form.app(auth).await?;
    if form.need("grant_type")? != "refresh_token" {
        return Err(oauth_error(400, "unsupported_grant_type", "Only refresh_token."));
    }
    let text = form.need("refresh_token")?;
    let issued = auth.refresh(text, Some(&app.value.id), &form.client).await.map_err(from_refusal)?;
    let access = issued.access_token.as_ref();
    Ok(json!({
        "access_token": access.map(|token| &token.token),
        "token_type": "Bearer",
        "expires_in": access.map(|token| token.expires_in_seconds),
        "refresh_token": issued.refresh_token.as_ref().map(|token| token.reveal()),
    }))
}

/// RFC 7662. Not active, unknown and not yours are one answer.
#[post("/oauth2/introspect", data = "<form>")]
async fn introspect(auth: &Verbs, form: OauthForm) -> Reply {
    match introspected(auth, &form).await {
        Ok(value) => Reply::json(&value),
        Err(reply) => reply,
    }
}

async fn introspected(auth: &Auth, form: &OauthForm) -> Result<Value, Reply> {
    let app = form.confidential_app(auth).await?;
    let text = form.need("token")?;
    Ok(match auth.introspect(&app.value, text).await.map_err(from_refusal)? {
        None => json!({ "active": false }),
        Some(Active::Access { claims, login }) => {
            let mut value = json!(*claims);
            value["active"] = json!(true);
            value["token_type"] = json!("Bearer");
            value["username"] = json!(login);
            value
        }
        Some(Active::Refresh { app, user, login, session, ends_at })
        | Some(Active::Session { app, user, login, session, ends_at }) => json!({
            "active": true, "client_id": app, "sub": user, "username": login, "sid": session,
            "exp": ends_at.seconds(), "iss": auth.settings().issuer,
        }),
    })
}

/// RFC 7009. Unknown tokens, and other apps', are answered 200 and left alone.
#[post("/oauth2/revoke", data = "<form>")]
async fn revoke(auth: &Verbs, form: OauthForm) -> Reply {
    match revoked(auth, &form).await {
        Ok(()) => Reply::json(&json!({})),
        Err(reply) => reply,
    }
}

async fn revoked(auth: &Auth, form: &OauthForm) -> Result<(), Reply> {
    let app = form.app(auth).await?;
    auth.revoke_token(&app.value, form.need("token")?).await.map_err(from_refusal)
}
