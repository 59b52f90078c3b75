//! Integration tests of the channel adapters, against the simulators of fastlead-testkit.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[cfg(any(
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "smtp",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod certificates;
#[cfg(any(
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "smtp",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod egress;
#[cfg(feature = "max")]
mod max;
#[cfg(feature = "postal")]
mod postal;
#[cfg(feature = "smsc")]
mod smsc;
#[cfg(feature = "smtp")]
mod smtp;
#[cfg(feature = "smtp")]
mod smtp_tls;
#[cfg(feature = "telegram")]
mod telegram;
#[cfg(all(
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "smtp",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod transport;
#[cfg(feature = "vk")]
mod vk;
#[cfg(feature = "webhook")]
mod webhook;
#[cfg(feature = "webhook")]
mod webhook_tls;
#[cfg(feature = "whatsapp")]
mod whatsapp;
