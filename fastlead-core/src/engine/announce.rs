//! Makes it durable that an attempt begins, right before its first byte goes out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::Engine;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::LeaseToken;
use crate::layer::BeforeAttempt;
use crate::port::{BeginOutcome, Beginning};

/// How far an attempt has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its turn; nothing was sent for certain.
    Waiting,
    /// It is on disk that it has begun.
    Begun,
    /// It may not be sent any more, for this reason; nothing was sent.
    Suppressed(String),
    /// The delivery is not ours any more, and nothing was sent.
    LeaseLost,
    /// The store has failed; nothing was sent, and the lease will run out.
    StoreFailed,
}

/// Tells the store of one attempt at one delivery, once, however many requests it takes.
#[derive(Debug)]
pub(super) struct Announcement {
    engine: Engine,
    delivery: Arc<Delivery>,
    token: LeaseToken,
    stage: Mutex<Stage>,
}

impl Announcement {
    pub(super) fn new(engine: Engine, delivery: Arc<Delivery>, token: LeaseToken) -> Self {
        Self { engine, delivery, token, stage: Mutex::new(Stage::Waiting) }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        // It may have waited long for its turn, and somebody may have said meanwhile that they want no more.
        match self.engine.may_be_sent(&self.delivery).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                self.reach(Stage::Suppressed(reason));
                let message = "the recipient wants no such message any more";
                return Err(Error::new(ErrorKind::Recipient, message).with_retry(RetryHint::Never));
            }
            Err(error) => {
                self.reach(Stage::StoreFailed);
                let message =
                    "the store could not say whether the recipient wants such a message; nothing was sent";
                return Err(Error::new(ErrorKind::Storage, message)
                    .with_retry(RetryHint::Never)
                    .with_source(error));
            }
        }
        let (delivery_id, at) = (self.delivery.id, self.engine.now());
        let beginning = Beginning { delivery_id, token: self.token, at };
        match self.engine.inner.store.begin(beginning).await {
            Ok(BeginOutcome::Begun) => {
                self.reach(Stage::Begun);
                Ok(())
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
