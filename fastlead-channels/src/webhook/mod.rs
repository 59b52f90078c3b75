#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod resolver;
mod sign;
mod ssrf;
mod wire;

#[cfg(test)]
mod ssrf_tests;

pub use adapter::{Webhook, WebhookAdapter};
pub use config::{WebhookConfig, validate_private_hosts};
