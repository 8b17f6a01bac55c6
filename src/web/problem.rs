//! Refusals as RFC 9457 problems: one shape for every error of the API.

use super::Context;
use crate::logging::RequestId;
use rocket::Request;
use rocket::http::{ContentType, Status};
use rocket::response::{Responder, Response, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::io::Cursor;

/// What is wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    pub field: Cow<'static, str>,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: Cow<'static, str>,
}

/// A refusal. As a responder it is `application/problem+json`; a page's catcher shows its title and detail as HTML.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: Status,
    /// Stable, for programs.
    pub code: &'static str,
    pub title: &'static str,
    pub detail: Cow<'static, str>,
    pub errors: Vec<FieldError>,
    /// Further members, like `ended_reason`.
    pub extra: Option<Box<Map<String, Value>>>,
    pub retry_after_seconds: Option<u32>,
    /// The methods that the path does know: for 405 (RFC 9110 section 10.2.1).
    pub allow: Option<Box<str>>,
}

impl Problem {
    pub fn new(status: Status, code: &'static str, title: &'static str) -> Self {
        Self {
            status,
            code,
            title,
            detail: Cow::Borrowed(""),
            errors: Vec::new(),
            extra: None,
            retry_after_seconds: None,
            allow: None,
        }
    }

    /// What happened and what to do, in a sentence or two.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    pub fn field(
        mut self,
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.errors.push(FieldError { field: field.into(), code, message: message.into() });
        self
    }

    /// A further member of the problem.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().insert(name.to_string(), value.into());
        self
    }

    /// When to try again: the `Retry-After` header and `retry_after_seconds`.
    pub fn retry_after_seconds(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    pub fn malformed_json(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::BadRequest, "malformed_json", "The body is no valid JSON").detail(detail)
    }

    /// Add what is wrong by [`Problem::field`].
    pub fn validation_failed() -> Self {
        Self::new(Status::UnprocessableEntity, "validation_failed", "Some fields are not as they should be")
    }

    /// The plain answer for a status that nobody explained.
    pub fn of_status(status: Status) -> Self {
        let (code, title) = match status.code {
            401 => ("unauthenticated", "This needs a sign-in"),
            403 => ("forbidden", "This is not allowed"),
            404 => ("not_found", "There is nothing here"),
            405 => ("method_not_allowed", "The path does not know this method"),
            406 => ("not_acceptable", "There is no such representation"),
            408 => ("request_timeout", "The request took too long to arrive"),
            409 => ("conflict", "This contradicts what is there"),
            411 => ("length_required", "The request must say how long it is"),
            412 => ("precondition_failed", "It has changed in the meantime"),
            413 => ("payload_too_large", "The request is too large"),
            415 => ("unsupported_media_type", "The body has the wrong type"),
            422 => ("validation_failed", "Some fields are not as they should be"),
            429 => ("too_many_attempts", "Too many attempts"),
            503 => ("overloaded", "There is too much to do just now"),
            400..=499 => ("bad_request", "The request could not be understood"),
            _ => ("internal_error", "Something went wrong here"),
        };
        Self::new(status, code, title)
    }

    /// Leaves this refusal for the catcher: a guard returns `Outcome::Error((problem.leave(request), ()))`, and the
    /// caller sees the problem instead of a bare status.
    pub fn leave(self, request: &Request<'_>) -> Status {
        let status = self.status;
        *Context::of(request).problem.lock() = Some(self);
        status
    }

    /// What a guard of this request left, once.
    pub(super) fn take(request: &Request<'_>) -> Option<Self> {
        Context::of(request).problem.lock().take()
    }

    /// The problem as JSON.
    pub fn body(&self, request_id: RequestId) -> Value {
        let mut body = self.extra.as_deref().cloned().unwrap_or_default();
        body.insert("type".into(), json!("about:blank"));
        body.insert("title".into(), json!(self.title));
        body.insert("status".into(), json!(self.status.code));
        body.insert("code".into(), json!(self.code));
        body.insert("request_id".into(), json!(request_id.to_string()));
        if !self.detail.is_empty() {
            body.insert("detail".into(), json!(self.detail));
        }
        if !self.errors.is_empty() {
            body.insert("errors".into(), json!(self.errors));
        }
        if let Some(seconds) = self.retry_after_seconds {
            body.insert("retry_after_seconds".into(), json!(seconds));
        }
        Value::Object(body)
    }

    /// The headers that go with this refusal, whatever its body.
    pub(super) fn headers(&self, response: &mut Response<'_>) {
        response.set_status(self.status);
        response.set_raw_header("Cache-Control", "no-store");
        if self.status == Status::Unauthorized {
            response.set_raw_header("WWW-Authenticate", self.challenge());
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.set_raw_header("Retry-After", seconds.to_string());
        }
        if let Some(allow) = &self.allow {
            response.set_raw_header("Allow", allow.to_string());
        }
    }

    /// RFC 6750 section 3: `error` only where a token came and was refused.
    fn challenge(&self) -> &'static str {
        match self.code {
            "invalid_token" | "token_expired" | "token_blacklisted" | "session_ended" => {
                r#"Bearer realm="hallpass", error="invalid_token""#
            }
            _ => r#"Bearer realm="hallpass""#,
        }
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> Result<'static> {
        Context::note_refusal(request, self.code);
        let body = self.body(Context::of(request).request_id).to_string();
        let mut response = Response::build()
            .header(ContentType::new("application", "problem+json"))
            .sized_body(body.len(), Cursor::new(body))
            .finalize();
        self.headers(&mut response);
        Ok(response)
    }
}

/// The problem behind a failed request: what a guard left, a wrong method on a known path, or just the status.
pub(super) fn behind(status: Status, request: &Request<'_>) -> Problem {
    if let Some(problem) = Problem::take(request) {
        return problem;
    }
    if status == Status::NotFound {
        let allowed = super::methods::known_for(request.rocket().routes(), request.uri().path().as_str());
        let method = Context::of(request).method;
        if !allowed.is_empty() && !allowed.contains(&method) {
            let names: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
            let mut problem = Problem::of_status(Status::MethodNotAllowed);
            problem.detail = format!("{method} is not one of {}.", names.join(", ")).into();
            problem.allow = Some(names.join(", ").into());
            return problem;
        }
        if method == rocket::http::Method::Trace {
            return Problem::of_status(Status::MethodNotAllowed);
        }
    }
    Problem::of_status(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RequestId = RequestId { run: 1, number: 2 };

    #[test]
    fn absent_parts_are_not_in_the_body() {
        let body = Problem::of_status(Status::NotFound).body(ID);
        assert_eq!(
            body,
            json!({"type": "about:blank", "title": "There is nothing here", "status": 404, "code": "not_found",
                   "request_id": "00000001-000002"})
        );
    }

    #[test]
    fn extra_members_never_replace_the_standard_ones() {
        let problem =
            Problem::of_status(Status::Unauthorized).with("status", 200).with("ended_reason", "logout");
        let body = problem.body(ID);
        assert_eq!((&body["status"], &body["ended_reason"]), (&json!(401), &json!("logout")));
    }

    #[test]
    fn fields_and_waiting_are_named() {
        let problem =
            Problem::validation_failed().field("login", "too_long", "At most 64").retry_after_seconds(9);
        let body = problem.body(ID);
        assert_eq!(body["errors"], json!([{"field": "login", "code": "too_long", "message": "At most 64"}]));
        assert_eq!(body["retry_after_seconds"], json!(9));
    }
}
