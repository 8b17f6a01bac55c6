//! Hallpass: sessions you can trust, JWTs you can take back, in one binary.
