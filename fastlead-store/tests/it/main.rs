//! Integration tests of the stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod backlog;
mod broken_store;
mod checks;
mod distribution;
mod lease;
mod memory;
mod people;
mod simulation;
mod sqlite;
mod story;
mod unknown;
