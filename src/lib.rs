//! Hallpass
