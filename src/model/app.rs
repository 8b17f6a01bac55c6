//! Apps: what OAuth calls clients. An app picks the strategy by which its users stay signed in.

use crate::model::claims::{ACCESS_TOKEN_LIFE_MINUTES_MAX, Algorithm};
use crate::model::{AppId, Digest, SecretId, Time};
use serde::{Deserialize, Serialize};

/// How many secrets a confidential app may have at a time: the old and the new one of a change.
pub const SECRETS_MAX: usize = 2;
pub const ORIGINS_MAX: usize = 20;
/// The longest life of an access token of a `jwt` app.
const STATELESS_LIFE_MINUTES_MAX: u32 = 30;

/// How an app's users stay signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Opaque id in a cookie or as bearer; looked up at every check.
    Session,
    /// Access token and nothing on the server but the blacklist.
    Jwt,
    /// Access token bound to a session that is looked up at every check.
    Tracked,
    /// Short access token and a refresh token rotated on every use.
    Refresh,
}

impl Strategy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Jwt => "jwt",
            Self::Tracked => "tracked",
            Self::Refresh => "refresh",
        }
    }

    /// The longest life of its access tokens. What nothing but the blacklist ends must not live long.
    pub const fn access_minutes_max(self) -> u32 {
        match self {
            Self::Jwt => STATELESS_LIFE_MINUTES_MAX,
            Self::Session | Self::Tracked | Self::Refresh => ACCESS_TOKEN_LIFE_MINUTES_MAX,
        }
    }
}

/// What makes two presentations of one refresh token come from the same place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplayMatch {
    #[default]
    #[serde(rename = "network+agent")]
    NetworkAndAgent,
    #[serde(rename = "agent")]
    Agent,
    #[serde(rename = "none")]
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStanding {
    Enabled,
    /// A pause: its sessions are refused meanwhile.
    Disabled,
    /// A tombstone for ever: a new app of the same id would revive the old one's tokens.
    Deleted,
}

/// How long things of an app live, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Access tokens; at most [`ACCESS_TOKEN_LIFE_MINUTES_MAX`].
    pub access_minutes: u32,
    /// `session`: without a request; `refresh`: without a rotation; `tracked` has no idle end.
    pub idle_minutes: u32,
    /// A session, whatever happens.
    pub absolute_minutes: u32,
    /// The same when the user asked to be remembered.
    pub remember_minutes: u32,
}

impl Lifetimes {
    /// The longest a session may live: a year.
    pub const ABSOLUTE_MINUTES_MAX: u32 = 366 * 24 * 60;

    /// The first field out of its bounds, with the reason in public words.
    pub fn fault(&self, strategy: Strategy) -> Option<(&'static str, String)> {
        let range = |value: u32, max: u32| !(1..=max).contains(&value);
        let (long, access_max) = (Self::ABSOLUTE_MINUTES_MAX, strategy.access_minutes_max());
        if range(self.access_minutes, access_max) {
            return Some(("access_minutes", format!("1 to {access_max} minutes")));
        }
        [
            ("idle_minutes", self.idle_minutes),
            ("absolute_minutes", self.absolute_minutes),
            ("remember_minutes", self.remember_minutes),
        ]
        .into_iter()
        .find(|(_, value)| range(*value, long))
        .map(|(field, _)| (field, format!("1 to {long} minutes")))
    }
}

/// One of a confidential app's secrets, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    pub id: SecretId,
    pub digest: Digest,
    pub created_at: Time,
    /// Refused until an administrator confirms it: it may have been removed since the backup that brought it back.
    #[serde(default)]
    pub suspended: bool,
}

/// An app's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub id: AppId,
    pub name: String,
    pub strategy: Strategy,
    /// Confidential apps have secrets and authenticate themselves (RFC 6749 section 2.1).
    pub confidential: bool,
    /// `aud` of its access tokens.
    pub audience: String,
    pub algorithm: Algorithm,
    pub lifetimes: Lifetimes,
    /// Browser origins that may call with its cookie.
    pub origins: Vec<String>,
    pub replay_match: ReplayMatch,
    /// Whether its credentials open the appliance's own API.
    pub appliance_access: bool,
    pub standing: AppStanding,
    /// The two that are there from the start cannot be deleted.
    pub built_in: bool,
    pub secrets: Vec<ClientSecret>,
    pub created_at: Time,
}

impl App {
    pub const DEFAULT: &str = "default";
    pub const APPLIANCE: &str = "hallpass";
}

/// An origin as browsers send it: scheme and host, perhaps a port, nothing else. `None` for anything else.
pub fn parse_origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !matches!(scheme, "http" | "https") || rest.is_empty() || text.len() > 300 {
        return None;
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let named =
        || host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    let host_ok = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && named(),
    };
    let default_port = if scheme == "http" { "80" } else { "443" };
    let port_ok = port.is_none_or(|p| {
        p != default_port
            && !p.starts_with('0')
            && p.bytes().all(|b| b.is_ascii_digit())
            && p.parse::<u16>().is_ok()
    });
    (host_ok && port_ok).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_only() {
        for bad in [
            "null",
            "*",
            "https://",
            "https://*",
            "https://a.example/",
            "https://a.example/x",
            "https://u@a.example",
            "https://A.example",
            "ftp://a.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://a:0",
            "https://a:99999",
            "https://a:+1",
            "https://a b",
            "https://[::1",
            "a.example",
            "https://a.example?",
        ] {
            assert_eq!(parse_origin(bad), None, "{bad}");
        }
        for good in ["https://a.example", "http://localhost:3000", "https://[::1]:8443", "http://[::1]"] {
            assert!(parse_origin(good).is_some(), "{good}");
        }
    }

    #[test]
    fn an_access_token_lives_twelve_hours_at_most_and_a_stateless_one_half_an_hour() {
        let lives = |access_minutes, idle_minutes| Lifetimes {
            access_minutes,
            idle_minutes,
            absolute_minutes: 1,
            remember_minutes: 1,
        };
        for (strategy, max) in [(Strategy::Tracked, 720), (Strategy::Refresh, 720), (Strategy::Jwt, 30)] {
            assert_eq!(lives(max + 1, 1).fault(strategy).unwrap().0, "access_minutes");
            assert_eq!(lives(0, 1).fault(strategy).unwrap().0, "access_minutes");
            assert_eq!(lives(max, 1).fault(strategy), None);
            assert_eq!(lives(max, 0).fault(strategy).unwrap().0, "idle_minutes");
        }
    }
}
