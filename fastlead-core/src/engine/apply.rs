//! Something happened to a lead that is there already.

use std::sync::Arc;

use super::Engine;
use super::deciding::{Decided, Deciding, Learned};
use super::transition::{Extras, Owner};
use crate::decide::{Decision, Event, LeadState, Subject};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{EventId, LeadId, WorkspaceId};
use crate::port::{Guard, LeadRecord, Refusal};

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
    ///
    /// # Behavior
    /// * A lead is decided upon by the policy that it is pinned to. One that waits in the queue is pinned to the newest
    ///   when it is looked after ([`Event::SlotFree`]): it is not to wait for room that is there, behind limits that are
    ///   gone, while others pass it.
    pub(super) async fn apply_if(
        &self,
        workspace: WorkspaceId,
        lead_id: LeadId,
        event: Event,
        extras: impl Fn() -> Extras + Send + Sync,
        wanted: impl Fn(&Decision, Option<u64>) -> bool + Send + Sync,
    ) -> Result<Option<Applied>> {
        let mut learned = Learned::default();
        for _ in 0..MAX_DECISIONS {
            let Some(record) = self.inner.store.lead(workspace, lead_id).await? else {
                return Ok(Some(Applied::NoLead));
            };
            let directory = self.directory();
            let newer = match event {
                Event::SlotFree if record.state.queued_at.is_some() => {
                    directory.newer_policy(record.scope.project_id, record.policy)
                }
                _ => None,
            };
            let (policy, event) = match newer {
                Some(newer) => (Arc::clone(newer), &Event::PolicyChanged),
                None => (self.policy(record.policy).await?, &event),
            };
            let now = self.now();
            let snapshot = learned.add_to(directory.snapshot(workspace));
            let LeadRecord { id, scope, source_id, created_at, capture, state, .. } = record;
            let capture = Arc::new(capture);
            let shown = self.shown_offers((workspace, lead_id), &state, event, &directory).await?;
            let guard = Guard::Version(state.version);
            let deciding = Deciding {
                policy: &policy,
                directory: &directory,
                subject: Subject {
                    lead_id: id,
                    workspace_id: scope.workspace_id,
                    project_id: scope.project_id,
                    source_id,
                    source: directory.source_facts(source_id),
                    capture: &capture,
                },
                capture: &capture,
                created_at,
                state,
                snapshot: &snapshot,
                event,
                shown: &shown,
                now,
            };
            let commits = |_: &Decision| {
                let event_id = EventId::generate(&*self.inner.ids, now);
                (Owner { scope, source_id, lead_id, event_id, guard }, extras())
            };
            let refusal = match self.decide_and_commit(deciding, &wanted, commits).await? {
                Decided::Committed(next) => return Ok(Some(Applied::Done(next))),
                Decided::Unwanted => return Ok(None),
                Decided::Refused(refusal) => refusal,
            };
            match refusal {
                Refusal::LeaseLost => return Ok(Some(Applied::LeaseLost)),
                Refusal::InboundDone | Refusal::ReceiptStale | Refusal::NotRevivable => {
                    return Ok(Some(Applied::Before));
                }
                refusal => learned.from(&refusal),
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "the lead kept changing; nothing was stored")
            .with_operation("apply")
            .with_retry(RetryHint::SAFE))
    }
}
