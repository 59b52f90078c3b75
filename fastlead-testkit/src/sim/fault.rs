//! Scripted trouble: what a simulator does instead of its normal answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One piece of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// The provider's "too many requests", with the delay it names (where it names one).
    RateLimited {
        /// Seconds to wait.
        after_secs: u32,
    },
    /// This HTTP status (or, over SMTP, this reply code) with a body that is not the provider's.
    ServerError {
        /// The status or reply code.
        status: u16,
    },
    /// Takes the request and never answers. Nothing was accepted.
    Hang,
    /// Closes the connection without acting.
    DropBeforeAccept,
    /// Accepts and delivers the message, then closes the connection without an answer.
    DropAfterAccept,
    /// Accepts and delivers the message, then never answers.
    HangAfterAccept,
    /// Accepts and delivers the message, then answers "success" with this body in place of the provider's own.
    Answer {
        /// The whole body.
        body: String,
    },
    /// Redirects to another address. Nothing was accepted.
    Redirect {
        /// HTTP status: 301, 302, 303, 307 or 308.
        status: u16,
        /// Absolute address for the header `Location`.
        location: String,
    },
    /// Answers normally, this much later.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// The recipient has blocked the sender or does not exist.
    BadRecipient,
    /// The credentials are refused.
    BadCredentials,
    /// The account is out of money.
    NoBalance,
    /// The content is refused.
    BadContent,
    /// The provider's own error code, answered as the provider answers it.
    ProviderCode {
        /// The code.
        code: i64,
        /// The text beside it.
        text: String,
    },
}

/// A queue of faults: each request takes one; an empty queue means normal answers.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
    /// Counts what was taken.
    taken: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct Inner {
    once: VecDeque<Fault>,
    always: Option<Fault>,
}

impl Faults {
    /// The next request meets `fault`; later ones queue behind.
    pub fn push(&self, fault: Fault) {
        self.lock().once.push_back(fault);
    }

    /// Every request meets `fault` until this is called with `None`. Queued ones go first.
    pub fn always(&self, fault: Option<Fault>) {
        self.lock().always = fault;
    }

    /// Takes the fault for one request.
    pub fn take(&self) -> Option<Fault> {
        let fault = {
            let mut inner = self.lock();
            inner.once.pop_front().or_else(|| inner.always.clone())
        };
        self.taken.send_modify(|count| *count += u64::from(fault.is_some()));
        fault
    }

    /// Waits until requests have met everything that was queued. The caller bounds the wait.
    pub async fn wait_until_taken(&self) {
        let mut taken = self.taken.subscribe();
        // The sender lives as long as `self`.
        let _closed = taken.wait_for(|_| self.lock().once.is_empty()).await;
    }

    /// Forgets everything that was scripted.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// What waits for the next requests, in order.
    pub fn waiting(&self) -> Vec<Fault> {
        self.lock().once.iter().cloned().collect()
    }

    /// What every request meets, once nothing waits any more.
    pub fn lasting(&self) -> Option<Fault> {
        self.lock().always.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
