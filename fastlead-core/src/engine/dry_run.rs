//! What would happen, without its happening.

use std::sync::Arc;

use super::Engine;
use crate::decide::{Decision, Effect, Event, LeadState, Snapshot, Subject, UniqueKey, decide, needs};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{LeadId, PolicyId};
use crate::lead::Capture;
use crate::policy::{Policy, PolicyRef, SourceFacts};
use crate::port::{CaptureVerdict, Source};
use crate::time::Timestamp;

/// A capture to try out.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// Where it would come from.
    pub source: Arc<Source>,
    /// What would be captured.
    pub capture: Capture,
    /// The policy; `None`: the project's current one.
    pub policy: Option<Arc<Policy>>,
    /// The moment; `None`: now.
    pub at: Option<Timestamp>,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRunOutcome {
    /// The policy that was asked; version 0 where it is not published.
    pub policy: PolicyRef,
    /// The moment it was asked about.
    pub at: Timestamp,
    /// What the caller would be told.
    pub verdict: CaptureVerdict,
    /// The decision, which was not committed.
    pub decision: Decision,
    /// Where the lead would stand.
    pub state: LeadState,
}

impl Engine {
    /// Decides upon a capture and stops before the commit. Nothing is stored, reserved, counted or sent, and
    /// no enricher is asked. Caps, turns and dedupe are those of this moment, whatever `at` says.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the source's project has no policy; those of the store.
    pub async fn dry_run(&self, run: DryRun) -> Result<DryRunOutcome> {
        let DryRun { source, mut capture, policy, at } = run;
        capture.person = self.person(source.workspace_id, source.project_id, &capture.contact);
        let directory = self.directory();
        let current = directory.current_policy(source.project_id);
        let (policy, reference) = match (policy, current) {
            (Some(policy), current) => {
                let nobody = PolicyId::from_uuid(uuid::Uuid::nil());
                let id = current.map_or(nobody, |current| current.reference.id);
                (policy, PolicyRef { id, version: 0 })
            }
            (None, Some(current)) => (Arc::clone(&current.policy), current.reference),
            (None, None) => {
                let message = "the source's project has no published policy";
                return Err(Error::new(ErrorKind::Config, message).with_operation("dry run"));
            }
        };
        let now = self.now();
        let at = at.unwrap_or(now);
        let subject = Subject {
            lead_id: LeadId::generate(&*self.inner.ids, at),
            workspace_id: source.workspace_id,
            project_id: source.project_id,
            source_id: source.id,
            source: SourceFacts { key: &source.key, name: &source.name },
            capture: &capture,
        };
        let fresh = LeadState::default();
        let event = Event::Captured(Box::new(capture.clone()));
        let wanted = needs(&policy, subject, &fresh, &event, at);
        let ids = wanted.keys().iter().map(|key| key.id(source.project_id)).collect();
        let levels = if wanted.is_empty() { Vec::new() } else { self.inner.store.counters(ids, now).await? };
        let facts = Arc::new(wanted.answer(levels));
        let mut snapshot = Snapshot { facts, ..Snapshot::clone(&directory.snapshot(source.workspace_id)) };
        let ask = |snapshot: &Snapshot| decide(&policy, reference, subject, &fresh, snapshot, &event, at);
        let mut decision = ask(&snapshot);
        let keys = unique_keys(&decision);
        if !keys.is_empty()
            && let Some(of) = self.inner.store.holder(keys, now).await?
        {
            snapshot.duplicate_of = Some(of);
            decision = ask(&snapshot);
        }
        let verdict = decision.effects.iter().find_map(|effect| match effect {
            Effect::Reject { code } => Some(CaptureVerdict::Rejected { code: code.clone() }),
            Effect::Duplicate { .. } => Some(CaptureVerdict::Duplicate),
            _ => None,
        });
        let state = fresh.apply(&decision.effects);
        let verdict = verdict.unwrap_or(CaptureVerdict::Accepted);
        Ok(DryRunOutcome { policy: reference, at, verdict, decision, state })
    }
}

fn unique_keys(decision: &Decision) -> Vec<UniqueKey> {
    let keys = decision.effects.iter().filter_map(|effect| match effect {
        Effect::ReserveUnique { keys, .. } => Some(keys.clone()),
        _ => None,
    });
    keys.flatten().collect()
}
