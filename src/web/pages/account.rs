//! `/account`: one's own profile, sessions and password.

use super::page::Page;
use super::setup::new_password;
use super::when::When;
use super::words::{Said, done, ended, missing, said};
use super::{Answer, Failed, Form, Shell, Verbs, Visitor, appliance};
use crate::auth::Refusal;
use crate::auth::check::Member;
use crate::auth::issue::Issued;
use crate::auth::logout::Scope;
use crate::auth::sessions::{Shown, ShownPage, ShownState};
use crate::model::password::Password;
use crate::model::user::Role;
use crate::model::{SessionId, Time};
use crate::web::api::page::{bad, id};
use crate::web::https::Confidential;
use crate::web::{Problem, reply};
use rocket::{Route, get, post, routes};
use serde::Serialize;
use serde_json::json;

/// How many sessions a page shows.
const SESSIONS: usize = 50;

pub(super) fn routes() -> Vec<Route> {
    routes![show, history, change_name, change_password, end_session, end_others]
}

/// Who is signed in to the appliance; everybody else is sent to sign in.
async fn member(auth: &Verbs, visitor: &Visitor<'_>, back_to: &str) -> Result<Member, Failed> {
    match visitor.signed_in(auth, &appliance()).await? {
        Some(somebody) => Ok(auth.member(somebody)?),
        None => {
            let sign_in = Page::see_other(format!("/login?return_to={back_to}"));
            Err(Failed::Elsewhere(Box::new(sign_in)))
        }
    }
}

/// The same for forms, which must also be this session's own.
async fn sender(auth: &Verbs, visitor: &Visitor<'_>, fields: &Form) -> Result<Member, Failed> {
    visitor.refuse_foreign_form()?;
    let member = member(auth, visitor, "/account").await?;
    visitor.refuse_forged(auth, fields, member.signed_in())?;
    Ok(member)
}

#[derive(Serialize)]
struct Row {
    id: SessionId,
    device: String,
    kind: crate::model::device::DeviceKind,
    address: String,
    app: String,
    strategy: &'static str,
    opened: When,
    last_seen: When,
    ends: When,
    ends_unless_used: bool,
    ended: Option<When>,
    ended_words: Option<&'static str>,
}

fn row(auth: &Verbs, shown: &Shown, now: Time) -> Row {
    let session = &shown.session;
    let idle_end = session.idle_ends_at(shown.last_seen).filter(|idle| *idle < session.ends_at);
    Row {
        id: session.id,
        device: session.device.clone(),
        kind: session.device_kind,
        address: session.address.clone(),
        app: auth.app(&session.app).map_or_else(|| session.app.to_string(), |app| app.value.name.clone()),
        strategy: session.strategy.as_str(),
        opened: When::new(session.opened_at, now),
        last_seen: When::new(shown.last_seen, now),
        ends: When::new(idle_end.unwrap_or(session.ends_at), now),
        ends_unless_used: idle_end.is_some(),
        ended: shown.ended.as_ref().map(|ended| When::new(ended.at, now)),
        ended_words: shown.ended.as_ref().map(|by| ended(by, session.user)),
    }
}

/// A page of one's own sessions. `after` is where the page before it ended.
async fn sessions(
    auth: &Verbs,
    member: &Member,
    state: ShownState,
    after: Option<&str>,
) -> Result<ShownPage, Problem> {
    let cursor = after.map(str::parse::<SessionId>).transpose();
    let cursor = cursor.map_err(|_| bad("after", "Take it from the link to older sessions."))?;
    Ok(auth.list_own_sessions(member, state, cursor, SESSIONS).await?)
}

#[get("/account?<after>&<done>")]
async fn show(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    after: Option<&str>,
    done: Option<&str>,
) -> Answer {
    let member = member(auth, &visitor, "/account").await?;
    account(auth, site, &member, after, Ok(done)).await
}

/// The page: as it is, after a redirect with a word on what was done, or after a refusal.
async fn account(
    auth: &Verbs,
    site: &Shell,
    member: &Member,
    after: Option<&str>,
    before: Result<Option<&str>, Problem>,
) -> Answer {
    let (said, notice) = match &before {
        Ok(word) => (Said::default(), done(*word)),
        Err(problem) => (said(problem)?, None),
    };
    let now = auth.now();
    let found = sessions(auth, member, ShownState::Live, after).await?;
    let own = member.signed_in().session();
    let own_id = member.signed_in().session_id();
    let others = found.items.iter().filter(|shown| Some(shown.session.id) != own_id);
    let current = own.map(|live| {
        let shown = Shown { session: live.row.value.clone(), last_seen: now, ended: None };
        row(auth, &shown, now)
    });
    let user = member.user();
    let page = Page::render(
        site,
        "account.html",
        json!({
            "login": user.login,
            "name": user.name,
            "email": user.email,
            "email_verified": user.email_verified,
            "is_admin": user.role == Role::Admin,
            "password_changed": user.password_changed_at.map(|at| When::new(at, now)),
            "current": current.filter(|_| after.is_none()),
            "others": others.map(|shown| row(auth, shown, now)).collect::<Vec<_>>(),
            "is_later_page": after.is_some(),
            "next": found.next,
            "history_days": auth.settings().ended_sessions_days,
            "length_min": auth.settings().password_length_min,
            "token": auth.vault().csrf_token(&member.signed_in().csrf_subject()),
            "done": notice,
            "said": said,
        }),
    )?;
    Ok(page.refused(before.err()))
}

#[get("/account/ended?<after>")]
async fn history(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    after: Option<&str>,
) -> Answer {
    let member = member(auth, &visitor, "/account/ended").await?;
    let found = sessions(auth, &member, ShownState::Ended, after).await?;
    let now = auth.now();
    Page::render(
        site,
        "ended.html",
        json!({
            "login": member.user().login,
            "is_admin": member.user().role == Role::Admin,
            "sessions": found.items.iter().map(|shown| row(auth, shown, now)).collect::<Vec<_>>(),
            "next": found.next,
            "history_days": auth.settings().ended_sessions_days,
        }),
    )
}

#[post("/account/name", data = "<fields>")]
async fn change_name(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    fields: Form,
) -> Answer {
    let member = sender(auth, &visitor, &fields).await?;
    let name = fields.get("name").unwrap_or_default().to_owned();
    match auth.update_own(&member, Some(name), None).await {
        Ok(_) => Ok(Page::see_other("/account?done=name")),
        Err(refusal) => account(auth, site, &member, None, Err(refusal.into())).await,
    }
}

#[post("/account/password", data = "<fields>")]
async fn change_password(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    fields: Form,
) -> Answer {
    let member = sender(auth, &visitor, &fields).await?;
    match new_own_password(auth, &visitor, &member, &fields).await {
        Ok(issued) => Ok(went_on(&visitor, &member, &issued, "password")),
        Err(problem) => account(auth, site, &member, None, Err(problem)).await,
    }
}

async fn new_own_password(
    auth: &Verbs,
    visitor: &Visitor<'_>,
    member: &Member,
    fields: &Form,
) -> Result<Issued, Problem> {
    let current = fields.get("current_password");
    let current = current.ok_or_else(|| missing("current_password", "Enter your current password."))?;
    let new = Password::new(new_password(fields)?.to_owned());
    let current = Password::new(current.to_owned());
    auth.change_own_password(member.signed_in(), current, new, visitor.device, &visitor.client).await.map_err(
        |refusal| match refusal {
            // Here the name is known, so the password is what was wrong.
            Refusal::InvalidCredentials => Problem {
                status: Problem::from(Refusal::InvalidCredentials).status,
                ..missing("current_password", "This is not your current password.")
            },
            other => other.into(),
        },
    )
}

/// The caller goes on with a new credential, and everything else of theirs is over.
fn went_on(visitor: &Visitor<'_>, member: &Member, issued: &Issued, word: &str) -> Page {
    let cookies = reply::cookies(visitor, member.signed_in().app(), issued, None);
    Page::see_other(format!("/account?done={word}")).headers(cookies)
}

#[post("/account/sessions/<session>/end", data = "<fields>")]
async fn end_session(
    auth: &Verbs,
    visitor: Visitor<'_>,
    _wire: Confidential,
    session: &str,
    fields: Form,
) -> Answer {
    let member = sender(auth, &visitor, &fields).await?;
    auth.end_own_session(&member, &id(session)?).await?;
    Ok(Page::see_other("/account?done=session"))
}

#[post("/account/sessions/end-others", data = "<fields>")]
async fn end_others(auth: &Verbs, visitor: Visitor<'_>, _wire: Confidential, fields: Form) -> Answer {
    let member = sender(auth, &visitor, &fields).await?;
    let issued = auth.logout(member.signed_in(), Scope::Others).await?;
    let issued = issued.ok_or_else(|| Problem::from(Refusal::Fault("nothing was re-opened".into())))?;
    Ok(went_on(&visitor, &member, &issued, "others"))
}
