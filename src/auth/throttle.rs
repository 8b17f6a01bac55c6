//! Counts attempts by account, known device, unknown name and address. All in memory; what an account owes is handed
//! in and kept by the verbs.

use crate::model::throttle::{Bucket, Charge, Limit};
use crate::model::{DeviceId, Time, UserId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

/// How much each may be tried.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleSettings {
    pub account: Limit,
    pub address: Limit,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self { account: Limit::ACCOUNT, address: Limit { burst: 100, refill_every_ms: 2000 } }
    }
}

/// Whose attempts at an existing account: everybody's, or those of one device that has proven to know it. The two are
/// apart, so that a stranger's attack never blocks the owner's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottleKey {
    Account(UserId),
    Device(UserId, DeviceId),
}

/// One IPv4 address, or the IPv6 /64 that one customer has at the least.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    V4(u32),
    V6(u64),
}

impl Place {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

/// Tries at one-time codes by address: five, and as many a minute.
const CODES: Limit = Limit { burst: 5, refill_every_ms: 12_000 };
const ACCOUNTS_MAX: usize = 65_536;
const PLACES_MAX: usize = 131_072;
const UNKNOWN_SLOTS: usize = 65_536;

/// The machine. Every charge is one step: of attempts at the same time no more are taken than the limit has.
pub struct Throttle {
    accounts: Buckets<ThrottleKey>,
    places: Buckets<Place>,
    codes: Buckets<Place>,
    unknown: Box<[Mutex<Bucket>]>,
    account_limit: Limit,
}

impl Throttle {
    pub fn new(settings: ThrottleSettings) -> Self {
        Self {
            accounts: Buckets::new(settings.account, ACCOUNTS_MAX),
            places: Buckets::new(settings.address, PLACES_MAX),
            codes: Buckets::new(CODES, PLACES_MAX),
            unknown: (0..UNKNOWN_SLOTS).map(|_| Mutex::default()).collect(),
            account_limit: settings.account,
        }
    }

    /// Charges an attempt at an account. `loaded` is what the store has of it, for when nothing is in memory; the
    /// bucket in `Taken` is what to store if the attempt fails.
    pub fn charge_account(&self, key: ThrottleKey, loaded: Option<Bucket>, now: Time) -> Charge {
        self.accounts.charge(key, loaded, now)
    }

    /// Puts back what a sign-in that went well was charged.
    pub fn refund_account(&self, key: ThrottleKey) {
        self.accounts.refund(key);
    }

    /// The bucket as it is now, to store; none when nothing is owed.
    pub fn account(&self, key: ThrottleKey) -> Option<Bucket> {
        self.accounts.shard(&key).lock().get(&key).copied()
    }

    /// Charges an attempt at a name that is nobody's, under the limit of accounts, so that the replies are the same.
    /// The hash must be keyed with a secret: who can choose the slot can tell names apart by what they block.
    pub fn charge_unknown(&self, login_hash: u64, now: Time) -> Charge {
        charge(&mut self.unknown_slot(login_hash).lock(), self.account_limit, now)
    }

    /// Puts back what an attempt that came to no verdict was charged.
    pub fn refund_unknown(&self, login_hash: u64) {
        let mut bucket = self.unknown_slot(login_hash).lock();
        *bucket = bucket.refund(self.account_limit);
    }

    /// Charges an attempt from an address; a whole IPv6 /64 counts as one.
    pub fn charge_address(&self, address: IpAddr, now: Time) -> Charge {
        self.places.charge(Place::of(address), None, now)
    }

    /// Puts back what a sign-in that went well was charged.
    pub fn refund_address(&self, address: IpAddr) {
        self.places.refund(Place::of(address));
    }

    /// Charges a try at a one-time code from an address. Nothing is shared by addresses: a stranger who guesses
    /// keeps nobody else from using theirs.
    pub fn charge_code(&self, address: IpAddr, now: Time) -> Charge {
        self.codes.charge(Place::of(address), None, now)
    }

    /// Puts back what a good code was charged.
    pub fn refund_code(&self, address: IpAddr) {
        self.codes.refund(Place::of(address));
    }

    /// Forgets whoever owes nothing.
    pub fn sweep(&self, now: Time) {
        self.accounts.sweep(now);
        self.places.sweep(now);
        self.codes.sweep(now);
    }

    fn unknown_slot(&self, login_hash: u64) -> &Mutex<Bucket> {
        &self.unknown[login_hash as usize % UNKNOWN_SLOTS]
    }
}

/// Charges a bucket where it lies. A refusal, too, settles it: see [`Bucket::settled`].
fn charge(bucket: &mut Bucket, limit: Limit, now: Time) -> Charge {
    *bucket = bucket.settled(limit, now);
    let charge = bucket.charge(limit, now);
    if let Charge::Taken(charged) = charge {
        *bucket = charged;
    }
    charge
}

const SHARDS: usize = 64;

/// Buckets by key, never more than a fixed number of them.
struct Buckets<K> {
    shards: Box<[Mutex<HashMap<K, Bucket>>]>,
    shard_entries_max: usize,
    /// Keyed at random, so that nobody can choose the shard to fill.
    hasher: RandomState,
    limit: Limit,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new(limit: Limit, entries_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_entries_max: (entries_max / SHARDS).max(2),
            hasher: RandomState::new(),
            limit,
        }
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, Bucket>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn charge(&self, key: K, loaded: Option<Bucket>, now: Time) -> Charge {
        let mut shard = self.shard(&key).lock();
        if shard.len() >= self.shard_entries_max && !shard.contains_key(&key) {
            make_room(&mut shard, self.shard_entries_max, now);
        }
        charge(shard.entry(key).or_insert(loaded.unwrap_or(Bucket::FULL)), self.limit, now)
    }

    fn refund(&self, key: K) {
        if let Some(bucket) = self.shard(&key).lock().get_mut(&key) {
            *bucket = bucket.refund(self.limit);
        }
    }

    fn sweep(&self, now: Time) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.retain(|_, bucket| !bucket.is_idle(now));
            shard.shrink_to_fit();
        }
    }
}

/// Drops who owes nothing, and if that is not enough the half that owes least: who is being held back stays held back.
/// Half, so that a flood of new keys does not pay for this at every one.
fn make_room<K: Copy + Eq + Hash>(shard: &mut HashMap<K, Bucket>, entries_max: usize, now: Time) {
    shard.retain(|_, bucket| !bucket.is_idle(now));
    let half = entries_max / 2;
    if shard.len() > half {
        let mut by_debt: Vec<(Bucket, K)> = shard.iter().map(|(key, bucket)| (*bucket, *key)).collect();
        by_debt.select_nth_unstable_by_key(half, |(bucket, _)| *bucket);
        for (_, key) in &by_debt[..half] {
            shard.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::MINUTE_MS;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NOW: Time = Time::from_ms(1_700_000_000_000);

    fn user(n: u8) -> UserId {
        UserId::from_bytes([n; 16])
    }

    fn taken(times: usize, charge: impl Fn() -> Charge) -> usize {
        (0..times).filter(|_| matches!(charge(), Charge::Taken(_))).count()
    }

    #[test]
    fn a_hundred_charges_at_once_get_exactly_the_burst() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let got = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let key = ThrottleKey::Account(user(1));
                    got.fetch_add(taken(10, || throttle.charge_account(key, None, NOW)), Ordering::Relaxed)
                });
            }
        });
        assert_eq!(got.into_inner(), 10);
    }

    #[test]
    fn an_attack_on_the_account_leaves_a_known_device_alone() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let account = ThrottleKey::Account(user(1));
        let device = ThrottleKey::Device(user(1), DeviceId::from_bytes([2; 16]));
        assert_eq!(taken(100, || throttle.charge_account(account, None, NOW)), 10);
        assert_eq!(taken(100, || throttle.charge_account(device, None, NOW)), 10);
        assert_eq!(taken(1, || throttle.charge_account(ThrottleKey::Account(user(2)), None, NOW)), 1);
    }

    #[test]
    fn what_was_stored_counts_only_when_nothing_is_in_memory() {
        let (first, second) =
            (Throttle::new(ThrottleSettings::default()), Throttle::new(ThrottleSettings::default()));
        let key = ThrottleKey::Account(user(1));
        assert_eq!(taken(10, || first.charge_account(key, None, NOW)), 10);
        let stored = first.account(key);
        assert_eq!(taken(100, || second.charge_account(key, stored, NOW)), 0);
        assert_eq!(taken(100, || first.charge_account(key, Some(Bucket::FULL), NOW)), 0);
    }

    #[test]
    fn a_refund_gives_back_one() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let key = ThrottleKey::Account(user(1));
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        for _ in 0..1000 {
            assert_eq!(taken(1, || throttle.charge_account(key, None, NOW)), 1);
            assert_eq!(taken(1, || throttle.charge_address(address, NOW)), 1);
            throttle.refund_account(key);
            throttle.refund_address(address);
        }
        assert_eq!(taken(100, || throttle.charge_account(key, None, NOW)), 10);
    }

    #[test]
    fn an_ipv6_network_and_every_spelling_of_an_ipv4_address_share_a_bucket() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let charge = |text: &str| throttle.charge_address(text.parse().unwrap(), NOW);
        assert_eq!(taken(1000, || charge("2001:db8:1:2::1")), 100);
        assert_eq!(taken(1, || charge("2001:db8:1:2:ffff::9")), 0);
        assert_eq!(taken(1, || charge("2001:db8:1:3::1")), 1);
        assert_eq!(taken(1000, || charge("10.0.0.1")), 100);
        assert_eq!(taken(1, || charge("::ffff:10.0.0.1")), 0);
        assert_eq!(taken(1, || charge("10.0.0.2")), 1);
    }

    #[test]
    fn a_million_addresses_stay_in_bounds_and_free_nobody_who_is_held_back() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let attacker = IpAddr::from(Ipv4Addr::BROADCAST);
        assert_eq!(taken(1000, || throttle.charge_address(attacker, NOW)), 100);
        for n in 0..1_000_000 {
            let _ = throttle.charge_address(Ipv4Addr::from_bits(n).into(), NOW);
        }
        let kept: usize = throttle.places.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(kept <= PLACES_MAX, "{kept}");
        assert_eq!(taken(1, || throttle.charge_address(attacker, NOW)), 0);
        throttle.sweep(NOW.plus_ms(MINUTE_MS * 60));
        assert!(throttle.places.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn an_address_tries_five_codes_a_minute_and_stands_in_nobody_elses_way() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let charge = |text: &str, now| throttle.charge_code(text.parse().unwrap(), now);
        assert_eq!(taken(100, || charge("10.0.0.1", NOW)), 5);
        assert_eq!(taken(100, || charge("10.0.0.1", NOW.plus_ms(MINUTE_MS))), 5);
        assert_eq!(taken(100, || charge("10.0.0.2", NOW)), 5);
        assert_eq!(taken(1, || throttle.charge_address("10.0.0.1".parse().unwrap(), NOW)), 1);
    }

    #[test]
    fn a_sweep_forgets_only_who_owes_nothing() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let key = ThrottleKey::Account(user(1));
        assert_eq!(taken(10, || throttle.charge_account(key, None, NOW)), 10);
        throttle.sweep(NOW.plus_ms(10 * MINUTE_MS - 1));
        assert!(throttle.account(key).is_some());
        throttle.sweep(NOW.plus_ms(10 * MINUTE_MS));
        assert!(throttle.account(key).is_none());
    }

    #[test]
    fn an_unknown_name_answers_like_a_known_one_whatever_happens() {
        let throttle = Throttle::new(ThrottleSettings::default());
        let key = ThrottleKey::Account(user(1));
        let (mut now, mut state) = (NOW, 1_u64);
        for step in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match state >> 61 {
                0 => {
                    throttle.refund_account(key);
                    throttle.refund_unknown(77);
                }
                1 => now = now.plus_ms((state >> 40) as i64 % (2 * MINUTE_MS)),
                2 if step % 50 == 0 => now = now.plus_ms(-60 * MINUTE_MS),
                3 => throttle.sweep(now),
                _ => assert_eq!(
                    throttle.charge_account(key, None, now),
                    throttle.charge_unknown(77, now),
                    "{step}"
                ),
            }
        }
    }
}
