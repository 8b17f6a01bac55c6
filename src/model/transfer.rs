//! The lines of an export: what each may hold. `docs/export.md` describes them for those who write such files.
//!
//! A line is a JSON object; its `type` says which. A header comes first and an end last, so that a file that broke off
//! is noticed.

use crate::model::app::{App, AppStanding, ClientSecret, Lifetimes, ReplayMatch, Strategy};
use crate::model::claims::Algorithm;
use crate::model::misfit::{self, Misfit, NoFit};
use crate::model::user::{Role, Standing, User};
use crate::model::{AppId, Digest, SecretId, Time, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The only one so far. A field more is a new one, as unknown fields are refused.
pub const SCHEMA: u32 = 1;
/// Longer lines are not read: a user in fifty groups of the longest names has a quarter of it.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    Header(Header),
    App(Box<AppLine>),
    User(Box<UserLine>),
    End(End),
}

/// What the file is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    #[serde(rename = "type", skip_serializing)]
    _type: IgnoredAny,
    pub schema: u32,
    pub made_by: Option<String>,
    pub made_at: Option<Stamp>,
    pub warning: Option<String>,
}

/// How many lines of each type there were.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    #[serde(rename = "type", skip_serializing)]
    _type: IgnoredAny,
    pub apps: Option<u64>,
    pub users: Option<u64>,
}

/// Whether a user or an app may act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Enabled,
    Disabled,
}

/// A user with the password's hash. Groups are names on users.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLine {
    #[serde(rename = "type", skip_serializing)]
    _type: IgnoredAny,
    pub id: Option<UserId>,
    pub login: String,
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    pub name: String,
    #[serde(default = "user_role")]
    pub role: Role,
    #[serde(default)]
    pub state: State,
    #[serde(default)]
    pub groups: Vec<String>,
    pub created_at: Option<Stamp>,
    pub password_changed_at: Option<Stamp>,
    pub password_hash: Option<HashText>,
}

const fn user_role() -> Role {
    Role::User
}

/// An app with all its settings. Of a client secret only the digest exists.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppLine {
    #[serde(rename = "type", skip_serializing)]
    _type: IgnoredAny,
    pub id: AppId,
    pub strategy: Strategy,
    #[serde(default)]
    pub confidential: bool,
    pub name: Option<String>,
    pub audience: Option<String>,
    pub algorithm: Option<Algorithm>,
    pub access_minutes: Option<u32>,
    pub idle_minutes: Option<u32>,
    pub absolute_minutes: Option<u32>,
    pub remember_minutes: Option<u32>,
    pub origins: Option<Vec<String>>,
    pub replay_match: Option<ReplayMatch>,
    pub appliance_access: Option<bool>,
    #[serde(default)]
    pub state: State,
    pub created_at: Option<Stamp>,
    #[serde(default)]
    pub secrets: Vec<SecretLine>,
}

/// A client secret: SHA-256 of its 32 random bytes, from which nobody computes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretLine {
    pub id: SecretId,
    pub sha256: Sha256,
    pub created_at: Stamp,
    #[serde(default)]
    pub suspended: bool,
}

/// A time in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stamp(pub Time);

impl TryFrom<String> for Stamp {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Time::from_rfc3339(&text).map(Self).ok_or("expected a time like 2026-11-24T08:30:00Z")
    }
}

impl From<Stamp> for String {
    fn from(stamp: Stamp) -> String {
        stamp.0.to_rfc3339()
    }
}

/// A digest in base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub Digest);

impl TryFrom<String> for Sha256 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64URL.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(Digest(bytes))).ok_or("expected 32 bytes in base64url")
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> String {
        BASE64URL.encode(digest.0.0)
    }
}

/// A password's hash on its way: never in a Debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HashText(pub String);

impl fmt::Debug for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashText")
    }
}

impl Line {
    /// The first line of an export.
    pub fn header(now: Time) -> Self {
        Self::Header(Header {
            _type: IgnoredAny,
            schema: SCHEMA,
            made_by: Some(concat!("hallpass ", env!("CARGO_PKG_VERSION")).into()),
            made_at: Some(Stamp(now)),
            warning: Some("This file holds password hashes: keep it as safe as the data directory.".into()),
        })
    }

    /// The last line of an export.
    pub fn end(apps: u64, users: u64) -> Self {
        Self::End(End { _type: IgnoredAny, apps: Some(apps), users: Some(users) })
    }

    /// `None` for a deleted one. Epoch and password generation are not told: nothing issued here is good elsewhere.
    pub fn user(user: &User, phc: Option<String>) -> Option<Self> {
        // Taken apart whole, so that a field that is added there is thought of here.
        let User {
            id,
            login,
            email,
            email_verified,
            name,
            role,
            groups,
            standing,
            epoch: _,
            cut: _,
            password_generation: _,
            password_changed_at,
            created_at,
        } = user;
        let state = match standing {
            Standing::Enabled => State::Enabled,
            Standing::Disabled => State::Disabled,
            Standing::Deleted => return None,
        };
        Some(Self::User(Box::new(UserLine {
            _type: IgnoredAny,
            id: Some(*id),
            login: login.clone(),
            email: email.clone(),
            email_verified: *email_verified,
            name: name.clone(),
            role: *role,
            state,
            groups: groups.clone(),
            created_at: Some(Stamp(*created_at)),
            password_changed_at: password_changed_at.map(Stamp),
            password_hash: phc.map(HashText),
        })))
    }

    /// `None` for a deleted one.
    pub fn app(app: &App) -> Option<Self> {
        let App {
            id,
            name,
            strategy,
            confidential,
            audience,
            algorithm,
            lifetimes: Lifetimes { access_minutes, idle_minutes, absolute_minutes, remember_minutes },
            origins,
            replay_match,
            appliance_access,
            standing,
            // An id says it.
            built_in: _,
            secrets,
            created_at,
        } = app;
        let state = match standing {
            AppStanding::Enabled => State::Enabled,
            AppStanding::Disabled => State::Disabled,
            AppStanding::Deleted => return None,
        };
        let secret = |ClientSecret { id, digest, created_at, suspended }: &ClientSecret| SecretLine {
            id: *id,
            sha256: Sha256(*digest),
            created_at: Stamp(*created_at),
            suspended: *suspended,
        };
        Some(Self::App(Box::new(AppLine {
            _type: IgnoredAny,
            id: id.clone(),
            strategy: *strategy,
            confidential: *confidential,
            name: Some(name.clone()),
            audience: Some(audience.clone()),
            algorithm: Some(*algorithm),
            access_minutes: Some(*access_minutes),
            idle_minutes: Some(*idle_minutes),
            absolute_minutes: Some(*absolute_minutes),
            remember_minutes: Some(*remember_minutes),
            origins: Some(origins.clone()),
            replay_match: Some(*replay_match),
            appliance_access: Some(*appliance_access),
            state,
            created_at: Some(Stamp(*created_at)),
            secrets: secrets.iter().map(secret).collect(),
        })))
    }

    /// Writes the line, its line break included.
    pub fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).expect("our lines hold nothing that JSON cannot say");
        out.push(b'\n');
    }

    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, never with a part of its values.
    pub fn read(text: &[u8]) -> Result<Self, Misfit> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
            schema: Option<u32>,
        }
        let text = std::str::from_utf8(text).map_err(|_| not_utf8())?.as_bytes();
        // The type alone first: a tagged enum of serde's would forget where in the line a fault is.
        let Kind { r#type, schema } = misfit::read(text).map_err(said)?;
        match r#type.as_str() {
            "header" if schema.is_some_and(|schema| schema != SCHEMA) => {
                return Err(Misfit::new(
                    "schema",
                    "schema_unknown",
                    format!("This program reads schema {SCHEMA}."),
                ));
            }
            "header" => misfit::read(text).map(Self::Header),
            "app" => misfit::read(text).map(Self::App),
            "user" => misfit::read(text).map(Self::User),
            "end" => misfit::read(text).map(Self::End),
            _ => return Err(Misfit::new("type", "unknown_type", "One of header, app, user, end.")),
        }
        .map_err(said)
    }

    /// Reads a line of an htpasswd file: a login and a hash, or `None` for a comment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_htpasswd(text: &[u8]) -> Result<Option<Self>, Misfit> {
        let text = std::str::from_utf8(text).map_err(|_| not_utf8())?;
        if text.starts_with('#') {
            return Ok(None);
        }
        let (login, hash) =
            text.split_once(':').ok_or_else(|| Misfit::new("", "malformed", "Expected login:hash"))?;
        Ok(Some(Self::User(Box::new(UserLine {
            _type: IgnoredAny,
            id: None,
            login: login.to_owned(),
            email: None,
            email_verified: false,
            name: String::new(),
            role: Role::User,
            state: State::Enabled,
            groups: Vec::new(),
            created_at: None,
            password_changed_at: None,
            password_hash: Some(HashText(hash.trim_ascii_end().to_owned())),
        }))))
    }
}

fn not_utf8() -> Misfit {
    Misfit::new("", "not_utf8", "This is not UTF-8.")
}

fn said(no_fit: NoFit) -> Misfit {
    match no_fit {
        NoFit::Malformed { column, .. } => {
            Misfit::new("", "malformed_json", format!("This is no JSON: it breaks at column {column}."))
        }
        // Whoever wrote the file chose the name, and it goes to a terminal.
        NoFit::Misfit(misfit) => {
            let field = misfit.field.chars().filter(|c| !c.is_control()).take(FIELD_LENGTH_MAX).collect();
            Misfit { field, ..misfit }
        }
    }
}

/// No field of ours has a longer name.
const FIELD_LENGTH_MAX: usize = 64;
