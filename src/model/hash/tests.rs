//! What is a hash and what is none.

use super::*;

const OURS: HashSetting = HashSetting::DEFAULT;
const SALT: &str = "c2l4dGVlbi5ieXRlc2x0IQ";
const OUTPUT: &str = "bhIaFEm6+0aEw7kNCvTRVmvI9iWXgysvxSOt8Mx/Xjw";
const BCRYPT: &str = "w8Gx1WdG2p9dCd3wespLy.1x/ZScpRqTtbex8ctZmEAuE8belsX.a";

fn fault(text: &str) -> Option<HashFault> {
    StoredHash::parse(text, OURS).err()
}

#[test]
fn what_is_no_hash_of_a_known_scheme_is_refused() {
    for text in [
        "",
        "$",
        "plain text",
        "argon2",
        "argon2$",
        "bcrypt",
        "!unusable",
        "$1$abcdefgh$rest",
        "$6$abcdefgh$rest",
        "$apr1$aGKxBuAr$bvNyiOlCr80S7s8Xu/off0",
        "{SHA}lcsL/Sl3x2EpjZYk5LTUxyo5l0o=",
        "md5$salt$hash",
        "bcrypt_sha256$$2b$12$x",
        "$argon2x$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$x",
        &format!("$2x$04${BCRYPT}"),
        &format!("$2$04${BCRYPT}"),
        &format!("$argon2id$v=16$m=64,t=1,p=1${SALT}${OUTPUT}"),
        &format!("$argon2id$m=64,t=1,p=1${SALT}${OUTPUT}"),
    ] {
        assert_eq!(fault(text), Some(HashFault::Unsupported), "{text}");
    }
}

#[test]
fn what_has_other_parts_than_its_scheme_is_refused() {
    for text in [
        "$argon2id",
        "argon2$argon2id",
        "scrypt",
        "pbkdf2_sha256",
        "pbkdf2_sha256$1$2",
        &format!("$argon2id$v=19$m=64,t=1${SALT}${OUTPUT}"),
        &format!("$argon2id$v=19$m=64,t=1,p=1,x=1${SALT}${OUTPUT}"),
        &format!("$argon2id$v=19$m=7,t=1,p=1${SALT}${OUTPUT}"),
        &format!("$argon2id$v=19$m=64,t=0,p=1${SALT}${OUTPUT}"),
        &format!("$argon2id$v=19$m=64,t=1,p=0${SALT}${OUTPUT}"),
        &format!("$argon2id$v=19$m=64,t=1,p=1${SALT}$c2hvcnQgb25l"),
        &format!("$argon2id$v=19$m=64,t=1,p=1$c2hvcnQ${OUTPUT}"),
        &format!("$argon2id$v=19$m=64,t=1,p=1${SALT}"),
        &format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${OUTPUT}$"),
        &format!("$scrypt$ln=0,r=8,p=1${SALT}${OUTPUT}"),
        &format!("$scrypt$ln=4,r=0,p=1${SALT}${OUTPUT}"),
        &format!("$scrypt$ln=4,r=8,p=0${SALT}${OUTPUT}"),
        &format!("$scrypt$ln=4,r=8${SALT}${OUTPUT}"),
        &format!("$pbkdf2-sha256$i=0${SALT}${OUTPUT}"),
        &format!("$pbkdf2-sha256$i=1,l=31${SALT}${OUTPUT}"),
        &format!("$pbkdf2-sha256$i=1,x=1${SALT}${OUTPUT}"),
        &format!("$pbkdf2-sha256$0${SALT}${OUTPUT}"),
        &format!("$pbkdf2-sha256$+1${SALT}${OUTPUT}"),
        &format!("$pbkdf2-sha256$1${SALT}"),
        &format!("pbkdf2_sha256$1$short${OUTPUT}="),
        &format!("pbkdf2_sha256$1${}${OUTPUT}=", "s".repeat(49)),
        "pbkdf2_sha256$1$long-enough$c2hvcnQgb25l",
        &format!("pbkdf2_sha256$-1$long-enough${OUTPUT}="),
        &format!("scrypt$15$long-enough$8$1${OUTPUT}="),
        &format!("scrypt$1$long-enough$8$1${OUTPUT}="),
        &format!("$2b$4${BCRYPT}"),
        &format!("$2b$03${BCRYPT}"),
        &format!("$2b$32${BCRYPT}"),
        &format!("$2b$04${}", &BCRYPT[1..]),
        &format!("$2b$04${BCRYPT}a"),
        &format!("$2b$04$!{}", &BCRYPT[1..]),
        &format!("$2b$04${}", "ä".repeat(27)),
        "$2b$04",
        "$2b$",
        &"$argon2id$".repeat(100),
    ] {
        assert_eq!(fault(text), Some(HashFault::Malformed), "{text}");
    }
}

#[test]
fn what_costs_more_than_a_sign_in_may_is_refused_and_what_costs_as_much_is_taken() {
    let argon2 = |m: u32, t: u32, p: u32| format!("$argon2id$v=19$m={m},t={t},p={p}${SALT}${OUTPUT}");
    let scrypt = |ln: u32, r: u32, p: u32| format!("$scrypt$ln={ln},r={r},p={p}${SALT}${OUTPUT}");
    let pbkdf2 = |i: u32| format!("$pbkdf2-sha256$i={i}${SALT}${OUTPUT}");
    let pbkdf2_of_two_blocks = |i: u32| format!("$pbkdf2-sha1$i={i}${SALT}${OUTPUT}");
    for (dear, fair) in [
        (argon2(262_145, 1, 1), argon2(262_144, 16, 16)),
        (argon2(64, 17, 1), argon2(64, 16, 1)),
        (argon2(256, 1, 17), argon2(256, 1, 16)),
        (format!("$2b$15${BCRYPT}"), format!("$2b$14${BCRYPT}")),
        (format!("$2b$31${BCRYPT}"), format!("$2b$12${BCRYPT}")),
        (scrypt(19, 8, 1), scrypt(18, 8, 2)),
        (scrypt(18, 8, 3), scrypt(17, 8, 4)),
        (scrypt(18, 9, 1), scrypt(14, 8, 5)),
        (scrypt(63, 4_294_967_295, 4_294_967_295), scrypt(1, 1, 1)),
        (scrypt(64, 8, 1), scrypt(17, 8, 1)),
        (scrypt(300, 8, 1), scrypt(16, 8, 1)),
        (pbkdf2(5_000_001), pbkdf2(5_000_000)),
        (pbkdf2(4_294_967_295), pbkdf2(1_200_000)),
        (pbkdf2_of_two_blocks(2_500_001), pbkdf2_of_two_blocks(2_500_000)),
    ] {
        assert_eq!((fault(&dear), fault(&fair)), (Some(HashFault::TooDear), None), "{dear} {fair}");
    }
    // What we ask for ourselves is never too dear.
    let own = HashSetting { memory_kib: 300_000, iterations: 1, parallelism: 1 };
    assert!(StoredHash::parse(&argon2(300_000, 1, 1), own).is_ok());
}

#[test]
fn debug_shows_only_the_name() {
    let hash = StoredHash::parse(&format!("$2b$04${BCRYPT}"), OURS).unwrap();
    assert_eq!(format!("{hash:?}"), "StoredHash");
}
