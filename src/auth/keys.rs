//! Signing keys: made when needed, rotated by themselves and by hand, retired.

use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::jwt::{KeyRing, SigningKey};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::sessions::put_entry;
use crate::auth::{Auth, TRIES_MAX};
use crate::model::Time;
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::claims::{Algorithm, BLACKLIST_KEEP_HOURS, Claims};
use crate::model::key::{self, Due, KEY_PUBLISHED_AHEAD_HOURS, KeyRecord, KeyState};
use crate::model::time::HOUR_MS;
use crate::model::user::Actor;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

/// How many keys are replaced in one batch, with up to five operations each.
const KEYS_SLICE: usize = 80;

/// The ring made from the keys of one generation of the mirror.
pub(crate) struct Rung {
    generation: u64,
    ring: Arc<KeyRing>,
}

/// Of one algorithm, the key that signs and the one that will.
struct Turn {
    algorithm: Algorithm,
    active: Option<Arc<Row<KeyRecord>>>,
    next: Option<Arc<Row<KeyRecord>>>,
}

impl Auth {
    /// The keys that sign and verify now. Made again only when a key's record has changed.
    pub(crate) fn key_ring(&self) -> Verdict<Arc<KeyRing>> {
        let generation = self.store.mirror().keys_generation();
        if let Some(rung) = self.ring.read().as_ref().filter(|rung| rung.generation == generation) {
            return Ok(Arc::clone(&rung.ring));
        }
        let now = self.clock.now();
        let records: Vec<_> = self.store.view().keys().cloned().collect();
        let mut keys = Vec::new();
        let (good, retired): (Vec<_>, Vec<_>) =
            records.iter().map(|row| &row.value).partition(|record| record.verifies(now));
        for record in good {
            let pkcs8 = self.vault.open(record.kid.as_bytes(), &record.sealed);
            let pkcs8 = pkcs8.ok_or_else(|| Refusal::Fault(format!("key {} does not open", record.kid)))?;
            let key = SigningKey::from_pkcs8(record.algorithm, &pkcs8)
                .map_err(|e| Refusal::Fault(format!("key {} is damaged: {e:?}", record.kid)))?;
            keys.push((key, record.state == KeyState::Active));
        }
        let ring =
            Arc::new(KeyRing::new(keys, retired.into_iter().map(|record| record.kid.clone()).collect()));
        *self.ring.write() = Some(Rung { generation, ring: Arc::clone(&ring) });
        Ok(ring)
    }

    /// The published keys (RFC 7517).
    ///
    /// # Errors
    /// When a key cannot be opened.
    pub fn jwks(&self) -> Verdict<serde_json::Value> {
        Ok(self.key_ring()?.jwks())
    }

    /// All keys, the newest first.
    pub fn list_keys(&self, _by: &Admin) -> Vec<Arc<Row<KeyRecord>>> {
        let mut keys: Vec<_> = self.store.view().keys().cloned().collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.value.created_at));
        keys
    }

    /// Makes the first key of an algorithm where there is none.
    pub(crate) async fn ensure_signing_key(&self, algorithm: Algorithm) -> Verdict<()> {
        if self.turn(algorithm).active.is_some() {
            return Ok(());
        }
        // One maker at a time: an RSA key takes a second of a core.
        let _making = self.making_keys.lock().await;
        if self.turn(algorithm).active.is_none() {
            self.replace_active(algorithm).await?;
        }
        Ok(())
    }

    /// Rotates: another key signs from now on, the old one is accepted until its last token is dead.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rotate_key(&self, by: &RecentAdmin, algorithm: Algorithm) -> Verdict<String> {
        let _making = self.making_keys.lock().await;
        let kid = self.replace_active(algorithm).await?;
        tracing::info!(event = "key_rotated", algorithm = %algorithm, kid, by = ?by.actor());
        Ok(kid)
    }

    /// Publishes the next key where it is time, and lets it sign when its time has come.
    pub(crate) async fn rotate_due_keys(&self) -> Verdict<()> {
        for algorithm in Algorithm::ALL {
            let _making = self.making_keys.lock().await;
            let (turn, now) = (self.turn(algorithm), self.clock.now());
            // What conflicts with another's rotation is decided anew in the next round.
            match key::due(record(&turn.active), record(&turn.next), now) {
                Due::Nothing => {}
                Due::Publish => self.publish_next(&turn, now).await?,
                Due::Activate => {
                    if let Some(kid) = self.hand_over(&turn, now).await? {
                        tracing::info!(event = "key_rotated", algorithm = %algorithm, kid, by = ?Actor::System);
                    }
                }
            }
        }
        Ok(())
    }

    /// Retires a key at once, whatever it signed; an active one is replaced first.
    pub(crate) async fn retire_key(&self, by: &RecentAdmin, kid: &str, reason: &str) -> Verdict<Target> {
        let _making = self.making_keys.lock().await;
        let row = self.store.view().key(kid).cloned().ok_or(Refusal::NotFound)?;
        if row.value.state == KeyState::Active {
            self.replace_active(row.value.algorithm).await?;
        }
        let target = target_of(kid)?;
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let row = self.store.row::<KeyRecord>(kid).await?.ok_or(Refusal::NotFound)?;
            let mut batch = Batch::new();
            put_retired(&mut batch, &row, now);
            put_entry(&mut batch, &BlacklistEntry::new(target, None, reason, by.actor(), now));
            if self.store.commit(batch).await? != Outcome::Conflict {
                tracing::warn!(event = "key_blacklisted", kid, by = ?by.actor());
                // A next key is replaced by housekeeping, and its successor published as long before it signs.
                self.wake_housekeeping();
                return Ok(target);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// Retires and blacklists every key, whatever it signed; new ones sign in their place. Also those that do not open:
    /// after a restore they may be sealed under another master key.
    pub(crate) async fn replace_all_keys(&self, by: Actor, reason: &str) -> Verdict<()> {
        let _making = self.making_keys.lock().await;
        let kids: Vec<String> = self.store.view().keys().map(|key| key.value.kid.clone()).collect();
        for kids in kids.chunks(KEYS_SLICE) {
            self.replace_keys(kids, by, reason).await?;
        }
        Ok(())
    }

    async fn replace_keys(&self, kids: &[String], by: Actor, reason: &str) -> Verdict<()> {
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let mut batch = Batch::new();
            for kid in kids {
                let Some(row) = self.store.row::<KeyRecord>(kid).await? else { continue };
                if row.value.state == KeyState::Active {
                    let new = self.new_key(row.value.algorithm, now).await?;
                    let new = KeyRecord { state: KeyState::Active, signs_from: now, ..new };
                    batch.absent::<KeyRecord>(&new.kid).put(new.kid.as_str(), &new);
                }
                if !matches!(row.value.state, KeyState::Retired { .. }) {
                    put_retired(&mut batch, &row, now);
                }
                put_entry(&mut batch, &BlacklistEntry::new(target_of(kid)?, None, reason, by, now));
            }
            if self.store.commit(batch).await? != Outcome::Conflict {
                return Ok(());
            }
        }
        Err(Refusal::Overloaded)
    }

    fn turn(&self, algorithm: Algorithm) -> Turn {
        let view = self.store.view();
        let find = |state| {
            view.keys().find(|key| key.value.algorithm == algorithm && key.value.state == state).cloned()
        };
        Turn { algorithm, active: find(KeyState::Active), next: find(KeyState::Next) }
    }

    async fn replace_active(&self, algorithm: Algorithm) -> Verdict<String> {
        for _ in 0..TRIES_MAX {
            if let Some(kid) = self.hand_over(&self.turn(algorithm), self.clock.now()).await? {
                return Ok(kid);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// One batch: the active key signs no more, and its successor does. `None` is a conflict.
    async fn hand_over(&self, turn: &Turn, now: Time) -> Verdict<Option<String>> {
        // Also before its time the next key comes first: verifiers that keep the JWKS know it, and no new one.
        let successor = match &turn.next {
            Some(next) => next.value.clone(),
            None => self.new_key(turn.algorithm, now).await?,
        };
        let successor = KeyRecord { state: KeyState::Active, signs_from: now, ..successor };
        let mut batch = Batch::new();
        batch.same(successor.kid.as_str(), turn.next.as_deref()).put(successor.kid.as_str(), &successor);
        if let Some(active) = &turn.active {
            let (kid, until) = (active.value.kid.as_str(), end_of_memory(now));
            let retiring = KeyRecord { state: KeyState::Retiring { until }, ..active.value.clone() };
            batch.unchanged(active).put(kid, &retiring).look_again::<KeyRecord>(kid, until);
        }
        Ok((self.store.commit(batch).await? != Outcome::Conflict).then_some(successor.kid))
    }

    async fn publish_next(&self, turn: &Turn, now: Time) -> Verdict<()> {
        let next = self.new_key(turn.algorithm, now).await?;
        let mut batch = Batch::new();
        batch.absent::<KeyRecord>(&next.kid).put(next.kid.as_str(), &next);
        if let Some(active) = &turn.active {
            // Written again as it is, so that of two who publish one conflicts.
            batch.unchanged(active).put(active.value.kid.as_str(), &active.value);
        }
        if self.store.commit(batch).await? != Outcome::Conflict {
            let (kid, from) = (next.kid, next.signs_from.to_rfc3339());
            tracing::info!(event = "key_published", algorithm = %next.algorithm, kid, signs_from = from);
        }
        Ok(())
    }

    /// A key that is not kept yet; to begin with, a next one.
    async fn new_key(&self, algorithm: Algorithm, now: Time) -> Verdict<KeyRecord> {
        let material = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm))
            .await
            .map_err(|e| Refusal::Fault(format!("key making stopped: {e}")))?
            .map_err(|e| Refusal::Fault(format!("no {algorithm} key could be made: {e:?}")))?;
        tracing::info!(event = "key_made", algorithm = %algorithm, kid = material.kid);
        Ok(KeyRecord {
            sealed: self.vault.seal(material.kid.as_bytes(), &material.pkcs8, &self.entropy),
            kid: material.kid,
            algorithm,
            state: KeyState::Next,
            created_at: now,
            signs_from: now.plus_ms(KEY_PUBLISHED_AHEAD_HOURS * HOUR_MS),
        })
    }

    /// Reads a token that may be expired, to find its identifier; never to let anybody in.
    pub(crate) fn read_access_even_if_over(&self, text: &str) -> Option<Arc<Claims>> {
        let ring = self.key_ring().ok()?;
        self.verifier.read_signed(&ring, text).ok().map(|verified| verified.claims)
    }
}

fn put_retired(batch: &mut Batch, row: &Row<KeyRecord>, now: Time) {
    let kid = row.value.kid.as_str();
    let retired = KeyRecord { state: KeyState::Retired { at: now }, ..row.value.clone() };
    batch.unchanged(row).put(kid, &retired).look_again::<KeyRecord>(kid, end_of_memory(now));
}

fn record(row: &Option<Arc<Row<KeyRecord>>>) -> Option<&KeyRecord> {
    row.as_ref().map(|row| &row.value)
}

/// When the last token of a key that stops signing now is dead, whatever lifetimes were set.
pub(crate) fn end_of_memory(now: Time) -> Time {
    now.plus_ms(BLACKLIST_KEEP_HOURS * HOUR_MS)
}

pub(crate) fn target_of(kid: &str) -> Verdict<Target> {
    use base64::Engine as _;
    let bytes =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(kid).map_err(|_| Refusal::NotFound)?;
    bytes.try_into().map(Target::Key).map_err(|_| Refusal::NotFound)
}
