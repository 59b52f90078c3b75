#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod html;
mod inbound;
mod poller;
mod registration;
mod webhook;
mod wire;

pub use adapter::{Telegram, TelegramAdapter};
pub use config::{TelegramConfig, Updates};
