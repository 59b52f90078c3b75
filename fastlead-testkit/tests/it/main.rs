//! Tests of the testkit itself: the suites hold for what is right and catch what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod broken_channel;
mod lazy_harness;
mod memory_channel;
mod webhook_sim;
