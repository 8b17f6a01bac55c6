//! Known answers of the systems that people come from: Django 5.2, passlib 1.7, py-bcrypt 4.0, Apache's htpasswd 2.4,
//! and Python's hashlib for the PHC forms.

use crate::auth::hasher::{HashSetting, Hasher, Phc, Verified};
use crate::entropy::Entropy;
use crate::model::hash::StoredHash;
use crate::model::password::Password;

const OURS: HashSetting = HashSetting { memory_kib: 128, iterations: 1, parallelism: 1 };
const PASSWORD: &str = "pässword 🦀";

/// Hashes of [`PASSWORD`], each as its system wrote it.
const VECTORS: &[(&str, &str)] = &[
    ("Django, its default", "pbkdf2_sha256$1000$Ns3Zk0bXqYw1$x2uQe+Uf6BuVqiZ+12You+ioyT7fgtpuMQlG0gUOJts="),
    ("Django, PBKDF2 of SHA-1", "pbkdf2_sha1$1000$Ns3Zk0bXqYw1$fKgTTLZ0WRL/Vvj2wxSq/SNCacQ="),
    (
        "Django, scrypt",
        "scrypt$16$Ns3Zk0bXqYw1$8$5$tBiIeNaS0julgDPIu/FcgdAw0Vso0E1CJdVAL/dqGUG2Y2hI1xfsLcqGSed2DG+89Obpfp/\
         4nU1kpVfENgPNIA==",
    ),
    (
        "Django, argon2",
        "argon2$argon2id$v=19$m=64,t=1,p=2$TnMzWmswYlhxWXcx$y8EkpYAHRzbtjZnvl7AZq+AWfm/yq9ZneNwtZrs3krw",
    ),
    ("Django, bcrypt", "bcrypt$$2b$04$8ZrhdMxnN/4YPkHiDdB4iOF2Lx6jLu/Vz8IJDtzyiR6oyCDjbdDuG"),
    ("passlib", "$pbkdf2-sha256$1000$FKI0BiAEIOR8z/m/t9Yaww$2pJXWumepd/S38w5gmn8rH8KT7qUG85ft1wZbw6H6GA"),
    (
        "passlib, SHA-512",
        "$pbkdf2-sha512$1000$N8Z4710rhbAWgnCO8d475w$kb3hq7lqoKfdx4RBdorhTVSZjOGu.FlbgpUp5ugYG1U77cto/grqcgMSNPwd1\
         cteUL6ZrFpD4PtswWYQlEnDWQ",
    ),
    ("passlib, SHA-1", "$pbkdf2$1000$ASCEsHaOEUIohTBmLAWgdA$.EhWa0rFKxs1zccWah6z.S2tfP8"),
    (
        "passlib, scrypt",
        "$scrypt$ln=4,r=8,p=1$W+tdSynl3BtjzLkXQghhrA$4tshpPBNbePs7h0ffbjLRjO+5GmfBn5j8Y5nc5Snuh4",
    ),
    (
        "argon2i",
        "$argon2i$v=19$m=64,t=1,p=1$k7JWas15732vdW4txTgHAA$QOfJnT5bE8NkkOkdScIZgEMfz6TAVIODiw9296i6aDY",
    ),
    (
        "argon2d",
        "$argon2d$v=19$m=64,t=1,p=1$KGXsHeN8T2kNIYTQGqP0fg$UkzZ+IyVvlYbidzZZTwR+araw9Um+GORfnq/84fwu7E",
    ),
    ("bcrypt 2a", "$2a$04$hbNPMzGR//vZZpfdgACiB.WALxD7Ln15LqdGIfP.0XKx8eM6xzBaO"),
    ("bcrypt 2b", "$2b$04$w8Gx1WdG2p9dCd3wespLy.1x/ZScpRqTtbex8ctZmEAuE8belsX.a"),
    ("htpasswd", "$2y$04$DeqzgciFsL3BwzMm5h8vDuAzV3ZnJofgf.pSwcmgLIqxj1akDzHVu"),
    (
        "PHC, PBKDF2",
        "$pbkdf2-sha256$i=1000,l=32$c2l4dGVlbi5ieXRlc2x0IQ$bhIaFEm6+0aEw7kNCvTRVmvI9iWXgysvxSOt8Mx/Xjw",
    ),
    (
        "PHC, scrypt",
        "$scrypt$ln=4,r=8,p=1$c2l4dGVlbi5ieXRlc2x0IQ$N5FTr8TXq0lLPb3UrH6Wupzgy2TnLApyV2QHE87dUqE",
    ),
];

fn verify(password: &str, stored: &str) -> Verified {
    let hasher = Hasher::new(OURS, 1, 4, Entropy::seeded(1)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(hasher.verify(Password::new(password.into()), Some(Phc(stored.into())))).unwrap()
}

#[test]
fn another_password_matches_by_no_scheme() {
    for (system, stored) in VECTORS {
        for wrong in
            ["", "pässword", "pässword 🦀 ", "Pässword 🦀", "pässword 🦀\0", "pässword 🦀\0pässword 🦀"]
        {
            assert_eq!(
                verify(wrong, stored),
                Verified { matches: false, rehash: None },
                "{system}: {wrong:?}"
            );
        }
    }
}

#[test]
fn a_hash_that_asks_for_too_much_matches_nothing_and_costs_nothing() {
    for dear in [
        "$2b$31$w8Gx1WdG2p9dCd3wespLy.1x/ZScpRqTtbex8ctZmEAuE8belsX.a",
        "$scrypt$ln=31,r=8,p=1$W+tdSynl3BtjzLkXQghhrA$4tshpPBNbePs7h0ffbjLRjO+5GmfBn5j8Y5nc5Snuh4",
        "$pbkdf2-sha256$4294967295$FKI0BiAEIOR8z/m/t9Yaww$2pJXWumepd/S38w5gmn8rH8KT7qUG85ft1wZbw6H6GA",
    ] {
        let started = std::time::Instant::now();
        assert!(!verify(PASSWORD, dear).matches);
        assert!(started.elapsed().as_secs() < 2, "{dear} was tried");
    }
}

#[test]
fn the_right_password_matches_by_every_scheme_and_is_hashed_by_ours() {
    for (system, stored) in VECTORS {
        let verified = verify(PASSWORD, stored);
        assert!(verified.matches, "{system}");
        let ours = verified.rehash.unwrap_or_else(|| panic!("{system}: not replaced"));
        assert!(ours.as_str().starts_with("$argon2id$v=19$m=128,t=1,p=1$"), "{system}");
        assert_eq!(verify(PASSWORD, ours.as_str()), Verified { matches: true, rehash: None }, "{system}");
    }
}

#[test]
fn what_is_kept_of_a_hash_says_the_same_as_what_came() {
    for (system, stored) in VECTORS {
        let read = StoredHash::parse(stored, OURS).unwrap();
        let kept = read.to_text();
        assert_eq!(StoredHash::parse(&kept, OURS), Ok(read), "{system}");
        assert!(kept.starts_with('$'), "{system}");
        assert!(verify(PASSWORD, &kept).matches, "{system}");
    }
}

#[test]
fn bcrypt_looks_at_seventy_two_bytes_as_it_did_where_the_password_was_chosen() {
    let ninety = "0123456789".repeat(9);
    for stored in [
        "$2b$04$uEQKLyPoxBlOPgfxjxubaO1HXkICcyQxDYFSNqBcsGEuvH5QYjZN.",
        "$2y$04$9wWeEFyMl9S4q/sG3AkLqOQ5DDQY5AA8Yk7YnpK//IkH61Qj0et3q",
    ] {
        assert!(!verify(&ninety[..71], stored).matches);
        let ours = verify(&ninety, stored).rehash.unwrap();
        assert!(verify(&ninety[..72], stored).matches);
        // From then on all of it counts.
        assert!(verify(&ninety, ours.as_str()).matches && !verify(&ninety[..72], ours.as_str()).matches);
    }
    // The cut goes through a letter's bytes.
    let umlauts = "$2b$04$tE5z1GKbSCXOP/ZJE.7Bzu7ny/H0RSnxeywHdNyXIY/rbEZlVG6Lq";
    assert!(verify(&"ä".repeat(45), umlauts).matches && !verify(&"ä".repeat(35), umlauts).matches);
}

#[test]
fn the_published_answer_of_scrypt_agrees() {
    // RFC 7914 section 12, the third.
    let stored = "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LU\
                  lwUkKpr55h6F3A1lHkDfzwF7RVdYhw";
    assert!(verify("pleaseletmein", stored).matches);
}
