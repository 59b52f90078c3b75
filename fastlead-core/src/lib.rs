// The examples of the page run in `fastlead-examples`, which has a store and a channel: core knows neither.
#![cfg_attr(not(doctest), doc = include_str!("front.md"))]
#![cfg_attr(doctest, doc = "FastLead core.")]
// Nothing is decided in the order of a hash table, which is another one in every process.
#![warn(clippy::iter_over_hash_type)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::iter_over_hash_type,
        reason = "tests measure how long something took, and look at everything"
    )
)]

pub mod actor;
pub mod allowance;
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
mod meter;
pub mod money;
mod named;
pub mod parts;
pub mod person;
pub mod policy;
pub mod port;
pub mod quota;
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
pub use channel::{Capabilities, Channel, ChannelInfo, SendReceipt};
pub use engine::{EmbeddedSource, Engine, EngineBuilder};
pub use error::{Error, ErrorKind, Result, RetryHint};
pub use lead::{Capture, CaptureInput, Received};
pub use message::{Content, Locale, OutboundMessage, Recipient};
pub use policy::Policy;
pub use port::Store;
pub use registry::{ChannelAdapter, Registry};
pub use secret::{Pii, Secret};
pub use time::Clock;
// What the derive macros of an adapter's configuration refer to.
pub use {schemars, serde, serde_json};
