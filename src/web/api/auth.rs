//! `/api/v1/auth`: signing in and out, refreshing, and who is calling.

use super::{Answer, Verbs};
use crate::auth::check::Means;
use crate::auth::login::SignIn;
use crate::auth::logout::Scope;
use crate::model::AppId;
use crate::model::app::App;
use crate::model::password::Password;
use crate::web::api::page::bad;
use crate::web::caller::{Caller, Visit, csrf_failed};
use crate::web::cors::Sharing;
use crate::web::reply::{self, Reply, Transport};
use crate::web::view::{SessionView, UserView};
use crate::web::{JsonBody, OptionalJson, Problem, https};
use rocket::http::Header;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, Route, get, post, routes};
use serde::{Deserialize, Serialize};

pub fn routes() -> Vec<Route> {
    // Rocket tries its routes one by one, and this one is asked for more often than all others together.
    let first = routes![session].into_iter().map(|mut route| {
        route.rank = FIRST;
        route
    });
    first.chain(routes![login, register, refresh, logout, reauthenticate]).collect()
}

/// Before every rank that Rocket gives by itself.
const FIRST: isize = -20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    login: String,
    password: Password,
    app: Option<String>,
    #[serde(default)]
    remember: bool,
    transport: Option<Transport>,
    device_token: Option<String>,
}

/// Whether a password may cross the wire; asked for in the handler, so that bodies are judged first.
struct Wire(Result<(), Problem>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Wire {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        Outcome::Success(Self(https::confidential(request).map(drop)))
    }
}

#[post("/api/v1/auth/login", data = "<body>")]
async fn login(
    auth: &Verbs,
    visit: Visit<'_>,
    sharing: Sharing<'_>,
    wire: Wire,
    body: JsonBody<Login>,
) -> Answer {
    let body = body.0;
    let app = body.app.as_deref().unwrap_or(App::DEFAULT);
    let app: AppId = app.parse().map_err(|_| bad("app", "There is no such app."))?;
    let app = auth.app(&app).ok_or_else(|| bad("app", "There is no such app."))?;
    sharing.decide(&app.value.origins);
    let transport = body.transport.unwrap_or(Transport::default_of(app.value.strategy));
    if transport == Transport::Cookie {
        wire.0?;
        visit.refuse_foreign(&app.value.origins)?;
    }
    let replaces =
        visit.cookie_of(&app.value.id).filter(|_| transport == Transport::Cookie).map(str::to_owned);
    let signed_in = auth
        .login(SignIn {
            login: body.login,
            password: body.password,
            app: app.value.id.clone(),
            remember: body.remember,
            device_proof: body.device_token.or_else(|| visit.device.map(str::to_owned)),
            replaces,
            client: visit.client.clone(),
        })
        .await?;
    let proof = signed_in.device_proof.reveal();
    let (user, app) = (&signed_in.user.value, &signed_in.app.value);
    Ok(reply::issued(&visit, Some(user), app, &signed_in.issued, Some(proof), transport))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    login: String,
    password: Password,
    email: Option<String>,
    #[serde(default)]
    name: String,
}

#[post("/api/v1/auth/register", data = "<body>")]
async fn register(auth: &Verbs, visit: Visit<'_>, body: JsonBody<Register>) -> Answer {
    let Register { login, password, email, name } = body.0;
    let user = auth.register(login, email, name, password, visit.client.address).await?;
    Ok(Reply::created(&serde_json::json!({ "user": UserView::from(&user.value) })))
}

#[derive(Serialize)]
struct Who<'a> {
    user: UserView<'a>,
    session: Option<SessionView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

#[get("/api/v1/auth/session")]
fn session(auth: &Verbs, caller: Caller) -> Reply {
    let signed_in = &caller.signed_in;
    let csrf_token = caller.cookie_of.is_some().then(|| auth.vault().csrf_token(&signed_in.csrf_subject()));
    let session = signed_in.session().map(|live| {
        let session = &live.row.value;
        SessionView::new(session, live.last_seen(), None, true).with_data(session)
    });
    Reply::json(&Who { user: UserView::from(signed_in.user()), session, csrf_token })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: Option<String>,
    app: Option<String>,
}

#[post("/api/v1/auth/refresh", data = "<body>")]
async fn refresh(
    auth: &Verbs,
    visit: Visit<'_>,
    sharing: Sharing<'_>,
    csrf: CsrfHeader<'_>,
    body: OptionalJson<Refresh>,
) -> Answer {
    let body = body.0;
    let named: Option<AppId> =
        body.app.map(|app| app.parse()).transpose().map_err(|_| bad("app", "No such app."))?;
    if let Some(text) = body.refresh_token {
        sharing.decide(auth.origins());
        return answer_refresh(auth, &visit, &text, named.as_ref(), Transport::Body).await;
    }
    let Some((app, text)) = visit.refresh_cookie(auth, named.as_ref()) else {
        sharing.decide(auth.origins());
        return Err(Problem::from(crate::auth::Refusal::InvalidRefreshToken)
            .detail("Send refresh_token, or the app's cookie."));
    };
    let origins = auth.app(&app).map(|app| app.value.origins.clone()).unwrap_or_default();
    sharing.decide(&origins);
    visit.refuse_foreign(&origins)?;
    let subject = auth.session_of_refresh(text).await?;
    if !csrf.0.is_some_and(|token| auth.vault().csrf_matches(subject.as_bytes(), token)) {
        return Err(csrf_failed("Send the session's csrf_token in X-CSRF-Token."));
    }
    answer_refresh(auth, &visit, text, Some(&app), Transport::Cookie).await
}

async fn answer_refresh(
    auth: &Verbs,
    visit: &Visit<'_>,
    text: &str,
    app: Option<&AppId>,
    transport: Transport,
) -> Answer {
    let issued = auth.refresh(text, app, &visit.client).await?;
    let app = issued.session.as_ref().and_then(|session| auth.app(&session.app));
    let app = app.ok_or_else(|| Problem::from(crate::auth::Refusal::InvalidRefreshToken))?;
    Ok(reply::issued(visit, None, &app.value, &issued, None, transport))
}

/// The one `X-CSRF-Token` of a request.
struct CsrfHeader<'r>(Option<&'r str>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for CsrfHeader<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let mut values = request.headers().get("x-csrf-token");
        let first = values.next();
        Outcome::Success(Self(first.filter(|_| values.next().is_none())))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Logout {
    #[serde(default)]
    scope: LogoutScope,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LogoutScope {
    #[default]
    Local,
    Others,
    Global,
}

#[post("/api/v1/auth/logout", data = "<body>")]
async fn logout(auth: &Verbs, caller: Caller, visit: Visit<'_>, body: OptionalJson<Logout>) -> Answer {
    let scope = match body.0.scope {
        LogoutScope::Local => Scope::Local,
        LogoutScope::Others => Scope::Others,
        LogoutScope::Global => Scope::Global,
    };
    match auth.logout(&caller.signed_in, scope).await? {
        Some(issued) => Ok(reply_to(&visit, &caller, &issued)),
        None => {
            let reply = Reply::no_content();
            Ok(match &caller.cookie_of {
                Some(app) => reply
                    .header(visit.style.clear(app.as_str()))
                    // What the browser still shows of the account goes, too (V14.3.1).
                    .header(Header::new("Clear-Site-Data", "\"cache\"")),
                None => reply,
            })
        }
    }
}

/// New credentials travel as the old one came.
pub fn reply_to(visit: &Visit<'_>, caller: &Caller, issued: &crate::auth::issue::Issued) -> Reply {
    let transport = if caller.cookie_of.is_some() { Transport::Cookie } else { Transport::Body };
    reply::issued(visit, None, caller.signed_in.app(), issued, None, transport)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reauthenticate {
    password: Password,
    device_token: Option<String>,
}

#[post("/api/v1/auth/reauthenticate", data = "<body>")]
async fn reauthenticate(
    auth: &Verbs,
    caller: Caller,
    visit: Visit<'_>,
    body: JsonBody<Reauthenticate>,
) -> Answer {
    let device = body.0.device_token.as_deref().or(visit.device);
    let issued = auth.reauthenticate(&caller.signed_in, body.0.password, device, &visit.client).await?;
    // A session sent as bearer gets its new value in the body; a refresh token goes on as it is.
    debug_assert!(
        issued.session_token.is_some() == matches!(caller.signed_in.means(), Means::Session { .. })
    );
    Ok(reply_to(&visit, &caller, &issued))
}
