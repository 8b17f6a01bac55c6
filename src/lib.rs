//! Hallpass: sessions you can trust, JWTs you can take back, in one binary.
//!
//! One process keeps users, sessions, refresh tokens and the blacklist in an embedded store, and serves the API, the
//! sign-in pages and the admin pages. Four floors, each of which uses only those to its left:
//!
//! ```text
//! model  <-  store  <-  auth  <-  web, console  <-  start, serve, cli, main
//!    \____ config, clock, entropy, logging, tally ____/
//! ```
//!
//! To find something, ask one question. Is it true without a machine? [`model`]. Must it be atomic or survive a crash?
//! [`store`]. Is it an order of events? [`auth`]. Is it about status codes, headers, HTML or JSON? [`web`]. A noun has
//! the same file name on every floor, so a feature is a vertical line. How a refresh works, from the bottom up:
//!
//! - [`model::refresh`]: the rotation rule, one pure function with one row per case;
//! - [`auth::refresh`]: reads what the rule looks at, and commits what it says, if nothing changed meanwhile;
//! - [`web::api::auth`]: the body or the cookie that the token came in, and the answer.
//!
//! Three things to know before changing anything:
//!
//! 1. A verb reads rows, decides, and commits a [`store::Batch`] that says what it relied on. The one writer applies it
//!    whole or answers a conflict, and the verb tries again. What is answered is on disk.
//! 2. Checks read mirrors in memory, which only the writer changes, after the disk has the change.
//! 3. Proofs are types: whoever holds an [`auth::check::RecentAdmin`] went through the check that makes one.
//!
//! `ARCHITECTURE.md` has the decisions and walks through five requests.

// What clippy.toml bans, each with its reason. Tests are free of it.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

/// The verbs: sign in, check, refresh, sign out, revoke.
pub mod auth;
/// The command line.
pub mod cli;
/// The only place that reads the time.
pub mod clock;
/// The options, from the embedded file, the operator's and the environment.
pub mod config;
/// The operator's commands, and the socket by which a running appliance takes them.
pub mod console;
/// The only place that reads randomness.
pub mod entropy;
/// Log lines, and the access log's own.
pub mod logging;
/// Nouns and pure rules.
pub mod model;
/// The appliance at work, until a signal ends it.
pub mod serve;
/// From the options to the running verbs.
pub mod start;
/// Records on disk and in memory; nothing else knows of sled.
pub mod store;
/// Counting, for the metrics.
pub mod tally;
/// Rocket: the API and the pages.
pub mod web;
