#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod receipt;
mod token;
mod webhook;
mod wire;

pub use adapter::TBank;
pub use config::TBankConfig;
