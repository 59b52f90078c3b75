//! Leads that wait: the oldest gets the place that is free again.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Engine;
use super::apply::Applied;
use super::counters::Board;
use super::transition::Extras;
use crate::decide::{Decision, Effect, Event};
use crate::delivery::Scope;
use crate::error::{ErrorKind, Result};
use crate::id::LeadId;
use crate::port::LeasedTimer;
use crate::time::{Timestamp, plus};

/// How long a queue rests that could not be looked after.
const REST: Duration = Duration::from_secs(5);
/// How many waiting leads are read at a time.
const PAGE: u32 = 64;
/// How often a waiting lead whose moment has come makes way for older ones.
const ROUNDS: usize = 8;
/// How many leads in a row may find no place before the rest is left to wait: those of one rule must not hide those of
/// another, for whom there is room.
const FRUITLESS: u32 = 10_000;

/// Queues that could not be looked after, because the store has failed.
#[derive(Debug, Default)]
pub(super) struct PutOff(Mutex<Option<(Timestamp, BTreeSet<Scope>)>>);

impl PutOff {
    /// Puts a queue off. Answers until when.
    fn add(&self, scope: Scope, now: Timestamp) -> Timestamp {
        let mut put_off = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, scopes) = put_off.get_or_insert_with(|| (plus(now, REST), BTreeSet::new()));
        scopes.insert(scope);
        *until
    }

    /// When they are looked after again.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(until, _)| *until)
    }

    fn take(&self, now: Timestamp) -> BTreeSet<Scope> {
        let mut put_off = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        put_off.take_if(|(until, _)| *until <= now).map(|(_, scopes)| scopes).unwrap_or_default()
    }
}

impl Engine {
    /// Something has become free that leads of this project may wait for. Comes back at once.
    pub(super) fn look_after_queue(&self, scope: Scope) {
        let board = self.inner.boards.of(scope.project_id);
        if board.drain_wanted.swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.drain_in_order(scope).await });
    }

    /// Looks after the queues of all projects: a process that has died may have left something free.
    pub(super) fn look_after_all_queues(&self) {
        for project in self.directory().projects() {
            let scope = Scope { workspace_id: project.workspace_id, project_id: project.id };
            self.look_after_queue(scope);
        }
    }

    /// Looks after the queues that were put off, once they have rested.
    pub(super) fn look_after_queues_put_off(&self, now: Timestamp) {
        for scope in self.inner.put_off.take(now) {
            self.look_after_queue(scope);
        }
    }

    /// Offers the waiting leads of a project, oldest first, and one caller at a time.
    pub(super) async fn drain_in_order(&self, scope: Scope) {
        let board = self.inner.boards.of(scope.project_id);
        let _one_at_a_time = board.drain.lock().await;
        // Whoever finds something free from now on must look again.
        board.drain_wanted.store(false, Ordering::Release);
        if let Err(error) = self.drain(scope, &board).await {
            tracing::error!(project = %scope.project_id, %error, "waiting leads could not be looked after; trying again soon");
            let until = self.inner.put_off.add(scope, self.now());
            self.wake_by(until);
        }
    }

    /// Offers waiting leads, oldest first, and pins them to the newest policy. When somebody gets more room on the way, it begins anew: what is
    /// free belongs to the oldest.
    async fn drain(&self, scope: Scope, board: &Board) -> Result<()> {
        'anew: loop {
            let freed = board.freed.load(Ordering::Acquire);
            let mut after: Option<LeadId> = None;
            let mut fruitless = 0;
            loop {
                let waiting = self.inner.store.waiting(scope, after, PAGE).await?;
                let Some(last) = waiting.last().copied() else { return Ok(()) };
                for (index, lead) in waiting.into_iter().enumerate() {
                    let oldest = after.is_none() && index == 0;
                    // A lead that would only go on waiting has nothing to be written down.
                    let wanted = |decision: &Decision, now: Option<u64>| match leaves_the_queue(decision) {
                        true => oldest || now.is_none_or(|now| now == freed),
                        false => decision.effects.contains(&Effect::Repin),
                    };
                    let applied = self
                        .apply_if(scope.workspace_id, lead, Event::SlotFree, Extras::default, wanted)
                        .await;
                    let applied = match applied {
                        // Those behind it are not to wait for a lead that cannot be read.
                        Err(error) if error.kind() == ErrorKind::Unreadable => None,
                        applied => applied?,
                    };
                    if board.freed.load(Ordering::Acquire) != freed {
                        continue 'anew;
                    }
                    fruitless = if matches!(applied, Some(Applied::Done(_))) { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS {
                        return Ok(());
                    }
                }
                after = Some(last);
            }
        }
    }

    /// The moment has come at which a waiting lead may be placed, or has waited long enough. What is free
    /// goes to the oldest, whichever lead's moment it is.
    pub(super) async fn queue_timer(&self, timer: LeasedTimer) -> Result<()> {
        let event = || Event::TimerFired { timer: timer.name };
        let extras = || Extras { fired: Some((timer.id, timer.token)), ..Extras::default() };
        let (workspace, lead) = (timer.scope.workspace_id, timer.lead_id);
        for _ in 0..ROUNDS {
            self.drain_in_order(timer.scope).await;
            let in_turn = |decision: &Decision, _: Option<u64>| !is_placed(decision);
            if self.apply_if(workspace, lead, event(), extras, in_turn).await?.is_some() {
                return Ok(());
            }
        }
        self.apply(workspace, lead, event(), extras).await.map(drop)
    }
}

fn leaves_the_queue(decision: &Decision) -> bool {
    let leaves = |effect: &Effect| {
        matches!(
            effect,
            Effect::Offer { .. } | Effect::Auction { .. } | Effect::Assign { .. } | Effect::GiveUp
        )
    };
    decision.effects.iter().any(leaves)
}

/// Whether the route has found somebody.
fn is_placed(decision: &Decision) -> bool {
    let placed =
        |effect: &Effect| matches!(effect, Effect::Offer { rule: Some(_), .. } | Effect::Auction { .. });
    decision.effects.iter().any(placed)
}
