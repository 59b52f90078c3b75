//! FastLead core.

pub mod actor;
pub mod channel;
pub mod contact;
pub mod decide;
pub mod delivery;
pub mod duration;
pub mod engine;
pub mod erasure;
pub mod error;
pub mod id;
pub mod law;
pub mod layer;
pub mod lead;
pub mod message;
pub mod money;
mod named;
pub mod parts;
pub mod person;
pub mod policy;
pub mod port;
pub mod registry;
pub mod replay;
pub mod schedule;
pub mod secret;
pub mod template;
pub mod text;
pub mod time;
pub mod webhook;
pub mod words;

pub use actor::Actor;
pub use async_trait::async_trait;
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result, RetryHint};
pub use message::Content;
