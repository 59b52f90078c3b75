#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod receipt;
mod webhook;
mod wire;

pub use adapter::YooKassa;
pub use config::YooKassaConfig;
