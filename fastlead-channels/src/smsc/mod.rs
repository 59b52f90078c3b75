#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod reference;
mod segments;
mod webhook;
mod wire;

pub use adapter::{Smsc, SmscAdapter};
pub use config::{CallbackSignature, SmscConfig};
pub use segments::{Encoding, Segments, segments};
