//! The latest time seen, kept with the store: a clock that was set back takes nobody back behind it after a restart.

use crate::auth::Auth;
use crate::auth::refusal::{Refusal, Verdict};
use crate::model::Time;
use crate::model::time::MINUTE_MS;
use crate::store::Batch;
use crate::store::tables::LatestTime;
use std::sync::atomic::Ordering;

/// How often it is written, and how old the written one may be when the process is killed: a round may be late.
const KEPT_EVERY_MS: i64 = MINUTE_MS;
const KEPT_AGE_MAX_MS: i64 = 2 * MINUTE_MS;

impl Auth {
    /// Goes on from the time of the last process. Before anything else asks for the time.
    pub(crate) async fn resume_time(&self) -> Verdict<()> {
        if let Some(row) = self.store.row::<LatestTime>(&()).await? {
            self.clock.resume(row.value.at, KEPT_AGE_MAX_MS);
        }
        match self.keep_time().await {
            // What is there can be checked all the same, and housekeeping writes it once there is room.
            Err(Refusal::StorageFull) => Ok(()),
            kept => kept,
        }
    }

    /// Writes the time down, at most once a minute.
    pub(crate) async fn keep_time(&self) -> Verdict<()> {
        let now = self.clock.now();
        let kept = Time::from_ms(self.time_kept_ms.load(Ordering::Relaxed));
        if now.since_ms(kept) < KEPT_EVERY_MS { Ok(()) } else { self.write_time(now).await }
    }

    /// Follows the machine's clock again, wherever it stands. Only while everything is being ended, or what was over
    /// would come back.
    pub(crate) async fn accept_machine_clock(&self) -> Verdict<()> {
        self.clock.accept();
        self.write_time(self.clock.now()).await
    }

    async fn write_time(&self, now: Time) -> Verdict<()> {
        let mut batch = Batch::new();
        batch.put(&(), &LatestTime { at: now });
        self.store.commit(batch).await?;
        self.time_kept_ms.store(now.ms(), Ordering::Relaxed);
        Ok(())
    }

    /// How far the machine's clock is behind the latest time seen, where it is therefore not followed.
    pub fn clock_behind_ms(&self) -> Option<i64> {
        self.clock.behind_ms()
    }
}
