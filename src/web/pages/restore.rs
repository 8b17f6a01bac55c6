//! `/setup/restore`: a backup instead of a first administrator. The file goes to disk as it comes.

use super::page::Page;
use super::setup::{CODE_COOKIE, form_again};
use super::words::{missing, stale_form};
use super::{Answer, Shell, Verbs, Visitor};
use crate::auth::Refusal;
use crate::auth::backup::secret::BackupSecret;
use crate::auth::backup::upload::Restoring;
use crate::auth::restore::{Before, Report};
use crate::web::caller::auth_of;
use crate::web::https::Confidential;
use crate::web::{Problem, Site};
use parking_lot::Mutex;
use rocket::data::{self, Data, FromData};
use rocket::form::{Form, FromForm};
use rocket::fs::TempFile;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::tokio::time::timeout;
use rocket::{Request, Route, post, routes};
use serde_json::json;
use std::time::Duration;

/// Gigabytes may come over a slow line, but not for ever.
const UPLOAD_SECONDS_MAX: u64 = 3600;
/// What a form has beside its file.
const FORM_BYTES: u64 = 64 << 10;

pub(super) fn routes() -> Vec<Route> {
    routes![restore]
}

/// The right to upload, settled before a byte of the body is read.
struct Permit(Mutex<Option<Restoring>>);

async fn permit(request: &Request<'_>) -> Result<Restoring, Problem> {
    let auth = auth_of(request)?;
    let Outcome::Success(visitor) = Visitor::from_request(request).await else {
        return Err(Problem::of_status(Status::BadRequest));
    };
    visitor.refuse_foreign_form()?;
    if auth.is_set_up().await? {
        return Err(Refusal::SetUpClosed.into());
    }
    let bytes = request.headers().get_one("content-length").and_then(|text| text.parse::<u64>().ok());
    let bytes = bytes.ok_or_else(|| Problem::of_status(Status::LengthRequired))?;
    let most = Site::of(request).map_or(0, |site| u64::from(site.config.backup.upload_mb_max) << 20);
    if bytes > most.saturating_add(FORM_BYTES) {
        let words =
            "It is larger than backup.upload_mb_max. Restore it on the server: hallpass restore FILE.";
        return Err(Problem::of_status(Status::PayloadTooLarge).detail(words));
    }
    let code = visitor.code.ok_or(Refusal::InvalidCode)?;
    auth.try_code(code, visitor.client.address).await?;
    Ok(auth.begin_restore(code, bytes).await?)
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Permit {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match permit(request).await {
            Ok(restoring) => Outcome::Success(Self(Mutex::new(Some(restoring)))),
            Err(problem) => Outcome::Error((problem.leave(request), ())),
        }
    }
}

#[derive(FromForm)]
struct Fields<'r> {
    token: Option<&'r str>,
    passphrase: Option<&'r str>,
    backup: Option<TempFile<'r>>,
}

/// The form as it came, in bounded time.
struct Upload<'r>(Fields<'r>);

#[rocket::async_trait]
impl<'r> FromData<'r> for Upload<'r> {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        if !request.content_type().is_some_and(|kind| kind.is_form_data()) {
            let problem = Problem::of_status(Status::UnsupportedMediaType)
                .detail("Send the form with Content-Type: multipart/form-data.");
            return data::Outcome::Error((problem.leave(request), ()));
        }
        let read = Form::<Fields<'r>>::from_data(request, data);
        let problem = match timeout(Duration::from_secs(UPLOAD_SECONDS_MAX), read).await {
            Ok(data::Outcome::Success(form)) => return data::Outcome::Success(Self(form.into_inner())),
            Ok(data::Outcome::Error((Status::PayloadTooLarge, _))) => {
                Problem::of_status(Status::PayloadTooLarge)
            }
            Ok(_) => {
                Problem::of_status(Status::BadRequest).detail("The upload broke off, or is no such form.")
            }
            Err(_) => Problem::of_status(Status::RequestTimeout),
        };
        data::Outcome::Error((problem.leave(request), ()))
    }
}

#[post("/setup/restore", data = "<upload>")]
async fn restore(
    auth: &Verbs,
    site: &Shell,
    visitor: Visitor<'_>,
    _wire: Confidential,
    permit: Permit,
    upload: Upload<'_>,
) -> Answer {
    let done = match permit.0.into_inner() {
        Some(restoring) => carry_out(auth, &visitor, restoring, &upload.0).await,
        None => Err(Problem::of_status(Status::BadRequest)),
    };
    match done {
        Ok(report) => {
            let page = Page::render(site, "restored.html", context(&report))?;
            // What has begun is answered, this page too; then the program starts anew and moves the store in.
            Ok(page.header(visitor.style.clear(CODE_COOKIE)))
        }
        Err(problem) => form_again(auth, site, &visitor, problem),
    }
}

async fn carry_out(
    auth: &Verbs,
    visitor: &Visitor<'_>,
    restoring: Restoring,
    fields: &Fields<'_>,
) -> Result<Report, Problem> {
    if !visitor.was_served_with(auth, fields.token) {
        return Err(stale_form());
    }
    let file = fields.backup.as_ref().filter(|file| file.len() > 0).and_then(|file| file.path());
    let file = file.ok_or_else(|| missing("backup", "Choose the file of a backup."))?;
    let secret = fields.passphrase.filter(|text| !text.is_empty()).map(BackupSecret::passphrase);
    let secret = secret.transpose().map_err(|words| missing("passphrase", words))?;
    Ok(auth.restore_upload(restoring, file, secret).await?)
}

fn context(report: &Report) -> serde_json::Value {
    json!({
        "made_at": report.made_at.to_words(), "users": report.users, "apps": report.suspended_apps,
        "other_key": !report.same_key, "compared": matches!(report.before, Before::Compared(_)),
    })
}
