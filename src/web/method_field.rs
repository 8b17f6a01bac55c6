//! Refuses forms with a `_method` field, by which Rocket would treat a POST as another verb.

use super::{Context, Problem, body_time};
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::uri::Origin;
use rocket::http::{Method, Status};
use rocket::tokio::time::timeout;
use rocket::{Data, Request};

/// Begins the request's context, too, as it is the first to see it.
pub(super) struct Refuse;

/// A path without routes. A request that is turned there ends in the catcher, which finds the problem left for it.
const NOWHERE: &str = "/.hallpass/refused";

/// As far as Rocket lets one look into a body. It rewrites by the first field only, which lies within.
const PEEK_BYTES: usize = 512;

#[rocket::async_trait]
impl Fairing for Refuse {
    fn info(&self) -> Info {
        Info { name: "no _method field", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        if let Some(problem) = fault(request, data).await {
            Context::begin(request, Some(request.uri().path().to_string()));
            request.set_method(Method::Post);
            request.set_uri(Origin::parse(NOWHERE).expect("a path in the source"));
            problem.leave(request);
        }
        Context::of(request);
    }
}

/// What is wrong with the beginning of a form, whatever the method says by now: Rocket rewrites it before any fairing.
async fn fault(request: &Request<'_>, data: &mut Data<'_>) -> Option<Problem> {
    if !request.content_type().is_some_and(|kind| kind.is_form()) {
        return None;
    }
    // A form that stops before so many bytes, and does not end, would be waited for without end.
    match timeout(body_time(request), data.peek(PEEK_BYTES)).await {
        Ok(beginning) => has_method_field(beginning).then(refused),
        Err(_) => Some(Problem::of_status(Status::RequestTimeout)),
    }
}

/// The answer to such a form.
pub(super) fn refused() -> Problem {
    Problem::new(Status::BadRequest, "method_field", "The form may not change its method")
        .detail("Remove the field _method.")
}

fn has_method_field(form: &[u8]) -> bool {
    form.split(|byte| *byte == b'&').any(|field| field.split(|byte| *byte == b'=').next() == Some(b"_method"))
}

#[cfg(test)]
mod tests {
    use super::has_method_field;

    #[test]
    fn only_the_field_itself_counts() {
        assert!(has_method_field(b"_method=put"));
        assert!(has_method_field(b"login=a&_method=delete"));
        assert!(has_method_field(b"_method"));
        assert!(!has_method_field(b"login=_method&a_method=1&_methods=2"));
        assert!(!has_method_field(b""));
    }
}
