#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod message;
mod pool;
mod reply;

pub use adapter::{Smtp, SmtpAdapter};
pub use config::{SmtpConfig, SmtpMechanism, SmtpSender, SmtpTls};
