//! Unfinished work over many records. The decision is durable before the answer; the rest is done in slices.

use crate::model::app::Strategy;
use crate::model::network::Network;
use crate::model::session::EndedReason;
use crate::model::user::Actor;
use crate::model::{AppId, JobId, SessionId, Time, UserId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub work: Work,
    pub by: Actor,
    pub at: Time,
    /// Sessions up to this one are done; newest first.
    pub cursor: Option<SessionId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Marks the sessions that an epoch already cut.
    EndOfUser { user: UserId, below_epoch: u32, reason: EndedReason },
    /// Ends all live sessions that match and were opened before the job. The note goes into the blacklist.
    EndMatching { filter: SessionFilter, except: Option<SessionId>, note: String },
    /// Ends everything of everybody. Users up to this one are cut; all else is done before them.
    EndEverything { cut_up_to: Option<UserId> },
    /// Marks the sessions that their users' epochs already cut.
    MarkCut { reason: EndedReason },
}

/// Which sessions are meant. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFilter {
    pub user: Option<UserId>,
    pub app: Option<AppId>,
    pub strategy: Option<Strategy>,
    pub network: Option<Network>,
}

impl SessionFilter {
    pub fn matches(&self, session: &crate::model::session::Session) -> bool {
        self.user.is_none_or(|user| session.user == user)
            && self.app.as_ref().is_none_or(|app| session.app == *app)
            && self.strategy.is_none_or(|strategy| session.strategy == strategy)
            && self.network.is_none_or(|network| session.network == network)
    }
}
