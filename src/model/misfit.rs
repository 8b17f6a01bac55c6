//! What is wrong with a JSON text that should have been something else: which field, a code, and words.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Empty where it is the whole.
    pub field: String,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people. It never repeats what was sent.
    pub message: String,
}

impl Misfit {
    pub fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

/// Why a text is not read.
#[derive(Debug, PartialEq, Eq)]
pub enum NoFit {
    /// It is no JSON.
    Malformed {
        line: usize,
        column: usize,
    },
    Misfit(Misfit),
}

/// Reads an object; put `#[serde(deny_unknown_fields)]` on `T`.
///
/// # Errors
/// [`NoFit`].
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, NoFit> {
    // A struct could be read from an array as well, field by field in their order: `[]` would be all defaults.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(NoFit::Misfit(Misfit::new("", "invalid", "Expected an object")));
    }
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        Category::Data => NoFit::Misfit(misfit(text, &error)),
        // What is put where a word of ours is wanted counts as a fault of syntax there, though it is none.
        _ if serde_json::from_slice::<Value>(text).is_ok() => NoFit::Misfit(misfit(text, &error)),
        _ => NoFit::Malformed { line: error.line(), column: error.column() },
    })
}

/// Names the field, and says what was expected.
fn misfit(text: &[u8], error: &serde_json::Error) -> Misfit {
    let said = error.to_string();
    let named = || said.split('`').nth(1).unwrap_or_default();
    if said.starts_with("unknown field") {
        return Misfit::new(named(), "unknown_field", "There is no such field");
    }
    if said.starts_with("missing field") {
        return Misfit::new(named(), "required", "This field is needed");
    }
    if said.starts_with("duplicate field") {
        return Misfit::new(named(), "duplicate", "This field came twice");
    }
    // The last one: what was sent stands before it, and may hold the word as well.
    let expected =
        said.rsplit_once("expected ").map(|(_, rest)| rest.split(" at line ").next().unwrap_or(rest));
    let message = match expected {
        Some("u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "usize") => {
            "Expected a whole number in range".to_string()
        }
        // The names of our types are nobody's business.
        Some(wanted) if wanted.starts_with("struct ") => "Expected an object".to_string(),
        Some(wanted) => format!("Expected {wanted}"),
        None => "It has the wrong form".to_string(),
    };
    Misfit::new(path_at(text, error.line(), error.column()), "invalid", message)
}

/// The keys around a place in a JSON text that is known to be well formed up to there: `user.name`.
fn path_at(body: &[u8], line: usize, column: usize) -> String {
    let before: usize =
        body.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let end = (before + column).min(body.len());
    let (mut keys, mut last_text) = (vec![String::new()], String::new());
    let (mut in_text, mut escaped) = (false, false);
    for byte in &body[..end] {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_text = false,
            (true, byte) => last_text.push(char::from(*byte)),
            (false, b'"') => {
                in_text = true;
                last_text.clear();
            }
            (false, b':') => {
                keys.pop();
                keys.push(last_text.clone());
            }
            (false, b'{') => keys.push(String::new()),
            (false, b'}') => drop(keys.pop()),
            _ => {}
        }
    }
    keys.retain(|key| !key.is_empty());
    keys.join(".")
}
