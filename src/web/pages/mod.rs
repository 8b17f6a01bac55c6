//! The server-rendered pages: set-up, sign-in, sign-out, the own account. All of them work without JavaScript.

mod account;
mod login;
mod logout;
mod page;
mod restore;
mod return_to;
mod setup;
mod when;
mod words;

use super::api::Verbs;
use super::caller::{Visit, csrf_failed};
use super::cookies::{CookieStyle, Found};
use super::form::Form;
use super::{Problem, Site};
use crate::auth::check::SignedIn;
use crate::auth::{Auth, Refusal};
use crate::model::AppId;
use crate::model::app::App;
use crate::model::user::Role;
use page::{Failed, Page};
use rocket::http::Header;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Route, State, get, routes};
use std::ops::Deref;
use std::sync::Arc;

/// What handlers answer.
type Answer = Result<Page, Failed>;
type Shell = State<Arc<Site>>;

/// The cookie that forms are bound to before anybody is signed in.
const FORM_COOKIE: &str = "form";
/// The field that carries the proof of having been served the form: the pre-session token, or the session's own.
const TOKEN_FIELD: &str = "token";

pub(super) fn routes() -> Vec<Route> {
    let mut all = routes![home];
    all.extend(login::routes());
    all.extend(logout::routes());
    all.extend(setup::routes());
    all.extend(restore::routes());
    all.extend(account::routes());
    all
}

/// Sends everybody where they belong.
#[get("/")]
async fn home(auth: &Verbs, visitor: Visitor<'_>) -> Answer {
    let target = match visitor.signed_in(auth, &appliance()).await? {
        Some(somebody) if somebody.user().role == Role::Admin => "/admin",
        Some(_) => "/account",
        None if auth.is_set_up().await? => "/login",
        None => "/setup",
    };
    Ok(Page::see_other(target))
}

/// The app that the appliance's own pages are signed in to.
fn appliance() -> AppId {
    App::APPLIANCE.parse().expect("our own ids are ids")
}

/// Who asks for a page, and with which cookies.
struct Visitor<'r> {
    visit: Visit<'r>,
    /// The form cookie, where it looks like one of ours.
    form: Option<&'r str>,
    /// The one-time code that a link left here.
    code: Option<&'r str>,
    own_origin: &'r str,
}

impl<'r> Deref for Visitor<'r> {
    type Target = Visit<'r>;

    fn deref(&self) -> &Visit<'r> {
        &self.visit
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visitor<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let style = CookieStyle::of(request);
        let cookie = |name| match style.find(request, name) {
            Found::One(value) => Some(value),
            Found::None | Found::Several => None,
        };
        let fits = |value: &&str| value.len() == 43 && value.bytes().all(is_token_byte);
        Visit::from_request(request).await.map(|visit| Self {
            visit,
            form: cookie(FORM_COOKIE).filter(fits),
            code: cookie(setup::CODE_COOKIE),
            own_origin: Site::of(request).map_or("", |site| site.public_url.origin()),
        })
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl Visitor<'_> {
    /// Who is signed in to `app` here. A cookie that is no good any more is none.
    async fn signed_in(&self, auth: &Auth, app: &AppId) -> Result<Option<SignedIn>, Refusal> {
        let Some(text) = self.cookie_of(app) else { return Ok(None) };
        match auth.check(text, Some(app)).await {
            Ok(somebody) => Ok(Some(somebody)),
            Err(refusal @ (Refusal::Overloaded | Refusal::Store(_) | Refusal::Fault(_))) => Err(refusal),
            Err(_) => Ok(None),
        }
    }

    /// The token for a form before sign-in, and the cookie that it is bound to where the browser has none yet.
    fn form_token(&self, auth: &Auth) -> (String, Option<Header<'static>>) {
        match self.form {
            Some(cookie) => (auth.vault().form_token(cookie), None),
            None => {
                let cookie = auth.pre_session();
                let token = auth.vault().form_token(&cookie);
                (token, Some(self.style.set(FORM_COOKIE, &cookie, None)))
            }
        }
    }

    /// # Errors
    /// A form that another site's page sent. Ours are taken from our own pages only, whatever an app allows.
    fn refuse_foreign_form(&self) -> Result<(), Problem> {
        self.refuse_foreign(&[]).map_err(|problem| {
            problem.detail(format!("Forms are taken from pages of {} only. Open it there.", self.own_origin))
        })
    }

    /// Whether the form was served to this browser. A stale one is answered by a fresh one.
    fn was_served(&self, auth: &Auth, form: &Form) -> bool {
        self.was_served_with(auth, form.get(TOKEN_FIELD))
    }

    fn was_served_with(&self, auth: &Auth, token: Option<&str>) -> bool {
        match (self.form, token) {
            (Some(cookie), Some(token)) => auth.vault().form_matches(cookie, token),
            _ => false,
        }
    }

    /// # Errors
    /// A form of somebody signed in that another site sent, or that was served to another session.
    fn refuse_forged(&self, auth: &Auth, form: &Form, somebody: &SignedIn) -> Result<(), Problem> {
        self.refuse_foreign_form()?;
        let token = form.get(TOKEN_FIELD).unwrap_or_default();
        if auth.vault().csrf_matches(&somebody.csrf_subject(), token) {
            return Ok(());
        }
        Err(csrf_failed(
            "The form was made for another sign-in. Go back, load the page again, and repeat it.",
        ))
    }
}
