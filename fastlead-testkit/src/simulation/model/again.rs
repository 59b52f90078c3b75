//! A decision is made again from what is stored of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastlead_core::decide::{
    ChannelFacts, Decision, Event, LeadState, Reason, Snapshot, Subject, Trace, decide,
};
use fastlead_core::delivery::Scope;
use fastlead_core::id::LeadId;
use fastlead_core::lead::Capture;
use fastlead_core::policy::{Policy, SourceFacts};
use fastlead_core::port::Source;
use fastlead_core::time::Timestamp;

/// What is stored of a decision.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Replayed<'a> {
    pub policy: &'a Policy,
    pub lead_id: LeadId,
    pub scope: Scope,
    pub source: &'a Source,
    pub capture: &'a Capture,
    pub state: &'a LeadState,
    pub event: &'a Event,
    pub at: Timestamp,
    pub trace: &'a Trace,
}

/// Makes the decision again: the policy's version, the event and the trace are enough.
pub(in super::super) fn decide_again(
    replayed: Replayed<'_>,
    channels: &BTreeMap<String, ChannelFacts>,
) -> Decision {
    let Replayed { policy, lead_id, scope, source, capture, state, event, at, trace } = replayed;
    let subject = Subject {
        lead_id,
        workspace_id: scope.workspace_id,
        project_id: scope.project_id,
        source_id: source.id,
        source: SourceFacts { key: &source.key, name: &source.name },
        capture,
    };
    let mut snapshot = Snapshot::default();
    let paused = |name: &str| {
        let says = |step: &fastlead_core::decide::TraceStep| {
            step.reason == Some(Reason::ChannelPaused) && step.subject.as_deref() == Some(name)
        };
        trace.steps.iter().any(says)
    };
    let facts = |(name, facts): (&String, &ChannelFacts)| {
        (name.clone(), ChannelFacts { paused: paused(name), ..*facts })
    };
    snapshot.channels = Arc::new(channels.iter().map(facts).collect());
    let duplicate =
        trace.steps.iter().find(|step| step.rule == "dedupe" && step.reason == Some(Reason::DuplicateKey));
    snapshot.duplicate_of = duplicate.and_then(|step| step.subject.as_ref()?.parse().ok());
    snapshot.facts = trace.facts.clone().unwrap_or_default();
    decide(policy, trace.policy, subject, state, &snapshot, event, at)
}
