//! Answers for scripts of other origins (the Fetch standard's CORS protocol): exactly the allowed ones, never `*`.

use super::Context;
use rocket::http::Status;
use rocket::response::{Responder, Response, Result};
use rocket::{Request, request};

/// Request headers that a script of another origin may send.
const REQUEST_HEADERS: &str = "Content-Type, Authorization, X-CSRF-Token, If-Match";
/// Answer headers that it may read.
const ANSWER_HEADERS: &str = "ETag, Retry-After, WWW-Authenticate";
/// How long a browser may remember a preflight answer.
const PREFLIGHT_SECONDS: &str = "600";

/// Decides, once per request, whether its origin may read the answer; errors included. Call it as soon as the app is
/// known, also from guards. The headers fairing does the rest.
pub fn decide<S: AsRef<str>>(request: &Request<'_>, allowed: impl IntoIterator<Item = S>) {
    // Only the first decision counts: a refusal is not undone by a later route.
    Sharing { origin: only_origin(request), granted: &Context::of(request).shared_with }.decide(allowed);
}

/// The request's one `Origin`; none when there are several.
pub fn only_origin<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let mut origins = request.headers().get("origin");
    let first = origins.next();
    if origins.next().is_some() { None } else { first }
}

/// [`decide`] for routes that learn the app only from the body.
pub struct Sharing<'r> {
    origin: Option<&'r str>,
    granted: &'r std::sync::OnceLock<Option<String>>,
}

impl Sharing<'_> {
    pub fn decide<S: AsRef<str>>(&self, allowed: impl IntoIterator<Item = S>) {
        let allows = |origin: &&str| allowed.into_iter().any(|known| known.as_ref() == *origin);
        let _ = self.granted.set(self.origin.filter(allows).map(str::to_string));
    }
}

#[rocket::async_trait]
impl<'r> request::FromRequest<'r> for Sharing<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Self::Error> {
        let granted = &Context::of(request).shared_with;
        request::Outcome::Success(Self { origin: only_origin(request), granted })
    }
}

pub(super) fn apply(request: &Request<'_>, response: &mut Response<'_>) {
    let Some(granted) = Context::of(request).shared_with.get() else {
        return;
    };
    // Also on a refusal: a cache must not hand one origin's answer to another.
    response.adjoin_raw_header("Vary", "Origin");
    if let Some(origin) = granted {
        response.set_raw_header("Access-Control-Allow-Origin", origin.clone());
        response.set_raw_header("Access-Control-Allow-Credentials", "true");
        response.set_raw_header("Access-Control-Expose-Headers", ANSWER_HEADERS);
        response.set_raw_header("Cross-Origin-Resource-Policy", "cross-origin");
    }
}

/// The answer to a preflight: 204 with the path's methods; without CORS headers when [`decide`] granted nothing.
pub struct Preflight;

#[rocket::async_trait]
impl<'r> request::FromRequest<'r> for Preflight {
    type Error = ();

    /// Forwards what is no preflight.
    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, ()> {
        match request.headers().contains("access-control-request-method") {
            true => request::Outcome::Success(Self),
            false => request::Outcome::Forward(Status::NotFound),
        }
    }
}

impl<'r> Responder<'r, 'static> for Preflight {
    fn respond_to(self, request: &'r Request<'_>) -> Result<'static> {
        let mut response = Response::build().status(Status::NoContent).finalize();
        if Context::of(request).shared_with.get().is_some_and(Option::is_some) {
            let path = request.uri().path().as_str();
            let methods = super::methods::known_for(request.rocket().routes(), path);
            let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
            response.set_raw_header("Access-Control-Allow-Methods", names.join(", "));
            response.set_raw_header("Access-Control-Allow-Headers", REQUEST_HEADERS);
            response.set_raw_header("Access-Control-Max-Age", PREFLIGHT_SECONDS);
        }
        Ok(response)
    }
}
