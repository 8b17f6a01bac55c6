//! Times as pages show them: how long ago, with the exact time behind it.

use crate::model::Time;
use crate::model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde::Serialize;

/// A time for `<time datetime="{{ iso }}" title="{{ exact }}">{{ words }}</time>`.
#[derive(Serialize)]
pub struct When {
    iso: String,
    exact: String,
    words: String,
}

impl When {
    pub fn new(time: Time, now: Time) -> Self {
        Self { iso: time.to_rfc3339(), exact: time.to_words(), words: words(time, now) }
    }
}

/// Within a day how far away, beyond it the time itself.
fn words(time: Time, now: Time) -> String {
    let ms = now.since_ms(time);
    let far = ms.saturating_abs();
    let distance = match far {
        _ if far < MINUTE_MS => return "just now".into(),
        _ if far < 2 * HOUR_MS => format!("{} min", far / MINUTE_MS),
        _ if far < DAY_MS => format!("{} h", far / HOUR_MS),
        _ => return time.to_words(),
    };
    if ms > 0 { format!("{distance} ago") } else { format!("in {distance}") }
}

/// A span as people say it, rounded up to what they can count.
pub fn span(seconds: u32) -> String {
    match seconds {
        0 | 1 => "a second".into(),
        2..100 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_near_are_told_by_their_distance() {
        let now = Time::from_ms(1_795_498_200_000);
        let case = |ms: i64| words(now.plus_ms(ms), now);
        assert_eq!(case(0), "just now");
        assert_eq!(case(-59_999), "just now");
        assert_eq!(case(-12 * MINUTE_MS), "12 min ago");
        assert_eq!(case(MINUTE_MS * 89), "in 89 min");
        assert_eq!(case(-HOUR_MS * 23), "23 h ago");
        assert_eq!(case(HOUR_MS * 3 + 1), "in 3 h");
        assert_eq!(case(-DAY_MS), "23 Nov 2026, 05:30 UTC");
        assert_eq!(words(Time::from_ms(i64::MIN), Time::from_ms(i64::MAX)), "1 Jan 1970, 00:00 UTC");
    }

    #[test]
    fn spans_are_rounded_up() {
        assert_eq!(
            (span(1), span(59), span(61)),
            ("a second".into(), "59 seconds".into(), "61 seconds".into())
        );
        assert_eq!(span(121), "3 minutes");
    }
}
