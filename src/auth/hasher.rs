//! Hashes passwords with argon2id (RFC 9106) on threads of its own, which yield to everything else.

use crate::entropy::Entropy;
use crate::model::password::Password;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use parking_lot::{Condvar, Mutex};
use password_hash::phc::{Output, PasswordHash};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};
use tokio::sync::oneshot;

/// The cost of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSetting {
    pub memory_kib: u32,
    pub iterations: u32,
    /// Lanes. They are worked off one after the other: the cores are busy with other sign-ins.
    pub parallelism: u32,
}

impl HashSetting {
    /// OWASP's first recommendation for argon2id.
    pub const DEFAULT: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };

    /// The most that a stored hash may ask for, or our own setting if that is higher: a hash from a restored or
    /// doctored store must not take the machine's memory.
    const STORED_MAX: Self = Self { memory_kib: 262_144, iterations: 16, parallelism: 16 };

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(OUTPUT_BYTES))
    }

    fn of(params: &Params) -> Self {
        Self { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() }
    }

    /// Whether any of the costs is above the other's.
    fn exceeds(self, other: Self) -> bool {
        self.memory_kib > other.memory_kib
            || self.iterations > other.iterations
            || self.parallelism > other.parallelism
    }

    fn or_higher(self, other: Self) -> Self {
        Self {
            memory_kib: self.memory_kib.max(other.memory_kib),
            iterations: self.iterations.max(other.iterations),
            parallelism: self.parallelism.max(other.parallelism),
        }
    }
}

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
    /// The same password under the present setting, when the stored one is below it.
    pub rehash: Option<Phc>,
}

/// How long a worker without work keeps its memory.
const MEMORY_KEPT: Duration = Duration::from_secs(30);
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;
/// The lowest priority there is: a flood of sign-ins must not slow the checking of sessions.
const NICE: i32 = 19;

/// The machine. Dropping it ends its threads once each has finished the hash that it is at.
pub struct Hasher {
    queue: Arc<Queue>,
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
        let params =
            setting.params().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        let workers = match workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        // Owned before the first thread starts: if a later one cannot, the earlier ones end.
        let hasher = Self { queue: Arc::new(Queue::new(queue_length_max)) };
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

    /// How many wait for a worker.
    pub fn queue_length(&self) -> usize {
        self.queue.state.lock().jobs.len()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Bench) -> T + Send + 'static,
    ) -> Result<T, HashRefusal> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |bench| {
            // Who hung up meanwhile is not worth the work.
            if !reply.is_closed() {
                let _ = reply.send(work(bench));
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
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    stopped: bool,
}

impl Queue {
    fn new(length_max: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), length_max }
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
        let salt = self.entropy.bytes::<SALT_BYTES>();
        let output = self.derive(password, &salt, self.params.clone())?;
        let HashSetting { memory_kib, iterations, parallelism } = self.setting;
        let (salt, output) = (BASE64.encode(salt), BASE64.encode(output.as_bytes()));
        Ok(Phc(format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${output}")))
    }

    fn verify(&mut self, password: &Password, stored: Option<&Phc>) -> Result<Verified, HashRefusal> {
        let known = stored.and_then(|phc| {
            let known = self.read(phc);
            if known.is_none() {
                tracing::error!(event = "stored_hash_unreadable");
            }
            known
        });
        let Some(known) = known else {
            self.derive(password, &[0; SALT_BYTES], self.params.clone())?;
            return Ok(Verified { matches: false, rehash: None });
        };
        let setting = HashSetting::of(&known.params);
        // Output compares in constant time.
        let matches = self.derive(password, &known.salt, known.params)? == known.output;
        let rehash = if matches && self.setting.exceeds(setting) { Some(self.hash(password)?) } else { None };
        Ok(Verified { matches, rehash })
    }

    /// A stored hash, if it is one of argon2id at a cost that we are ready to pay.
    fn read(&self, phc: &Phc) -> Option<Known> {
        let hash = PasswordHash::new(&phc.0).ok()?;
        let of_kind = Algorithm::try_from(hash.algorithm.as_str()).ok()? == Algorithm::Argon2id
            && hash.version == Some(Version::V0x13.into());
        let params = Params::try_from(&hash).ok()?;
        let affordable = !HashSetting::of(&params).exceeds(self.setting.or_higher(HashSetting::STORED_MAX));
        let plain = params.keyid().is_empty() && params.data().is_empty();
        let (salt, output) = (hash.salt?, hash.hash?);
        // Shorter ones could be met by chance.
        let long_enough = salt.as_ref().len() >= 8 && output.len() >= 16;
        (of_kind && affordable && plain && long_enough).then(|| Known {
            params,
            salt: salt.as_ref().to_vec(),
            output,
        })
    }

    fn derive(&mut self, password: &Password, salt: &[u8], params: Params) -> Result<Output, HashRefusal> {
        let blocks = params.block_count();
        self.memory.resize(blocks, Block::default());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let length = argon2.params().output_len().unwrap_or(OUTPUT_BYTES);
        let mut derived = Ok(());
        let output = Output::init_with(length, |out| {
            derived = argon2.hash_password_into_with_memory(
                password.expose().as_bytes(),
                salt,
                out,
                &mut self.memory,
            );
            Ok(())
        });
        if blocks > self.params.block_count() {
            self.memory = Vec::new();
        }
        match (derived, output) {
            (Ok(()), Ok(output)) => Ok(output),
            (derived, _) => {
                tracing::error!(event = "hashing_failed", error = ?derived.err());
                Err(HashRefusal::Failed)
            }
        }
    }
}

struct Known {
    params: Params,
    salt: Vec<u8>,
    output: Output,
}

#[cfg(test)]
#[path = "hasher/tests.rs"]
mod tests;
