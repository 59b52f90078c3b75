//! Deliveries that this process works on at this moment.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::DeliveryId;

/// Set of the deliveries under way, so that none is worked on twice where a lease has run out too early: a clock that
/// jumped, or a process that was stopped for a while.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashSet<DeliveryId>>);

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a delivery until the guard is dropped; `None` where it is under way already.
    pub(super) fn enter(&self, id: DeliveryId) -> Option<Entry<'_>> {
        self.lock().insert(id).then_some(Entry { all: self, id })
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
    }
}
