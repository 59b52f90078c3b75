#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod sign;
mod wire;

pub use adapter::{Webhook, WebhookAdapter};
pub use config::WebhookConfig;
