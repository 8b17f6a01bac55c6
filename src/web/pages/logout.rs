//! `/logout`: a page that asks, and the end of the session.

use super::login::find_app;
use super::page::Page;
use super::{Answer, Form, Shell, Verbs, Visitor};
use crate::auth::logout::Scope;
use crate::model::app::App;
use crate::web::https::Confidential;
use rocket::http::Header;
use rocket::{Route, get, post, routes};
use serde_json::json;

pub(super) fn routes() -> Vec<Route> {
    routes![ask, sign_out]
}

/// Asks, so that no link and no picture of another page signs anybody out.
#[get("/logout?<app>")]
async fn ask(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    app: Option<&str>,
) -> Answer {
    let app = &find_app(auth, app)?.value;
    let somebody = visitor.signed_in(auth, &app.id).await?;
    let token = somebody.as_ref().map(|somebody| auth.vault().csrf_token(&somebody.csrf_subject()));
    Page::render(
        site,
        "logout.html",
        json!({
            "app": app.id,
            "app_name": (app.id.as_str() != App::APPLIANCE).then_some(&app.name),
            "login": somebody.as_ref().map(|somebody| &somebody.user().login),
            "token": token,
        }),
    )
}

#[post("/logout", data = "<fields>")]
async fn sign_out(auth: &Verbs, visitor: Visitor<'_>, _wire: Confidential, fields: Form) -> Answer {
    visitor.refuse_foreign_form()?;
    let app = &find_app(auth, fields.get("app"))?.value;
    if let Some(somebody) = visitor.signed_in(auth, &app.id).await? {
        visitor.refuse_forged(auth, &fields, &somebody)?;
        auth.logout(&somebody, Scope::Local).await?;
    }
    // A cookie that was no good any more goes, too.
    Ok(Page::see_other(format!("/logout?app={}", app.id))
        .header(visitor.style.clear(app.id.as_str()))
        // What the browser still shows of the account goes as well.
        .header(Header::new("Clear-Site-Data", "\"cache\"")))
}
