//! Conformance suites: what an implementation of a port promises, as tests with names.
//!
//! A suite is one macro. [`store_conformance!`](crate::store_conformance) runs over any store (see
//! [`store`]), and [`channel_conformance!`](crate::channel_conformance) over any
//! [`Channel`](fastlead_core::channel::Channel), ours or yours:
//!
//! ```
//! use std::sync::Arc;
//!
//! use fastlead_core::channel::Channel;
//! use fastlead_core::message::Recipient;
//! use fastlead_testkit::conformance::LeftOut;
//! use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest};
//! use fastlead_testkit::memory::MemoryChannel;
//! use fastlead_testkit::sim::{ArrivedButton, Arrival, Fault, Faults, Inbox};
//!
//! struct Acme(MemoryChannel); // your simulator and what you need to build your channel
//!
//! #[fastlead_core::async_trait]
//! impl ChannelHarness for Acme {
//!     async fn start() -> Self {
//!         Self(MemoryChannel::new("acme"))
//!     }
//!     fn channel(&self) -> Arc<dyn Channel> {
//!         Arc::new(self.0.clone())
//!     }
//!     fn recipient(&self) -> Recipient {
//!         Recipient::Chat("790000000".into())
//!     }
//!     fn unknown_recipient(&self) -> Option<Recipient> {
//!         None
//!     }
//!     fn arrivals(&self) -> Inbox {
//!         self.0.inbox()
//!     }
//!     fn faults(&self) -> Option<&Faults> {
//!         None
//!     }
//!     fn fault_applies(&self, _: &Fault) -> bool {
//!         false
//!     }
//!     fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
//!         None
//!     }
//!     fn unreachable(&self) -> Option<Arc<dyn Channel>> {
//!         None
//!     }
//!     fn impatient(&self) -> Option<Arc<dyn Channel>> {
//!         None
//!     }
//!     fn secrets(&self) -> Vec<String> {
//!         vec![self.0.webhook_token()]
//!     }
//!     fn left_out() -> Vec<LeftOut> {
//!         let no_network = "it lives in memory and cannot fail";
//!         vec![LeftOut::new(no_network, &["silence_is_unknown", "redirects_are_not_followed" /* and others */])]
//!     }
//!     async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
//!         vec![self.0.sample_webhook()]
//!     }
//!     async fn forged_webhooks(&self) -> Vec<SampleRequest> {
//!         vec![self.0.sample_webhook().without_header("x-memory-token")]
//!     }
//!     async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
//!         Inbound::ByWebhook(self.0.press(arrival, button))
//!     }
//! }
//!
//! fastlead_testkit::channel_conformance!(acme_keeps_the_contract, Acme);
//! # fn main() {}
//! ```

#[macro_use]
mod suite;

pub mod channel;
mod report;
pub mod store;

pub use report::{LeftOut, Report};

use std::fmt;
use std::future::Future;
use std::time::Duration;

/// What a check says: it held, it does not apply, or how it was broken.
pub type Outcome = Result<Verdict, Violation>;

/// A check that found nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The behaviour was seen.
    Held,
    /// The implementation does not claim this behaviour; the text names what it lacks.
    NotApplicable(&'static str),
    /// It does not apply, and the harness says so: the text is its reason.
    LeftOut(&'static str),
}

/// How an implementation broke its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    /// A violation, in words that name what was expected and what happened.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// How long one check may take before it counts as hung.
const CHECK_LIMIT: Duration = Duration::from_secs(60);

/// Runs one check under a time limit.
///
/// # Errors
/// The check's own violation, or that it hung.
pub async fn bounded(check: impl Future<Output = Outcome> + Send) -> Outcome {
    match tokio::time::timeout(CHECK_LIMIT, check).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Violation::new(format!("did not finish within {CHECK_LIMIT:?}"))),
    }
}

/// The same for a check that is not called yet. Its future is made on the heap, so that whoever runs many of them needs
/// no stack for them all.
async fn run_one<F: Future<Output = Outcome> + Send>(check: impl FnOnce() -> F) -> Outcome {
    let made = made(check);
    bounded(made).await
}

/// A frame of its own: the future is on the stack here and nowhere else.
fn made<F>(check: impl FnOnce() -> F) -> std::pin::Pin<Box<F>> {
    Box::pin(check())
}

/// Turns an outcome into a test result and prints what did not apply.
///
/// # Errors
/// The violation.
pub fn settle(name: &str, outcome: Outcome) -> Result<(), Violation> {
    match outcome? {
        Verdict::Held => {}
        Verdict::NotApplicable(what) => eprintln!("{name}: not applicable: {what}"),
        Verdict::LeftOut(reason) => eprintln!("{name}: left out: {reason}"),
    }
    Ok(())
}

/// Returns a [`Violation`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Violation::new(format!($($text)+)));
        }
    };
}

/// Returns [`Verdict::NotApplicable`] unless the condition holds.
macro_rules! applies_if {
    ($condition:expr, $what:literal) => {
        if !$condition {
            return Ok($crate::conformance::Verdict::NotApplicable($what));
        }
    };
}

pub(crate) use {applies_if, ensure};
