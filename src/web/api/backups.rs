//! `/api/v1/admin/backups`.

use super::page::page;
use super::{Answer, Verbs};
use crate::auth::backup::secret::BackupSecret;
use crate::auth::check::RecentAdmin;
use crate::auth::{FieldFault, Refusal};
use crate::model::backup::{BackupKind, BackupName};
use crate::web::reply::Reply;
use crate::web::view;
use crate::web::{OptionalJson, Problem};
use rocket::http::ContentType;
use rocket::response::{Responder, Response};
use rocket::tokio::fs::File;
use rocket::{Request, Route, delete, get, post, routes};
use serde::Deserialize;
use std::sync::Arc;
use zeroize::Zeroizing;

pub fn routes() -> Vec<Route> {
    routes![list, make, download, verify, remove]
}

/// Everything else is no backup's name, and names nothing: no path is made of it.
fn name_of(text: &str) -> Result<BackupName, Problem> {
    text.parse().map_err(|_| Refusal::NotFound.into())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    /// Instead of what the configuration encrypts to.
    passphrase: Option<Zeroizing<String>>,
}

impl With {
    fn secret(&self) -> Result<Option<BackupSecret>, Problem> {
        let secret = self.passphrase.as_ref().map(|text| BackupSecret::passphrase(text)).transpose();
        let fault = |words: &str| FieldFault { field: "passphrase", code: "invalid", message: words.into() };
        secret.map_err(|words| Refusal::Invalid(vec![fault(words)]).into())
    }
}

#[get("/api/v1/admin/backups")]
async fn list(auth: &Verbs, admin: RecentAdmin) -> Answer {
    let backups = auth.list_backups(&admin).await?;
    Ok(Reply::json(&page(backups.iter().map(view::backup).collect(), None)))
}

/// Answers once it is on disk; it is checked afterwards, and the list says what came of it.
#[post("/api/v1/admin/backups", data = "<body>")]
async fn make(auth: &Verbs, admin: RecentAdmin, body: OptionalJson<With>) -> Answer {
    let secret = body.0.secret()?;
    let made = auth.make_backup(&admin, BackupKind::Manual, secret.clone()).await?;
    let (auth, name) = (Arc::clone(auth), made.name);
    rocket::tokio::spawn(async move {
        if let Err(refusal) = auth.verify_made(name, secret).await {
            tracing::warn!(event = "backup_not_verified", %name, ?refusal);
        }
    });
    Ok(Reply::created(&view::backup(&made)))
}

/// A file, as it is.
struct Download {
    name: BackupName,
    file: std::fs::File,
    bytes: u64,
}

impl<'r> Responder<'r, 'static> for Download {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        Response::build()
            .header(ContentType::Binary)
            .raw_header("Content-Disposition", format!("attachment; filename=\"{}\"", self.name))
            .sized_body(usize::try_from(self.bytes).ok(), File::from_std(self.file))
            .ok()
    }
}

#[get("/api/v1/admin/backups/<name>")]
async fn download(auth: &Verbs, admin: RecentAdmin, name: &str) -> Result<Download, Problem> {
    let name = name_of(name)?;
    let (file, bytes) = auth.open_backup(&admin, name).await?;
    Ok(Download { name, file, bytes })
}

#[post("/api/v1/admin/backups/<name>/verify", data = "<body>")]
async fn verify(auth: &Verbs, admin: RecentAdmin, name: &str, body: OptionalJson<With>) -> Answer {
    let (name, secret) = (name_of(name)?, body.0.secret()?);
    Ok(Reply::json(&view::backup(&auth.verify_backup(&admin, name, secret).await?)))
}

#[delete("/api/v1/admin/backups/<name>")]
async fn remove(auth: &Verbs, admin: RecentAdmin, name: &str) -> Answer {
    auth.remove_backup(&admin, name_of(name)?).await?;
    Ok(Reply::no_content())
}
