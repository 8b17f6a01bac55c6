//! Refusals, endings and notices in words for people.

use super::page::Failed;
use super::when::span;
use crate::model::UserId;
use crate::model::session::{Ended, EndedReason};
use crate::model::user::Actor;
use crate::web::Problem;
use crate::web::caller::csrf_failed;
use rocket::http::Status;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a form shows of a refusal: a sentence above it, and one at each field that is meant.
#[derive(Debug, Default, Serialize)]
pub struct Said {
    pub notice: Option<String>,
    pub errors: BTreeMap<String, String>,
}

/// The one place where refusals become words in a form. Name and password are never told apart.
///
/// # Errors
/// What no form can help with goes to the error page.
pub fn said(problem: &Problem) -> Result<Said, Failed> {
    let notice = match problem.code {
        "invalid_credentials" => "Login or password is wrong.".into(),
        "too_many_attempts" => {
            let seconds = problem.retry_after_seconds.unwrap_or(60);
            format!("Too many attempts. Try again in {}.", span(seconds))
        }
        "overloaded" => {
            "There is too much to do just now, so nothing was done. Try again in a few seconds.".into()
        }
        "storage_full" => {
            "The disk is almost full, so nothing was done. Whoever runs this must make room first.".into()
        }
        "invalid_code" => {
            "This code is unknown, used or too old: a code is good for 30 minutes and for one use.".into()
        }
        "stale_form" => {
            "This form was too old, so nothing was done. It is fresh now: enter it once more.".into()
        }
        "name_taken" | "restore_running" => problem.detail.to_string(),
        "validation_failed" => return Ok(Said { notice: None, errors: fields(problem) }),
        _ => return Err(problem.clone().into()),
    };
    Ok(Said { notice: Some(notice), errors: BTreeMap::new() })
}

fn fields(problem: &Problem) -> BTreeMap<String, String> {
    problem.errors.iter().map(|error| (error.field.to_string(), error.message.to_string())).collect()
}

/// A form that was not served to this browser, or whose cookie has gone.
pub fn stale_form() -> Problem {
    Problem { code: "stale_form", ..csrf_failed("The form was not served to this browser.") }
}

/// A field that needs an entry, or another one.
pub fn missing(field: &'static str, message: &'static str) -> Problem {
    Problem::validation_failed().field(field, "required", message)
}

/// A page that was asked for by a wrong name.
pub fn nothing(title: &'static str, detail: &'static str) -> Problem {
    Problem::new(Status::NotFound, "not_found", title).detail(detail)
}

/// What a redirect after a form says on the next page: by a fixed word in the query, never by free text.
pub fn done(word: Option<&str>) -> Option<&'static str> {
    Some(match word? {
        "name" => "Your name is changed.",
        "password" => {
            "Your password is changed. Everything else that was signed in with the old one is signed out."
        }
        "session" => "That session is signed out.",
        "others" => "Everything else is signed out. Only this device stays.",
        "reset" => "The new password is set, and everything of the account was signed out. Sign in with it.",
        _ => return None,
    })
}

/// How a session of one's own ended.
pub fn ended(ended: &Ended, owner: UserId) -> &'static str {
    let by_oneself = ended.by == Actor::User(owner);
    match ended.reason {
        EndedReason::Logout => "You signed out.",
        EndedReason::LogoutOthers => "You signed out everywhere else.",
        EndedReason::LogoutEverywhere => "You signed out everywhere.",
        EndedReason::Revoked if by_oneself => "You signed it out from another device.",
        EndedReason::Revoked => "An administrator signed it out.",
        EndedReason::RefreshReused => {
            "A refresh token was presented twice, which can mean that it was stolen."
        }
        EndedReason::IdleExpired => "It was not used for too long.",
        EndedReason::Expired => "It reached its longest life.",
        EndedReason::PasswordChanged => "The password was changed.",
        EndedReason::RoleChanged => "Your role was changed.",
        EndedReason::UserDisabled => "The account was disabled.",
        EndedReason::UserDeleted => "The account was deleted.",
        EndedReason::CutOff => "An administrator cut the account off.",
        EndedReason::AppDisabled => "The app is disabled.",
        EndedReason::AppDeleted => "The app was deleted.",
        EndedReason::SignedInAgain => "You signed in again in its place.",
        EndedReason::Invalidated => "Everybody was signed out, as after a backup was restored.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Refusal;

    #[test]
    fn what_no_form_can_help_with_goes_to_the_error_page() {
        for refusal in [
            Refusal::Fault("broken".into()),
            Refusal::Forbidden("no"),
            Refusal::NotFound,
            Refusal::SetUpClosed,
            Refusal::InvalidToken,
        ] {
            assert!(said(&refusal.into()).is_err());
        }
    }

    #[test]
    fn waiting_is_told_in_seconds() {
        let refusal = Refusal::TooManyAttempts { retry_after_seconds: 42 };
        let words = said(&refusal.into()).ok().and_then(|said| said.notice);
        assert_eq!(words.as_deref(), Some("Too many attempts. Try again in 42 seconds."));
    }

    #[test]
    fn a_notice_is_one_of_ours_or_none() {
        assert_eq!(done(Some("<script>")), None);
        assert_eq!(done(None), None);
        assert!(done(Some("password")).is_some());
    }
}
