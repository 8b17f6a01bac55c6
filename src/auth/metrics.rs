//! What the appliance tells of itself: plain values, whoever shows them. Nothing is read from the store for it.

use crate::auth::Auth;
use crate::auth::backup::BackupState;
use crate::auth::refusal::{Refusal, Verdict};
use crate::model::Time;
use crate::store::cache::Uses;
use crate::store::engine::Stats;
use crate::store::tables;
use crate::tally::{Counter, Distribution};
use std::sync::atomic::{AtomicI64, Ordering};

/// What the verbs count.
pub(crate) struct Tallies {
    sign_ins: [Counter; SIGN_INS.len()],
    refresh_reuses: Counter,
    /// Everything that was over by then has been swept.
    swept_until_ms: AtomicI64,
    started_at: Time,
}

/// What comes of a sign-in.
const SIGN_INS: [&str; 5] = ["signed_in", "refused", "throttled", "overloaded", "failed"];

/// How it stands with the latest backup. `failed`: one was to be made since, and could not.
const BACKUP_RESULTS: [&str; 5] = ["none", "unverified", "verified", "bad", "failed"];

impl Tallies {
    pub fn new(started_at: Time) -> Self {
        Self {
            sign_ins: Default::default(),
            refresh_reuses: Counter::default(),
            swept_until_ms: AtomicI64::new(0),
            started_at,
        }
    }

    pub fn count_sign_in<T>(&self, verdict: &Verdict<T>) {
        let result = match verdict {
            Ok(_) => 0,
            Err(Refusal::TooManyAttempts { .. }) => 2,
            Err(Refusal::Overloaded) => 3,
            Err(Refusal::Store(_) | Refusal::StorageFull | Refusal::Fault(_)) => 4,
            Err(_) => 1,
        };
        self.sign_ins[result].count();
    }

    pub fn count_refresh_reuse(&self) {
        self.refresh_reuses.count();
    }

    pub fn note_swept(&self, until: Time) {
        self.swept_until_ms.store(until.ms(), Ordering::Relaxed);
    }
}

/// What the appliance tells of itself, at one moment.
#[derive(Debug)]
pub struct Metrics {
    /// By the machine's clock.
    pub started_at: Time,
    pub store: Stats,
    /// Records by the name of their table.
    pub records: Vec<(&'static str, u64)>,
    /// How long the store took to open, mirrors included.
    pub open_us: u64,
    /// By cache: how often it had what was asked for, and how often not.
    pub caches: [(&'static str, u64, u64); 2],
    /// How many wait for a hash, and how long each took.
    pub hash_queue: usize,
    pub hash_us: Distribution,
    pub live_sessions: u64,
    pub blacklist: usize,
    /// Sign-ins by what came of them.
    pub sign_ins: Vec<(&'static str, u64)>,
    /// How often a refresh token was presented again that was used or replaced: by a thief, or after one.
    pub refresh_reuses: u64,
    /// `None`: there is no backup.
    pub backup_age_ms: Option<i64>,
    /// One of them is true.
    pub backup_results: [(&'static str, bool); BACKUP_RESULTS.len()],
    /// Since when not everything that was over has been swept.
    pub sweep_lag_ms: i64,
    /// How far the machine's clock is behind, where it is not followed.
    pub clock_behind_ms: i64,
}

impl Auth {
    /// Figures that name nobody: no user, address or path is among them.
    pub fn metrics(&self) -> Metrics {
        let (engine, mirror) = (self.store.engine(), self.store.mirror());
        let store = engine.stats();
        let records = store.totals.iter().map(|(table, total)| (tables::name(table), total.count)).collect();
        let uses = |name, uses: &Uses| (name, uses.hits.read(), uses.misses.read());
        let (view, now) = (self.store.view(), self.clock.now());
        let backup = self.backup_state();
        let swept_until = Time::from_ms(self.tallies.swept_until_ms.load(Ordering::Relaxed));
        Metrics {
            started_at: self.tallies.started_at,
            records,
            store,
            open_us: self.store.open_us(),
            caches: [uses("sessions", &mirror.session_uses), uses("credentials", &mirror.credential_uses)],
            hash_queue: self.hasher.queue_length(),
            hash_us: self.hasher.times(),
            live_sessions: view.live_sessions(),
            blacklist: view.blacklist_size(),
            sign_ins: SIGN_INS.into_iter().zip(self.tallies.sign_ins.iter().map(Counter::read)).collect(),
            refresh_reuses: self.tallies.refresh_reuses.read(),
            backup_age_ms: backup.last_made_at.map(|made_at| now.since_ms(made_at).max(0)),
            backup_results: BACKUP_RESULTS.map(|result| (result, result == result_of(&backup))),
            sweep_lag_ms: now.since_ms(swept_until.max(self.tallies.started_at)).max(0),
            clock_behind_ms: self.clock_behind_ms().unwrap_or(0),
        }
    }
}

fn result_of(backup: &BackupState) -> &'static str {
    match (backup.failed_at, backup.last_made_at, backup.last_verified) {
        (Some(_), ..) => "failed",
        (None, None, _) => "none",
        (None, Some(_), None) => "unverified",
        (None, Some(_), Some(true)) => "verified",
        (None, Some(_), Some(false)) => "bad",
    }
}
