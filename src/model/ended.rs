//! The ways in which a session ends, as the API says them.

use serde::{Deserialize, Serialize};

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedReason {
    Logout,
    LogoutOthers,
    LogoutEverywhere,
    Revoked,
    RefreshReused,
    IdleExpired,
    Expired,
    PasswordChanged,
    RoleChanged,
    UserDisabled,
    UserDeleted,
    CutOff,
    AppDisabled,
    AppDeleted,
    SignedInAgain,
    /// Everything of everybody was ended: a backup was restored, or the store was rolled back.
    Invalidated,
}

impl EndedReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutOthers => "logout_others",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::Revoked => "revoked",
            Self::RefreshReused => "refresh_reused",
            Self::IdleExpired => "idle_expired",
            Self::Expired => "expired",
            Self::PasswordChanged => "password_changed",
            Self::RoleChanged => "role_changed",
            Self::UserDisabled => "user_disabled",
            Self::UserDeleted => "user_deleted",
            Self::CutOff => "cut_off",
            Self::AppDisabled => "app_disabled",
            Self::AppDeleted => "app_deleted",
            Self::SignedInAgain => "signed_in_again",
            Self::Invalidated => "invalidated",
        }
    }
}
