//! A project whose leads are decided upon one after the other, with exact counters.

use std::collections::BTreeMap;

use super::super::*;
use crate::id::{ChannelId, PolicyId};
use crate::lead::{CaptureInput, Received};
use crate::message::Response;
use crate::time::from_millis;
use serde_json::{Value, json};
use uuid::Uuid;

/// Wednesday, 25 November 2026, 12:00 in Moscow.
pub(super) const NOON: i64 = 1_795_597_200_000;

pub(super) struct World {
    pub policy: Policy,
    pub now: Timestamp,
    pub counters: BTreeMap<CounterKey, Counter>,
    pub leads: Vec<(Capture, LeadState)>,
    /// What was decided last.
    pub last: Option<Decision>,
    anybody: Capture,
    channels: Arc<BTreeMap<String, ChannelFacts>>,
}

/// What one decision does to one counter.
#[derive(Debug, Default)]
struct Change {
    amount: i64,
    limit: Option<i64>,
    note: Option<String>,
    until: Option<Timestamp>,
}

/// A policy with these targets and this route, each reached over the channel `bot`.
pub(super) fn policy(targets: Value, route: Value, more: Value) -> Policy {
    let mut targets = targets;
    for (index, (name, target)) in targets.as_object_mut().unwrap().iter_mut().enumerate() {
        target["display_name"] = json!(name);
        target["destinations"] = json!([{"channel": "bot", "recipient": {"chat": index.to_string()}}]);
    }
    let mut document = json!({
        "targets": targets,
        "route": route,
        "templates": {"t": {"ru": {"plain": "x"}}},
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

impl World {
    pub(super) fn new(targets: Value, route: Value, more: Value) -> Self {
        Self::with(policy(targets, route, more))
    }

    pub(super) fn with(policy: Policy) -> Self {
        let bot = ChannelFacts { id: ChannelId::from_uuid(Uuid::from_u128(8)), paused: false, answers: true };
        let anybody = CaptureInput { phone: Some("+79000000000".into()), ..CaptureInput::default() };
        Self {
            anybody: anybody.validate(&[], Locale::Ru, Received::at(from_millis(NOON))).unwrap(),
            policy,
            now: from_millis(NOON),
            counters: BTreeMap::new(),
            leads: Vec::new(),
            last: None,
            channels: Arc::new(BTreeMap::from([("bot".to_owned(), bot)])),
        }
    }

    /// No channel brings back what its recipients answer.
    pub(super) fn no_answers(&mut self) {
        Arc::make_mut(&mut self.channels).values_mut().for_each(|channel| channel.answers = false);
    }

    /// A new lead with this phone number; answers its index.
    pub(super) fn capture(&mut self, phone: &str) -> usize {
        let input: CaptureInput = serde_json::from_value(json!({"phone": phone})).unwrap();
        self.captured(input)
    }

    /// A new lead, where it does not matter whose.
    pub(super) fn lead(&mut self) -> usize {
        let capture = self.anybody.clone();
        self.taken_in(capture)
    }

    pub(super) fn captured(&mut self, input: CaptureInput) -> usize {
        let capture = input.validate(&[], Locale::Ru, Received::at(self.now)).unwrap();
        self.taken_in(capture)
    }

    pub(super) fn taken_in(&mut self, capture: Capture) -> usize {
        self.leads.push((capture.clone(), LeadState::default()));
        let lead = self.leads.len() - 1;
        self.event(lead, Event::Captured(Box::new(capture)));
        lead
    }

    /// Decides upon an event, applies the decision, and checks what must always hold.
    pub(super) fn event(&mut self, lead: usize, event: Event) {
        let (capture, state) = &self.leads[lead];
        let subject = Subject {
            lead_id: LeadId::from_uuid(Uuid::from_u128(100 + lead as u128)),
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(2)),
            project_id: ProjectId::from_uuid(Uuid::from_u128(3)),
            source_id: SourceId::from_uuid(Uuid::from_u128(4)),
            source: SourceFacts { key: "site", name: "Site" },
            capture,
        };
        let reference = PolicyRef { id: PolicyId::from_uuid(Uuid::from_u128(5)), version: 1 };
        let wanted = needs(&self.policy, subject, state, &event, self.now);
        let levels: Vec<Counter> = wanted.keys().iter().map(|key| self.level(key)).collect();
        let facts = Arc::new(wanted.answer(levels));
        let snapshot = Snapshot { channels: Arc::clone(&self.channels), facts, duplicate_of: None };
        let decision = decide(&self.policy, reference, subject, state, &snapshot, &event, self.now);

        // What is stored makes the same decision again.
        let stored: Trace = serde_json::from_str(&serde_json::to_string(&decision.trace).unwrap()).unwrap();
        let facts = stored.facts.unwrap_or_default();
        let snapshot = Snapshot { channels: Arc::clone(&self.channels), facts, duplicate_of: None };
        let again = decide(&self.policy, reference, subject, state, &snapshot, &event, self.now);
        assert_eq!(serde_json::to_string(&decision).unwrap(), serde_json::to_string(&again).unwrap());

        let next = state.clone().apply(&decision.effects);
        let text = serde_json::to_string(&next).unwrap();
        assert_eq!(serde_json::from_str::<LeadState>(&text).unwrap(), next, "{text}");
        self.leads[lead].1 = next;
        self.apply(&decision);
        self.last = Some(decision);
        self.check();
    }

    /// What a counter says now: nothing, where its window is over.
    pub(super) fn level(&self, key: &CounterKey) -> Counter {
        self.counters.get(key).cloned().unwrap_or_default().at(self.now)
    }

    /// Changes the counters as stores do: all effects of a decision on one of them at once.
    fn apply(&mut self, decision: &Decision) {
        let mut changes: BTreeMap<CounterKey, Change> = BTreeMap::new();
        for effect in &decision.effects {
            let (key, amount, limit, note, until) = match effect {
                Effect::Reserve { key, amount, limit, until } => (key, *amount, *limit, None, *until),
                Effect::Release { key, amount } => (key, -amount, None, None, None),
                Effect::Note { key, name, .. } => (key, 1, None, Some(name.clone()), None),
                _ => continue,
            };
            let change = changes.entry(key.clone()).or_default();
            change.amount += amount;
            change.limit = change.limit.into_iter().chain(limit).min();
            change.note = note.or(change.note.take());
            change.until = until.or(change.until);
        }
        for (key, Change { amount, limit, note, until }) in changes {
            let before = self.level(&key).value;
            let within = amount <= 0 || limit.is_none_or(|limit| before + amount <= limit);
            assert!(within, "{key} is {before}, goes up by {amount} and may be {limit:?}");
            let forgotten =
                self.counters.get(&key).is_some_and(|counter| counter.clone().at(self.now).is_nothing());
            assert!(forgotten || before + amount >= 0, "{key} is {before} and {amount} is given back");
            if amount != 0 || note.is_some() {
                let counter = self.counters.remove(&key).unwrap_or_default();
                self.counters.insert(key, counter.changed(amount, note.as_deref(), until, self.now));
            }
        }
    }

    /// Every counter of caps, places and persons is the sum of what the leads hold.
    fn check(&self) {
        let mut held: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, state) in &self.leads {
            for hold in state.all_holds().filter(|hold| hold.lives(self.now)) {
                *held.entry(hold.key.as_str()).or_default() += hold.amount;
            }
        }
        let live =
            self.counters.iter().filter(|(_, counter)| counter.until.is_none_or(|until| until > self.now));
        for (key, counter) in live {
            let key = key.as_str();
            if ["cap:", "money:", "open:", "sold:", "queue:"].iter().any(|kind| key.starts_with(kind)) {
                assert_eq!(counter.value, held.get(key).copied().unwrap_or(0), "{key}");
            }
        }
        // Nobody waits for nothing.
        for (_, state) in &self.leads {
            let idle =
                matches!(state.status, LeadStatus::Open | LeadStatus::Queued) && state.timers.is_empty();
            let ladder = !self.policy.escalation.is_empty();
            let nobody = !state.somebody_may_answer();
            assert!(!idle || (!ladder && !nobody), "{state:?}");
        }
    }

    pub(super) fn accept(&mut self, lead: usize, target: &str) {
        self.respond(lead, target, Response::Accept);
    }

    pub(super) fn decline(&mut self, lead: usize, target: &str) {
        self.respond(lead, target, Response::Decline);
    }

    fn respond(&mut self, lead: usize, target: &str, response: Response) {
        self.event(lead, Event::Responded { target: target.into(), response, via: Via::Api });
    }

    pub(super) fn state(&self, lead: usize) -> &LeadState {
        &self.leads[lead].1
    }

    pub(super) fn status(&self, lead: usize) -> &'static str {
        self.leads[lead].1.status.as_str()
    }

    /// Whom the lead was offered to, oldest first.
    pub(super) fn offered(&self, lead: usize) -> Vec<&str> {
        self.leads[lead].1.offers.iter().map(|offer| offer.target.as_str()).collect()
    }

    pub(super) fn counter(&self, key: &str) -> i64 {
        let found = self.counters.iter().find(|(known, _)| known.as_str() == key);
        found.map_or(0, |(_, counter)| counter.value)
    }

    /// The reasons of the last decision for a candidate.
    pub(super) fn reasons(&self, name: &str) -> Vec<Reason> {
        let steps = &self.last.as_ref().unwrap().trace.steps;
        let about = |step: &&TraceStep| {
            step.subject.as_deref() == Some(name) || step.candidates.iter().any(|one| one == name)
        };
        steps.iter().filter(about).filter_map(|step| step.reason).collect()
    }

    /// Moves the clock, and fires every timer whose moment comes, in order.
    pub(super) fn advance(&mut self, seconds: u64) {
        let end = plus_seconds(self.now, seconds);
        loop {
            let mut due: Option<(Timestamp, usize, TimerName)> = None;
            for (lead, (_, state)) in self.leads.iter().enumerate() {
                for (timer, at) in &state.timers {
                    let candidate = (*at, lead, *timer);
                    if *at <= end && due.is_none_or(|have| candidate < have) {
                        due = Some(candidate);
                    }
                }
            }
            let Some((at, lead, timer)) = due else { break };
            self.now = self.now.max(at);
            self.event(lead, Event::TimerFired { timer });
        }
        self.now = end;
    }
}
