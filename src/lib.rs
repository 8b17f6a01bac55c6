//! Hallpass: sessions you can trust, JWTs you can take back, in one binary.

pub mod auth;
pub mod clock;
pub mod config;
pub mod console;
pub mod entropy;
pub mod logging;
pub mod model;
pub mod serve;
pub mod start;
pub mod store;
pub mod web;
