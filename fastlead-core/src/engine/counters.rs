//! The counters of projects, as this process knows them.
//!
//! A decision reads and changes them under one lock, before it is committed, so that concurrent leads of one
//! process are distributed as if they came one after the other. What is refused is undone. Where several
//! processes share a store, the store alone is exact: it refuses at commit, and says what the counter is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Engine;
use super::directory::ActivePolicy;
use crate::decide::{
    Counter, CounterKey, Decision, Effect, Event, LeadState, Needs, Snapshot, Subject, decide, needs,
};
use crate::error::Result;
use crate::id::ProjectId;
use crate::port::{Refusal, Reservation};
use crate::time::Timestamp;

/// How often counters are read anew because others have changed meanwhile.
const READS: usize = 8;
/// How many counters of a project are kept. Beyond it all are read anew.
const MOST: usize = 65_536;
/// How many counters of a project may be known before those that have ended are looked for.
const FEW: usize = 1_024;
/// How many projects may have a board before idle ones are looked for.
const FEW_BOARDS: usize = 1_024;

/// What is known of counters.
///
/// Each entry has the number of its reading. A change that is made to one reading says nothing about a later
/// one, which may or may not hold it already: who finds another reading than the one that it has changed
/// forgets the counter, and it is read anew.
#[derive(Debug, Default)]
struct Readings {
    known: HashMap<CounterKey, (u64, Counter)>,
    last: u64,
    /// How often something was forgotten: what was read from the store before that may be older.
    forgotten: u64,
    /// How many counters may be known before those that have ended are looked for again.
    most: usize,
}

impl Readings {
    /// Notes what the store says.
    fn note(&mut self, key: CounterKey, counter: Counter) {
        self.last += 1;
        self.known.insert(key, (self.last, counter));
    }

    /// Forgets the counters that have ended where there are many, so that a project keeps no more than it counts with.
    /// Each look is paid for by as many new counters as it has left.
    fn shrink(&mut self, now: Timestamp) {
        if self.known.len() <= self.most.max(FEW) {
            return;
        }
        self.known.retain(|_, (_, counter)| counter.until.is_none_or(|until| until > now));
        if self.known.len() > MOST {
            self.known.clear();
        }
        self.known.shrink_to(FEW);
        self.most = self.known.len() * 2;
    }

    fn forget(&mut self, key: &CounterKey) {
        self.known.remove(key);
        self.forgotten += 1;
    }

    /// The counter, where it is still the reading of this number.
    fn of_reading(&mut self, key: &CounterKey, reading: Option<u64>) -> Option<&mut Counter> {
        let (number, counter) = self.known.get_mut(key)?;
        (Some(*number) == reading).then_some(counter)
    }
}

/// The counters of one project.
#[derive(Debug, Default)]
pub(super) struct Board {
    counters: Mutex<Readings>,
    /// How often somebody has got more room. Changes under the lock of `counters`.
    pub(super) freed: AtomicU64,
    /// Taken while leads of the queue are looked after, so that the oldest comes first.
    pub(super) drain: tokio::sync::Mutex<()>,
    /// Whether somebody waits for that already.
    pub(super) drain_wanted: AtomicBool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Readings> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The boards of the projects that are worked on.
#[derive(Debug, Default)]
pub(super) struct Boards(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    boards: HashMap<ProjectId, Arc<Board>>,
    /// How many boards there may be before idle ones are looked for again.
    most: usize,
}

impl Boards {
    pub(super) fn of(&self, project: ProjectId) -> Arc<Board> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.boards.len() > held.most.max(FEW_BOARDS) {
            // What nobody works with is read anew when somebody does.
            held.boards.retain(|_, board| {
                Arc::strong_count(board) > 1 || board.drain_wanted.load(Ordering::Acquire)
            });
            held.boards.shrink_to(FEW_BOARDS);
            held.most = held.boards.len() * 2;
        }
        Arc::clone(held.boards.entry(project).or_default())
    }
}

/// What a decision does to one counter, all its effects together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CounterChange {
    key: CounterKey,
    amount: i64,
    limit: Option<i64>,
    note: Option<String>,
    until: Option<Timestamp>,
}

impl CounterChange {
    fn gives_room(&self) -> bool {
        self.amount < 0 && self.key.is_room()
    }

    fn reservation(&self, project: ProjectId) -> Reservation {
        Reservation::Counter {
            id: self.key.id(project),
            amount: self.amount,
            limit: self.limit,
            note: self.note.clone(),
            until: self.until,
        }
    }
}

/// The changes of counters that `effects` make, one for each counter. What is taken and given back at once
/// changes nothing.
fn changes(effects: &[Effect]) -> Vec<CounterChange> {
    let mut changes: Vec<CounterChange> = Vec::new();
    for effect in effects {
        let (key, amount, limit, note, until) = match effect {
            Effect::Reserve { key, amount, limit, until } => (key, *amount, *limit, None, *until),
            Effect::Release { key, amount } => (key, -amount, None, None, None),
            Effect::Note { key, name, until } => (key, 1, None, Some(name.clone()), *until),
            _ => continue,
        };
        match changes.iter_mut().find(|change| change.key == *key) {
            Some(change) => {
                change.amount += amount;
                change.limit = match (change.limit, limit) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                change.note = note.or(change.note.take());
                change.until = until.or(change.until);
            }
            None => changes.push(CounterChange { key: key.clone(), amount, limit, note, until }),
        }
    }
    changes.retain(|change| change.amount != 0 || change.note.is_some());
    changes
}

/// The changes of counters that a decision makes: this process knows them already, the store does not yet.
#[derive(Debug)]
pub(super) struct Provisional {
    /// Empty where the policy counts nothing.
    changes: Vec<CounterChange>,
    /// Whether something is free afterwards that a lead may wait for.
    pub frees: bool,
    /// How often somebody had got more room before the decision was made.
    pub freed: u64,
    /// For each change the reading that it was made to; `None` where the counter was not known.
    readings: Vec<Option<u64>>,
    project: ProjectId,
    board: Option<Arc<Board>>,
}

impl Provisional {
    fn new(project: ProjectId, effects: &[Effect]) -> Self {
        let changes = changes(effects);
        let behind = |effect: &Effect| matches!(effect, Effect::Queue { behind: true, .. });
        let frees = changes.iter().any(CounterChange::gives_room) || effects.iter().any(behind);
        Self { changes, frees, freed: 0, readings: Vec::new(), project, board: None }
    }

    /// Whether the decision itself gives room. [`Board::freed`] has counted that, even if it is undone.
    pub(super) fn gives_room(&self) -> bool {
        self.changes.iter().any(CounterChange::gives_room)
    }

    /// Makes the changes of what is known; what is not known stays so.
    fn apply(&mut self, board: &Board, counters: &mut Readings, now: Timestamp) {
        self.freed = board.freed.fetch_add(u64::from(self.gives_room()), Ordering::AcqRel);
        self.readings.clear();
        for change in &self.changes {
            let entry = counters.known.get_mut(&change.key);
            self.readings.push(entry.as_ref().map(|(number, _)| *number));
            if let Some((_, counter)) = entry {
                let before = std::mem::take(counter);
                *counter = before.changed(change.amount, change.note.as_deref(), change.until, now);
            }
        }
    }

    /// The changes as the store is asked for them.
    pub(super) fn reservations(&self) -> Vec<Reservation> {
        self.changes.iter().map(|change| change.reservation(self.project)).collect()
    }

    /// The decision is on disk.
    pub(super) fn keep(&mut self) {
        let Some(board) = self.board.take() else { return };
        let mut counters = board.lock();
        for (change, reading) in self.changes.iter().zip(&self.readings) {
            if counters.of_reading(&change.key, *reading).is_none() {
                counters.forget(&change.key);
            }
        }
    }

    /// The decision was refused: its changes are undone.
    pub(super) fn undo(&mut self, refusal: &Refusal) {
        let Some(board) = self.board.take() else { return };
        let mut counters = board.lock();
        for (change, reading) in self.changes.iter().zip(&self.readings) {
            match counters.of_reading(&change.key, *reading).filter(|_| change.note.is_none()) {
                Some(counter) if counter.value > change.amount => counter.value -= change.amount,
                // Another reading, a note whose predecessor is not known any more, or perhaps nothing: a counter that
                // was never counted is not the same as one at zero.
                _ => drop(counters.known.remove(&change.key)),
            }
        }
        // What the store has said may be older than what others have committed since: it is read anew.
        if let Refusal::CapFull { id, .. } = refusal {
            let full = self.changes.iter().find(|change| change.key.id(self.project) == *id);
            if let Some(change) = full {
                counters.known.remove(&change.key);
            }
        }
    }
}

impl Drop for Provisional {
    /// Nobody knows whether the changes are on disk: the counters are read anew.
    fn drop(&mut self) {
        if let Some(board) = self.board.take() {
            let mut counters = board.lock();
            for change in &self.changes {
                counters.forget(&change.key);
            }
        }
    }
}

impl Engine {
    /// Decides upon an event, with what the policy wants to know.
    ///
    /// # Errors
    /// Where counters could not be read.
    pub(super) async fn decide_on(
        &self,
        policy: &ActivePolicy,
        subject: Subject<'_>,
        state: &LeadState,
        snapshot: &Snapshot,
        event: &Event,
        now: Timestamp,
    ) -> Result<(Decision, Provisional)> {
        let ask = |snapshot: &Snapshot| {
            decide(&policy.policy, policy.reference, subject, state, snapshot, event, now)
        };
        let project = subject.project_id;
        let wanted = needs(&policy.policy, subject, state, event, now);
        if wanted.is_empty() {
            let decision = ask(snapshot);
            let mut provisional = Provisional::new(project, &decision.effects);
            if !provisional.changes.is_empty() {
                // Something is given back or noted, for which nothing must be known.
                let board = self.inner.boards.of(project);
                provisional.apply(&board, &mut board.lock(), now);
                provisional.board = Some(board);
            }
            return Ok((decision, provisional));
        }
        let board = self.inner.boards.of(project);
        self.load(&board, project, &wanted, now).await?;
        let (decision, mut provisional) = {
            let mut counters = board.lock();
            let known = |key: &CounterKey| counters.known.get(key).map(|(_, counter)| counter.clone());
            let counter = |key: &CounterKey| known(key).unwrap_or_default().at(now);
            let levels: Vec<Counter> = wanted.keys().iter().map(counter).collect();
            let facts = Arc::new(wanted.answer(levels));
            let decision = ask(&Snapshot { facts, ..snapshot.clone() });
            let mut provisional = Provisional::new(project, &decision.effects);
            provisional.apply(&board, &mut counters, now);
            (decision, provisional)
        };
        provisional.board = Some(board);
        Ok((decision, provisional))
    }

    /// Reads the counters that this process does not know.
    async fn load(&self, board: &Board, project: ProjectId, wanted: &Needs, now: Timestamp) -> Result<()> {
        for _ in 0..READS {
            let (missing, forgotten) = {
                let mut counters = board.lock();
                counters.shrink(now);
                let known = &counters.known;
                let missing: Vec<CounterKey> =
                    wanted.keys().iter().filter(|key| !known.contains_key(*key)).cloned().collect();
                (missing, counters.forgotten)
            };
            if missing.is_empty() {
                return Ok(());
            }
            let ids = missing.iter().map(|key| key.id(project)).collect();
            let found = self.inner.store.counters(ids, now).await?;
            let mut counters = board.lock();
            // A change that was made while the store was read may not be in what was read.
            if counters.forgotten == forgotten {
                for (key, counter) in missing.into_iter().zip(found) {
                    if !counters.known.contains_key(&key) {
                        counters.note(key, counter);
                    }
                }
                return Ok(());
            }
        }
        // What is still not known counts as nothing for this decision; the store refuses what is too much.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::time::{epoch, plus_seconds};

    fn project(number: usize) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(number as u128))
    }

    #[test]
    fn boards_that_nobody_works_with_are_let_go() {
        let boards = Boards::default();
        let (held, waits) = (boards.of(project(0)), boards.of(project(1)));
        waits.drain_wanted.store(true, Ordering::Release);
        drop(waits);
        for number in 2..20_000 {
            boards.of(project(number));
        }
        assert!(boards.0.lock().unwrap().boards.len() <= 2 * FEW_BOARDS);
        assert!(Arc::ptr_eq(&held, &boards.of(project(0))));
        assert!(boards.of(project(1)).drain_wanted.load(Ordering::Acquire));
    }

    #[test]
    fn counters_that_have_ended_are_let_go() {
        let mut readings = Readings::default();
        let day = |number: u64| plus_seconds(epoch(), number * 86_400);
        for number in 0..40_000_u64 {
            let counter = Counter { until: Some(day(number + 1)), ..Counter::default() };
            readings.note(serde_json::from_value(format!("today:{number}").into()).unwrap(), counter);
            readings.shrink(day(number));
        }
        assert!(readings.known.len() <= 2 * FEW, "{} counters are kept", readings.known.len());
        let last = serde_json::from_value::<CounterKey>("today:39999".into()).unwrap();
        assert!(readings.known.contains_key(&last));
    }
}
