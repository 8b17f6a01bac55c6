//! Hashes passwords with argon2id (RFC 9106) on threads of its own, which yield to everything else. Hashes that other
//! systems made are verified, and replaced by ours with the password that matched.

mod foreign;

pub mod passphrase;

use crate::clock::Stopwatch;
use crate::entropy::Entropy;
use crate::model::hash::{Argon2Kind, HashFault, Scheme, StoredHash};
use crate::model::password::Password;
use crate::tally::{Distribution, Histogram};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};
use tokio::sync::oneshot;

pub use crate::model::hash::HashSetting;

/// A password's hash as a PHC string.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phc(String);

impl Phc {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Phc {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Phc> for String {
    fn from(phc: Phc) -> String {
        phc.0
    }
}

impl fmt::Debug for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phc")
    }
}

/// Why there is no hash and no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRefusal {
    /// The queue is full; nothing was done.
    Overloaded,
    /// The hasher is shutting down.
    Stopped,
    /// Hashing itself failed.
    Failed,
}

/// What came of holding a password against a hash.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    pub matches: bool,
    /// The same password under the present setting, when the stored one is below it or of another scheme.
    pub rehash: Option<Phc>,
}

/// Bounds of the times that hashes take.
const HASH_US: [u64; 9] = [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 1_000_000, 5_000_000];
/// How long a worker without work keeps its memory.
const MEMORY_KEPT: Duration = Duration::from_secs(30);
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;
/// The lowest priority there is: a flood of sign-ins must not slow the checking of sessions.
const NICE: i32 = 19;

/// The machine. Dropping it ends its threads once each has finished the hash that it is at.
pub struct Hasher {
    queue: Arc<Queue>,
    setting: HashSetting,
}

impl Hasher {
    /// Starts `workers` threads; 0 means as many as there are cores.
    ///
    /// # Errors
    /// When the setting is none that argon2 knows, or a thread cannot be started.
    pub fn new(
        setting: HashSetting,
        workers: usize,
        queue_length_max: usize,
        entropy: Entropy,
    ) -> io::Result<Self> {
        let params = params(setting, OUTPUT_BYTES)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        let workers = match workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        // Owned before the first thread starts: if a later one cannot, the earlier ones end.
        let hasher = Self { queue: Arc::new(Queue::new(queue_length_max)), setting };
        for n in 0..workers {
            let queue = Arc::clone(&hasher.queue);
            let mut bench =
                Bench { setting, params: params.clone(), entropy: entropy.clone(), memory: Vec::new() };
            thread::Builder::new().name(format!("hasher-{n}")).spawn(move || {
                // On Linux priorities are per thread. Without it the work is still right, so it is only tried.
                if let Err(e) = rustix::process::setpriority_process(None, NICE) {
                    tracing::warn!(event = "hasher_priority", error = %e);
                }
                queue.work(&mut bench);
            })?;
        }
        Ok(hasher)
    }

    /// Hashes a new password under the present setting.
    ///
    /// # Errors
    /// [`HashRefusal`].
    pub async fn hash(&self, password: Password) -> Result<Phc, HashRefusal> {
        self.run(move |bench| bench.hash(&password)).await?
    }

    /// Holds a password against a stored hash. With `None`, an unknown user's, it does the same work and matches
    /// nothing; likewise with a stored hash that cannot be read, which is logged.
    ///
    /// # Errors
    /// [`HashRefusal`].
    pub async fn verify(&self, password: Password, stored: Option<Phc>) -> Result<Verified, HashRefusal> {
        self.run(move |bench| bench.verify(&password, stored.as_ref())).await?
    }

    /// Reads a hash that comes from elsewhere, ours or another system's, into the form in which it is kept.
    ///
    /// # Errors
    /// [`HashFault`]: it is none, or verifying it would cost too much.
    pub fn read(&self, text: &str) -> Result<Phc, HashFault> {
        StoredHash::parse(text, self.setting).map(|hash| Phc(hash.to_text()))
    }

    /// How long each hash took, in microseconds.
    pub fn times(&self) -> Distribution {
        self.queue.hash_us.read()
    }

    /// How many wait for a worker.
    pub fn queue_length(&self) -> usize {
        self.queue.state.lock().jobs.len()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Bench) -> T + Send + 'static,
    ) -> Result<T, HashRefusal> {
        let (reply, answer) = oneshot::channel();
        let queue = Arc::clone(&self.queue);
        self.queue.push(Box::new(move |bench| {
            // Who hung up meanwhile is not worth the work.
            if !reply.is_closed() {
                let watch = Stopwatch::start();
                let done = work(bench);
                queue.hash_us.note(watch.elapsed_us());
                let _ = reply.send(done);
            }
        }))?;
        answer.await.map_err(|_| HashRefusal::Stopped)
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.stopped = true;
        state.jobs.clear();
        self.queue.wake.notify_all();
    }
}

type Job = Box<dyn FnOnce(&mut Bench) + Send>;

struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
    length_max: usize,
    hash_us: Histogram<9>,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    stopped: bool,
}

impl Queue {
    fn new(length_max: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), length_max, hash_us: Histogram::new(HASH_US) }
    }

    fn push(&self, job: Job) -> Result<(), HashRefusal> {
        let mut state = self.state.lock();
        if state.jobs.len() >= self.length_max {
            return Err(HashRefusal::Overloaded);
        }
        state.jobs.push_back(job);
        self.wake.notify_one();
        Ok(())
    }

    fn work(&self, bench: &mut Bench) {
        loop {
            let mut state = self.state.lock();
            let job = loop {
                if state.stopped {
                    return;
                }
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                if self.wake.wait_for(&mut state, MEMORY_KEPT).timed_out() {
                    bench.memory = Vec::new();
                }
            };
            drop(state);
            job(bench);
        }
    }
}

/// What one worker works with. The memory is kept from hash to hash: the system hands it out page by page, and takes
/// its time.
struct Bench {
    setting: HashSetting,
    params: Params,
    entropy: Entropy,
    memory: Vec<Block>,
}

impl Bench {
    fn hash(&mut self, password: &Password) -> Result<Phc, HashRefusal> {
        let salt = self.entropy.bytes::<SALT_BYTES>().to_vec();
        let output = self.argon2(password, Argon2Kind::Id, &salt, self.params.clone())?;
        let scheme = Scheme::Argon2 { kind: Argon2Kind::Id, cost: self.setting };
        Ok(Phc(StoredHash { scheme, salt, output }.to_text()))
    }

    fn verify(&mut self, password: &Password, stored: Option<&Phc>) -> Result<Verified, HashRefusal> {
        let known = stored.and_then(|phc| {
            StoredHash::parse(&phc.0, self.setting)
                .inspect_err(|fault| tracing::error!(event = "stored_hash_unreadable", fault = fault.code()))
                .ok()
        });
        let Some(known) = known else {
            self.argon2(password, Argon2Kind::Id, &[0; SALT_BYTES], self.params.clone())?;
            return Ok(Verified { matches: false, rehash: None });
        };
        let output = self.derive(password, &known)?;
        let matches = output
            .is_some_and(|output| constant_time::verify_slices_are_equal(&output, &known.output).is_ok());
        let outdated = match known.scheme {
            Scheme::Argon2 { kind: Argon2Kind::Id, cost } => self.setting.exceeds(cost),
            _ => true,
        };
        let rehash = if matches && outdated { Some(self.hash(password)?) } else { None };
        Ok(Verified { matches, rehash })
    }

    /// What the password gives by the scheme and the salt of a stored hash. `None`: nothing there could match it.
    fn derive(&mut self, password: &Password, known: &StoredHash) -> Result<Option<Vec<u8>>, HashRefusal> {
        match known.scheme {
            Scheme::Argon2 { kind, cost } => {
                let params = params(cost, known.output.len()).map_err(|error| failed(&error))?;
                self.argon2(password, kind, &known.salt, params).map(Some)
            }
            _ => foreign::derive(password.expose().as_bytes(), known),
        }
    }

    fn argon2(
        &mut self,
        password: &Password,
        kind: Argon2Kind,
        salt: &[u8],
        params: Params,
    ) -> Result<Vec<u8>, HashRefusal> {
        let algorithm = match kind {
            Argon2Kind::D => Algorithm::Argon2d,
            Argon2Kind::I => Algorithm::Argon2i,
            Argon2Kind::Id => Algorithm::Argon2id,
        };
        let blocks = params.block_count();
        self.memory.resize(blocks, Block::default());
        let argon2 = Argon2::new(algorithm, Version::V0x13, params);
        let mut output = vec![0; argon2.params().output_len().unwrap_or(OUTPUT_BYTES)];
        let password = password.expose().as_bytes();
        let derived = argon2.hash_password_into_with_memory(password, salt, &mut output, &mut self.memory);
        if blocks > self.params.block_count() {
            self.memory = Vec::new();
        }
        derived.map(|()| output).map_err(|error| failed(&error))
    }
}

fn params(cost: HashSetting, output_bytes: usize) -> Result<Params, argon2::Error> {
    Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(output_bytes))
}

fn failed(error: &dyn fmt::Display) -> HashRefusal {
    tracing::error!(event = "hashing_failed", %error);
    HashRefusal::Failed
}

#[cfg(test)]
#[path = "hasher/tests.rs"]
mod tests;
