//! Answers with credentials in them: JSON, cookies, and never a cache.

use super::Context;
use super::caller::{DEVICE_COOKIE, DEVICE_COOKIE_SECONDS, Visit, device_cookie};
use super::view::{SessionView, UserView};
use crate::auth::issue::Issued;
use crate::model::app::{App, Strategy};
use crate::model::user::User;
use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{Responder, Response, Result};
use serde::{Deserialize, Serialize};
use std::io::Cursor;

/// What most answers fit in without growing.
const USUAL_BODY_BYTES: usize = 1024;

/// A JSON answer with cookies.
pub struct Reply {
    pub status: Status,
    pub body: Vec<u8>,
    pub headers: Vec<Header<'static>>,
    /// Where it is a refusal in OAuth's own form.
    pub refusal: Option<&'static str>,
}

impl Reply {
    pub fn json(value: &impl Serialize) -> Self {
        let mut body = Vec::with_capacity(USUAL_BODY_BYTES);
        serde_json::to_writer(&mut body, value).expect("our answers hold nothing that JSON cannot say");
        Self { status: Status::Ok, body, headers: Vec::new(), refusal: None }
    }

    pub fn created(body: &impl Serialize) -> Self {
        Self { status: Status::Created, ..Self::json(body) }
    }

    pub fn no_content() -> Self {
        Self { status: Status::NoContent, body: Vec::new(), headers: Vec::new(), refusal: None }
    }

    pub fn header(mut self, header: Header<'static>) -> Self {
        self.headers.push(header);
        self
    }
}

impl<'r> Responder<'r, 'static> for Reply {
    fn respond_to(self, request: &'r Request<'_>) -> Result<'static> {
        if let Some(code) = self.refusal {
            Context::note_refusal(request, code);
        }
        let mut response = Response::build().status(self.status).finalize();
        if self.status != Status::NoContent {
            response.set_header(ContentType::JSON);
            response.set_sized_body(self.body.len(), Cursor::new(self.body));
        }
        for header in self.headers {
            response.adjoin_header(header);
        }
        Ok(response)
    }
}

/// How credentials travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Body,
    Cookie,
}

impl Transport {
    /// What an app's callers get when they do not say.
    pub const fn default_of(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Session => Self::Cookie,
            Strategy::Jwt | Strategy::Tracked | Strategy::Refresh => Self::Body,
        }
    }
}

#[derive(Serialize)]
struct IssuedView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
    session: Option<SessionView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<&'a str>,
}

/// What was issued, by the strategy and the transport. A secret that travels in a cookie is not in the body.
pub fn issued(
    visit: &Visit<'_>,
    user: Option<&User>,
    app: &App,
    issued: &Issued,
    device_proof: Option<&str>,
    transport: Transport,
) -> Reply {
    let by_cookie = transport == Transport::Cookie;
    // The longest-lived secret goes into the cookie; a refresh app's access token stays in the page's memory.
    let access_in_cookie = by_cookie && matches!(app.strategy, Strategy::Jwt | Strategy::Tracked);
    let access = issued.access_token.as_ref();
    let view = IssuedView {
        user: user.map(UserView::from),
        session: issued
            .session
            .as_ref()
            .map(|session| SessionView::new(session, issued.last_seen, None, true)),
        access_token: access.filter(|_| !access_in_cookie).map(|token| token.token.as_str()),
        token_type: access.map(|_| "Bearer").filter(|_| !access_in_cookie),
        expires_in: access.map(|token| token.expires_in_seconds),
        refresh_token: issued.refresh_token.as_ref().filter(|_| !by_cookie).map(|token| token.reveal()),
        session_token: issued.session_token.as_ref().filter(|_| !by_cookie).map(|token| token.reveal()),
        csrf_token: by_cookie.then_some(issued.csrf_token.as_str()),
        device_token: device_proof.filter(|_| !by_cookie),
    };
    let reply = Reply::json(&view);
    if !by_cookie {
        return reply;
    }
    cookies(visit, app, issued, device_proof).into_iter().fold(reply, Reply::header)
}

/// The cookies of what was issued: the app's, and the device's.
pub fn cookies(
    visit: &Visit<'_>,
    app: &App,
    issued: &Issued,
    device_proof: Option<&str>,
) -> Vec<Header<'static>> {
    let credential = cookie_value(app.strategy, issued)
        .map(|value| visit.style.set(app.id.as_str(), &value, cookie_seconds(issued)));
    let device = device_proof.map(|proof| {
        let proofs = device_cookie(visit.device, proof);
        visit.style.set(DEVICE_COOKIE, &proofs, Some(DEVICE_COOKIE_SECONDS))
    });
    credential.into_iter().chain(device).collect()
}

/// The secret that goes into the app's cookie. `None`: the one that is there stays good.
pub fn cookie_value(strategy: Strategy, issued: &Issued) -> Option<String> {
    match strategy {
        Strategy::Session => issued.session_token.as_ref().map(|token| token.reveal()),
        Strategy::Refresh => issued.refresh_token.as_ref().map(|token| token.reveal()),
        Strategy::Jwt | Strategy::Tracked => issued.access_token.as_ref().map(|token| token.token.clone()),
    }
}

/// How long the cookie is kept: as long as what is in it can be good for.
pub fn cookie_seconds(issued: &Issued) -> Option<i64> {
    match &issued.session {
        Some(session) => Some((session.ends_at.since_ms(issued.last_seen) / 1000).max(1)),
        None => issued.access_token.as_ref().map(|token| token.expires_in_seconds),
    }
}
