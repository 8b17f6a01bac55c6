//! Those who do the same work: a sign-in's records, on disk before the answer, none of them over another.

mod grouped;
mod ours;
mod redb;
mod sled_alone;
mod sqlite;

use hallpass::store::engine::Switches;
use std::path::Path;

pub use ours::{open as ours, options};

/// Somebody who makes sign-ins durable.
pub trait Contender: Send + Sync {
    /// Returns once all of it is on disk.
    fn commit(&self, work: SignIn);
}

/// How a contender is made in an empty directory.
pub type Make = Box<dyn Fn(&Path) -> Box<dyn Contender>>;

/// Six records, as many bytes as a sign-in writes: three of 300 bytes, and three that are but keys.
pub struct SignIn {
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
}

const PAYLOAD_BYTES: usize = 300;

impl SignIn {
    /// The same every time for the same number. Sessions lie in order of time, credentials anywhere.
    pub fn nth(number: u64) -> Self {
        let (session, user) = (session_id(number), scattered(number % 100_000));
        let payload = || payload(number);
        let key = |table: u8, parts: &[&[u8]]| [&[table], parts.concat().as_slice()].concat();
        let minute = (number as u32 / 100_000).to_be_bytes();
        Self {
            records: vec![
                (key(0x10, &[&session]), payload()),
                (key(0x11, &[&scattered(number), &scattered(!number)]), payload()),
                (key(0x12, &[&session]), payload()),
                (key(0x13, &[&[1], &user, &session]), Vec::new()),
                (key(0x13, &[&[4], &session]), Vec::new()),
                (key(0x40, &[&minute, &[0x10], &session]), Vec::new()),
            ],
        }
    }

    /// Keys and payloads of one.
    pub fn bytes() -> f64 {
        Self::nth(0).records.iter().map(|(key, payload)| key.len() + payload.len()).sum::<usize>() as f64
    }
}

/// Grows with the number, as ids do that begin with the time.
pub fn session_id(number: u64) -> [u8; 16] {
    let mut id = scattered(number);
    id[..8].copy_from_slice(&number.to_be_bytes());
    id
}

/// As good as random, and never the same for two numbers.
pub fn scattered(number: u64) -> [u8; 16] {
    // The steps of splitmix64: each can be undone, so no two numbers meet.
    let mix = |mut x: u64| {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    let (high, low) = (mix(number), mix(mix(number)));
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// Bytes that nobody can compress.
pub fn payload(number: u64) -> Vec<u8> {
    (0..).flat_map(|part| scattered(number ^ part << 56)).take(PAYLOAD_BYTES).collect()
}

/// Everybody, by name; we come first.
pub fn all() -> Vec<(&'static str, Make)> {
    vec![
        ("Hallpass's store", Box::new(|at| ours(at, Switches::default()))),
        ("sled, a transaction, flush and sync each", Box::new(sled_alone::open)),
        ("SQLite in groups", Box::new(|at| grouped::in_groups(sqlite::writer(at)))),
        ("SQLite, a transaction each", Box::new(|at| grouped::one_by_one(sqlite::writer(at)))),
        ("redb in groups", Box::new(|at| grouped::in_groups(redb::writer(at)))),
        ("redb, a transaction each", Box::new(|at| grouped::one_by_one(redb::writer(at)))),
    ]
}
