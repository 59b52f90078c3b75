//! Deliveries that this process works on at this moment.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::id::DeliveryId;

/// Set of the deliveries under way, so that none is worked on twice where a lease has run out too early: a clock that
/// jumped, or a process that was stopped for a while.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    all: Mutex<HashSet<DeliveryId>>,
    left: Notify,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a delivery until the guard is dropped; `None` where it is under way already.
    pub(super) fn try_enter(&self, id: DeliveryId) -> Option<Entry<'_>> {
        // The guard is made only for an id that is new: dropping one takes the lock and the id of another.
        let is_new = self.lock().insert(id);
        is_new.then(|| Entry { all: self, id })
    }

    /// Enters a delivery as soon as whoever works on it has left it.
    pub(super) async fn enter(&self, id: DeliveryId) -> Entry<'_> {
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if let Some(entry) = self.try_enter(id) {
                return entry;
            }
            left.await;
        }
    }
}

/// Guard of a delivery under way.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    all: &'a InFlight,
    id: DeliveryId,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
        self.all.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomIds;

    #[tokio::test]
    async fn a_delivery_is_entered_by_one_and_by_the_next_when_it_is_left() {
        let in_flight = InFlight::default();
        let id = DeliveryId::generate(&RandomIds, crate::time::epoch());
        let first = in_flight.try_enter(id).expect("nobody works on it");
        assert!(in_flight.try_enter(id).is_none(), "it is under way");
        assert!(in_flight.try_enter(id).is_none(), "and asking does not end it");
        let mut next = pin!(in_flight.enter(id));
        assert!(now(&mut next).await.is_none(), "the next one waits");
        drop(first);
        let second = now(&mut next).await.expect("it was left");
        assert!(in_flight.try_enter(id).is_none());
        drop(second);
        assert!(in_flight.try_enter(id).is_some());
    }

    /// What a future says if it is polled once.
    async fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
