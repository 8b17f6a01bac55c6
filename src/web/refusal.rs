//! The one place where a verb's refusal becomes an HTTP status with a stable code.

use super::Problem;
use crate::auth::Refusal;
use rocket::http::Status;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = |code: u16, name, title| Problem::new(Status::new(code), name, title);
        match refusal {
            Refusal::Unauthenticated => Problem::of_status(Status::Unauthorized),
            Refusal::InvalidCredentials => problem(401, "invalid_credentials", "Login or password is wrong"),
            Refusal::TooManyAttempts { retry_after_seconds } => {
                let seconds = u32::try_from(retry_after_seconds).unwrap_or(u32::MAX);
                Problem::of_status(Status::TooManyRequests).retry_after_seconds(seconds)
            }
            Refusal::InvalidToken => problem(401, "invalid_token", "The credential is not valid"),
            Refusal::TokenExpired => problem(401, "token_expired", "The token has expired"),
            Refusal::TokenBlacklisted => problem(401, "token_blacklisted", "The token has been revoked"),
            Refusal::SessionEnded(reason) => {
                problem(401, "session_ended", "The session has ended").with("ended_reason", reason.as_str())
            }
            Refusal::InvalidRefreshToken => {
                problem(401, "invalid_refresh_token", "The refresh token is not valid")
            }
            Refusal::RefreshReused => {
                problem(401, "refresh_reused", "The refresh token was used before, so the session has ended")
                    .with("ended_reason", "refresh_reused")
            }
            Refusal::ReauthRequired => problem(403, "reauth_required", "Prove your password again")
                .detail("POST it to /api/v1/auth/reauthenticate, then try again."),
            Refusal::Forbidden(detail) => Problem::of_status(Status::Forbidden).detail(detail),
            Refusal::NotFound => Problem::of_status(Status::NotFound),
            Refusal::Invalid(faults) => {
                faults.into_iter().fold(Problem::validation_failed(), |problem, fault| {
                    problem.field(fault.field, fault.code, fault.message)
                })
            }
            Refusal::Conflict { code, message } => {
                problem(409, code, "This contradicts what is there").detail(message)
            }
            Refusal::PreconditionFailed => Problem::of_status(Status::PreconditionFailed),
            Refusal::InvalidCode => problem(403, "invalid_code", "The code is unknown, used or too old"),
            Refusal::InvalidClient => problem(401, "invalid_client", "The app did not prove itself"),
            Refusal::SetUpClosed => problem(404, "not_found", "Set-up is closed")
                .detail("The first administrator was made; it cannot be done again."),
            Refusal::Overloaded => Problem::of_status(Status::ServiceUnavailable).retry_after_seconds(2),
            Refusal::StorageFull => problem(503, "storage_full", "The disk is almost full")
                .detail("Nothing was done. An operator must make room; until then nothing can be changed.")
                .retry_after_seconds(60),
            Refusal::Store(error) => {
                tracing::error!(%error, "a request met a failing store");
                problem(503, "store_failed", "The store does not answer").retry_after_seconds(10)
            }
            Refusal::Fault(fault) => {
                tracing::error!(fault, "a request failed");
                Problem::of_status(Status::InternalServerError)
            }
        }
    }
}
