#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod inbound;
mod template;
mod webhook;
mod window;
mod wire;

pub use adapter::{WhatsApp, WhatsAppAdapter};
pub use config::WhatsAppConfig;
pub use template::{TemplateConfig, TemplateParameter, TemplateUse};
