//! FastLead core.

pub mod channel;
pub mod contact;
pub mod error;
pub mod id;
pub mod message;
pub mod registry;
pub mod secret;
pub mod time;
pub mod webhook;

pub use async_trait::async_trait;
pub use error::{Error, ErrorKind, Result, RetryHint};
pub use message::Content;
