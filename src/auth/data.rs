//! Custom session data: written by the session's app or an administrator, never by the user's own credential.

use crate::auth::check::Admin;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::{Auth, TRIES_MAX};
use crate::model::app::App;
use crate::model::session::{DATA_BYTES_MAX, Session};
use crate::model::{AppId, SessionId};
use crate::store::{Batch, Outcome};

/// Who reads or writes session data.
pub enum DataKeeper<'a> {
    /// The session's own app, proven by its secret.
    App(&'a App),
    Admin(&'a Admin),
}

impl DataKeeper<'_> {
    fn may(&self, app: &AppId) -> bool {
        match self {
            Self::App(own) => own.id == *app,
            Self::Admin(_) => true,
        }
    }
}

/// The data and the number that `If-Match` compares.
pub struct SessionData {
    /// A JSON object's text.
    pub json: Option<String>,
    pub revision: u32,
}

impl Auth {
    /// # Errors
    /// `NotFound` also for another app's sessions.
    pub async fn read_data(&self, by: DataKeeper<'_>, id: &SessionId) -> Verdict<SessionData> {
        let live = self.store.live_session(id).await?.ok_or(Refusal::NotFound)?;
        let session = &live.row.value;
        if !by.may(&session.app) {
            return Err(Refusal::NotFound);
        }
        Ok(SessionData { json: session.data.clone(), revision: session.data_revision })
    }

    /// Replaces the data of a live session. `if_match`: only that revision.
    ///
    /// # Errors
    /// `NotFound`, `SessionEnded`, `PreconditionFailed`; `Invalid` over 4 KiB.
    pub async fn write_data(
        &self,
        by: DataKeeper<'_>,
        id: &SessionId,
        json: &str,
        if_match: Option<u32>,
    ) -> Verdict<SessionData> {
        if json.len() > DATA_BYTES_MAX {
            return Err(Refusal::field("data", "too_large", "At most 4096 bytes of JSON."));
        }
        for _ in 0..TRIES_MAX {
            let live = self.store.live_session(id).await?.ok_or(Refusal::NotFound)?;
            let row = &live.row;
            if !by.may(&row.value.app) {
                return Err(Refusal::NotFound);
            }
            let now = self.clock.now();
            if let Some(ended) = self.shown(row.value.clone(), live.last_seen(), now).ended {
                return Err(Refusal::SessionEnded(ended.reason));
            }
            if if_match.is_some_and(|revision| revision != row.value.data_revision) {
                return Err(Refusal::PreconditionFailed);
            }
            let revision = row.value.data_revision + 1;
            let session =
                Session { data: Some(json.to_owned()), data_revision: revision, ..row.value.clone() };
            let mut batch = Batch::new();
            batch.unchanged(row).put(id, &session);
            if self.store.commit(batch).await? != Outcome::Conflict {
                return Ok(SessionData { json: session.data, revision });
            }
        }
        Err(Refusal::Overloaded)
    }
}
