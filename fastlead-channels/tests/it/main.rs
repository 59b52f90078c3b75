//! Integration tests of the channel adapters, against the simulators of fastlead-testkit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[cfg(any(feature = "smsc", feature = "smtp", feature = "telegram", feature = "vk", feature = "webhook"))]
mod certificates;
#[cfg(any(feature = "smsc", feature = "smtp", feature = "telegram", feature = "vk", feature = "webhook"))]
mod egress;
#[cfg(feature = "smsc")]
mod smsc;
#[cfg(feature = "smtp")]
mod smtp;
#[cfg(feature = "smtp")]
mod smtp_tls;
#[cfg(feature = "telegram")]
mod telegram;
#[cfg(all(feature = "smsc", feature = "smtp", feature = "telegram", feature = "vk", feature = "webhook"))]
mod transport;
#[cfg(feature = "vk")]
mod vk;
#[cfg(feature = "webhook")]
mod webhook;
#[cfg(feature = "webhook")]
mod webhook_tls;
