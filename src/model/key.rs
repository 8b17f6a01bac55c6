//! Signing keys as they are kept, and when they take turns.

use crate::model::Time;
use crate::model::claims::Algorithm;
use crate::model::time::{DAY_MS, HOUR_MS};
use serde::{Deserialize, Serialize};

/// How long a key signs until the next one does.
pub const KEY_SIGNS_DAYS: i64 = 30;
/// How long the next key is published before it signs: many verifiers fetch the keys once a day.
pub const KEY_PUBLISHED_AHEAD_HOURS: i64 = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, so that verifiers know it when it signs; nothing is signed with it yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more; what it signed is accepted until then.
    Retiring { until: Time },
    /// Blacklisted or past its time: nothing that it signed is accepted.
    Retired { at: Time },
}

/// A signing key's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// RFC 7638 thumbprint in base64url.
    pub kid: String,
    pub algorithm: Algorithm,
    pub state: KeyState,
    pub created_at: Time,
    /// When it began to sign, or will; a next key that was blacklisted never did. Long ago where a record of before
    /// does not say: then the next key is due.
    #[serde(default)]
    pub signs_from: Time,
    /// PKCS#8 sealed under the master key.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
}

impl KeyRecord {
    /// Whether tokens that it signed count.
    pub fn verifies(&self, now: Time) -> bool {
        match self.state {
            // Whoever verifies elsewhere knows the next key by now: here it counts as it does there.
            KeyState::Active | KeyState::Next => true,
            KeyState::Retiring { until } => now < until,
            KeyState::Retired { .. } => false,
        }
    }
}

/// What is due for the keys of one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// A next key is made and published.
    Publish,
    /// The next key signs, and the one before it no more.
    Activate,
}

/// When keys of one algorithm take turns: from the one that signs, and the next one where it is published.
pub fn due(active: Option<&KeyRecord>, next: Option<&KeyRecord>, now: Time) -> Due {
    const PUBLISH_AFTER_MS: i64 = KEY_SIGNS_DAYS * DAY_MS - KEY_PUBLISHED_AHEAD_HOURS * HOUR_MS;
    match (active, next) {
        // However late, as after a long rest: an appliance that is seldom on must rotate as well.
        (_, Some(next)) if next.signs_from <= now => Due::Activate,
        (Some(active), None) if active.signs_from.plus_ms(PUBLISH_AFTER_MS) <= now => Due::Publish,
        // An algorithm that nobody has needed yet has no key, and gets none from here.
        _ => Due::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_ms(1_800_000_000_000);

    fn key(state: KeyState, signs_from: Time) -> KeyRecord {
        let (kid, sealed) = (String::new(), Vec::new());
        KeyRecord { kid, algorithm: Algorithm::ES256, state, created_at: signs_from, signs_from, sealed }
    }

    #[test]
    fn keys_take_turns_row_by_row() {
        // How long the active key has signed, in how long the next one will, and what is due.
        let rows = [
            ("no key yet", None, None, Due::Nothing),
            ("just made", Some(0), None, Due::Nothing),
            ("a moment before a day is left", Some(29 * DAY_MS - 1), None, Due::Nothing),
            ("a day is left", Some(29 * DAY_MS), None, Due::Publish),
            ("the month is over", Some(30 * DAY_MS), None, Due::Publish),
            ("after months of rest", Some(300 * DAY_MS), None, Due::Publish),
            ("made under a clock that was ahead", Some(-DAY_MS), None, Due::Nothing),
            ("just published", Some(29 * DAY_MS), Some(DAY_MS), Due::Nothing),
            ("a moment early", Some(30 * DAY_MS - 1), Some(1), Due::Nothing),
            ("its time has come", Some(30 * DAY_MS), Some(0), Due::Activate),
            ("published late, and not waited out", Some(300 * DAY_MS), Some(1), Due::Nothing),
            ("waiting through months of rest", Some(300 * DAY_MS), Some(-270 * DAY_MS), Due::Activate),
            ("nothing signs, early", None, Some(1), Due::Nothing),
            ("nothing signs", None, Some(0), Due::Activate),
        ];
        for (case, signed_ms, signs_in_ms, wanted) in rows {
            let active = signed_ms.map(|ms: i64| key(KeyState::Active, NOW.plus_ms(-ms)));
            let next = signs_in_ms.map(|ms| key(KeyState::Next, NOW.plus_ms(ms)));
            assert_eq!(due(active.as_ref(), next.as_ref(), NOW), wanted, "{case}");
        }
    }

    #[test]
    fn a_record_of_before_is_read_and_followed() {
        let mut old = serde_json::to_value(key(KeyState::Active, NOW)).unwrap();
        old.as_object_mut().unwrap().remove("signs_from").unwrap();
        let old: KeyRecord = serde_json::from_value(old).unwrap();
        assert_eq!((old.state, due(Some(&old), None, NOW)), (KeyState::Active, Due::Publish));
    }
}
