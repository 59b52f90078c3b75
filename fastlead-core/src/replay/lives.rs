//! The leads of which something is still expected: in memory where it comes soon or where there is room, otherwise put
//! away, where the memory of the replay has a place for that.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Origin;
use super::memory::{Place, Shelf};
use crate::decide::{Event, LeadState, Subject, TimerName};
use crate::error::{Error, ErrorKind, Result};
use crate::id::LeadId;
use crate::lead::Capture;
use crate::policy::SourceFacts;
use crate::time::{Timestamp, plus_seconds};

/// A lead to which nothing happens for so long may be put away.
const QUIET_SECS: u64 = 3_600;

/// A lead on its way.
#[derive(Debug)]
pub(super) struct Life {
    pub origin: Arc<Origin>,
    pub capture: Arc<Capture>,
    pub captured_at: Timestamp,
    pub state: LeadState,
    /// The timers that are set, as a store keeps them.
    pub timers: Vec<(TimerName, Timestamp)>,
    /// The events that are scheduled.
    pub due: Vec<Scheduled>,
}

/// An event that will happen to a lead.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Scheduled {
    pub at: Timestamp,
    /// Of its entry in the agenda.
    pub number: u64,
    pub event: Event,
}

impl Life {
    pub(super) fn subject(&self, lead_id: LeadId) -> Subject<'_> {
        subject(&self.origin, lead_id, &self.capture)
    }

    /// Takes out the event of an entry in the agenda.
    pub(super) fn take(&mut self, number: u64) -> Option<Event> {
        let place = self.due.iter().position(|scheduled| scheduled.number == number)?;
        Some(self.due.swap_remove(place).event)
    }

    /// When something happens next.
    fn next(&self) -> Option<Timestamp> {
        self.timers.iter().map(|(_, at)| *at).chain(self.due.iter().map(|scheduled| scheduled.at)).min()
    }
}

pub(super) fn subject<'a>(origin: &'a Origin, lead_id: LeadId, capture: &'a Capture) -> Subject<'a> {
    Subject {
        lead_id,
        workspace_id: origin.workspace_id,
        project_id: origin.project_id,
        source_id: origin.source_id,
        source: SourceFacts { key: &origin.key, name: &origin.name },
        capture,
    }
}

/// A lead that was put away.
#[derive(Debug)]
struct Asleep {
    origin: Arc<Origin>,
    captured_at: Timestamp,
    /// When something happens next.
    wakes: Timestamp,
    place: Place,
}

/// What is put away of a lead. What the journal has stored reads back as it was, and so does this.
#[derive(Serialize)]
struct Written<'a> {
    capture: &'a Capture,
    state: &'a LeadState,
    timers: &'a [(TimerName, Timestamp)],
    due: &'a [Scheduled],
}

/// The same, read back.
#[derive(Deserialize)]
struct Read {
    capture: Arc<Capture>,
    state: LeadState,
    timers: Vec<(TimerName, Timestamp)>,
    due: Vec<Scheduled>,
}

#[derive(Debug, Default)]
pub(super) struct Lives {
    awake: HashMap<LeadId, Life>,
    asleep: HashMap<LeadId, Asleep>,
    bytes: Vec<u8>,
}

impl Lives {
    /// How many are in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.awake.len()
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &Life> {
        self.awake.values()
    }

    pub(super) fn get(&self, lead: LeadId) -> Option<&Life> {
        self.awake.get(&lead)
    }

    pub(super) fn get_mut(&mut self, lead: LeadId) -> Option<&mut Life> {
        self.awake.get_mut(&lead)
    }

    pub(super) fn insert(&mut self, lead: LeadId, life: Life) {
        self.awake.insert(lead, life);
    }

    pub(super) fn remove(&mut self, lead: LeadId) {
        self.awake.remove(&lead);
    }

    /// Whether nothing happens to the lead at this moment, because it was put away until a later one.
    pub(super) fn sleeps(&self, lead: LeadId, at: Timestamp) -> bool {
        self.asleep.get(&lead).is_some_and(|asleep| at < asleep.wakes)
    }

    /// Puts a lead away, where nothing happens to it for a while and memory is full.
    pub(super) fn rest(&mut self, lead: LeadId, shelf: &mut dyn Shelf, now: Timestamp) -> Result<()> {
        if self.awake.len() <= shelf.room() {
            return Ok(());
        }
        let Some(life) = self.awake.get(&lead) else { return Ok(()) };
        let quiet = plus_seconds(now, QUIET_SECS);
        let Some(wakes) = life.next().filter(|next| *next >= quiet) else { return Ok(()) };
        let Life { origin, capture, captured_at, state, timers, due } = life;
        self.bytes.clear();
        serde_json::to_writer(&mut self.bytes, &Written { capture, state, timers, due })
            .map_err(|_| Error::new(ErrorKind::Internal, "a lead cannot be written as JSON"))?;
        let place = shelf.put_away(&self.bytes)?;
        let asleep = Asleep { origin: Arc::clone(origin), captured_at: *captured_at, wakes, place };
        self.asleep.insert(lead, asleep);
        self.awake.remove(&lead);
        Ok(())
    }

    /// Takes a lead back that was put away.
    pub(super) fn wake(&mut self, lead: LeadId, shelf: Option<&mut dyn Shelf>) -> Result<()> {
        if let (Some(asleep), Some(shelf)) = (self.asleep.remove(&lead), shelf) {
            let life = read(&asleep, shelf, &mut self.bytes)?;
            shelf.free(asleep.place);
            self.awake.insert(lead, life);
        }
        Ok(())
    }

    /// A copy of where a lead stands that was put away.
    pub(super) fn state_of_asleep(
        &mut self,
        lead: LeadId,
        shelf: Option<&mut dyn Shelf>,
    ) -> Result<Option<LeadState>> {
        let (Some(asleep), Some(shelf)) = (self.asleep.get(&lead), shelf) else { return Ok(None) };
        Ok(Some(read(asleep, shelf, &mut self.bytes)?.state))
    }
}

fn read(asleep: &Asleep, shelf: &mut dyn Shelf, bytes: &mut Vec<u8>) -> Result<Life> {
    shelf.read_back(asleep.place, bytes)?;
    let Read { capture, state, timers, due } = serde_json::from_slice(bytes)
        .map_err(|_| Error::new(ErrorKind::Storage, "a lead that was put away cannot be read back"))?;
    let (origin, captured_at) = (Arc::clone(&asleep.origin), asleep.captured_at);
    Ok(Life { origin, capture, captured_at, state, timers, due })
}
