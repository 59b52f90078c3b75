#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod contact;
mod error;
mod html;
mod inbound;
mod poller;
mod registration;
mod webhook;
mod wire;

pub use adapter::{Max, MaxAdapter};
pub use config::{MaxConfig, Updates};
