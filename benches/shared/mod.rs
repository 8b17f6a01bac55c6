//! What all measurements share.

#![allow(dead_code)] // each of them takes what it needs

pub mod machine;
pub mod report;
