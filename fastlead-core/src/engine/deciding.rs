//! One decision, made and committed: the same for what comes in and for what happens to a lead that is there.

use std::sync::Arc;

use super::content::LeadFacts;
use super::directory::{ActivePolicy, Directory};
use super::ended::Ending;
use super::transition::{Extras, Owner};
use super::{Change, Engine};
use crate::decide::{Decision, Effect, Event, LeadState, Snapshot, Subject};
use crate::delivery::Delivery;
use crate::error::Result;
use crate::id::LeadId;
use crate::lead::Capture;
use crate::port::{CommitOutcome, Refusal};
use crate::time::Timestamp;

/// What is decided upon, and by what.
pub(super) struct Deciding<'a> {
    pub policy: &'a ActivePolicy,
    pub directory: &'a Directory,
    pub subject: Subject<'a>,
    pub capture: &'a Arc<Capture>,
    /// When the lead was captured.
    pub created_at: Timestamp,
    pub state: LeadState,
    pub snapshot: &'a Snapshot,
    pub event: &'a Event,
    /// The lead's deliveries, where the event may end offers that somebody sees.
    pub shown: &'a [Delivery],
    pub now: Timestamp,
}

/// What became of a decision.
pub(super) enum Decided {
    /// It is on disk, with all its work, and that work has begun. The lead's state afterwards.
    Committed(Box<LeadState>),
    /// The store has refused it, and nothing was changed.
    Refused(Refusal),
    /// The caller did not want it, and nothing was changed.
    Unwanted,
}

impl Engine {
    /// Decides, commits what was decided together with what `commits` says of it, and begins the work that follows.
    ///
    /// # Behavior
    /// * `wanted` is asked before anything is counted or stored. It is told how often somebody has got more room, where
    ///   the policy counts anything.
    ///
    /// # Errors
    /// Where counters cannot be read, and those of the commit.
    pub(super) async fn decide_and_commit(
        &self,
        deciding: Deciding<'_>,
        wanted: impl FnOnce(&Decision, Option<u64>) -> bool + Send,
        commits: impl FnOnce(&Decision) -> (Owner, Extras) + Send,
    ) -> Result<Decided> {
        let (decision, provisional) = self.decide_on(&deciding, wanted).await?;
        let Some(mut provisional) = provisional else { return Ok(Decided::Unwanted) };
        let Deciding { policy, directory, capture, created_at, state, event, shown, now, .. } = deciding;
        let (owner, extras) = commits(&decision);
        let actor = self.actor_of(event, &extras);
        let extras = Extras { actor, counters: provisional.reservations(), ..extras };
        let next = state.apply(&decision.effects);
        let decided_to_wait = decision.effects.iter().any(|effect| matches!(effect, Effect::Queue { .. }));
        let ending = Ending::of(event, &decision.effects, &next);
        let decided = (next.clone(), decision);
        let mut prepared = self.prepare(owner, event.clone(), decided, extras, directory, now);
        if let Some(ending) = ending {
            self.end_offers((&ending, shown), policy, &owner, directory, &mut prepared, now);
        }
        let frees_order = policy.policy.delivery.ordered && prepared.transition.cancel_offers;
        let Owner { scope, lead_id, .. } = owner;
        let (takes_room, frees) = (provisional.takes_room(), provisional.frees);
        let waits = decided_to_wait.then_some(policy.reference);
        let committed = self.commit(prepared.transition).await;
        match &committed {
            Ok(CommitOutcome::Applied) => provisional.keep(),
            Ok(CommitOutcome::Refused(refusal)) => provisional.undo(refusal),
            // Nobody knows whether it is on disk: dropped, it is forgotten.
            Err(_) => drop(provisional),
        }
        let looked_for = match &committed {
            // A policy may have been published meanwhile, and those who wait been pinned to it before this one came.
            Ok(CommitOutcome::Applied) => {
                let newer = |pinned| self.directory().newer_policy(scope.project_id, pinned).is_some();
                frees || waits.is_some_and(newer)
            }
            // What it took seemed to be taken to leads that wait since.
            Ok(CommitOutcome::Refused(_)) => takes_room,
            // Where the store fails, looking at once would fail at once, for ever.
            Err(_) => false,
        };
        if looked_for {
            self.look_after_queue(scope);
        }
        if let CommitOutcome::Refused(refusal) = committed? {
            return Ok(Decided::Refused(refusal));
        }
        if frees_order {
            // Messages that stood behind the cancelled ones need not wait any more.
            self.wake_workspace(scope.workspace_id);
        }
        let facts = LeadFacts {
            id: lead_id,
            project_id: scope.project_id,
            source_id: owner.source_id,
            created_at,
            capture: Arc::clone(capture),
        };
        self.start(prepared.immediate, Some(&facts));
        self.see_to(scope.workspace_id, prepared.later);
        self.announce(Change::Lead {
            workspace_id: scope.workspace_id,
            lead_id,
            event_id: owner.event_id,
            kind: event.kind(),
        });
        Ok(Decided::Committed(Box::new(next)))
    }
}

/// What a refusal has said of the facts: by the same ones the same decision would be refused again.
#[derive(Debug, Default)]
pub(super) struct Learned {
    duplicate_of: Option<LeadId>,
}

impl Learned {
    pub(super) fn from(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Duplicate(of) => self.duplicate_of = Some(*of),
            // A duplicate of a lead that is gone meanwhile is decided anew.
            Refusal::Stale => self.duplicate_of = None,
            _ => {}
        }
    }

    pub(super) fn add_to(&self, mut snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        if self.duplicate_of.is_some() {
            Arc::make_mut(&mut snapshot).duplicate_of = self.duplicate_of;
        }
        snapshot
    }
}
