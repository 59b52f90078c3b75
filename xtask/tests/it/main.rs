//! Architecture tests: what the repository promises not to contain.
//!
//! Every rule is a function from files (or from what cargo says) to a list of faults, and is tested
//! twice: on a sample that breaks it, and on the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod adapters;
mod attributes;
mod crates;
mod docs;
mod files;
mod lints;
mod repository;
mod words;
