//! Agenda of the dispatcher: which channels it must look at, and when, so that it looks at no others.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::ChannelId;
use crate::time::{Timestamp, from_millis};

/// Channels that may have due work, and the moments at which others will.
///
/// What it does not name has no open work as far as this process knows. Work that others have made is found by
/// looking at all channels once in a while.
#[derive(Debug, Default)]
pub(super) struct Agenda(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Channels to be looked at as soon as possible.
    now: BTreeSet<ChannelId>,
    /// Milliseconds at which each other channel with open work is looked at.
    moments: HashMap<ChannelId, i64>,
    /// The same by moment.
    later: BTreeSet<(i64, ChannelId)>,
}

impl Entries {
    fn clear_moment(&mut self, channel: ChannelId) {
        if let Some(moment) = self.moments.remove(&channel) {
            self.later.remove(&(moment, channel));
        }
    }
}

impl Agenda {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts channels on the agenda, to be looked at as soon as possible.
    pub(super) fn add(&self, channels: impl IntoIterator<Item = ChannelId>) {
        self.lock().now.extend(channels);
    }

    /// Takes the channels off the agenda that are to be looked at by `now`, in the order of their ids.
    pub(super) fn take(&self, now: Timestamp) -> BTreeSet<ChannelId> {
        let mut entries = self.lock();
        let mut due = std::mem::take(&mut entries.now);
        while let Some((moment, channel)) = entries.later.first().copied() {
            if moment > now.timestamp_millis() {
                break;
            }
            entries.clear_moment(channel);
            due.insert(channel);
        }
        due
    }

    /// Replaces the moments of the channels that were looked at; those that `found` does not name have no open work.
    pub(super) fn plan(&self, looked_at: &[ChannelId], found: &[(ChannelId, Timestamp)]) {
        let mut entries = self.lock();
        for channel in looked_at {
            entries.clear_moment(*channel);
        }
        for (channel, moment) in found {
            let moment = moment.timestamp_millis();
            entries.clear_moment(*channel);
            entries.moments.insert(*channel, moment);
            entries.later.insert((moment, *channel));
        }
    }

    /// Returns the next moment at which a channel is to be looked at.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.lock().later.first().map(|(moment, _)| from_millis(*moment))
    }
}

/// Flag that due work of a channel was left behind. Raising it puts the channel on the agenda.
#[derive(Debug)]
pub(super) struct Backlog {
    channel: ChannelId,
    left: AtomicBool,
    agenda: Arc<Agenda>,
}

impl Backlog {
    /// The flag of a channel of which nothing is known yet: it is raised.
    pub(super) fn left(channel: ChannelId, agenda: &Arc<Agenda>) -> Self {
        agenda.add([channel]);
        Self { channel, left: AtomicBool::new(true), agenda: Arc::clone(agenda) }
    }

    /// Raises or lowers the flag.
    pub(super) fn store(&self, left: bool, order: Ordering) {
        self.left.store(left, order);
        if left {
            self.agenda.add([self.channel]);
        }
    }

    /// Raises the flag of a channel that has no room: it comes back to the agenda when it has.
    pub(super) fn await_room(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Lowers the flag and puts the channel on the agenda. Returns whether the flag was raised.
    pub(super) fn resume(&self) -> bool {
        let left = self.left.swap(false, Ordering::AcqRel);
        if left {
            self.agenda.add([self.channel]);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn channel(number: u128) -> ChannelId {
        ChannelId::from_uuid(Uuid::from_u128(number))
    }

    fn taken(agenda: &Agenda, millis: i64) -> Vec<u128> {
        agenda.take(from_millis(millis)).iter().map(|id| id.as_uuid().as_u128()).collect()
    }

    #[test]
    fn a_channel_is_looked_at_when_asked_and_at_its_moment_and_then_no_more() {
        let agenda = Agenda::default();
        agenda.plan(&[], &[(channel(3), from_millis(30)), (channel(1), from_millis(10))]);
        agenda.add([channel(2)]);
        assert_eq!(agenda.next(), Some(from_millis(10)));
        assert_eq!(taken(&agenda, 5), [2]);
        assert_eq!(taken(&agenda, 10), [1]);
        assert_eq!((agenda.next(), taken(&agenda, 29)), (Some(from_millis(30)), vec![]));
        // A later look replaces the moment, or finds nothing.
        agenda.plan(&[channel(3)], &[(channel(3), from_millis(50))]);
        assert_eq!((taken(&agenda, 49), taken(&agenda, 50)), (vec![], vec![3]));
        agenda.plan(&[], &[(channel(3), from_millis(60))]);
        agenda.plan(&[channel(3)], &[]);
        assert_eq!((agenda.next(), taken(&agenda, 1_000)), (None, vec![]));
    }

    #[test]
    fn a_channel_without_room_comes_back_when_it_has_some() {
        let agenda = Arc::new(Agenda::default());
        let backlog = Backlog::left(channel(1), &agenda);
        assert_eq!(taken(&agenda, 0), [1]);
        backlog.await_room();
        assert_eq!(taken(&agenda, 0), []);
        assert!(backlog.resume());
        assert_eq!(taken(&agenda, 0), [1]);
        assert!(!backlog.resume());
        assert_eq!(taken(&agenda, 0), []);
        backlog.store(true, Ordering::Release);
        assert_eq!(taken(&agenda, 0), [1]);
    }
}
