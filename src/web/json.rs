//! JSON bodies: the right type, a bounded size, in bounded time, with no field that the route does not know.

use super::{Problem, Site, body_time};
use crate::model::misfit::{self, Misfit, NoFit};
use rocket::data::{FromData, Outcome, ToByteUnit};
use rocket::http::Status;
use rocket::tokio::time::timeout;
use rocket::{Data, Request};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// A JSON body that fits `T`; put `#[serde(deny_unknown_fields)]` on `T`. What does not fit is answered by a problem
/// that names the field.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromData<'r> for JsonBody<T> {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data).await {
            Ok(value) => Outcome::Success(Self(value)),
            Err(problem) => Outcome::Error((problem.leave(request), ())),
        }
    }
}

/// As [`JsonBody`] for routes whose every field has a default: no body at all is all defaults. A body that does not
/// fit is refused as ever; taken for none it would sign out here who asked to be signed out everywhere.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + Default> FromData<'r> for OptionalJson<T> {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, mut data: Data<'r>) -> Outcome<'r, Self> {
        let result = match timeout(body_time(request), data.peek(1)).await {
            Err(_) => Err(Problem::of_status(Status::RequestTimeout)),
            Ok([]) => Ok(T::default()),
            Ok(_) => read(request, data).await,
        };
        match result {
            Ok(value) => Outcome::Success(Self(value)),
            Err(problem) => Outcome::Error((problem.leave(request), ())),
        }
    }
}

async fn read<T: DeserializeOwned>(request: &Request<'_>, data: Data<'_>) -> Result<T, Problem> {
    let is_json = |kind: &rocket::http::ContentType| kind.top() == "application" && kind.sub() == "json";
    if !request.content_type().is_some_and(is_json) {
        return Err(Problem::of_status(Status::UnsupportedMediaType)
            .detail("Send the body with Content-Type: application/json."));
    }
    let kib = Site::of(request).map_or(64, |site| site.config.limits.json_kib);
    let body = match timeout(body_time(request), data.open(kib.kibibytes()).into_bytes()).await {
        Err(_) => return Err(Problem::of_status(Status::RequestTimeout)),
        Ok(Err(_)) => return Err(Problem::of_status(Status::BadRequest).detail("The body broke off.")),
        Ok(Ok(body)) if !body.is_complete() => {
            return Err(
                Problem::of_status(Status::PayloadTooLarge).detail(format!("At most {kib} KiB are taken."))
            );
        }
        // Bodies hold passwords.
        Ok(Ok(body)) => Zeroizing::new(body.into_inner()),
    };
    parse(&body)
}

/// # Errors
/// `malformed_json` for what is no JSON, `validation_failed` for what is not the wanted shape.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    misfit::read(body).map_err(|no_fit| match no_fit {
        NoFit::Malformed { line, column } => {
            Problem::malformed_json(format!("It breaks at line {line}, column {column}."))
        }
        NoFit::Misfit(Misfit { field, code, message }) => {
            Problem::validation_failed().field(field, code, message)
        }
    })
}

/// For an object inside a body, which must not be read from an array, either.
///
/// # Errors
/// Anything but an object that fits.
pub fn object<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let Some(map) = Option::<Map<String, Value>>::deserialize(from)? else { return Ok(None) };
    T::deserialize(Value::Object(map)).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Login {
        login: String,
        times: Option<u8>,
        inner: Option<Inner>,
        way: Option<Way>,
    }

    #[derive(Debug, Deserialize)]
    enum Way {
        Here,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        deep: bool,
    }

    fn refusal(text: &str) -> (u16, String, &'static str) {
        let problem = parse::<Login>(text.as_bytes()).unwrap_err();
        let error = problem.errors.first();
        let field = error.map(|error| error.field.to_string()).unwrap_or_default();
        (problem.status.code, field, error.map_or(problem.code, |error| error.code))
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in
            ["", "{", "{\"login\":}", "{'a':1}", "{\"login\":\"a\"} x", "\u{0}", "{\"login\":\"\u{1}\"}"]
        {
            assert_eq!(refusal(text), (400, String::new(), "malformed_json"), "{text:?}");
        }
        let deep = "{\"a\":[".repeat(100_000);
        assert!(parse::<serde_json::Value>(deep.as_bytes()).is_err());
    }

    #[test]
    fn wrong_shapes_name_the_field() {
        let case = |text: &str, field: &str, code: &'static str| {
            assert_eq!(refusal(text), (422, field.to_string(), code), "{text}");
        };
        case("{}", "login", "required");
        case("{\"login\":\"a\",\"admin\":true}", "admin", "unknown_field");
        case("{\"login\":\"a\",\"login\":\"b\"}", "login", "duplicate");
        case("{\"times\":1, \"login\":5}", "login", "invalid");
        case("{\"login\":\"a\",\n\"times\":-1}", "times", "invalid");
        case("{\"login\":\"a\",\"inner\":{\"deep\":\"x\"}}", "inner.deep", "invalid");
        case("{\"login\":\"a\",\"way\":5}", "way", "invalid");
        case("{\"login\":\"a\",\"way\":[\"Here\"]}", "way", "invalid");
        case("{\"login\":\"a\",\"way\":\"There\"}", "way", "invalid");
        case("[1]", "", "invalid");
        case("[\"a\"]", "", "invalid");
        case(" [", "", "invalid");
        case("null", "", "invalid");
    }

    #[test]
    fn refusals_never_repeat_what_was_sent() {
        let problem = parse::<Login>(b"{\"login\":\"a\",\"times\":\"hunter2\"}").unwrap_err();
        assert!(!format!("{problem:?}").contains("hunter2"));
        assert_eq!(problem.errors[0].message, "Expected a whole number in range");
    }

    #[test]
    fn a_fitting_body_is_taken() {
        assert_eq!(parse::<Login>(b" {\"login\":\"a\"}\n").unwrap().login, "a");
    }
}
