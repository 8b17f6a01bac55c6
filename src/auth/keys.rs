//! Signing keys: made when needed, rotated, retired.

use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::jwt::{KeyRing, SigningKey};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::sessions::put_entry;
use crate::auth::{Auth, TRIES_MAX};
use crate::model::Time;
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::claims::{Algorithm, BLACKLIST_KEEP_HOURS, Claims};
use crate::model::key::{KeyRecord, KeyState};
use crate::model::time::HOUR_MS;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

/// The ring made from the keys of one generation of the mirror.
pub(crate) struct Rung {
    generation: u64,
    ring: Arc<KeyRing>,
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
        if self.active_key(algorithm).is_some() {
            return Ok(());
        }
        // One maker at a time: an RSA key takes a second of a core.
        let _making = self.making_keys.lock().await;
        if self.active_key(algorithm).is_none() {
            self.put_new_key(algorithm, |_, _| {}).await?;
        }
        Ok(())
    }

    /// Rotates: a new key signs, the old one is accepted until its last token is dead.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rotate_key(&self, by: &RecentAdmin, algorithm: Algorithm) -> Verdict<String> {
        let _making = self.making_keys.lock().await;
        let kid = self.put_new_key(algorithm, put_retiring).await?;
        tracing::info!(event = "key_rotated", algorithm = %algorithm, kid, by = ?by.actor());
        Ok(kid)
    }

    /// Retires a key at once, whatever it signed; an active one is replaced first.
    pub(crate) async fn retire_key(&self, by: &RecentAdmin, kid: &str, reason: &str) -> Verdict<Target> {
        let _making = self.making_keys.lock().await;
        let row = self.store.view().key(kid).cloned().ok_or(Refusal::NotFound)?;
        if row.value.state == KeyState::Active {
            self.put_new_key(row.value.algorithm, put_retiring).await?;
        }
        let target = target_of(kid)?;
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let row = self.store.row::<KeyRecord>(kid).await?.ok_or(Refusal::NotFound)?;
            let mut batch = Batch::new();
            let retired = KeyRecord { state: KeyState::Retired { at: now }, ..row.value.clone() };
            batch.unchanged(&row).put(kid, &retired).look_again::<KeyRecord>(kid, end_of_memory(now));
            put_entry(&mut batch, &BlacklistEntry::new(target, None, reason, by.actor(), now));
            if self.store.commit(batch).await? != Outcome::Conflict {
                tracing::warn!(event = "key_blacklisted", kid, by = ?by.actor());
                return Ok(target);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn active_key(&self, algorithm: Algorithm) -> Option<Arc<Row<KeyRecord>>> {
        let view = self.store.view();
        view.keys()
            .find(|key| key.value.algorithm == algorithm && key.value.state == KeyState::Active)
            .cloned()
    }

    async fn put_new_key(
        &self,
        algorithm: Algorithm,
        old: impl Fn(&mut Batch, (&Row<KeyRecord>, Time)),
    ) -> Verdict<String> {
        let material = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm))
            .await
            .map_err(|e| Refusal::Fault(format!("key making stopped: {e}")))?
            .map_err(|e| Refusal::Fault(format!("no {algorithm} key could be made: {e:?}")))?;
        let sealed = self.vault.seal(material.kid.as_bytes(), &material.pkcs8, &self.entropy);
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let record = KeyRecord {
                kid: material.kid.clone(),
                algorithm,
                state: KeyState::Active,
                created_at: now,
                sealed: sealed.clone(),
            };
            let mut batch = Batch::new();
            batch.absent::<KeyRecord>(&record.kid).put(record.kid.as_str(), &record);
            if let Some(active) = self.active_key(algorithm) {
                old(&mut batch, (&active, now));
            }
            if self.store.commit(batch).await? != Outcome::Conflict {
                tracing::info!(event = "key_made", algorithm = %algorithm, kid = record.kid);
                return Ok(record.kid);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// Reads a token that may be expired, to find its identifier; never to let anybody in.
    pub(crate) fn read_access_even_if_over(&self, text: &str) -> Option<Arc<Claims>> {
        let ring = self.key_ring().ok()?;
        self.verifier.read_signed(&ring, text).ok().map(|verified| verified.claims)
    }
}

fn put_retiring(batch: &mut Batch, (active, now): (&Row<KeyRecord>, Time)) {
    let until = end_of_memory(now);
    let retiring = KeyRecord { state: KeyState::Retiring { until }, ..active.value.clone() };
    batch
        .unchanged(active)
        .put(active.value.kid.as_str(), &retiring)
        .look_again::<KeyRecord>(&active.value.kid, until);
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
