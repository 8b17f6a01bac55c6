//! `/setup`: what the links with one-time codes lead to: the first administrator, and a new password.

use super::page::Page;
use super::words::{missing, nothing, said, stale_form};
use super::{Answer, Form, Shell, Verbs, Visitor};
use crate::auth::Refusal;
use crate::auth::login::SignIn;
use crate::model::OneTimeCode;
use crate::model::code::{CODE_LIFE_MINUTES, CodePurpose};
use crate::model::password::Password;
use crate::web::https::Confidential;
use crate::web::{Problem, reply};
use rocket::http::Header;
use rocket::{Route, get, post, routes};
use serde_json::json;

/// The cookie that a link's code lies in, so that it is in no address bar, history or log for long.
pub(super) const CODE_COOKIE: &str = "code";

pub(super) fn routes() -> Vec<Route> {
    routes![open_link, show, paste, act]
}

/// The one address that holds a secret, and only until here: the code moves into a cookie.
#[get("/setup?<code>", rank = 1)]
fn open_link(visitor: Visitor<'_>, _wire: Confidential, code: &str) -> Page {
    // Whether it is good is for the next page to say, where tries are counted.
    Page::see_other("/setup").header(kept(&visitor, code))
}

/// The cookie for a code; `None` for a text that is none and could not be put into a cookie.
fn kept(visitor: &Visitor<'_>, code: &str) -> Option<Header<'static>> {
    let code = OneTimeCode::parse(code.trim()).ok()?;
    let seconds = i64::from(CODE_LIFE_MINUTES) * 60;
    Some(visitor.style.set(CODE_COOKIE, &code.reveal(), Some(seconds)))
}

#[get("/setup", rank = 2)]
async fn show(auth: &Verbs, site: &Shell, visitor: Visitor<'_>, _wire: Confidential) -> Answer {
    match purpose(auth, &visitor).await {
        Ok(purpose) => form(auth, site, &visitor, purpose, &Typed::default(), None),
        Err(refusal) => no_code(auth, site, &visitor, refusal).await,
    }
}

/// What the visitor's code is good for.
async fn purpose(auth: &Verbs, visitor: &Visitor<'_>) -> Result<CodePurpose, Refusal> {
    let code = visitor.code.ok_or(Refusal::Unauthenticated)?;
    let purpose = auth.try_code(code, visitor.client.address).await?;
    match purpose {
        CodePurpose::SetUp if auth.is_set_up().await? => Err(Refusal::SetUpClosed),
        _ => Ok(purpose),
    }
}

/// Without a good code: how to get one, or that set-up is closed.
async fn no_code(auth: &Verbs, site: &Shell, visitor: &Visitor<'_>, refusal: Refusal) -> Answer {
    let is_set_up = auth.is_set_up().await?;
    let said = match &refusal {
        Refusal::Unauthenticated if is_set_up => return closed(site, visitor),
        Refusal::SetUpClosed => return closed(site, visitor),
        Refusal::Unauthenticated => return paste_form(auth, site, visitor, is_set_up, None),
        _ => Problem::from(refusal),
    };
    paste_form(auth, site, visitor, is_set_up, Some(said))
}

fn paste_form(
    auth: &Verbs,
    site: &Shell,
    visitor: &Visitor<'_>,
    is_set_up: bool,
    problem: Option<Problem>,
) -> Answer {
    let said = problem.as_ref().map(said).transpose()?.unwrap_or_default();
    let (token, cookie) = visitor.form_token(auth);
    let page = Page::render(
        site,
        "setup_code.html",
        json!({ "is_set_up": is_set_up, "said": said, "token": token }),
    )?;
    // Who must wait keeps the code; a bad one goes, so that a reload does not count against anybody.
    let is_bad = problem.as_ref().is_some_and(|problem| problem.code == "invalid_code");
    let page = page.header((is_bad && visitor.code.is_some()).then(|| visitor.style.clear(CODE_COOKIE)));
    Ok(page.header(cookie).refused(problem))
}

fn closed(site: &Shell, visitor: &Visitor<'_>) -> Answer {
    let problem = nothing("Set-up is closed", "The first administrator was made.");
    let page = Page::render(site, "setup_closed.html", json!({}))?.refused(problem);
    Ok(page.header(visitor.code.map(|_| visitor.style.clear(CODE_COOKIE))))
}

/// For those who have the code but cannot follow its link.
#[post("/setup/code", data = "<fields>")]
async fn paste(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    fields: Form,
) -> Answer {
    visitor.refuse_foreign_form()?;
    let refused = match fields.get("code") {
        _ if !visitor.was_served(auth, &fields) => stale_form(),
        None => missing("code", "Paste the code, or the whole link."),
        Some(text) => {
            // People copy what they see: the link.
            let code = text.rsplit_once("code=").map_or(text, |(_, code)| code).trim();
            match auth.try_code(code, visitor.client.address).await {
                Ok(_) => return Ok(Page::see_other("/setup").header(kept(&visitor, code))),
                Err(refusal) => refusal.into(),
            }
        }
    };
    paste_form(auth, site, &visitor, auth.is_set_up().await?, Some(refused))
}

/// The set-up page with what is wrong with a backup.
pub(super) fn form_again(auth: &Verbs, site: &Shell, visitor: &Visitor<'_>, problem: Problem) -> Answer {
    form(auth, site, visitor, CodePurpose::SetUp, &Typed::default(), Some(problem))
}

/// What the form for the first administrator is filled with.
#[derive(Default)]
struct Typed<'a> {
    login: &'a str,
    name: &'a str,
    email: &'a str,
}

/// The form that the code opens.
fn form(
    auth: &Verbs,
    site: &Shell,
    visitor: &Visitor<'_>,
    purpose: CodePurpose,
    typed: &Typed<'_>,
    problem: Option<Problem>,
) -> Answer {
    let said = problem.as_ref().map(said).transpose()?.unwrap_or_default();
    let (token, cookie) = visitor.form_token(auth);
    let length_min = auth.settings().password_length_min;
    let page = match purpose {
        CodePurpose::SetUp => {
            let Typed { login, name, email } = typed;
            Page::render(
                site,
                "setup.html",
                json!({
                    "login": login,
                    "name": name,
                    "email": email,
                    "length_min": length_min,
                    "said": said,
                    "token": token,
                    "restores": said.errors.contains_key("backup") || said.errors.contains_key("passphrase"),
                }),
            )
        }
        CodePurpose::ResetPassword(id) => {
            // Whoever was sent somebody else's link sees whose password they are about to choose.
            let user = auth.user(&id).ok_or_else(|| Problem::from(Refusal::InvalidCode))?;
            let login = &user.value.login;
            Page::render(
                site,
                "reset.html",
                json!({ "login": login, "length_min": length_min, "said": said, "token": token }),
            )
        }
    };
    Ok(page?.header(cookie).refused(problem))
}

#[post("/setup", data = "<fields>")]
async fn act(auth: &Verbs, site: &Shell, visitor: Visitor<'_>, _wire: Confidential, fields: Form) -> Answer {
    visitor.refuse_foreign_form()?;
    let purpose = match purpose(auth, &visitor).await {
        Ok(purpose) => purpose,
        // To look without a code is fine; to send one's entries without it is not.
        Err(Refusal::Unauthenticated) if !auth.is_set_up().await? => {
            return no_code(auth, site, &visitor, Refusal::InvalidCode).await;
        }
        Err(refusal) => return no_code(auth, site, &visitor, refusal).await,
    };
    let get = |name| fields.get(name).unwrap_or_default();
    let typed = Typed { login: get("login"), name: get("name"), email: get("email") };
    let done = match purpose {
        _ if !visitor.was_served(auth, &fields) => Err(stale_form()),
        CodePurpose::SetUp => set_up(auth, &visitor, &typed, &fields).await,
        CodePurpose::ResetPassword(_) => reset(auth, &visitor, &fields).await,
    };
    match done {
        Ok(page) => Ok(page.header(visitor.style.clear(CODE_COOKIE))),
        // Somebody else was first.
        Err(problem) if problem.code == "not_found" => closed(site, &visitor),
        Err(problem) if problem.code == "invalid_code" => {
            paste_form(auth, site, &visitor, auth.is_set_up().await?, Some(problem))
        }
        Err(problem) => form(auth, site, &visitor, purpose, &typed, Some(problem)),
    }
}

/// The new password, entered twice the same.
///
/// # Errors
/// A field that is missing, or two that differ.
pub(super) fn new_password(fields: &Form) -> Result<&str, Problem> {
    let new = fields.get("new_password").ok_or_else(|| missing("new_password", "Enter a new password."))?;
    match fields.get("new_password_again") {
        Some(again) if again == new => Ok(new),
        _ => Err(missing("new_password_again", "This is not the same as above.")),
    }
}

async fn set_up(
    auth: &Verbs,
    visitor: &Visitor<'_>,
    typed: &Typed<'_>,
    fields: &Form,
) -> Result<Page, Problem> {
    let new = new_password(fields)?;
    let code = visitor.code.unwrap_or_default();
    let email = Some(typed.email).filter(|email| !email.is_empty()).map(str::to_owned);
    let name = if typed.name.is_empty() { typed.login } else { typed.name };
    auth.set_up(code, typed.login.to_owned(), email, name.to_owned(), Password::new(new.to_owned()))
        .await
        .map_err(at_new_password)?;
    let signed_in = auth
        .login(SignIn {
            login: typed.login.to_owned(),
            password: Password::new(new.to_owned()),
            app: super::appliance(),
            remember: false,
            device_proof: None,
            replaces: None,
            client: visitor.client.clone(),
        })
        .await;
    Ok(match signed_in {
        Ok(somebody) => {
            let proof = Some(somebody.device_proof.reveal());
            let cookies = reply::cookies(visitor, &somebody.app.value, &somebody.issued, proof);
            Page::see_other("/admin").headers(cookies)
        }
        // The administrator is there all the same.
        Err(refusal) => {
            tracing::warn!(?refusal, "the first administrator has to sign in by hand");
            Page::see_other("/login")
        }
    })
}

async fn reset(auth: &Verbs, visitor: &Visitor<'_>, fields: &Form) -> Result<Page, Problem> {
    let new = new_password(fields)?;
    auth.reset_password(visitor.code.unwrap_or_default(), Password::new(new.to_owned())).await?;
    Ok(Page::see_other("/login?done=reset"))
}

/// The verb that makes users calls the field `password`; the form calls it as all its kind.
fn at_new_password(refusal: Refusal) -> Problem {
    let mut problem = Problem::from(refusal);
    problem.errors.iter_mut().filter(|error| error.field == "password").for_each(|error| {
        error.field = "new_password".into();
    });
    problem
}
