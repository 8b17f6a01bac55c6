//! A session: one sign-in of one user on one device for one app, the root of every credential handed out for it.

use crate::model::app::{App, AppStanding, Strategy};
use crate::model::device::DeviceKind;
pub use crate::model::ended::EndedReason;
use crate::model::network::Network;
use crate::model::time::MINUTE_MS;
use crate::model::user::{Actor, Standing, User};
use crate::model::{AppId, SessionId, Time, UserId};
use serde::{Deserialize, Serialize};

/// How long a cookie replaced by a step-up still answers, without the new privilege.
pub const REPLACED_ANSWERS_SECONDS: i64 = 30;
/// How large custom session data may be, as JSON.
pub const DATA_BYTES_MAX: usize = 4096;

/// When, how and by whom a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub at: Time,
    pub reason: EndedReason,
    pub by: Actor,
}

/// A session's record. When it was last seen lies in a table of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub app: AppId,
    pub strategy: Strategy,
    /// The user's epoch that it was opened under.
    pub epoch: u32,
    pub opened_at: Time,
    pub ends_at: Time,
    /// 0: no idle end.
    pub idle_minutes: u32,
    /// When the holder of its cookie or refresh token proved the password; access tokens carry it as `auth_time`.
    /// What a step-up gives lies in the new credential alone.
    pub proven_at: Time,
    pub device: String,
    pub device_kind: DeviceKind,
    pub address: String,
    pub network: Network,
    /// Custom data of the app: a JSON object's text, and the number that `If-Match` compares.
    pub data: Option<String>,
    pub data_revision: u32,
    pub ended: Option<Ended>,
}

impl Session {
    /// When it ends for want of use, if it does at all.
    pub fn idle_ends_at(&self, last_seen: Time) -> Option<Time> {
        (self.idle_minutes > 0).then(|| last_seen.plus_ms(i64::from(self.idle_minutes) * MINUTE_MS))
    }

    /// Whether it is over, and how. The one rule: checks, lists, refresh and the sweep all ask here.
    pub fn over(&self, last_seen: Time, user: Option<&User>, app: Option<&App>, now: Time) -> Option<Ended> {
        if let Some(ended) = &self.ended {
            return Some(ended.clone());
        }
        let by_system = |reason, at| Some(Ended { at, reason, by: Actor::System });
        let Some(user) = user.filter(|user| user.standing != Standing::Deleted) else {
            return by_system(EndedReason::UserDeleted, now);
        };
        if self.epoch < user.epoch {
            return match &user.cut {
                Some(cut) => Some(Ended { at: cut.at, reason: cut.reason, by: cut.by }),
                None => by_system(EndedReason::Revoked, now),
            };
        }
        if user.standing == Standing::Disabled {
            return by_system(EndedReason::UserDisabled, now);
        }
        match app.map(|app| app.standing) {
            Some(AppStanding::Enabled) => {}
            Some(AppStanding::Disabled) => return by_system(EndedReason::AppDisabled, now),
            Some(AppStanding::Deleted) | None => return by_system(EndedReason::AppDeleted, now),
        }
        if let Some(idle_end) = self.idle_ends_at(last_seen).filter(|end| *end <= now && *end < self.ends_at)
        {
            return by_system(EndedReason::IdleExpired, idle_end);
        }
        (self.ends_at <= now).then_some(Ended {
            at: self.ends_at,
            reason: EndedReason::Expired,
            by: Actor::System,
        })
    }
}

/// What the digest of an opaque secret leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    Session(SessionCredential),
    Refresh(crate::model::refresh::RefreshCredential),
}

impl Credential {
    pub fn session(&self) -> SessionId {
        match self {
            Self::Session(credential) => credential.session,
            Self::Refresh(credential) => credential.session,
        }
    }
}

/// What a `session` app's client holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCredential {
    pub session: SessionId,
    /// The session's epoch at its issue: a session re-opened under a later one has new credentials.
    pub epoch: u32,
    /// When this value's holder proved the password: a value replaced by a step-up keeps the old time.
    pub proven_at: Time,
    /// Set when replaced: it answers until then.
    pub answers_until: Option<Time>,
    pub ends_at: Time,
}

impl SessionCredential {
    pub fn answers(&self, now: Time) -> bool {
        self.answers_until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
#[path = "session/tests.rs"]
mod tests;
