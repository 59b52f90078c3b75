#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod inbound;
mod mail;
mod signature;
mod webhook;
mod wire;

pub use adapter::{Postal, PostalAdapter};
pub use config::{PostalConfig, PostalSender};
