//! What all parts of a simulation share: the time, the agenda, the journal, and what must hold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastlead_core::channel::InboundEvent;
use fastlead_core::id::{LeadId, SeededIds};
use fastlead_core::message::Response;
use fastlead_core::time::{Clock, Timestamp};

use super::clock::SimClock;
use super::journal::Journal;
use super::model::Model;
use super::patience::Patience;
use super::setting::{Setting, Visit};

/// One simulated world.
#[derive(Debug)]
pub(super) struct World {
    pub setting: Setting,
    pub clock: Arc<SimClock>,
    pub patience: Patience,
    /// One source for all lives of the engine: ids are never used again.
    pub ids: Arc<SeededIds>,
    journal: Mutex<Journal>,
    agenda: Mutex<Agenda>,
    model: Mutex<Model>,
    fault: Mutex<Option<String>>,
    /// How many turns were taken since the last step.
    turns: AtomicU64,
}

/// More turns than any step takes.
const MOST_TURNS: u64 = 50_000;

/// Something that happens from outside.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Somebody leaves a contact.
    Visit(Arc<Visit>),
    /// A provider brings news.
    Inbound { line: usize, event: Box<InboundEvent> },
    /// A provider has news, and keeps it until it is asked.
    News { line: usize, event: Box<InboundEvent> },
    /// A target answers over the API.
    Respond { lead: LeadId, target: String, response: Response },
    /// The work on a lead is done.
    Close { lead: LeadId },
    /// A buyer gives a lead back.
    GiveBack { lead: LeadId, target: String, reason: &'static str },
    /// A person has looked at a lead.
    Review { lead: LeadId, approved: bool },
    /// The owner of a channel has mended its account.
    Resume { line: usize },
    /// Another policy is published: the one with this index.
    Publish { policy: usize },
    /// One of several engines stops where it is, for so many seconds or for ever.
    Stop { engine: usize, secs: u64, dies: bool },
    /// It goes on, or another one takes its place.
    GoOn { engine: usize },
    /// The process dies after so many turns of its tasks, and comes back after so many seconds.
    Crash { turns: u64, down_secs: u64 },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visit(visit) => {
                let key = visit.key.as_ref().map_or("no key", |(key, _)| key);
                write!(
                    f,
                    "visit {} of person {} at {} with {key}",
                    visit.number, visit.person, visit.answers.source
                )
            }
            Self::Inbound { line, event } => {
                write!(f, "channel {line} brings {}", event.provider_event_id)
            }
            Self::News { line, event } => write!(f, "channel {line} keeps {}", event.provider_event_id),
            Self::Respond { lead, target, response } => write!(f, "{target} answers {response:?} to {lead}"),
            Self::Close { lead } => write!(f, "close {lead}"),
            Self::GiveBack { lead, target, reason } => write!(f, "{target} gives {lead} back: {reason}"),
            Self::Review { lead, approved } => write!(f, "review {lead}: {approved}"),
            Self::Resume { line } => write!(f, "resume channel {line}"),
            Self::Publish { policy } => write!(f, "publish policy {policy}"),
            Self::Stop { engine, secs, dies: false } => {
                write!(f, "engine {engine} stands still for {secs} s")
            }
            Self::Stop { engine, secs, dies: true } => write!(f, "engine {engine} dies for {secs} s"),
            Self::GoOn { engine } => write!(f, "engine {engine} goes on"),
            Self::Crash { turns, down_secs } => write!(f, "crash in {turns} turns for {down_secs} s"),
        }
    }
}

/// What is going to happen, and what has begun and has not been answered.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    next: u64,
    planned: BTreeMap<(Timestamp, u64), Action>,
    /// With the engine that was asked, where it was one.
    under_way: BTreeMap<u64, (Option<usize>, Action)>,
    failures: BTreeMap<String, u32>,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: Timestamp, action: Action) {
        self.planned.insert((at, self.next), action);
        self.next += 1;
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.planned.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next action that is due, and holds it to be under way.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<(u64, Action)> {
        let first = self.planned.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, number), action) = first.remove_entry();
        self.under_way.insert(number, (None, action.clone()));
        Some((number, action))
    }

    /// An action was answered.
    pub(super) fn end(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// An action has gone wrong. Answers how often by now.
    pub(super) fn failed(&mut self, action: &Action) -> u32 {
        let times = self.failures.entry(action.to_string()).or_default();
        *times += 1;
        *times
    }

    /// An engine is asked for an action.
    pub(super) fn asked_of(&mut self, number: u64, engine: usize) {
        if let Some((asked, _)) = self.under_way.get_mut(&number) {
            *asked = Some(engine);
        }
    }

    /// What was under way when the process died.
    pub(super) fn unanswered(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.under_way).into_values().map(|(_, action)| action).collect()
    }

    /// What one engine had been asked for when it died.
    pub(super) fn unanswered_by(&mut self, engine: usize) -> Vec<Action> {
        let mine = self.under_way.extract_if(.., |_, (asked, _)| *asked == Some(engine));
        mine.map(|(_, (_, action))| action).collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(setting: Setting, kept: usize, patience: Patience) -> Self {
        let clock = Arc::new(SimClock::new(setting.start));
        // Which ids are given out does not matter, only that they repeat.
        let ids = Arc::new(SeededIds::new(u32::try_from(setting.seed & 0xffff_ffff).unwrap_or(0)));
        Self {
            clock,
            patience,
            ids,
            journal: Mutex::new(Journal::new(setting.start, kept)),
            agenda: Mutex::default(),
            model: Mutex::default(),
            fault: Mutex::default(),
            turns: AtomicU64::new(0),
            setting,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn agenda(&self) -> MutexGuard<'_, Agenda> {
        locked(&self.agenda)
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        locked(&self.model)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        locked(&self.journal)
    }

    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        self.journal().note(self.now(), what);
    }

    /// Something that must hold does not. The first such thing is what counts.
    pub(super) fn broken(&self, what: impl Into<String>) {
        let mut fault = locked(&self.fault);
        if fault.is_none() {
            let what = what.into();
            self.note(format_args!("BROKEN: {what}"));
            *fault = Some(what);
        }
    }

    /// The same for what was checked.
    pub(super) fn check(&self, outcome: Result<(), String>) {
        if let Err(what) = outcome {
            self.broken(what);
        }
    }

    pub(super) fn fault(&self) -> Option<String> {
        locked(&self.fault).clone()
    }

    /// Begins the next step at `moment`.
    pub(super) fn step(&self, moment: Timestamp) {
        self.turns.store(0, Ordering::Relaxed);
        self.journal().next_step();
        self.clock.advance(moment);
    }

    /// Takes a turn. Answers whether the world has stopped, because something does not hold.
    pub(super) fn is_stopped(&self) -> bool {
        if self.turns.fetch_add(1, Ordering::Relaxed) == MOST_TURNS {
            self.broken("the engine goes round in circles: the step does not end");
        }
        self.fault().is_some()
    }

    /// Plans an action so many milliseconds from now.
    pub(super) fn plan_in(&self, millis: u64, action: Action) {
        let at = fastlead_core::time::plus(self.now(), std::time::Duration::from_millis(millis));
        self.agenda().plan(at, action);
    }
}
