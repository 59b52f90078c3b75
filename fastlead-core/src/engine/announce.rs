//! Makes it durable that an attempt begins, right before its first byte goes out.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{DeliveryId, LeaseToken};
use crate::layer::BeforeAttempt;
use crate::port::{BeginOutcome, Beginning, Store};
use crate::time::Clock;

/// How far an attempt has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its turn; nothing was sent for certain.
    Waiting,
    /// It is on disk that it has begun.
    Begun,
    /// The delivery is not ours any more, and nothing was sent.
    LeaseLost,
    /// The store has failed; nothing was sent, and the lease will run out.
    StoreFailed,
}

/// Tells the store of one attempt at one delivery, once, however many requests it takes.
#[derive(Debug)]
pub(super) struct Announcement {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    delivery_id: DeliveryId,
    token: LeaseToken,
    stage: Mutex<Stage>,
}

impl Announcement {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        delivery_id: DeliveryId,
        token: LeaseToken,
    ) -> Self {
        Self { store, clock, delivery_id, token, stage: Mutex::new(Stage::Waiting) }
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
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
        let beginning = Beginning { delivery_id: self.delivery_id, token: self.token, at: self.clock.now() };
        match self.store.begin(beginning).await {
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
