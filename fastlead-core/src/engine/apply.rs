//! Something happened to a lead that is there already.

use std::sync::Arc;

use super::content::LeadFacts;
use super::counters::Provisional;
use super::ended::Ending;
use super::transition::{Extras, Owner};
use super::{Change, Engine};
use crate::decide::{Decision, Event, LeadState, Subject};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{EventId, LeadId, WorkspaceId};
use crate::port::{CommitOutcome, Guard, LeadRecord, Refusal};

/// How often a decision is made again because the lead had moved.
const MAX_DECISIONS: usize = 32;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// The lead's state afterwards.
    Done(Box<LeadState>),
    /// Somebody else has taken over the work that the event reports.
    LeaseLost,
    /// The event was acted upon before, or changes nothing any more.
    Before,
    /// There is no such lead.
    NoLead,
}

impl Engine {
    /// Decides upon `event`, makes it durable together with `extras`, and starts what follows.
    pub(super) async fn apply(
        &self,
        workspace: WorkspaceId,
        lead_id: LeadId,
        event: Event,
        extras: impl Fn() -> Extras + Send + Sync,
    ) -> Result<Applied> {
        let applied = self.apply_if(workspace, lead_id, event, extras, |_, _| true).await?;
        Ok(applied.unwrap_or(Applied::Before))
    }

    /// The same, unless the decision is one that is not `wanted`: then nothing happens, and the answer is
    /// `None`.
    pub(super) async fn apply_if(
        &self,
        workspace: WorkspaceId,
        lead_id: LeadId,
        event: Event,
        extras: impl Fn() -> Extras + Send + Sync,
        wanted: impl Fn(&Decision, &Provisional) -> bool + Send + Sync,
    ) -> Result<Option<Applied>> {
        let mut duplicate_of = None;
        for _ in 0..MAX_DECISIONS {
            let Some(record) = self.inner.store.lead(workspace, lead_id).await? else {
                return Ok(Some(Applied::NoLead));
            };
            let policy = self.policy(record.policy).await?;
            let directory = self.directory();
            let now = self.now();
            let mut snapshot = directory.snapshot(workspace);
            if duplicate_of.is_some() {
                Arc::make_mut(&mut snapshot).duplicate_of = duplicate_of;
            }
            let LeadRecord { id, scope, source_id, created_at, capture, state, .. } = record;
            let subject = Subject {
                lead_id: id,
                workspace_id: scope.workspace_id,
                project_id: scope.project_id,
                source_id,
                source: directory.source_facts(source_id),
                capture: &capture,
            };
            let shown = self.shown_offers((workspace, lead_id), &state, &event, &directory).await?;
            let (decision, mut provisional) =
                self.decide_on(&policy, subject, &state, &snapshot, &event, now).await?;
            if !wanted(&decision, &provisional) {
                provisional.undo(&Refusal::Stale);
                return Ok(None);
            }
            let owner = Owner {
                scope,
                source_id,
                lead_id,
                event_id: EventId::generate(&*self.inner.ids, now),
                guard: Guard::Version(state.version),
            };
            let next = state.apply(&decision.effects);
            let ending = Ending::of(&event, &decision.effects, &next);
            let decided = (next.clone(), decision);
            let mut extras = Extras { counters: provisional.reservations(), ..extras() };
            extras.actor = self.actor_of(&event, &extras);
            let mut prepared = self.prepare(owner, event.clone(), decided, extras, &directory, now);
            if let Some(ending) = ending {
                self.end_offers((&ending, &shown), &policy, &owner, &directory, &mut prepared, now);
            }
            let frees_order = policy.policy.delivery.ordered && prepared.transition.cancel_offers;
            match self.commit(prepared.transition).await? {
                CommitOutcome::Applied => {
                    provisional.keep();
                    if frees_order {
                        // Messages that stood behind the cancelled ones need not wait any more.
                        self.wake_workspace(workspace);
                    }
                    if provisional.frees {
                        self.look_after_queue(scope);
                    }
                    let project_id = scope.project_id;
                    let facts = LeadFacts {
                        id: lead_id,
                        project_id,
                        source_id,
                        created_at,
                        capture: Arc::new(capture),
                    };
                    self.start(prepared.immediate, Some(&facts));
                    self.see_to(workspace, prepared.later);
                    self.announce(Change::Lead {
                        workspace_id: workspace,
                        lead_id,
                        event_id: owner.event_id,
                        kind: event.kind(),
                    });
                    return Ok(Some(Applied::Done(Box::new(next))));
                }
                CommitOutcome::Refused(refusal) => {
                    provisional.undo(&refusal);
                    match refusal {
                        Refusal::LeaseLost => return Ok(Some(Applied::LeaseLost)),
                        Refusal::InboundDone | Refusal::ReceiptStale | Refusal::NotRevivable => {
                            return Ok(Some(Applied::Before));
                        }
                        // Definite: the same decision would be refused again.
                        Refusal::Duplicate(of) => duplicate_of = Some(of),
                        Refusal::Stale => duplicate_of = None,
                        _ => {}
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "the lead kept changing; nothing was stored")
            .with_operation("apply")
            .with_retry(RetryHint::SAFE))
    }
}
