//! A policy at work on captures that are given to it, without a store, a clock or a channel.
//!
//! [`Replay`] decides as the engine does: counters, dedupe, timers and the queue are carried forward in
//! memory, one event after the other. The same events in the same order give the same decisions, so it serves
//! to try a policy on cases that are written down ([`Replay`] itself) and on what was captured before
//! ([`Backtest`]).

mod agenda;
mod answers;
mod backtest;
mod ledger;
mod lives;
mod memory;
mod report;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

pub use agenda::{Observer, Step};
pub use answers::Assumptions;
pub use backtest::{Backtest, PolicyAtWork, Replayed, Side};
pub use memory::{InMemory, KEY_BYTES, Memory, MemoryKey, Place, Remembered, Shelf, VALUE_BYTES};
pub use report::{Family, Limit, Report, Row};
pub use tally::{FirstOffer, SourceTally, Tally, TargetTally};

use self::agenda::{Agenda, Due, Entry};
use self::ledger::Ledger;
use self::lives::{Life, Lives, Scheduled, subject};
use crate::decide::{
    ChannelFacts, Counter, CounterKey, Decision, Effect, Event, LeadState, LeadStatus, Snapshot, Subject,
    TimerName, decide, needs,
};
use crate::engine::stable_uuid;
use crate::error::Result;
use crate::id::{ChannelId, LeadId, ProjectId, SourceId, WorkspaceId};
use crate::lead::Capture;
use crate::policy::{Policy, PolicyRef};
use crate::port::CaptureVerdict;
use crate::time::{Timestamp, epoch};

/// How many waiting leads in a row may find no place before the rest is left to wait: as in the engine.
const FRUITLESS: u32 = 256;
/// What is over is swept out of memory once in so many seconds of the replay.
const SWEEP_SECS: i64 = 3_600;

/// Where captures come from: whose they are, and what policies may know of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The source.
    pub source_id: SourceId,
    /// Its public key.
    pub key: String,
    /// What people call it.
    pub name: String,
}

/// The policy, and what it counts.
#[derive(Debug)]
struct Mind {
    policy: Arc<Policy>,
    reference: PolicyRef,
    channels: Arc<BTreeMap<String, ChannelFacts>>,
    ledger: Ledger,
    now: Timestamp,
}

impl Mind {
    fn decide(
        &mut self,
        subject: Subject<'_>,
        state: &LeadState,
        event: &Event,
        duplicate_of: Option<LeadId>,
    ) -> Result<Decision> {
        let wanted = needs(&self.policy, subject, state, event, self.now);
        let facts = if wanted.is_empty() {
            Arc::default()
        } else {
            let level = |key| self.ledger.level(key, self.now);
            let levels = wanted.keys().iter().map(level).collect::<Result<Vec<Counter>>>()?;
            Arc::new(wanted.answer(levels))
        };
        let snapshot = Snapshot { channels: Arc::clone(&self.channels), duplicate_of, facts };
        Ok(decide(&self.policy, self.reference, subject, state, &snapshot, event, self.now))
    }

    /// Counts what a decision takes and gives back. Answers whether a lead may wait for that.
    fn count(&mut self, effects: &[Effect]) -> Result<bool> {
        let mut frees = false;
        // One change for each counter, as a store makes it: what is taken and given back at once changes nothing.
        let mut changes: Vec<(&CounterKey, i64, Option<&str>, Option<Timestamp>)> = Vec::new();
        for effect in effects {
            let (key, amount, note, until) = match effect {
                Effect::Reserve { key, amount, until, .. } => (key, *amount, None, *until),
                Effect::Release { key, amount } => (key, -*amount, None, None),
                Effect::Note { key, name, until } => (key, 1, Some(name.as_str()), *until),
                Effect::Queue { behind: true, .. } => {
                    frees = true;
                    continue;
                }
                _ => continue,
            };
            match changes.iter_mut().find(|(known, ..)| *known == key) {
                Some(change) => {
                    *change = (key, change.1 + amount, note.or(change.2), until.or(change.3));
                }
                None => changes.push((key, amount, note, until)),
            }
        }
        for (key, amount, note, until) in changes {
            if amount != 0 || note.is_some() {
                frees |= amount < 0 && key.is_room();
                self.ledger.change(key, amount, note, until, self.now)?;
            }
        }
        Ok(frees)
    }
}

/// What became of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The lead; for a repeated capture the one that was there before.
    pub lead_id: LeadId,
    /// What was decided.
    pub verdict: CaptureVerdict,
}

/// A policy at work.
#[derive(Debug)]
pub struct Replay<O> {
    mind: Mind,
    leads: Lives,
    waiting: BTreeSet<LeadId>,
    agenda: Agenda,
    drain_wanted: bool,
    swept_at: Timestamp,
    keeps: bool,
    observer: O,
}

impl<O: Observer> Replay<O> {
    /// A policy that has not decided anything yet. Every channel that it names exists, is not
    /// paused, and brings back what the other side answers.
    pub fn new(policy: Arc<Policy>, reference: PolicyRef, observer: O) -> Self {
        Self::with_memory(policy, reference, observer, Box::new(InMemory::new()))
    }

    /// As [`Self::new`], with a place of its own for what is remembered of people.
    pub fn with_memory(
        policy: Arc<Policy>,
        reference: PolicyRef,
        observer: O,
        people: Box<dyn Memory>,
    ) -> Self {
        let channel = |name: &str| {
            let id = ChannelId::from_uuid(stable_uuid("replayed channel", name));
            (name.to_owned(), ChannelFacts { id, paused: false, answers: true })
        };
        let channels = policy.channel_names().into_iter().map(channel).collect();
        Self {
            mind: Mind {
                policy,
                reference,
                channels: Arc::new(channels),
                ledger: Ledger::new(people),
                now: epoch(),
            },
            leads: Lives::default(),
            waiting: BTreeSet::new(),
            agenda: Agenda::default(),
            drain_wanted: false,
            swept_at: epoch(),
            keeps: false,
            observer,
        }
    }

    /// Leads are kept when nothing is expected of them any more, instead of being forgotten.
    #[must_use]
    pub const fn keeping_leads(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.mind.policy
    }

    /// The moment that the replay has come to.
    pub const fn now(&self) -> Timestamp {
        self.mind.now
    }

    /// Whoever looks on.
    pub const fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Gives up the replay for what was seen.
    pub fn into_observer(self) -> O {
        self.observer
    }

    /// How many leads are in memory.
    pub fn in_memory(&self) -> usize {
        self.leads.in_memory()
    }

    /// Where a lead stands; `None` where it is unknown, forgotten, or put away by the memory for a while.
    pub fn state(&self, lead: LeadId) -> Option<&LeadState> {
        self.leads.get(lead).map(|life| &life.state)
    }

    /// The timers of a lead that are set; none where [`Self::state`] is `None`.
    pub fn timers(&self, lead: LeadId) -> &[(TimerName, Timestamp)] {
        self.leads.get(lead).map_or(&[], |life| &life.timers)
    }

    /// Moves on to a moment: timers fire and what is scheduled happens, in order. A moment that has passed
    /// changes nothing.
    ///
    /// # Errors
    /// Those of the memory. They end the replay: what was under way is in no known state.
    pub fn advance(&mut self, to: Timestamp) -> Result<()> {
        while let Some(Entry { at, number, lead, due }) = self.agenda.take_due(to) {
            self.mind.now = self.mind.now.max(at);
            if self.leads.sleeps(lead, at) {
                // A timer that was cleared.
                continue;
            }
            self.leads.wake(lead, self.mind.ledger.shelf())?;
            if let Due::Timer(TimerName::Queue) = due {
                // As in the engine: the oldest of those who wait come first, whichever lead's moment it is.
                let set =
                    self.leads.get(lead).is_some_and(|life| life.timers.contains(&(TimerName::Queue, at)));
                self.drain_wanted |= set;
                self.drain()?;
            }
            let Some(life) = self.leads.get_mut(lead) else { continue };
            match due {
                Due::Timer(name) => {
                    let Some(place) = life.timers.iter().position(|timer| *timer == (name, at)) else {
                        continue;
                    };
                    life.timers.remove(place);
                    self.event(lead, Event::TimerFired { timer: name })?;
                }
                Due::Event => {
                    let Some(event) = life.take(number) else { continue };
                    self.event(lead, event)?;
                }
            }
        }
        self.mind.now = self.mind.now.max(to);
        if (self.mind.now - self.swept_at).num_seconds() >= SWEEP_SECS {
            self.sweep()?;
        }
        Ok(())
    }

    /// Lets happen what is still expected, until `end` at the latest.
    ///
    /// # Errors
    /// Those of [`Self::advance`].
    pub fn settle(&mut self, end: Timestamp) -> Result<()> {
        while let Some(at) = self.agenda.next().filter(|at| *at <= end) {
            self.advance(at)?;
        }
        Ok(())
    }

    /// A capture comes in now.
    ///
    /// # Errors
    /// Those of [`Self::advance`].
    pub fn capture(&mut self, lead_id: LeadId, origin: &Arc<Origin>, capture: Capture) -> Result<Captured> {
        let capture = Arc::new(capture);
        let event = Event::Captured(Box::new(Capture::clone(&capture)));
        let fresh = LeadState::default();
        let subject = subject(origin, lead_id, &capture);
        let mut decision = self.mind.decide(subject, &fresh, &event, None)?;
        if let Some(of) = self.holder(&decision, lead_id)? {
            decision = self.mind.decide(subject, &fresh, &event, Some(of))?;
        }
        let mut captured = Captured { lead_id, verdict: CaptureVerdict::Accepted };
        for effect in &decision.effects {
            match effect {
                Effect::Reject { code } => captured.verdict = CaptureVerdict::Rejected { code: code.clone() },
                Effect::Duplicate { of } => {
                    captured = Captured { lead_id: *of, verdict: CaptureVerdict::Duplicate };
                }
                Effect::ReserveUnique { keys, until, .. } => {
                    let now = self.mind.now;
                    keys.iter().try_for_each(|key| self.mind.ledger.hold(key, lead_id, *until, now))?;
                }
                _ => {}
            }
        }
        let life = Life {
            origin: Arc::clone(origin),
            capture,
            captured_at: self.mind.now,
            state: fresh,
            timers: Vec::new(),
            due: Vec::new(),
        };
        if captured.verdict == CaptureVerdict::Duplicate {
            let asleep = self.leads.state_of_asleep(captured.lead_id, self.mind.ledger.shelf())?;
            let known = self.leads.get(captured.lead_id).map(|life| &life.state).or(asleep.as_ref());
            let state = known.unwrap_or(&life.state);
            let step = Step {
                lead_id: captured.lead_id,
                origin,
                captured_at: self.mind.now,
                at: self.mind.now,
                event: &event,
                decision: &decision,
                before: state,
                after: state,
            };
            // What is answered of a repetition is not the lead's.
            let _none = self.observer.decided(&step);
        } else {
            self.leads.insert(lead_id, life);
            self.apply(lead_id, &event, &decision)?;
            self.drain()?;
        }
        Ok(captured)
    }

    /// Something happens to a lead now. Answers whether the lead is known.
    ///
    /// # Errors
    /// Those of [`Self::advance`].
    pub fn event(&mut self, lead: LeadId, event: Event) -> Result<bool> {
        self.leads.wake(lead, self.mind.ledger.shelf())?;
        let Some(life) = self.leads.get(lead) else { return Ok(false) };
        let decision = self.mind.decide(life.subject(lead), &life.state, &event, None)?;
        self.apply(lead, &event, &decision)?;
        self.drain()?;
        Ok(true)
    }

    /// Whose lead a capture repeats.
    fn holder(&mut self, decision: &Decision, lead: LeadId) -> Result<Option<LeadId>> {
        for effect in &decision.effects {
            let Effect::ReserveUnique { keys, .. } = effect else { continue };
            for key in keys {
                let holder = self.mind.ledger.holder(key, self.mind.now)?;
                if holder.is_some_and(|holder| holder != lead) {
                    return Ok(holder);
                }
            }
            break;
        }
        Ok(None)
    }

    fn apply(&mut self, lead: LeadId, event: &Event, decision: &Decision) -> Result<()> {
        let now = self.mind.now;
        self.drain_wanted |= self.mind.count(&decision.effects)?;
        let Some(life) = self.leads.get_mut(lead) else { return Ok(()) };
        for effect in &decision.effects {
            match effect {
                Effect::SetTimer { timer, due_at } => {
                    life.timers.retain(|(name, _)| name != timer);
                    life.timers.push((*timer, *due_at));
                    self.agenda.add(*due_at, lead, Due::Timer(*timer));
                }
                Effect::ClearTimers => life.timers.clear(),
                _ => {}
            }
        }
        let before = std::mem::take(&mut life.state);
        life.state = before.clone().apply(&decision.effects);
        let step = Step {
            lead_id: lead,
            origin: &life.origin,
            captured_at: life.captured_at,
            at: now,
            event,
            decision,
            before: &before,
            after: &life.state,
        };
        for (at, event) in self.observer.decided(&step) {
            let number = self.agenda.add(at, lead, Due::Event);
            life.due.push(Scheduled { at, number, event });
        }
        let queued = life.state.status == LeadStatus::Queued;
        if queued {
            self.waiting.insert(lead);
        } else if !self.waiting.is_empty() {
            self.waiting.remove(&lead);
        }
        if self.keeps || queued {
            return Ok(());
        }
        if life.due.is_empty() && life.timers.is_empty() {
            self.leads.remove(lead);
            self.observer.forgotten(lead);
        } else if let Some(shelf) = self.mind.ledger.shelf() {
            self.leads.rest(lead, shelf, now)?;
        }
        Ok(())
    }

    /// Offers waiting leads, oldest first, where something has become free.
    fn drain(&mut self) -> Result<()> {
        while std::mem::take(&mut self.drain_wanted) {
            let mut fruitless = 0;
            let mut place = Bound::Unbounded;
            while let Some(lead) = self.waiting.range((place, Bound::Unbounded)).next().copied() {
                place = Bound::Excluded(lead);
                let Some(life) = self.leads.get(lead) else { continue };
                let decision = self.mind.decide(life.subject(lead), &life.state, &Event::SlotFree, None)?;
                let leaves = |effect: &Effect| {
                    matches!(
                        effect,
                        Effect::Offer { .. }
                            | Effect::Auction { .. }
                            | Effect::Assign { .. }
                            | Effect::GiveUp
                    )
                };
                if decision.effects.iter().any(leaves) {
                    fruitless = 0;
                    self.apply(lead, &Event::SlotFree, &decision)?;
                } else {
                    fruitless += 1;
                    if fruitless >= FRUITLESS {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn sweep(&mut self) -> Result<()> {
        self.swept_at = self.mind.now;
        self.mind.ledger.sweep(self.mind.now)
    }
}
