//! Cursor paging: `limit`, `cursor` in; `items`, `next` out.

use crate::web::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use rocket::FromForm;
use serde_json::{Value, json};
use std::str::FromStr;

const LIMIT: usize = 50;
pub const LIMIT_MAX: usize = 200;

/// What every list takes.
#[derive(FromForm)]
pub struct Paging<'r> {
    limit: Option<&'r str>,
    cursor: Option<&'r str>,
}

impl Paging<'_> {
    /// # Errors
    /// `validation_failed` for anything but 1 to 200.
    pub fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.limit else { return Ok(LIMIT) };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| bad("limit", "Between 1 and 200."))
    }

    /// # Errors
    /// `validation_failed` for a cursor that no list gave.
    pub fn cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        self.cursor
            .map(|text| text.parse().map_err(|_| bad("cursor", "Take it from the list's next.")))
            .transpose()
    }

    /// A cursor that is a key of the store.
    ///
    /// # Errors
    /// As [`Paging::cursor`].
    pub fn key_cursor(&self) -> Result<Option<Vec<u8>>, Problem> {
        let decode =
            |text| BASE64URL.decode(text).map_err(|_| bad("cursor", "Take it from the list's next."));
        self.cursor.map(decode).transpose()
    }
}

/// A page of a list.
pub fn page(items: Vec<Value>, next: Option<String>) -> Value {
    json!({ "items": items, "next": next })
}

pub fn key_text(key: Vec<u8>) -> String {
    BASE64URL.encode(key)
}

/// A field that cannot be taken.
pub fn bad(field: &'static str, message: &'static str) -> Problem {
    Problem::validation_failed().field(field, "invalid", message)
}

/// An id from the path. What is no id names nothing.
///
/// # Errors
/// `not_found`.
pub fn id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::of_status(rocket::http::Status::NotFound))
}
