//! Makes it durable that an attempt begins, right before its first byte goes out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::Engine;
use super::directory::ActiveChannel;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::LeaseToken;
use crate::layer::BeforeAttempt;
use crate::message::Recipient;
use crate::port::{AddressKey, BeginOutcome, Beginning};
use crate::time::plus;

/// How far an attempt has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its turn; nothing was sent for certain.
    Waiting,
    /// It is on disk that it has begun.
    Begun,
    /// It may not be sent any more, for this reason; nothing was sent.
    Suppressed(String),
    /// The channel is paused; nothing was sent.
    Paused,
    /// The lead has no use for it any more; nothing was sent.
    Unwanted,
    /// So much time has passed that its lease could run out while it is sent; nothing was sent.
    TooLate,
    /// The delivery is not ours any more, and nothing was sent.
    LeaseLost,
    /// The store has failed; nothing was sent, and the lease will run out.
    StoreFailed,
}

/// Tells the store of one attempt at one delivery, once, however many requests it takes.
#[derive(Debug)]
pub(super) struct Announcement {
    engine: Engine,
    channel: Arc<ActiveChannel>,
    delivery: Arc<Delivery>,
    lease: LeaseToken,
    stage: Mutex<Stage>,
}

impl Announcement {
    pub(super) fn new(
        engine: Engine,
        channel: Arc<ActiveChannel>,
        delivery: Arc<Delivery>,
        lease: LeaseToken,
    ) -> Self {
        Self { engine, channel, delivery, lease, stage: Mutex::new(Stage::Waiting) }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn paused(&self) -> Error {
        self.reach(Stage::Paused);
        Error::new(ErrorKind::Paused, "the channel is paused; nothing was sent").with_retry(RetryHint::Never)
    }

    fn suppressed(&self, reason: String) -> Error {
        self.reach(Stage::Suppressed(reason));
        let message = "the recipient wants no such message any more";
        Error::new(ErrorKind::Recipient, message).with_retry(RetryHint::Never)
    }

    fn reach(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

#[async_trait]
impl BeforeAttempt for Announcement {
    async fn begin(&self) -> Result<()> {
        if self.stage() == Stage::Begun {
            return Ok(());
        }
        // It may have waited long for its turn: meanwhile the account may have been found at fault, and somebody may
        // have said that they want no more.
        if self.channel.is_paused() {
            return Err(self.paused());
        }
        let recipient = match self.engine.destination(&self.delivery) {
            Ok(recipient) => recipient,
            Err(reason) => return Err(self.suppressed(reason)),
        };
        let Delivery { id: delivery_id, channel_id, .. } = *self.delivery;
        let key = AddressKey::of(self.delivery.scope.workspace_id, channel_id, &recipient);
        let now = self.engine.now();
        let until = plus(now, self.engine.inner.lease);
        let mut beginning = Beginning::new(delivery_id, self.lease, now).lasting_until(until);
        if recipient != Recipient::Endpoint {
            beginning = beginning.to(key, self.delivery.spec.class);
        }
        match self.engine.inner.store.begin(beginning).await {
            // The store was slow, or the process stood still: another worker may have it before this one is done.
            Ok(BeginOutcome::Begun)
                if plus(self.engine.now(), self.channel.channel.total_deadline()) > until =>
            {
                self.reach(Stage::TooLate);
                let message = "the lease could run out while the message is sent; nothing was sent";
                Err(Error::new(ErrorKind::Internal, message).with_retry(RetryHint::Never))
            }
            Ok(BeginOutcome::Begun) => {
                self.reach(Stage::Begun);
                Ok(())
            }
            Ok(BeginOutcome::Paused) => Err(self.paused()),
            Ok(BeginOutcome::Suppressed(reason)) => {
                // Another engine has suppressed it, or this one a moment ago.
                self.engine.inner.follow.notify_one();
                Err(self.suppressed(reason))
            }
            Ok(BeginOutcome::Unwanted) => {
                self.reach(Stage::Unwanted);
                let message = "the lead has no use for the message any more; nothing was sent";
                Err(Error::new(ErrorKind::Conflict, message).with_retry(RetryHint::Never))
            }
            Ok(BeginOutcome::LeaseLost) => {
                self.reach(Stage::LeaseLost);
                let message = "the delivery was cancelled or taken over by another worker";
                Err(Error::new(ErrorKind::Internal, message).with_retry(RetryHint::Never))
            }
            Err(error) => {
                self.reach(Stage::StoreFailed);
                let message = "the store could not note that an attempt begins; nothing was sent";
                Err(Error::new(ErrorKind::Storage, message).with_retry(RetryHint::Never).with_source(error))
            }
        }
    }
}
