//! A channel that carries messages into an [`Inbox`](crate::sim::Inbox) in memory, for tests of
//! what is built on channels.
//!
//! ```
//! use fastlead_core::channel::Channel;
//! use fastlead_core::message::{Content, Recipient, Text};
//! use fastlead_core::ErrorKind;
//! use fastlead_testkit::conformance::channel::outbound;
//! use fastlead_testkit::memory::MemoryChannel;
//! use fastlead_testkit::sim::Fault;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), fastlead_core::Error> {
//! let channel = MemoryChannel::new("sales");
//! let message = outbound(Recipient::Chat("790000000".into()), Content::Text(Text::plain("Новая заявка")));
//!
//! channel.send(&message).await?;
//! assert_eq!(channel.inbox().all()[0].text, "Новая заявка");
//!
//! channel.faults().push(Fault::NoBalance);
//! assert_eq!(channel.send(&message).await.unwrap_err().kind(), ErrorKind::Balance);
//! # Ok(())
//! # }
//! ```

mod channel;
mod webhook;

pub use channel::MemoryChannel;
