//! What happens when, and who looks on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Origin;
use crate::decide::{Decision, Event, LeadState, TimerName};
use crate::id::LeadId;
use crate::time::Timestamp;

/// Looks at every decision of a replay, and says what follows from it in the world outside.
///
/// ```
/// use fastlead_core::decide::Event;
/// use fastlead_core::id::LeadId;
/// use fastlead_core::replay::{Observer, Step};
/// use fastlead_core::time::Timestamp;
///
/// /// Counts decisions, and answers no offer.
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl Observer for Count {
///     fn decided(&mut self, _step: &Step<'_>) -> Vec<(Timestamp, Event)> {
///         self.0 += 1;
///         Vec::new()
///     }
///
///     fn forgotten(&mut self, _lead: LeadId) {}
/// }
/// ```
pub trait Observer {
    /// Something was decided. The answer is what happens to this lead later, each with its moment: an answer
    /// of a target, the end of the work.
    fn decided(&mut self, step: &Step<'_>) -> Vec<(Timestamp, Event)>;

    /// Nothing is expected of a lead any more, and it is forgotten.
    fn forgotten(&mut self, lead: LeadId);
}

/// Nobody looks on, and nobody answers.
impl Observer for () {
    fn decided(&mut self, _: &Step<'_>) -> Vec<(Timestamp, Event)> {
        Vec::new()
    }

    fn forgotten(&mut self, _: LeadId) {}
}

/// A decision and what it was about.
#[derive(Debug)]
pub struct Step<'a> {
    /// The lead; for a repeated capture the one that it repeats.
    pub lead_id: LeadId,
    /// Where it came from.
    pub origin: &'a Arc<Origin>,
    /// When it was captured.
    pub captured_at: Timestamp,
    /// The moment of the decision.
    pub at: Timestamp,
    /// What happened.
    pub event: &'a Event,
    /// What was decided, and why.
    pub decision: &'a Decision,
    /// The state before.
    pub before: &'a LeadState,
    /// The state afterwards.
    pub after: &'a LeadState,
}

/// What happens to a lead at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    Timer(TimerName),
    /// The lead knows which, by the number of the entry.
    Event,
}

/// An entry of the agenda.
#[derive(Debug)]
pub(super) struct Entry {
    pub at: Timestamp,
    pub number: u64,
    pub lead: LeadId,
    pub due: Due,
}

/// What happens when: by moment, and at one moment in the order in which it was added.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeMap<(Timestamp, u64), (LeadId, Due)>,
    added: u64,
}

impl Agenda {
    /// Answers the number of the entry.
    pub(super) fn add(&mut self, at: Timestamp, lead: LeadId, due: Due) -> u64 {
        self.added += 1;
        self.entries.insert((at, self.added), (lead, due));
        self.added
    }

    /// The moment of the first entry.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first entry out whose moment is not after `to`.
    pub(super) fn take_due(&mut self, to: Timestamp) -> Option<Entry> {
        let first = self.entries.first_entry().filter(|entry| entry.key().0 <= to)?;
        let ((at, number), (lead, due)) = first.remove_entry();
        Some(Entry { at, number, lead, due })
    }
}
