//! Why a verb says no. One enum for all verbs; `web` matches it once to HTTP.

use crate::auth::hasher::HashRefusal;
use crate::model::session::EndedReason;
use crate::store::StoreError;

/// What a verb answers.
pub type Verdict<T> = Result<T, Refusal>;

/// A field of the caller's input that cannot be taken, in public words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    pub field: &'static str,
    pub code: &'static str,
    pub message: String,
}

/// Why a verb says no.
#[derive(Debug)]
pub enum Refusal {
    /// No credential at all.
    Unauthenticated,
    /// One answer for every fault of a sign-in, so that accounts cannot be guessed.
    InvalidCredentials,
    TooManyAttempts {
        retry_after_seconds: u64,
    },
    InvalidToken,
    TokenExpired,
    TokenBlacklisted,
    SessionEnded(EndedReason),
    InvalidRefreshToken,
    RefreshReused,
    /// The password must be proven again.
    ReauthRequired,
    Forbidden(&'static str),
    NotFound,
    Invalid(Vec<FieldFault>),
    Conflict {
        code: &'static str,
        message: &'static str,
    },
    /// `If-Match` names another version.
    PreconditionFailed,
    /// A one-time code that is unknown, used or too old.
    InvalidCode,
    /// A client (app) that did not prove itself (RFC 6749 section 5.2).
    InvalidClient,
    /// Set-up is closed for ever.
    SetUpClosed,
    /// More work than can be queued; try again shortly.
    Overloaded,
    /// The disk is almost full: nothing was done, and nothing is until there is room again.
    StorageFull,
    /// The store failed.
    Store(StoreError),
    /// Something that must not happen; the text is for the log.
    Fault(String),
}

impl Refusal {
    pub fn field(field: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldFault { field, code, message: message.into() }])
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::Overloaded,
            StoreError::Full => Self::StorageFull,
            other => Self::Store(other),
        }
    }
}

impl From<HashRefusal> for Refusal {
    fn from(refusal: HashRefusal) -> Self {
        match refusal {
            HashRefusal::Overloaded => Self::Overloaded,
            other => Self::Fault(format!("password hashing: {other:?}")),
        }
    }
}
