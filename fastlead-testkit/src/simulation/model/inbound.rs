//! What providers bring: recorded once, acted upon once, by one worker at a time and before long.

use chrono::TimeDelta;
use fastlead_core::delivery::Lease;
use fastlead_core::id::LeaseToken;
use fastlead_core::port::{InboundRef, LeasedInbound};
use fastlead_core::time::Timestamp;

use super::{Checked, Model};

/// How long an event may lie that nobody holds, in seconds.
const LATE_SECS: i64 = 1_200;

#[derive(Debug, Clone, Copy)]
pub(super) struct Inbound {
    pub done: bool,
    lease: Option<Lease>,
    due_at: Timestamp,
}

impl Model {
    /// Something has happened at a provider that is asked for news.
    pub(in super::super) fn happened(&mut self, inbound: InboundRef) {
        self.happened.insert((inbound.channel_id, inbound.provider_event_id));
    }

    /// A provider that forgets what was fetched can be told so only of what was recorded.
    pub(in super::super) fn is_recorded(&self, inbound: &InboundRef) -> Checked {
        if self.inbound.contains_key(inbound) {
            return Ok(());
        }
        Err(format!("`{}` was acknowledged and never recorded", inbound.provider_event_id))
    }

    /// An inbound event was recorded as new.
    pub(in super::super) fn recorded(&mut self, inbound: InboundRef, lease: Lease) -> Checked {
        let new = Inbound { done: false, lease: Some(lease), due_at: lease.until };
        match self.inbound.insert(inbound.clone(), new) {
            None => Ok(()),
            Some(_) => Err(format!("`{}` is called new for the second time", inbound.provider_event_id)),
        }
    }

    /// An inbound event was handed to a worker.
    pub(in super::super) fn event_leased(
        &mut self,
        leased: &LeasedInbound,
        lease: Lease,
        now: Timestamp,
    ) -> Checked {
        let inbound = leased.record.reference();
        let name = &inbound.provider_event_id;
        let Some(event) = self.inbound.get_mut(&inbound) else {
            return Err(format!("`{name}` was claimed and never recorded"));
        };
        if event.done {
            return Err(format!("`{name}` was claimed after it was acted upon"));
        }
        if event.lease.map_or(event.due_at, |lease| lease.until) > now {
            return Err(format!("`{name}` was claimed before its moment, or is leased to two"));
        }
        event.lease = Some(lease);
        Ok(())
    }

    /// A worker has given an event back.
    pub(in super::super) fn put_off(&mut self, inbound: &InboundRef, token: LeaseToken, due_at: Timestamp) {
        let event = self.inbound.get_mut(inbound);
        if let Some(event) = event.filter(|event| event.lease.is_some_and(|lease| lease.token == token)) {
            event.lease = None;
            event.due_at = due_at;
        }
    }

    /// An inbound event was acted upon.
    pub(in super::super) fn finished(&mut self, inbound: &InboundRef) -> Checked {
        match self.inbound.get_mut(inbound) {
            Some(event) => {
                event.done = true;
                Ok(())
            }
            None => Err(format!("`{}` was never recorded", inbound.provider_event_id)),
        }
    }

    /// A decision acts upon an event. Returns whether nothing had acted upon it before.
    pub(super) fn acts_upon(&mut self, inbound: &InboundRef) -> bool {
        let event = self.inbound.get_mut(inbound);
        event.is_some_and(|event| !std::mem::replace(&mut event.done, true))
    }

    pub(super) fn no_event_is_forgotten(&self, now: Timestamp, up_since: Timestamp) -> Checked {
        let limit = TimeDelta::seconds(LATE_SECS);
        let left = self.inbound.iter().find(|(_, event)| {
            let since = event.lease.map_or(event.due_at, |lease| lease.until);
            !event.done && now - since.max(up_since) > limit
        });
        match left {
            None => Ok(()),
            Some((inbound, _)) => Err(format!("`{}` waits and nobody took it", inbound.provider_event_id)),
        }
    }
}
