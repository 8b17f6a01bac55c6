//! The rotation rule: two tabs or a lost reply sign nobody out, and a thief's replay is noticed.
//!
//! Refresh tokens of one session form a chain. A token is *fresh* until its first use, then *spent*, with one
//! current successor; a successor that was never used and had to be replaced is *superseded*.

use crate::model::app::ReplayMatch;
use crate::model::ended::EndedReason;
use crate::model::network::Network;
use crate::model::time::SECOND_MS;
use crate::model::{AppId, Digest, SessionId, Time};
use serde::{Deserialize, Serialize};

/// How long after an answer the same presentation from the same place gets the same successor again.
pub const REPLAY_WINDOW_SECONDS: i64 = 30;
/// How often one token's unused successor may be replaced before it looks like an attack.
pub const REISSUES_MAX: u8 = 5;
/// How much of a user agent is kept and compared, in bytes.
pub const AGENT_BYTES_MAX: usize = 200;

/// What the digest of a refresh token leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshCredential {
    pub session: SessionId,
    pub app: AppId,
    /// The session's epoch at its issue: a session re-opened under a later one has a new chain.
    pub epoch: u32,
    pub state: RefreshState,
    /// The token that this one succeeded; its nonce is erased when this one is used.
    pub parent: Option<Digest>,
    /// 1 for the token of the sign-in, one more at every rotation.
    pub generation: u32,
    pub idle_ends_at: Time,
    pub ends_at: Time,
}

impl RefreshCredential {
    /// Whether presenting it could still give a pair: it is fresh, or nobody has used its successor.
    pub fn is_current(&self) -> bool {
        match &self.state {
            RefreshState::Fresh => true,
            RefreshState::Spent(spent) => spent.nonce.is_some(),
            RefreshState::Superseded => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshState {
    Fresh,
    Spent(Spent),
    Superseded,
}

/// What is remembered of a spent token's last answer that created its current successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub successor: Digest,
    /// Gives the successor again together with the token; erased when the successor is used or superseded.
    #[serde(with = "serde_bytes")]
    pub nonce: Option<Vec<u8>>,
    pub answered_at: Time,
    pub place: Place,
    pub reissues: u8,
}

/// Where a presentation came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub network: Network,
    pub agent: String,
}

impl Place {
    pub fn new(network: Network, agent: &str) -> Self {
        let mut end = agent.len().min(AGENT_BYTES_MAX);
        while !agent.is_char_boundary(end) {
            end -= 1;
        }
        Self { network, agent: agent[..end].to_owned() }
    }

    fn matches(&self, other: &Self, rule: ReplayMatch) -> bool {
        match rule {
            ReplayMatch::NetworkAndAgent => self == other,
            ReplayMatch::Agent => self.agent == other.agent,
            ReplayMatch::None => true,
        }
    }
}

/// What to do with a presented refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another app presents it.
    WrongApp,
    /// Its session is over.
    SessionOver(EndedReason),
    /// It was not used for too long.
    IdleExpired,
    /// It becomes spent, a successor is fresh.
    Rotate,
    /// The same successor again.
    Repeat,
    /// The unused successor becomes superseded, a new one is fresh.
    Reissue,
    /// Reissued too often: refused, with an alarm.
    ReissuedTooOften,
    /// Two holders of one chain: the session ends.
    Reuse,
}

/// A presentation of a known token, with all that the rule looks at.
pub struct Presented<'a> {
    pub token: &'a RefreshCredential,
    /// The record of its current successor, where it has one.
    pub successor: Option<&'a RefreshState>,
    pub app: &'a AppId,
    pub session_over: Option<EndedReason>,
    pub place: &'a Place,
    pub replay_match: ReplayMatch,
    pub now: Time,
}

/// The rotation rule. Rows are tried in this order.
pub fn decide(p: &Presented) -> Verdict {
    if p.token.app != *p.app {
        return Verdict::WrongApp;
    }
    if let Some(reason) = p.session_over {
        return Verdict::SessionOver(reason);
    }
    if p.token.idle_ends_at <= p.now {
        return Verdict::IdleExpired;
    }
    let spent = match &p.token.state {
        RefreshState::Fresh => return Verdict::Rotate,
        RefreshState::Superseded => return Verdict::Reuse,
        RefreshState::Spent(spent) => spent,
    };
    match p.successor {
        Some(RefreshState::Fresh) => {}
        // A successor that is missing cannot be told from one that was used.
        Some(RefreshState::Spent(_) | RefreshState::Superseded) | None => return Verdict::Reuse,
    }
    // A clock that jumped backwards does not open the window again.
    let since_ms = p.now.since_ms(spent.answered_at);
    let in_window = (0..REPLAY_WINDOW_SECONDS * SECOND_MS).contains(&since_ms);
    if in_window && spent.place.matches(p.place, p.replay_match) {
        Verdict::Repeat
    } else if spent.reissues >= REISSUES_MAX {
        Verdict::ReissuedTooOften
    } else {
        Verdict::Reissue
    }
}

#[cfg(test)]
#[path = "refresh/tests.rs"]
mod tests;
