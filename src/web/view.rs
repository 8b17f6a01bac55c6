//! How things look as JSON. Times are RFC 3339 in UTC.

use crate::auth::Auth;
use crate::auth::backup::BackupInfo;
use crate::auth::backup::files::Verdict;
use crate::auth::import::{Count, RefusedLine, Report};
use crate::auth::sessions::Shown;
use crate::model::app::{App, AppStanding};
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::key::{KeyRecord, KeyState};
use crate::model::misfit::Misfit;
use crate::model::session::{Ended, Session};
use crate::model::user::{Actor, Role, Roster, Standing, User};
use crate::model::{SessionId, Time, UserId};
use crate::store::backup::SealedBy;
use serde::Serialize;
use serde_json::{Value, json};

/// A time as text.
#[derive(Serialize)]
#[serde(transparent)]
pub struct At(String);

impl From<Time> for At {
    fn from(time: Time) -> Self {
        Self(time.to_rfc3339())
    }
}

#[derive(Serialize)]
pub struct UserView<'a> {
    id: UserId,
    login: &'a str,
    email: Option<&'a str>,
    email_verified: bool,
    name: &'a str,
    role: Role,
    groups: &'a [String],
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            login: &user.login,
            email: user.email.as_deref(),
            email_verified: user.email_verified,
            name: &user.name,
            role: user.role,
            groups: &user.groups,
        }
    }
}

#[derive(Serialize)]
pub struct SessionView<'a> {
    id: SessionId,
    app: &'a str,
    strategy: &'static str,
    device: &'a str,
    device_kind: crate::model::device::DeviceKind,
    address: &'a str,
    network: String,
    opened_at: At,
    last_seen_at: At,
    idle_expires_at: Option<At>,
    expires_at: At,
    ended_at: Option<At>,
    ended_reason: Option<&'static str>,
    state: &'static str,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl<'a> SessionView<'a> {
    /// `current`: it is the caller's own.
    pub fn new(session: &'a Session, last_seen: Time, ended: Option<&Ended>, current: bool) -> Self {
        Self {
            id: session.id,
            app: session.app.as_str(),
            strategy: session.strategy.as_str(),
            device: &session.device,
            device_kind: session.device_kind,
            address: &session.address,
            network: session.network.to_string(),
            opened_at: session.opened_at.into(),
            last_seen_at: last_seen.into(),
            idle_expires_at: session.idle_ends_at(last_seen).map(|end| end.min(session.ends_at).into()),
            expires_at: session.ends_at.into(),
            ended_at: ended.map(|ended| ended.at.into()),
            ended_reason: ended.map(|ended| ended.reason.as_str()),
            state: if ended.is_some() { "ended" } else { "live" },
            current,
            data: None,
        }
    }

    /// With the custom data of its app.
    pub fn with_data(mut self, session: &Session) -> Self {
        self.data = session.data.as_deref().and_then(|json| serde_json::from_str(json).ok());
        self
    }
}

/// A session as administrators see it: with its user, and who ended it.
pub fn admin_session(auth: &Auth, shown: &Shown, own: Option<SessionId>) -> Value {
    let session = &shown.session;
    let view = SessionView::new(session, shown.last_seen, shown.ended.as_ref(), own == Some(session.id));
    let mut value = json!(view.with_data(session));
    value["user"] = match auth.user(&session.user) {
        Some(user) => {
            let user = &user.value;
            json!({ "id": user.id, "login": user.login, "name": user.name, "email": user.email })
        }
        None => json!({ "id": session.user, "login": null, "name": null, "email": null }),
    };
    value["ended_by"] = shown.ended.as_ref().map_or(Value::Null, |ended| actor(auth, ended.by));
    value
}

/// A session as its owner sees it: an administrator who ended it is not named.
pub fn own_session(auth: &Auth, shown: &Shown, own: Option<SessionId>) -> Value {
    let session = &shown.session;
    let view = SessionView::new(session, shown.last_seen, shown.ended.as_ref(), own == Some(session.id));
    let mut value = json!(view);
    value["ended_by"] = match shown.ended.as_ref().map(|ended| ended.by) {
        None => Value::Null,
        Some(Actor::User(id)) if id != session.user => {
            json!({ "kind": "administrator", "id": null, "login": null })
        }
        Some(by) => actor(auth, by),
    };
    value
}

/// Who did it.
pub fn actor(auth: &Auth, by: Actor) -> Value {
    match by {
        Actor::User(id) => {
            let login = auth.user(&id).map(|user| user.value.login.clone());
            json!({ "kind": "user", "id": id, "login": login })
        }
        Actor::Console => json!({ "kind": "console", "id": null, "login": null }),
        Actor::System => json!({ "kind": "system", "id": null, "login": null }),
    }
}

/// A user as administrators see them.
pub fn admin_user(user: &User, roster: &Roster) -> Value {
    let mut value = json!(UserView::from(user));
    value["state"] = json!(match user.standing {
        Standing::Enabled => "enabled",
        Standing::Disabled => "disabled",
        Standing::Deleted => "deleted",
    });
    value["created_at"] = json!(At::from(user.created_at));
    value["password_changed_at"] = json!(user.password_changed_at.map(At::from));
    value["last_sign_in_at"] = json!(roster.last_sign_in_at.map(At::from));
    value["live_sessions"] = json!(roster.live);
    value
}

pub fn app(app: &App, secrets: Vec<Value>) -> Value {
    json!({
        "id": app.id, "name": app.name, "strategy": app.strategy, "confidential": app.confidential,
        "audience": app.audience, "algorithm": app.algorithm,
        "access_minutes": app.lifetimes.access_minutes, "idle_minutes": app.lifetimes.idle_minutes,
        "absolute_minutes": app.lifetimes.absolute_minutes, "remember_minutes": app.lifetimes.remember_minutes,
        "origins": app.origins, "replay_match": app.replay_match, "appliance_access": app.appliance_access,
        "state": if app.standing == AppStanding::Enabled { "enabled" } else { "disabled" },
        "built_in": app.built_in, "secrets": secrets, "created_at": At::from(app.created_at),
    })
}

pub fn key(key: &KeyRecord) -> Value {
    let (state, retires_at) = match key.state {
        KeyState::Next => ("next", None),
        KeyState::Active => ("active", None),
        KeyState::Retiring { until } => ("retiring", Some(At::from(until))),
        KeyState::Retired { at } => ("retired", Some(At::from(at))),
    };
    json!({
        "kid": key.kid, "algorithm": key.algorithm, "state": state,
        "created_at": At::from(key.created_at), "signs_from": At::from(key.signs_from), "retires_at": retires_at,
    })
}

pub fn backup(info: &BackupInfo) -> Value {
    let (verified, at, fault) = match &info.verdict {
        None => ("pending", None, None),
        Some(Verdict { at, fault: None }) => ("yes", Some(At::from(*at)), None),
        Some(Verdict { at, fault }) => ("no", Some(At::from(*at)), fault.as_deref()),
    };
    json!({
        "name": info.name.to_string(), "kind": info.name.kind.as_str(), "made_at": At::from(info.name.made_at),
        "bytes": info.bytes,
        "encrypted": info.sealed_by.map(|by| match by {
            SealedBy::Passphrase { .. } => "passphrase",
            SealedBy::KeyFile => "key_file",
        }),
        "verified": verified, "verified_at": at, "fault": fault,
    })
}

/// An entry's id in URLs: `kind-subject`.
pub fn entry_id(target: &Target) -> String {
    format!("{}-{}", target.kind(), subject(target))
}

fn subject(target: &Target) -> String {
    use base64::Engine as _;
    match target {
        Target::Token(id) => id.to_string(),
        Target::Session(id) => id.to_string(),
        Target::User(id) => id.to_string(),
        Target::Key(thumbprint) => base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(thumbprint),
    }
}

pub fn blacklist_entry(auth: &Auth, entry: &BlacklistEntry) -> Value {
    let user = entry
        .user
        .map(|id| json!({ "id": id, "login": auth.user(&id).map(|user| user.value.login.clone()) }));
    json!({
        "id": entry_id(&entry.target), "kind": entry.target.kind(), "subject": subject(&entry.target),
        "user": user, "reason": entry.reason, "by": actor(auth, entry.by),
        "at": At::from(entry.at), "until": At::from(entry.until), "manual": entry.manual,
    })
}

/// A line of an import that was refused, with every reason.
pub fn refused_line(refused: &RefusedLine) -> Value {
    let reason =
        |reason: &Misfit| json!({ "field": reason.field, "code": reason.code, "message": reason.message });
    json!({ "line": refused.line, "reasons": refused.reasons.iter().map(reason).collect::<Vec<_>>() })
}

pub fn import_report(report: &Report) -> Value {
    let count = |count: Count| json!({ "imported": count.imported, "skipped": count.skipped });
    json!({
        "dry_run": report.dry_run, "lines": report.lines, "users": count(report.users), "apps": count(report.apps),
        "refused": report.refused,
    })
}
