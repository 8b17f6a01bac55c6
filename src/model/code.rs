//! One-time codes: what the set-up link and the password-reset link carry.

use crate::model::{Time, UserId};
use serde::{Deserialize, Serialize};

/// How long a code lives.
pub const CODE_LIFE_MINUTES: u32 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// Make the first administrator.
    SetUp,
    /// Choose a new password.
    ResetPassword(UserId),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    pub purpose: CodePurpose,
    pub ends_at: Time,
}
