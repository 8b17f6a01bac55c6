//! Backups: their names, when the nightly one is due, and which are kept.

use crate::model::Time;
use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// What a backup's name ends with.
const ENDING: &str = ".backup";
/// With milliseconds, so that two of one second have two names.
const STAMP: &str = "%Y%m%dT%H%M%S%3fZ";
const STAMP_LENGTH: usize = "20261124T030000000Z".len();

/// Who asked for a backup. Retention removes nightly ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    Manual,
    Nightly,
}

impl BackupKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Nightly => "nightly",
        }
    }
}

/// A backup's name: when it was begun, and its kind. Nothing else is a name, so that none leads to another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName {
    pub made_at: Time,
    pub kind: BackupKind,
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = chrono::DateTime::from_timestamp_millis(self.made_at.ms()).unwrap_or_default();
        write!(f, "{}-{}{ENDING}", time.format(STAMP), self.kind.as_str())
    }
}

/// A text that names no backup.
#[derive(Debug, PartialEq, Eq)]
pub struct NoBackupName;

impl FromStr for BackupName {
    type Err = NoBackupName;

    fn from_str(text: &str) -> Result<Self, NoBackupName> {
        let (stamp, rest) = text.split_at_checked(STAMP_LENGTH).ok_or(NoBackupName)?;
        let kind = rest.strip_prefix('-').and_then(|rest| rest.strip_suffix(ENDING));
        let kind = match kind {
            Some("manual") => BackupKind::Manual,
            Some("nightly") => BackupKind::Nightly,
            _ => return Err(NoBackupName),
        };
        let time = NaiveDateTime::parse_from_str(stamp, STAMP).map_err(|_| NoBackupName)?;
        let name = Self { made_at: Time::from_ms(time.and_utc().timestamp_millis()), kind };
        // One spelling only: what reads as a time in another way is another file.
        if name.to_string() == text { Ok(name) } else { Err(NoBackupName) }
    }
}

/// A time of day, in minutes after midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Reads `03:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let two = |text: &str, most: u16| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| digits && *number <= most)
        };
        Some(Self(two(hour, 23)? * 60 + two(minute, 59)?))
    }

    /// When it last was.
    fn last(self, now: Time) -> Time {
        let midnight = now.ms().div_euclid(DAY_MS) * DAY_MS;
        let today = Time::from_ms(midnight + i64::from(self.0) * MINUTE_MS);
        if today <= now { today } else { today.plus_ms(-DAY_MS) }
    }
}

/// Whether the nightly backup is due: its time has come since the last one. `last` is when it was made or tried, or
/// when the appliance began where there was never one.
pub fn is_due(at: TimeOfDay, last: Time, now: Time) -> bool {
    last < at.last(now)
}

/// How long a nightly backup that failed waits until it is tried again.
pub const RETRY_AFTER_MS: i64 = HOUR_MS;

/// Which nightly backups have had their time: all but the newest `keep`, and never the newest that was found good.
/// `found_good` says that of a name. What was made when the clock was ahead is older than it says.
pub fn beyond_keeping(
    names: &[BackupName],
    keep: usize,
    now: Time,
    found_good: impl Fn(&BackupName) -> bool,
) -> Vec<BackupName> {
    let mut nightly: Vec<_> = names.iter().copied().filter(|name| name.kind == BackupKind::Nightly).collect();
    nightly.sort_unstable_by_key(|name| Reverse((name.made_at <= now, *name)));
    let good = nightly.iter().find(|name| found_good(name)).copied();
    nightly.into_iter().skip(keep).filter(|name| Some(*name) != good).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T00:00:00Z.
    const MIDNIGHT: Time = Time::from_ms(1_795_478_400_000);

    fn at(minutes: i64) -> Time {
        MIDNIGHT.plus_ms(minutes * MINUTE_MS)
    }

    fn nightly(days: i64) -> BackupName {
        BackupName { made_at: MIDNIGHT.plus_ms(days * DAY_MS), kind: BackupKind::Nightly }
    }

    #[test]
    fn what_is_no_name_leads_nowhere() {
        let good = "20261124T030000123Z-nightly.backup";
        for bad in [
            "",
            "..",
            "../20261124T030000123Z-nightly.backup",
            "20261124T030000123Z-nightly.backup/..",
            "20261124T030000123Z-nightly.backup\0",
            "20261124T030000123Z-nightly.backup.json",
            ".20261124T030000123Z-nightly.backup.part",
            "20261124T030000123Z-weekly.backup",
            "20261124T030000123Z-nightly",
            "20261324T030000123Z-nightly.backup",
            "20261124t030000123z-nightly.backup",
            "20261124T030060123Z-nightly.backup",
            "+0261124T030000123Z-nightly.backup",
            " 0261124T030000123Z-nightly.backup",
            "２0261124T0300001Z-nightly.backup",
        ] {
            assert_eq!(bad.parse::<BackupName>(), Err(NoBackupName), "{bad:?}");
        }
        let name: BackupName = good.parse().unwrap();
        assert_eq!((name.kind, name.made_at), (BackupKind::Nightly, at(180).plus_ms(123)));
        assert_eq!(name.to_string(), good);
    }

    #[test]
    fn a_time_of_day_is_hours_and_minutes() {
        for bad in ["", "3:00", "24:00", "03:60", "03:00:00", "03.00", "+3:00", "aa:bb"] {
            assert_eq!(TimeOfDay::parse(bad), None, "{bad}");
        }
        assert_eq!(TimeOfDay::parse("23:59"), Some(TimeOfDay(1439)));
    }

    #[test]
    fn the_nightly_one_is_due_once_after_its_time() {
        let three = TimeOfDay::parse("03:00").unwrap();
        for (last, now, due) in [
            (at(0), at(179), false),
            (at(0), at(180), true),
            (at(180), at(181), false),
            // The appliance rested over the night, or over many.
            (at(-2 * 1440 + 180), at(900), true),
            (at(185), at(1440 + 179), false),
            (at(185), at(1440 + 180), true),
            // A clock that was ahead when the last was made.
            (at(3 * 1440), at(181), false),
        ] {
            assert_eq!(is_due(three, last, now), due, "last {last:?}, now {now:?}");
        }
    }

    #[test]
    fn the_newest_are_kept_and_the_newest_good_one_in_any_case() {
        let manual = BackupName { made_at: MIDNIGHT.plus_ms(-DAY_MS), kind: BackupKind::Manual };
        let names = [nightly(2), manual, nightly(0), nightly(3), nightly(1)];
        let now = at(5 * 1440);
        assert_eq!(beyond_keeping(&names, 4, now, |_| true), []);
        assert_eq!(beyond_keeping(&names, 2, now, |_| true), [nightly(1), nightly(0)]);
        assert_eq!(beyond_keeping(&names, 2, now, |name| *name <= nightly(1)), [nightly(0)]);
        assert_eq!(beyond_keeping(&names, 2, now, |_| false), [nightly(1), nightly(0)]);
        // The clock was ahead, and is right again.
        assert_eq!(beyond_keeping(&names, 2, at(1440), |_| false), [nightly(3), nightly(2)]);
    }
}
