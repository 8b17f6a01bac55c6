//! The one catcher: every failed request ends here and leaves as a problem or as a page.

use super::problem::{self, Problem};
use super::{Context, Site, headers};
use rocket::catcher::{BoxFuture, Catcher};
use rocket::http::{ContentType, Status};
use rocket::response::{Responder, Response};
use rocket::{Request, catcher};
use std::io::Cursor;

/// Below these, callers are programs and errors are JSON.
const FOR_PROGRAMS: [&str; 3] = ["/api", "/oauth2", "/.well-known"];

pub(super) fn any() -> Catcher {
    Catcher::new(None, answer)
}

fn answer<'r>(status: Status, request: &'r Request<'_>) -> BoxFuture<'r> {
    let answer = respond(status, request);
    Box::pin(async move { answer })
}

fn respond<'r>(status: Status, request: &'r Request<'_>) -> catcher::Result<'r> {
    let problem = problem::behind(status, request);
    let mut response = if is_for_programs(Context::of(request).path(request)) {
        problem.respond_to(request)?
    } else {
        page(&problem, request)
    };
    // What Rocket cannot parse at all comes straight here and passes no fairing.
    headers::complete(request, &mut response);
    Ok(response)
}

/// Whether the path belongs to the API, where answers are JSON and are never kept.
pub(super) fn is_for_programs(path: &str) -> bool {
    let below = |prefix: &&str| {
        path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    FOR_PROGRAMS.iter().any(below)
}

/// The problem as a page: `error.html`, or a bare one where even that fails.
pub(super) fn page(problem: &Problem, request: &Request<'_>) -> Response<'static> {
    Context::note_refusal(request, problem.code);
    let body = problem.body(Context::of(request).request_id);
    let rendered = Site::of(request).map(|site| site.templates.render("error.html", &body));
    let html = match rendered {
        Some(Ok(html)) => html,
        other => {
            if let Some(Err(error)) = other {
                tracing::error!(%error, "error.html does not render");
            }
            format!("<!doctype html><title>{0}</title><h1>{0}</h1>", problem.title)
        }
    };
    let mut response =
        Response::build().header(ContentType::HTML).sized_body(html.len(), Cursor::new(html)).finalize();
    problem.headers(&mut response);
    response
}
