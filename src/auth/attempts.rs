//! Charging attempts before the work, so that parallel guesses cannot beat the limit.

use crate::auth::Auth;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::throttle::ThrottleKey;
use crate::model::throttle::{Bucket, Charge};
use crate::model::time::HOUR_MS;
use crate::model::{DeviceId, UserId};
use crate::store::Batch;
use crate::store::tables::{Attempts, AttemptsId};
use std::net::IpAddr;

/// Whose attempts those at unknown names are.
const NOBODY: UserId = UserId::from_bytes([0; 16]);

/// An attempt that was charged, to give back or to keep.
pub(crate) struct Charged {
    account: Option<(ThrottleKey, Bucket)>,
    unknown: Option<u64>,
    address: IpAddr,
}

impl Auth {
    /// Charges an attempt at an account: to the bucket that all its names and flows share, or to the known device's
    /// own, so that a stranger's attack never blocks the owner's devices. Unknown names cost the same.
    pub(crate) async fn charge(
        &self,
        folded: &str,
        user: Option<UserId>,
        device: Option<DeviceId>,
        address: IpAddr,
    ) -> Verdict<Charged> {
        let now = self.clock.now();
        refuse_if_over(self.throttle.charge_address(address, now))?;
        let key = user.map(|user| match device {
            Some(device) => ThrottleKey::Device(user, device),
            None => ThrottleKey::Account(user),
        });
        // The read is made for unknown names too: it takes its time.
        let id = AttemptsId { user: user.unwrap_or(NOBODY), device };
        let loaded = self.store.row::<Attempts>(&id).await?.map(|row| row.value.bucket);
        let unknown = self.vault.throttle_hash(folded);
        let charge = match key {
            Some(key) => self.throttle.charge_account(key, loaded, now),
            None => self.throttle.charge_unknown(unknown, now),
        };
        match charge {
            Charge::Taken(bucket) => Ok(Charged {
                account: key.map(|key| (key, bucket)),
                unknown: key.is_none().then_some(unknown),
                address,
            }),
            refused => {
                tracing::info!(event = "sign_in_throttled", known = key.is_some());
                self.throttle.refund_address(address);
                refuse_if_over(refused)?;
                Err(Refusal::TooManyAttempts { retry_after_seconds: 60 })
            }
        }
    }

    /// Charges an address for an act that costs a hash and has no account yet. Nothing is given back.
    pub(crate) fn charge_stranger(&self, address: IpAddr) -> Verdict<()> {
        refuse_if_over(self.throttle.charge_address(address, self.clock.now()))
    }

    /// The attempt went well, or nothing was learnt by it.
    pub(crate) fn refund(&self, charged: &Charged) {
        self.throttle.refund_address(charged.address);
        match (&charged.account, charged.unknown) {
            (Some((key, _)), _) => self.throttle.refund_account(*key),
            (None, Some(unknown)) => self.throttle.refund_unknown(unknown),
            (None, None) => {}
        }
    }

    /// The attempt failed: the account's bucket outlives a restart. For unknown names a record is written that says
    /// nothing: a sync takes milliseconds, and without it they would be told by the time.
    pub(crate) async fn keep_charge(&self, charged: &Charged) -> Verdict<()> {
        let (id, bucket) = match charged.account {
            None => (AttemptsId { user: NOBODY, device: None }, Bucket::FULL),
            Some((key, bucket)) => {
                let (user, device) = match key {
                    ThrottleKey::Account(user) => (user, None),
                    ThrottleKey::Device(user, device) => (user, Some(device)),
                };
                (AttemptsId { user, device }, self.throttle.account(key).unwrap_or(bucket))
            }
        };
        let mut batch = Batch::new();
        batch.put(&id, &Attempts { bucket });
        batch.look_again::<Attempts>(&id, self.clock.now().plus_ms(HOUR_MS));
        self.store.commit(batch).await?;
        Ok(())
    }
}

/// # Errors
/// `TooManyAttempts`.
pub(crate) fn refuse_if_over(charge: Charge) -> Verdict<()> {
    match charge {
        Charge::Taken(_) => Ok(()),
        Charge::Refused { retry_after_ms } => {
            let retry_after_seconds = u64::try_from(retry_after_ms).unwrap_or(0).div_ceil(1000).max(1);
            Err(Refusal::TooManyAttempts { retry_after_seconds })
        }
    }
}
