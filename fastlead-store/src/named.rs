//! Leases by name of the engines of one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastlead_core::id::LeaseToken;
use fastlead_core::port::{LeaseAnswer, NamedLease};
use fastlead_core::time::Timestamp;

/// Fewer are not worth looking for those that have ended.
const FEW: usize = 1_024;

/// Who has which lease, and until when. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamedLeases(Arc<Mutex<HashMap<String, (LeaseToken, Timestamp)>>>);

impl NamedLeases {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (LeaseToken, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, lease: NamedLease) -> LeaseAnswer {
        let NamedLease { name, holder, now, until } = lease;
        let mut held = self.lock();
        if let Some((other, end)) = held.get(&name)
            && *other != holder
            && *end > now
        {
            return LeaseAnswer::Held { until: *end };
        }
        if held.len() >= FEW && !held.contains_key(&name) {
            held.retain(|_, (_, end)| *end > now);
        }
        held.insert(name, (holder, until));
        LeaseAnswer::Taken
    }

    pub(crate) fn end(&self, name: &str, holder: LeaseToken) {
        let mut held = self.lock();
        if held.get(name).is_some_and(|(other, _)| *other == holder) {
            held.remove(name);
        }
    }
}
