//! Hashes of passwords, ours and those of other systems: how each is written, and what it may cost to verify one.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD, STANDARD_NO_PAD};
use password_hash::phc::PasswordHash;
use std::fmt;

/// No hash of a scheme that we know is longer.
const TEXT_BYTES_MAX: usize = 512;
/// Shorter ones could be met by chance.
const SALT_BYTES_MIN: usize = 8;
const OUTPUT_BYTES_MIN: usize = 16;

/// The most that a hash of another scheme may ask for, as [`HashSetting::STORED_MAX`] is for argon2: two or three
/// seconds of a core, and 256 MiB.
const BCRYPT_COST_MAX: u32 = 14;
const SCRYPT_MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Memory times lanes, which are worked off one after the other.
const SCRYPT_WORK_BYTES_MAX: u64 = 512 << 20;
/// Iterations times blocks of output.
const PBKDF2_ROUNDS_MAX: u64 = 5_000_000;

/// How many bytes of a password bcrypt looks at, its closing NUL included.
pub const BCRYPT_BYTES_MAX: usize = 72;
const BCRYPT_SALT_BYTES: usize = 16;
const BCRYPT_OUTPUT_BYTES: usize = 23;

/// The cost of one argon2 hash.
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

    /// The most that a stored hash may ask for, or our own setting if that is higher: a hash from an import, or from a
    /// restored or doctored store, must not take the machine.
    pub const STORED_MAX: Self = Self { memory_kib: 262_144, iterations: 16, parallelism: 16 };

    /// Whether any of the costs is above the other's.
    pub fn exceeds(self, other: Self) -> bool {
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

/// The three of argon2. Ours is `Id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Kind {
    D,
    I,
    Id,
}

impl Argon2Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::D => "argon2d",
            Self::I => "argon2i",
            Self::Id => "argon2id",
        }
    }
}

/// What PBKDF2 is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prf {
    HmacSha1,
    HmacSha256,
    HmacSha512,
}

impl Prf {
    const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "pbkdf2-sha1",
            Self::HmacSha256 => "pbkdf2-sha256",
            Self::HmacSha512 => "pbkdf2-sha512",
        }
    }

    const fn output_bytes(self) -> u64 {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha512 => 64,
        }
    }
}

/// How a hash is made, but for the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Argon2 { kind: Argon2Kind, cost: HashSetting },
    Bcrypt { cost: u32 },
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2 { prf: Prf, iterations: u32 },
}

/// A password's hash, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredHash {
    pub scheme: Scheme,
    pub salt: Vec<u8>,
    pub output: Vec<u8>,
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash")
    }
}

/// Why a hash is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFault {
    /// A known scheme, but its parts are not as they should be.
    Malformed,
    Unsupported,
    /// Verifying it would cost too much.
    TooDear,
}

impl HashFault {
    /// Stable, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "hash_malformed",
            Self::Unsupported => "hash_unsupported",
            Self::TooDear => "hash_too_dear",
        }
    }

    /// For people. Never with a part of the hash.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Malformed => "The parts of this hash are not those of its scheme, or too short.",
            Self::Unsupported => {
                "This is no hash of argon2 (version 19), bcrypt (2a, 2b, 2y), scrypt or PBKDF2 (SHA-1, -256, -512)."
            }
            Self::TooDear => "Verifying this hash would take too much memory or time.",
        }
    }
}

impl StoredHash {
    /// Reads a hash as we keep it, or as Django, passlib, htpasswd and the PHC format write it. `own` is the present
    /// setting: what we ask for ourselves is never too dear.
    ///
    /// # Errors
    /// [`HashFault`].
    pub fn parse(text: &str, own: HashSetting) -> Result<Self, HashFault> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(HashFault::Malformed);
        }
        let hash = match text.split('$').next() {
            Some("") if text.starts_with("$2") => bcrypt(text),
            Some("") => phc(text),
            // Django puts its own name before.
            Some("argon2") => phc(&text["argon2".len()..]),
            Some("bcrypt") => bcrypt(&text["bcrypt$".len().min(text.len())..]),
            Some("pbkdf2_sha1") => django_pbkdf2(Prf::HmacSha1, text),
            Some("pbkdf2_sha256") => django_pbkdf2(Prf::HmacSha256, text),
            Some("scrypt") => django_scrypt(text),
            _ => Err(HashFault::Unsupported),
        }?;
        hash.check(own)?;
        Ok(hash)
    }

    fn check(&self, own: HashSetting) -> Result<(), HashFault> {
        if self.salt.len() < SALT_BYTES_MIN || self.output.len() < OUTPUT_BYTES_MIN {
            return Err(HashFault::Malformed);
        }
        let affordable = match self.scheme {
            Scheme::Argon2 { cost, .. } => !cost.exceeds(own.or_higher(HashSetting::STORED_MAX)),
            Scheme::Bcrypt { cost } => cost <= BCRYPT_COST_MAX,
            Scheme::Scrypt { log_n, r, p } => {
                let memory = 1_u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(128 * u64::from(r)));
                let work = memory.and_then(|memory| memory.checked_mul(p.into()));
                memory.is_some_and(|memory| memory <= SCRYPT_MEMORY_BYTES_MAX)
                    && work.is_some_and(|work| work <= SCRYPT_WORK_BYTES_MAX)
            }
            Scheme::Pbkdf2 { prf, iterations } => {
                let blocks = (self.output.len() as u64).div_ceil(prf.output_bytes());
                u64::from(iterations) * blocks <= PBKDF2_ROUNDS_MAX
            }
        };
        if affordable { Ok(()) } else { Err(HashFault::TooDear) }
    }

    /// The one spelling in which it is kept and exported: PHC, and for bcrypt its own.
    pub fn to_text(&self) -> String {
        let head = match self.scheme {
            Scheme::Bcrypt { cost } => {
                let (salt, output) = (BCRYPT_BASE64.encode(&self.salt), BCRYPT_BASE64.encode(&self.output));
                return format!("$2b${cost:02}${salt}{output}");
            }
            Scheme::Argon2 { kind, cost: HashSetting { memory_kib, iterations, parallelism } } => {
                format!("{}$v=19$m={memory_kib},t={iterations},p={parallelism}", kind.name())
            }
            Scheme::Scrypt { log_n, r, p } => format!("scrypt$ln={log_n},r={r},p={p}"),
            Scheme::Pbkdf2 { prf, iterations } => {
                format!("{}$i={iterations},l={}", prf.name(), self.output.len())
            }
        };
        let (salt, output) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.output));
        format!("${head}${salt}${output}")
    }
}

/// Some implementations leave other bits than zeros behind the last whole byte.
const BCRYPT_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// `$2b$10$` with 22 characters of salt and 31 of output. The three revisions agree on every password without a NUL;
/// `2x` marks hashes of a broken one.
fn bcrypt(text: &str) -> Result<StoredHash, HashFault> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|head| text.strip_prefix(head));
    let (cost, rest) = rest.ok_or(HashFault::Unsupported)?.split_once('$').ok_or(HashFault::Malformed)?;
    let cost = Some(cost).filter(|cost| cost.len() == 2).and_then(decimal).ok_or(HashFault::Malformed)?;
    let decode = |text: Option<&str>| text.and_then(|text| BCRYPT_BASE64.decode(text).ok());
    let (salt, output) = (decode(rest.get(..22)), decode(rest.get(22..)));
    match (salt, output) {
        (Some(salt), Some(output))
            if salt.len() == BCRYPT_SALT_BYTES
                && output.len() == BCRYPT_OUTPUT_BYTES
                && (4..=31).contains(&cost) =>
        {
            Ok(StoredHash { scheme: Scheme::Bcrypt { cost }, salt, output })
        }
        _ => Err(HashFault::Malformed),
    }
}

fn phc(text: &str) -> Result<StoredHash, HashFault> {
    let name = text.split('$').nth(1).unwrap_or_default();
    let prf = match name {
        "pbkdf2" | "pbkdf2-sha1" => Some(Prf::HmacSha1),
        "pbkdf2-sha256" => Some(Prf::HmacSha256),
        "pbkdf2-sha512" => Some(Prf::HmacSha512),
        "argon2d" | "argon2i" | "argon2id" | "scrypt" => None,
        _ => return Err(HashFault::Unsupported),
    };
    if let Some(prf) = prf.filter(|_| !text.contains('=')) {
        return passlib_pbkdf2(prf, text);
    }
    let hash = PasswordHash::new(text).map_err(|_| HashFault::Malformed)?;
    let argon2 = |kind| {
        let [memory_kib, iterations, parallelism] = numbers(&hash, ["m", "t", "p"])?;
        let cost = HashSetting { memory_kib, iterations, parallelism };
        if hash.version == Some(19) { Ok(Scheme::Argon2 { kind, cost }) } else { Err(HashFault::Unsupported) }
    };
    let scheme = match (name, prf) {
        ("argon2d", _) => argon2(Argon2Kind::D)?,
        ("argon2i", _) => argon2(Argon2Kind::I)?,
        ("argon2id", _) => argon2(Argon2Kind::Id)?,
        (_, Some(prf)) => {
            let (iterations, length) = match numbers(&hash, ["i", "l"]) {
                Ok([iterations, length]) => (iterations, Some(length as usize)),
                Err(_) => (numbers(&hash, ["i"])?[0], None),
            };
            if length.is_some() && length != hash.hash.as_ref().map(|output| output.len()) {
                return Err(HashFault::Malformed);
            }
            Scheme::Pbkdf2 { prf, iterations }
        }
        _ => {
            let [log_n, r, p] = numbers(&hash, ["ln", "r", "p"])?;
            Scheme::Scrypt { log_n: u8::try_from(log_n).map_err(|_| HashFault::TooDear)?, r, p }
        }
    };
    let (Some(salt), Some(output)) = (&hash.salt, &hash.hash) else { return Err(HashFault::Malformed) };
    made(scheme, salt.as_ref().to_vec(), output.as_bytes().to_vec())
}

/// The numbers of these names, if there are no others.
fn numbers<const N: usize>(hash: &PasswordHash, names: [&str; N]) -> Result<[u32; N], HashFault> {
    let known = hash.params.iter().all(|(name, _)| names.contains(&name.as_str()));
    let found: Option<Vec<u32>> = names.iter().map(|name| hash.params.get_decimal(*name)).collect();
    found.filter(|_| known).and_then(|found| found.try_into().ok()).ok_or(HashFault::Malformed)
}

/// `$pbkdf2-sha256$29000$salt$output`, in base64 with `.` for `+`.
fn passlib_pbkdf2(prf: Prf, text: &str) -> Result<StoredHash, HashFault> {
    let parts: Vec<_> = text.split('$').collect();
    let [_, _, iterations, salt, output] = parts[..] else { return Err(HashFault::Malformed) };
    let decode =
        |text: &str| STANDARD_NO_PAD.decode(text.replace('.', "+")).map_err(|_| HashFault::Malformed);
    let iterations = decimal(iterations).ok_or(HashFault::Malformed)?;
    made(Scheme::Pbkdf2 { prf, iterations }, decode(salt)?, decode(output)?)
}

/// `pbkdf2_sha256$iterations$salt$output`; the salt is its own text.
fn django_pbkdf2(prf: Prf, text: &str) -> Result<StoredHash, HashFault> {
    let parts: Vec<_> = text.split('$').collect();
    let [_, iterations, salt, output] = parts[..] else { return Err(HashFault::Malformed) };
    let iterations = decimal(iterations).ok_or(HashFault::Malformed)?;
    let output = STANDARD.decode(output).map_err(|_| HashFault::Malformed)?;
    made(Scheme::Pbkdf2 { prf, iterations }, salt.as_bytes().to_vec(), output)
}

/// `scrypt$n$salt$r$p$output`; the salt is its own text.
fn django_scrypt(text: &str) -> Result<StoredHash, HashFault> {
    let parts: Vec<_> = text.split('$').collect();
    let [_, n, salt, r, p, output] = parts[..] else { return Err(HashFault::Malformed) };
    let output = STANDARD.decode(output).map_err(|_| HashFault::Malformed)?;
    match (decimal(n).filter(|n| n.is_power_of_two()), decimal(r), decimal(p)) {
        (Some(n), Some(r), Some(p)) => {
            let log_n = n.trailing_zeros() as u8;
            made(Scheme::Scrypt { log_n, r, p }, salt.as_bytes().to_vec(), output)
        }
        _ => Err(HashFault::Malformed),
    }
}

/// No scheme takes nought of anything, and what we keep must be read again: PHC has bounds for salt and output.
fn made(scheme: Scheme, salt: Vec<u8>, output: Vec<u8>) -> Result<StoredHash, HashFault> {
    let zero = match scheme {
        Scheme::Argon2 { cost: HashSetting { memory_kib, iterations, parallelism }, .. } => {
            memory_kib < parallelism.saturating_mul(8) || iterations == 0 || parallelism == 0
        }
        Scheme::Bcrypt { .. } => false,
        Scheme::Scrypt { log_n, r, p } => log_n == 0 || r == 0 || p == 0,
        Scheme::Pbkdf2 { iterations, .. } => iterations == 0,
    };
    if zero || salt.len() > 48 || output.len() > 64 {
        return Err(HashFault::Malformed);
    }
    Ok(StoredHash { scheme, salt, output })
}

/// Digits alone: `parse` would take a sign.
fn decimal(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[path = "hash/tests.rs"]
mod tests;
