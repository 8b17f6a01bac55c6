//! What the store must hold: per table a count and a digest, kept up with every group and vouched for by a tag.
//!
//! sled opens damaged files with records missing and says nothing. The digest of a table is the sum of its records'
//! keyed digests, so a group moves it by what it changes, and any order of records comes to the same.

use super::{Key, Record};
use aws_lc_rs::{constant_time, hmac};
use std::collections::BTreeMap;

/// `meta/head`.
pub(super) const HEAD_KEY: &[u8] = b"\x01head";
const TAG_BYTES: usize = 32;
const TOTAL_BYTES: usize = 1 + 8 + 16;
/// No record's digest begins so: its key would have to be this long.
const HEAD_LABEL: &[u8] = b"\xff\xffhead";

/// What of the master key the store needs: both are HKDF outputs.
#[derive(Clone)]
pub struct StoreKeys {
    digest: hmac::Key,
    /// A value that only this master key gives; it lies in the store, so that another key is noticed.
    pub(super) check: [u8; 32],
}

impl StoreKeys {
    pub fn new(digest: &[u8; 32], check: [u8; 32]) -> Self {
        Self { digest: hmac::Key::new(hmac::HMAC_SHA256, digest), check }
    }

    /// The digest of one record. `None` for the head, which cannot vouch for itself.
    fn digest(&self, key: &[u8], value: &[u8]) -> Option<u128> {
        if key == HEAD_KEY {
            return None;
        }
        let mut context = hmac::Context::with_key(&self.digest);
        context.update(&(key.len() as u16).to_be_bytes());
        context.update(key);
        context.update(value);
        context.sign().as_ref()[..16].try_into().ok().map(u128::from_be_bytes)
    }

    fn tag(&self, identity: &Identity, body: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.digest);
        context.update(HEAD_LABEL);
        context.update(&identity.store_id);
        context.update(&identity.generation.to_be_bytes());
        context.update(body);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

impl std::fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKeys")
    }
}

/// Which store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub store_id: [u8; 16],
    /// Moves when the store's past is replaced: by a restore, or when a loss is accepted.
    pub generation: u64,
}

/// How many records a table has, and the sum of their digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub count: u64,
    pub digest: u128,
}

/// The totals of all tables that have records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<u8, Total>);

impl Totals {
    pub fn of(&self, table: u8) -> Total {
        self.0.get(&table).copied().unwrap_or_default()
    }

    /// Tables with records, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Total)> {
        self.0.iter().map(|(table, total)| (*table, *total))
    }

    /// Tables in which the two differ.
    pub fn differences(&self, other: &Self) -> Vec<u8> {
        let tables: std::collections::BTreeSet<u8> = self.0.keys().chain(other.0.keys()).copied().collect();
        tables.into_iter().filter(|table| self.of(*table) != other.of(*table)).collect()
    }

    pub(super) fn add(&mut self, keys: &StoreKeys, key: &[u8], value: &[u8]) {
        if let Some(digest) = keys.digest(key, value) {
            let total = self.0.entry(key[0]).or_default();
            total.count = total.count.wrapping_add(1);
            total.digest = total.digest.wrapping_add(digest);
        }
    }

    pub(super) fn subtract(&mut self, keys: &StoreKeys, key: &[u8], value: &[u8]) {
        if let Some(digest) = keys.digest(key, value) {
            let total = self.0.entry(key[0]).or_default();
            // Wrapping: of a damaged table more may be taken than there was; the sum then shows it.
            total.count = total.count.wrapping_sub(1);
            total.digest = total.digest.wrapping_sub(digest);
            if *total == Total::default() {
                self.0.remove(&key[0]);
            }
        }
    }

    /// The record at `key` becomes `new`.
    pub(super) fn replace(&mut self, keys: &StoreKeys, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if let Some(old) = old {
            self.subtract(keys, key, old);
        }
        if let Some(new) = new {
            self.add(keys, key, new);
        }
    }
}

/// How far the store has come and what it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Of the last batch.
    pub sequence: u64,
    pub totals: Totals,
}

impl Head {
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(8 + self.totals.0.len() * TOTAL_BYTES + TAG_BYTES);
        body.extend_from_slice(&self.sequence.to_be_bytes());
        for (table, total) in self.totals.iter() {
            body.push(table);
            body.extend_from_slice(&total.count.to_be_bytes());
            body.extend_from_slice(&total.digest.to_be_bytes());
        }
        body
    }

    /// The value of `meta/head`, and its tag, which the sidecar notes.
    pub(super) fn seal(&self, keys: &StoreKeys, identity: &Identity) -> (Vec<u8>, [u8; TAG_BYTES]) {
        let mut payload = self.body();
        let tag = keys.tag(identity, &payload);
        payload.extend_from_slice(&tag);
        (Record::encode(self.sequence, &payload), tag)
    }

    /// Reads a head without asking whose it is: from a backup that another master key made.
    pub fn from_bytes(body: &[u8]) -> Option<Self> {
        let (sequence, rest) = body.split_first_chunk::<8>()?;
        let mut totals = BTreeMap::new();
        let chunks = rest.chunks_exact(TOTAL_BYTES);
        if !chunks.remainder().is_empty() {
            return None;
        }
        for chunk in chunks {
            let count = chunk[1..9].try_into().ok().map(u64::from_be_bytes)?;
            let digest = chunk[9..].try_into().ok().map(u128::from_be_bytes)?;
            totals.insert(chunk[0], Total { count, digest });
        }
        Some(Self { sequence: u64::from_be_bytes(*sequence), totals: Totals(totals) })
    }

    /// What [`Head::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.body()
    }

    /// Opens the record's bytes; `None` when anything of it, or of the identity, is not what was sealed.
    pub(super) fn open(
        bytes: &[u8],
        keys: &StoreKeys,
        identity: &Identity,
    ) -> Option<(Self, [u8; TAG_BYTES])> {
        let payload = Record::decode(bytes).ok()?.payload;
        let (body, tag) = payload.split_last_chunk::<TAG_BYTES>()?;
        constant_time::verify_slices_are_equal(&keys.tag(identity, body), tag).ok()?;
        Some((Self::from_bytes(body)?, *tag))
    }
}

/// What is to be written at a key, and what lay there before.
pub(super) struct Touched {
    pub key: Key,
    pub old: Option<sled::IVec>,
    pub new: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> StoreKeys {
        StoreKeys::new(&[byte; 32], [0; 32])
    }

    const IDENTITY: Identity = Identity { store_id: [7; 16], generation: 3 };

    #[test]
    fn the_order_of_records_does_not_matter_and_everything_else_does() {
        let keys = keys(1);
        let records: [(&[u8], &[u8]); 3] = [(b"\x10a", b"1"), (b"\x10b", b"2"), (b"\x11a", b"1")];
        let (mut forwards, mut backwards) = (Totals::default(), Totals::default());
        records.iter().for_each(|(key, value)| forwards.add(&keys, key, value));
        records.iter().rev().for_each(|(key, value)| backwards.add(&keys, key, value));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.of(0x10).count, 2);
        // A value that moved to another key, a byte that moved from key to value, a lost record.
        let mut other = forwards.clone();
        other.replace(&keys, b"\x10a", Some(b"1"), Some(b"2"));
        other.replace(&keys, b"\x10b", Some(b"2"), Some(b"1"));
        assert_eq!(other.differences(&forwards), [0x10]);
        let (mut long, mut short) = (Totals::default(), Totals::default());
        long.add(&keys, b"\x10ab", b"c");
        short.add(&keys, b"\x10a", b"bc");
        assert_eq!(long.differences(&short), [0x10]);
        forwards.subtract(&keys, b"\x11a", b"1");
        assert_eq!(backwards.differences(&forwards), [0x11]);
        // Taken out again, nothing is left, not even a zero.
        forwards.subtract(&keys, b"\x10a", b"1");
        forwards.subtract(&keys, b"\x10b", b"2");
        assert_eq!(forwards, Totals::default());
    }

    #[test]
    fn a_head_opens_only_as_it_was_sealed() {
        let mut head = Head { sequence: 9, totals: Totals::default() };
        head.totals.add(&keys(1), b"\x10a", b"1");
        let (bytes, tag) = head.seal(&keys(1), &IDENTITY);
        assert_eq!(Head::open(&bytes, &keys(1), &IDENTITY), Some((head.clone(), tag)));
        assert_eq!(Head::open(&bytes, &keys(2), &IDENTITY), None);
        assert_eq!(Head::open(&bytes, &keys(1), &Identity { generation: 4, ..IDENTITY }), None);
        for at in 9..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(Head::open(&altered, &keys(1), &IDENTITY), None, "byte {at}");
            assert_eq!(Head::open(&bytes[..at], &keys(1), &IDENTITY), None, "up to {at}");
        }
        assert_eq!(Head::from_bytes(&head.to_bytes()), Some(head));
        assert_eq!(Head::from_bytes(&[0; 9]), None);
    }
}
