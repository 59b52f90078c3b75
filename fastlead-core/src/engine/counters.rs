//! The counters of projects, as this process knows them.
//!
//! A decision reads and changes them under one lock, before it is committed, so that concurrent leads of one
//! process are distributed as if they came one after the other. What is refused is undone. Where several
//! processes share a store, the store alone is exact: it refuses at commit, and says what the counter is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Engine;
use super::deciding::Deciding;
use crate::decide::{Counter, CounterKey, Decision, Effect, Needs, Snapshot, decide, needs};
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
    /// How often somebody has got more room, or may have: a counter has gone down, or what was known of it is not known
    /// any more and may be less when it is read anew. Changes under the lock of `counters`.
    pub(super) freed: AtomicU64,
    /// Taken while leads of the queue are looked after, so that the oldest comes first.
    pub(super) drain: tokio::sync::Mutex<()>,
    /// Whether somebody waits for that already.
    pub(super) drain_wanted: AtomicBool,
}

impl Board {
    /// Somebody may have more room than was known. The caller holds the lock of `counters`.
    fn more_room(&self) {
        self.freed.fetch_add(1, Ordering::AcqRel);
    }

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

    fn takes_room(&self) -> bool {
        self.amount > 0 && self.key.is_room()
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
        Self { changes, frees, readings: Vec::new(), project, board: None }
    }

    /// Whether the decision takes room that others have again when it is undone.
    pub(super) fn takes_room(&self) -> bool {
        self.changes.iter().any(CounterChange::takes_room)
    }

    /// Makes the changes of what is known; what is not known stays so.
    fn apply(&mut self, board: &Board, counters: &mut Readings, now: Timestamp) {
        if self.changes.iter().any(CounterChange::gives_room) {
            board.more_room();
        }
        self.readings.clear();
        for change in &self.changes {
            let is_less = |(_, counter): &(u64, Counter)| counter.clone().at(now).value + change.amount < 0;
            if change.amount < 0 && counters.known.get(&change.key).is_some_and(is_less) {
                // Two give the same back, and one of them will be refused: nobody knows which.
                counters.known.remove(&change.key);
            }
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
        let mut room = false;
        for (change, reading) in self.changes.iter().zip(&self.readings) {
            if counters.of_reading(&change.key, *reading).is_none() {
                counters.forget(&change.key);
                room |= change.key.is_room();
            }
        }
        // What somebody has freed is seen from here on, however long ago it was decided.
        if room {
            board.more_room();
        }
    }

    /// The decision was refused: its changes are undone.
    pub(super) fn undo(&mut self, refusal: &Refusal) {
        let Some(board) = self.board.take() else { return };
        let mut counters = board.lock();
        let mut room = self.takes_room();
        for (change, reading) in self.changes.iter().zip(&self.readings) {
            // What was given back may have been nothing: a counter never goes below it, so that taking it again is not the
            // same as before.
            let can_be_undone = change.note.is_none() && change.amount > 0;
            match counters.of_reading(&change.key, *reading).filter(|_| can_be_undone) {
                Some(counter) if counter.value > change.amount => counter.value -= change.amount,
                // Another reading, a note whose predecessor is not known any more, or perhaps nothing: a counter that
                // was never counted is not the same as one at zero.
                _ => room |= counters.known.remove(&change.key).is_some() && change.key.is_room(),
            }
        }
        // What the store has said may be older than what others have committed since: it is read anew.
        if let Refusal::CapFull { id, .. } = refusal {
            let full = self.changes.iter().find(|change| change.key.id(self.project) == *id);
            if let Some(change) = full {
                room |= counters.known.remove(&change.key).is_some() && change.key.is_room();
            }
        }
        if room {
            board.more_room();
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
            if self.changes.iter().any(|change| change.key.is_room()) {
                board.more_room();
            }
        }
    }
}

impl Engine {
    /// Decides upon an event, with what the policy wants to know. The changes of counters are made at once; none are
    /// where the decision is not `wanted`, which is also told [`Board::freed`], if the policy wants to know counters.
    ///
    /// # Errors
    /// Where counters could not be read.
    pub(super) async fn decide_on(
        &self,
        deciding: &Deciding<'_>,
        wanted: impl FnOnce(&Decision, Option<u64>) -> bool + Send,
    ) -> Result<(Decision, Option<Provisional>)> {
        let Deciding { policy, subject, ref state, snapshot, event, now, .. } = *deciding;
        let ask = |snapshot: &Snapshot| {
            decide(&policy.policy, policy.reference, subject, state, snapshot, event, now)
        };
        let project = subject.project_id;
        let needed = needs(&policy.policy, subject, state, event, now);
        if needed.is_empty() {
            let decision = ask(snapshot);
            if !wanted(&decision, None) {
                return Ok((decision, None));
            }
            let mut provisional = Provisional::new(project, &decision.effects);
            if !provisional.changes.is_empty() {
                // Something is given back or noted, for which nothing must be known.
                let board = self.inner.boards.of(project);
                provisional.apply(&board, &mut board.lock(), now);
                provisional.board = Some(board);
            }
            return Ok((decision, Some(provisional)));
        }
        let board = self.inner.boards.of(project);
        self.load(&board, project, &needed, now).await?;
        let (decision, mut provisional) = {
            let mut counters = board.lock();
            let known = |key: &CounterKey| counters.known.get(key).map(|(_, counter)| counter.clone());
            let counter = |key: &CounterKey| known(key).unwrap_or_default().at(now);
            let levels: Vec<Counter> = needed.keys().iter().map(counter).collect();
            let facts = Arc::new(needed.answer(levels));
            let decision = ask(&Snapshot { facts, ..snapshot.clone() });
            if !wanted(&decision, Some(board.freed.load(Ordering::Acquire))) {
                return Ok((decision, None));
            }
            let mut provisional = Provisional::new(project, &decision.effects);
            provisional.apply(&board, &mut counters, now);
            (decision, provisional)
        };
        provisional.board = Some(board);
        Ok((decision, Some(provisional)))
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
    use proptest::prelude::*;
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

    fn key(number: usize) -> CounterKey {
        serde_json::from_value(format!("open:{number}").into()).unwrap()
    }

    /// What happens to the counters of a board.
    #[derive(Debug, Clone)]
    enum Happens {
        /// A counter that is not known is read.
        Read(usize),
        /// A decision takes a place of each of these targets, or gives one back.
        Decided(Vec<(usize, bool)>),
        /// One of the decisions that are not on disk yet is kept, refused, refused as too much, or lost.
        Ends(prop::sample::Index, u8),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let target = 0_usize..2;
        prop_oneof![
            2 => target.clone().prop_map(Happens::Read),
            3 => prop::collection::vec((target, any::<bool>()), 1..3).prop_map(Happens::Decided),
            3 => (any::<prop::sample::Index>(), 0_u8..4).prop_map(|(which, how)| Happens::Ends(which, how)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// Whoever has looked at a counter and found it full is told to look again before somebody behind it may find
        /// less: else the place that is free is given to whoever looks next, and not to the oldest. When nothing is under
        /// way, what is known is what is stored.
        #[test]
        fn no_room_comes_unseen(steps in prop::collection::vec(happens(), 1..40), stored in prop::array::uniform2(0_i64..3)) {
            let mut stored = stored;
            let (board, project) = (Arc::new(Board::default()), project(0));
            let mut open: Vec<Provisional> = Vec::new();
            let look = || {
                let counters = board.lock();
                let known = |number| counters.known.get(&key(number)).map(|(_, counter)| counter.value);
                ([known(0), known(1)], board.freed.load(Ordering::Acquire))
            };
            for step in steps {
                let (before, freed) = look();
                match step.clone() {
                    Happens::Read(target) if before[target].is_none() => {
                        let value = stored[target];
                        board.lock().note(key(target), Counter { value, ..Counter::default() });
                    }
                    Happens::Read(..) => {}
                    Happens::Decided(what) => {
                        let effects: Vec<Effect> = what.into_iter().map(|(target, takes)| match takes {
                            true => Effect::Reserve { key: key(target), amount: 1, limit: Some(1), until: None },
                            false => Effect::Release { key: key(target), amount: 1 },
                        }).collect();
                        let mut made = Provisional::new(project, &effects);
                        made.apply(&board, &mut board.lock(), epoch());
                        made.board = Some(Arc::clone(&board));
                        open.push(made);
                    }
                    Happens::Ends(_, _) if open.is_empty() => {}
                    Happens::Ends(which, how) => {
                        let mut made = open.swap_remove(which.index(open.len()));
                        let id = made.changes.first().map(|change| change.key.id(project));
                        match (how, id) {
                            // Nothing is given back that was not taken: the lead has moved meanwhile.
                            (0, _) if made.changes.iter().any(|change| {
                                stored[usize::from(change.key == key(1))] + change.amount < 0
                            }) => made.undo(&Refusal::Stale),
                            (0, _) => {
                                for change in &made.changes {
                                    let target = usize::from(change.key == key(1));
                                    stored[target] += change.amount;
                                }
                                made.keep();
                            }
                            (1, Some(id)) => made.undo(&Refusal::CapFull { id, counter: Counter::default() }),
                            (2, _) => made.undo(&Refusal::Stale),
                            _ => drop(made),
                        }
                    }
                }
                let (after, now) = look();
                let less = (0..2).any(|target| before[target].is_some_and(|had| {
                    after[target].is_none_or(|has| has < had)
                }));
                prop_assert!(!less || now != freed, "{:?}: {:?}, then {:?}", step, before, after);
                let true_to = |target: usize| after[target].is_none_or(|known| known == stored[target]);
                prop_assert!(!open.is_empty() || (0..2).all(true_to), "{:?}: {:?}, and stored is {:?}", step, after, stored);
            }
        }
    }
}
