//! People and machines with a login.

use crate::model::ended::EndedReason;
use crate::model::{Time, UserId};
use serde::{Deserialize, Serialize};

/// How many groups a user may be in, and how long a group's name may be in characters.
pub const GROUPS_MAX: usize = 50;
pub const GROUP_LENGTH_MAX: usize = 64;

/// What a user may do in the appliance itself. What they may do in an app is the app's affair (see groups).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Admin,
    User,
}

/// Whether a user may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Enabled,
    Disabled,
    /// A tombstone: the names are free again, the record stays until its sessions are gone.
    Deleted,
}

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    User(UserId),
    /// The operator at the machine: command line or control socket.
    Console,
    /// The appliance by itself: expiry, set-up, jobs.
    System,
}

/// Why and when the epoch last moved. For display; the epoch alone decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub at: Time,
    pub reason: EndedReason,
    pub by: Actor,
}

/// A user's record. The password's hash lies in a table of its own, so that it never travels with this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub login: String,
    pub email: Option<String>,
    /// Only a verified e-mail is a sign-in name.
    pub email_verified: bool,
    pub name: String,
    pub role: Role,
    pub groups: Vec<String>,
    pub standing: Standing,
    /// Every session and token opened under a lower epoch is over.
    pub epoch: u32,
    pub cut: Option<Cut>,
    /// Moves with every password; device proofs carry it.
    pub password_generation: u32,
    pub password_changed_at: Option<Time>,
    pub created_at: Time,
}

impl User {
    pub fn is_enabled_admin(&self) -> bool {
        self.role == Role::Admin && self.standing == Standing::Enabled
    }

    /// Ends, in constant time, everything opened so far: sessions, refresh families, access tokens.
    pub fn cut(&mut self, reason: EndedReason, by: Actor, now: Time) {
        self.epoch += 1;
        self.cut = Some(Cut { at: now, reason, by });
    }
}

/// The guard record that everything concerning a user's sessions expects and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Sessions of this user not yet marked as ended.
    pub live: u32,
    pub last_sign_in_at: Option<Time>,
}
