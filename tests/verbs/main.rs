//! Scenario tables for every verb, through HTTP: refusals first, then what works.

#[path = "../house/mod.rs"]
mod house;

mod apps;
mod backups;
mod blacklist;
mod clock;
mod codes;
mod csrf;
mod data;
mod full;
mod invalidate;
mod keys;
mod limits;
mod login;
mod logout;
mod me;
mod metrics;
mod oauth;
mod pairs;
mod races;
mod reauthenticate;
mod refresh;
mod register;
mod restores;
mod routes;
mod secrets;
mod session;
mod sessions;
mod throttle;
mod transfer;
mod users;
