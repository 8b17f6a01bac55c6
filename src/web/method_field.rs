//! Refuses forms with a `_method` field, by which Rocket would treat a POST as another verb.

use super::{Context, Problem};
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::uri::Origin;
use rocket::http::{Method, Status};
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
        // Whatever the method says by now: Rocket rewrites it before any fairing runs.
        if request.content_type().is_some_and(|kind| kind.is_form())
            && has_method_field(data.peek(PEEK_BYTES).await)
        {
            Context::begin(request, Some(request.uri().path().to_string()));
            request.set_method(Method::Post);
            request.set_uri(Origin::parse(NOWHERE).expect("a path in the source"));
            refused().leave(request);
        }
        Context::of(request);
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
