//! Who is calling: the guards. Their types are the proofs that verbs ask for.

use super::cookies::{CookieStyle, Found};
use super::origin::{self, Verdict};
use super::{Problem, Site, client, cors};
use crate::auth::check::{Admin, Member, RecentAdmin, SignedIn};
use crate::auth::{Auth, Refusal};
use crate::model::app::App;
use crate::model::{AppId, RefreshToken, time::DAY_MS};
use rocket::Request;
use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};
use std::sync::Arc;

/// How long the browser keeps the proof that it has signed in before.
pub const DEVICE_COOKIE_SECONDS: i64 = 400 * DAY_MS / 1000;
/// The cookie of the device proofs.
pub const DEVICE_COOKIE: &str = "device";
/// How many accounts a browser's device cookie remembers.
const DEVICE_PROOFS_MAX: usize = 5;

/// The verbs, of this request's server.
pub fn auth_of<'r>(request: &'r Request<'_>) -> Result<&'r Arc<Auth>, Problem> {
    request.rocket().state::<Arc<Auth>>().ok_or_else(|| Problem::of_status(Status::InternalServerError))
}

/// Address and user agent, as the verbs want them.
pub fn client_of(request: &Request<'_>) -> crate::auth::Client {
    let agent = client::user_agent(request).unwrap_or_default().to_owned();
    crate::auth::Client { address: client::Client::of(request).address, agent }
}

/// A caller with how the credential came.
pub struct Caller {
    pub signed_in: SignedIn,
    /// The app whose cookie it was; `None` for a bearer.
    pub cookie_of: Option<AppId>,
}

/// Finds and checks the request's credential, and rules CSRF out where it came in a cookie.
async fn caller(request: &Request<'_>) -> Result<Caller, Problem> {
    let auth = auth_of(request)?;
    let found = find(request, auth);
    let checked = match &found {
        Ok((text, cookie_of)) => auth.check(text, cookie_of.as_ref()).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.clone()),
    };
    match &checked {
        Ok(signed_in) => cors::decide(request, &signed_in.app().origins),
        // Nothing is told but that nobody is signed in: any app's pages may read that.
        Err(_) => cors::decide(request, auth.origins()),
    }
    let (signed_in, (_, cookie_of)) = (checked?, found?);
    if cookie_of.is_some() && !is_safe(request.method()) {
        refuse_forgery(request, auth, &signed_in.csrf_subject(), &signed_in.app().origins)?;
    }
    Ok(Caller { signed_in, cookie_of })
}

const fn is_safe(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head | Method::Options)
}

/// # Errors
/// `csrf_failed` when a header speaks against the request, or the session's token is missing.
pub fn refuse_forgery(
    request: &Request<'_>,
    auth: &Auth,
    subject: &[u8; 16],
    allowed: &[String],
) -> Result<(), Problem> {
    let own = Site::of(request).map_or("", |site| site.public_url.origin());
    if origin::of_request(request, own, allowed) != Verdict::Silent {
        return Err(csrf_failed("The request comes from another site."));
    }
    let mut tokens = request.headers().get("x-csrf-token");
    match (tokens.next(), tokens.next()) {
        (Some(token), None) if auth.vault().csrf_matches(subject, token) => Ok(()),
        _ => Err(csrf_failed("Send the session's csrf_token in X-CSRF-Token.")),
    }
}

pub fn csrf_failed(detail: &'static str) -> Problem {
    Problem::new(Status::Forbidden, "csrf_failed", "The request could be forged").detail(detail)
}

/// The bearer, else the one cookie that is meant.
fn find<'r>(request: &'r Request<'_>, auth: &Auth) -> Result<(&'r str, Option<AppId>), Problem> {
    let mut headers = request.headers().get("authorization");
    match (headers.next(), headers.next()) {
        (Some(header), None) => {
            let (scheme, text) = header.split_once(' ').unwrap_or((header, ""));
            return if scheme.eq_ignore_ascii_case("bearer") {
                Ok((text.trim(), None))
            } else {
                Err(Refusal::InvalidToken.into())
            };
        }
        (Some(_), Some(_)) => return Err(Refusal::InvalidToken.into()),
        (None, _) => {}
    }
    let mut cookies = CookieStyle::of(request).apps(request);
    // Elsewhere `app` means something else: in the list of sessions it is a filter.
    let names_app = request.uri().path().as_str().starts_with("/api/v1/auth/");
    let named = request.query_value::<&str>("app").filter(|_| names_app);
    let meant = match named.and_then(Result::ok) {
        Some(named) => cookies.iter().position(|(app, _)| app.as_str() == named),
        None => meant_cookie(cors::only_origin(request), auth, &cookies),
    };
    match meant {
        Some(index) => {
            let (app, value) = cookies.swap_remove(index);
            Ok((value, Some(app)))
        }
        None => Err(Refusal::Unauthenticated.into()),
    }
}

/// Of several apps' cookies: the one of the app whose page asks, else the only one, else the appliance's own.
fn meant_cookie(origin: Option<&str>, auth: &Auth, cookies: &[(AppId, &str)]) -> Option<usize> {
    if let Some(origin) = origin {
        let asks = |id: &AppId| {
            let app = auth.app(id);
            app.is_some_and(|app| app.value.origins.iter().any(|known| known == origin))
        };
        if let Some(index) = cookies.iter().position(|(app, _)| asks(app)) {
            return Some(index);
        }
    }
    match cookies {
        [_] => Some(0),
        _ => cookies.iter().position(|(app, _)| app.as_str() == App::APPLIANCE),
    }
}

fn outcome<T>(request: &Request<'_>, result: Result<T, Problem>) -> Outcome<T, ()> {
    match result {
        Ok(value) => Outcome::Success(value),
        Err(problem) => Outcome::Error((problem.leave(request), ())),
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        outcome(request, caller(request).await)
    }
}

async fn member(request: &Request<'_>) -> Result<Member, Problem> {
    let caller = caller(request).await?;
    Ok(auth_of(request)?.member(caller.signed_in)?)
}

async fn admin(request: &Request<'_>) -> Result<Admin, Problem> {
    Ok(auth_of(request)?.admin(member(request).await?)?)
}

async fn recent_admin(request: &Request<'_>) -> Result<RecentAdmin, Problem> {
    Ok(auth_of(request)?.recent_admin(admin(request).await?)?)
}

macro_rules! guard {
    ($($proof:ty: $check:ident),*) => {
        $(#[rocket::async_trait]
        impl<'r> FromRequest<'r> for $proof {
            type Error = ();

            async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
                outcome(request, $check(request).await)
            }
        })*
    };
}

guard!(Member: member, Admin: admin, RecentAdmin: recent_admin);

/// What verbs about credentials want to know of the request besides its body.
pub struct Visit<'r> {
    pub client: crate::auth::Client,
    pub style: CookieStyle,
    /// The device cookie's proofs.
    pub device: Option<&'r str>,
    /// The request's cookies by app.
    pub cookies: Vec<(AppId, &'r str)>,
    origins: Vec<&'r str>,
    sites: Vec<&'r str>,
    own_origin: &'r str,
}

impl Visit<'_> {
    /// # Errors
    /// `csrf_failed` when Origin or Sec-Fetch-Site speak against an app with these origins being meant.
    pub fn refuse_foreign(&self, allowed: &[String]) -> Result<(), Problem> {
        match origin::rule(&self.origins, &self.sites, self.own_origin, allowed) {
            Verdict::Silent => Ok(()),
            Verdict::ForeignOrigin | Verdict::ForeignSite => {
                Err(csrf_failed("The request comes from another site."))
            }
        }
    }

    /// The refresh token in the cookie of the app that is named, else of the one that is meant.
    pub fn refresh_cookie(&self, auth: &Auth, named: Option<&AppId>) -> Option<(AppId, &str)> {
        let holds_one = |(_, value): &&(AppId, &str)| value.starts_with(RefreshToken::PREFIX);
        let mut cookies: Vec<_> = self.cookies.iter().filter(holds_one).cloned().collect();
        let origin = self.origins.first().copied().filter(|_| self.origins.len() == 1);
        let meant = match named {
            Some(named) => cookies.iter().position(|(app, _)| app == named),
            None => meant_cookie(origin, auth, &cookies),
        };
        meant.map(|index| cookies.swap_remove(index))
    }

    /// The value of this app's cookie.
    pub fn cookie_of(&self, app: &AppId) -> Option<&str> {
        self.cookies.iter().find(|(id, _)| id == app).map(|(_, value)| *value)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visit<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let style = CookieStyle::of(request);
        let device = match style.find(request, DEVICE_COOKIE) {
            Found::One(proofs) => Some(proofs),
            Found::None | Found::Several => None,
        };
        Outcome::Success(Self {
            client: client_of(request),
            style,
            device,
            cookies: style.apps(request),
            origins: request.headers().get("origin").collect(),
            sites: request.headers().get("sec-fetch-site").collect(),
            own_origin: Site::of(request).map_or("", |site| site.public_url.origin()),
        })
    }
}

/// The device proofs that a browser keeps from now on: the new one first.
pub fn device_cookie(before: Option<&str>, new: &str) -> String {
    let old = before.unwrap_or_default().split('.').filter(|proof| !proof.is_empty() && *proof != new);
    std::iter::once(new).chain(old).take(DEVICE_PROOFS_MAX).collect::<Vec<_>>().join(".")
}
