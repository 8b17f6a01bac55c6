//! `/login`: signing in to an app by its cookie.

use super::page::Page;
use super::return_to::ReturnTo;
use super::words::{Said, done, missing, nothing, said, stale_form};
use super::{Answer, Form, Shell, Verbs, Visitor, appliance};
use crate::auth::login::SignIn;
use crate::model::AppId;
use crate::model::app::{App, AppStanding};
use crate::model::password::Password;
use crate::store::Row;
use crate::web::headers::PAGE_POLICY;
use crate::web::https::Confidential;
use crate::web::{Problem, Site, reply};
use rocket::http::{Header, Status};
use rocket::{Route, get, post, routes};
use serde_json::json;
use std::sync::Arc;

pub(super) fn routes() -> Vec<Route> {
    routes![show, sign_in]
}

/// What a sign-in is for.
struct Entry {
    app: Arc<Row<App>>,
    return_to: Option<ReturnTo>,
}

impl Entry {
    /// # Errors
    /// An app that is unknown or disabled; a `return_to` that leads where it must not.
    fn find(auth: &Verbs, site: &Site, app: Option<&str>, return_to: Option<&str>) -> Result<Self, Problem> {
        let app = find_app(auth, app)?;
        if app.value.standing == AppStanding::Disabled {
            return Err(Problem::new(
                Status::UnprocessableEntity,
                "app_disabled",
                "This app is switched off",
            )
            .detail("Nobody can sign in to it until an administrator switches it on again."));
        }
        let own = site.public_url.origin();
        let parse = |text| {
            ReturnTo::parse(text, own, &app.value.origins).ok_or_else(|| {
                let title = "This sign-in link leads somewhere else";
                Problem::new(Status::UnprocessableEntity, "bad_return_to", title).detail(
                    "Its return_to is neither a path of this server nor an address of an origin that the app \
                     allows, so nobody is sent there. Go back to the app, or sign in without it.",
                )
            })
        };
        let return_to = return_to.filter(|text| !text.is_empty()).map(parse).transpose()?;
        Ok(Self { app, return_to })
    }

    fn is_for_appliance(&self) -> bool {
        self.app.value.id.as_str() == App::APPLIANCE
    }

    /// Where the browser goes once it is signed in.
    fn target(&self) -> String {
        match &self.return_to {
            Some(return_to) => return_to.url.clone(),
            None if self.is_for_appliance() => "/".into(),
            None => format!("/login?app={}", self.app.value.id),
        }
    }

    /// Chromium holds redirects after a form against `form-action`, too.
    fn policy(&self) -> Option<Header<'static>> {
        let origin = self.return_to.as_ref()?.origin.as_deref()?;
        let policy = PAGE_POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"));
        Some(Header::new("Content-Security-Policy", policy))
    }
}

/// The app of a name; the appliance's own where none is given.
///
/// # Errors
/// There is none, or no more.
pub(super) fn find_app(auth: &Verbs, name: Option<&str>) -> Result<Arc<Row<App>>, Problem> {
    let id = name.filter(|name| !name.is_empty()).map_or(Ok(appliance()), str::parse::<AppId>);
    id.ok().and_then(|id| auth.app(&id)).filter(|app| app.value.standing != AppStanding::Deleted).ok_or_else(
        || nothing("There is no such app", "The link that led here names an app that is unknown."),
    )
}

/// What the form is filled with.
#[derive(Default)]
struct Typed<'a> {
    login: &'a str,
    remember: bool,
}

#[get("/login?<app>&<return_to>&<done>")]
async fn show(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    app: Option<&str>,
    return_to: Option<&str>,
    done: Option<&str>,
) -> Answer {
    let entry = Entry::find(auth, site, app, return_to)?;
    if entry.return_to.is_none()
        && let Some(somebody) = visitor.signed_in(auth, &entry.app.value.id).await?
    {
        if entry.is_for_appliance() {
            return Ok(Page::see_other("/"));
        }
        let user = somebody.user();
        let app = &entry.app.value;
        return Page::render(
            site,
            "signed_in.html",
            json!({ "app": app.id, "app_name": app.name, "origins": app.origins, "login": user.login }),
        );
    }
    form(auth, site, &visitor, &entry, &Typed::default(), Ok(done)).await
}

/// The form: fresh, after a redirect with a word on what was done, or after a refusal.
async fn form(
    auth: &Verbs,
    site: &Shell,
    visitor: &Visitor<'_>,
    entry: &Entry,
    typed: &Typed<'_>,
    before: Result<Option<&str>, Problem>,
) -> Answer {
    let (said, notice) = match &before {
        Ok(word) => (Said::default(), done(*word)),
        Err(problem) => (said(problem)?, None),
    };
    let (token, cookie) = visitor.form_token(auth);
    let app = &entry.app.value;
    let page = Page::render(
        site,
        "login.html",
        json!({
            "app": app.id,
            "app_name": (!entry.is_for_appliance()).then_some(&app.name),
            "remember_days": (app.lifetimes.remember_minutes > app.lifetimes.absolute_minutes)
            .then_some(app.lifetimes.remember_minutes / (24 * 60)),
            "return_to": entry.return_to.as_ref().map(|target| &target.url),
            "leads_to": entry.return_to.as_ref().and_then(|target| target.origin.as_ref()),
            "login": typed.login,
            "remember": typed.remember,
            "is_set_up": auth.is_set_up().await?,
            "done": notice,
            "said": said,
            "token": token,
        }),
    )?;
    Ok(page.header(cookie).header(entry.policy()).refused(before.err()))
}

#[post("/login", data = "<fields>")]
async fn sign_in(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    fields: Form,
) -> Answer {
    visitor.refuse_foreign_form()?;
    let entry = Entry::find(auth, site, fields.get("app"), fields.get("return_to"))?;
    let typed =
        Typed { login: fields.get("login").unwrap_or_default(), remember: fields.get("remember").is_some() };
    match enter(auth, &visitor, &entry, &typed, &fields).await {
        Ok(page) => Ok(page),
        Err(problem) => form(auth, site, &visitor, &entry, &typed, Err(problem)).await,
    }
}

async fn enter(
    auth: &Verbs,
    visitor: &Visitor<'_>,
    entry: &Entry,
    typed: &Typed<'_>,
    fields: &Form,
) -> Result<Page, Problem> {
    if !visitor.was_served(auth, fields) {
        return Err(stale_form());
    }
    if typed.login.is_empty() {
        return Err(missing("login", "Enter your login name or e-mail."));
    }
    let password = fields.get("password").ok_or_else(|| missing("password", "Enter your password."))?;
    let signed_in = auth
        .login(SignIn {
            login: typed.login.to_owned(),
            password: Password::new(password.to_owned()),
            app: entry.app.value.id.clone(),
            remember: typed.remember,
            device_proof: visitor.device.map(str::to_owned),
            replaces: visitor.cookie_of(&entry.app.value.id).map(str::to_owned),
            client: visitor.client.clone(),
        })
        .await?;
    let proof = Some(signed_in.device_proof.reveal());
    let cookies = reply::cookies(visitor, &signed_in.app.value, &signed_in.issued, proof);
    Ok(Page::see_other(entry.target()).headers(cookies))
}
