//! One decision of a large market: 1,000 targets, 50 rules, every target with three caps that are full but
//! for one. Prints the slowest of a hundred besides what criterion measures.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark that reports; the macros of criterion make undocumented items"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use fastlead_core::decide::{
    ChannelFacts, Counter, Decision, Event, LeadState, Snapshot, Subject, decide, needs,
};
use fastlead_core::id::{ChannelId, LeadId, PolicyId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::lead::{Capture, CaptureInput, Received};
use fastlead_core::message::Locale;
use fastlead_core::policy::{Policy, PolicyRef, SourceFacts};
use fastlead_core::time::{Timestamp, from_millis};
use serde_json::{Value, json};
use uuid::Uuid;

const TARGETS: usize = 1_000;
const RULES: usize = 50;

/// What a decision is made of.
struct Market {
    policy: Policy,
    snapshot: Snapshot,
    capture: Capture,
    event: Event,
    now: Timestamp,
}

impl Market {
    /// `free`: whether the last target has room.
    fn new(strategy: &str, free: bool) -> Self {
        let names: Vec<String> = (0..TARGETS).map(|number| format!("buyer-{number:04}")).collect();
        let caps = json!([{"per": "day", "limit": 20}, {"per": "month", "limit": 400}, {"per": "total", "limit": 9000}]);
        let target = |number: usize| {
            json!({
                "display_name": "Buyer", "capacity": 50, "caps": caps, "weight": 1 + number % 7,
                "destinations": [{"channel": "bot", "recipient": {"chat": number.to_string()}}],
            })
        };
        let targets: serde_json::Map<_, _> =
            names.iter().enumerate().map(|(number, name)| (name.clone(), target(number))).collect();
        let rule = |number: usize| {
            let mut rule = json!({"strategy": strategy, "targets": names, "template": "t"});
            if number + 1 < RULES {
                let city = json!({"equals": {"field": "fields.city", "value": format!("city {number}")}});
                rule["when"] = json!({"all": [city, {"present": "contact.phone"}]});
                rule["targets"] = json!([names[number]]);
            }
            rule
        };
        let document: Value = json!({
            "targets": targets,
            "route": (0..RULES).map(rule).collect::<Vec<_>>(),
            "templates": {"t": {"ru": {"plain": "x"}}},
        });
        let policy: Policy = serde_json::from_value(document).unwrap();
        let input: CaptureInput =
            serde_json::from_value(json!({"phone": "+79000000000", "fields": {"city": "Казань"}})).unwrap();
        let now = from_millis(1_795_597_200_000);
        let capture = input.validate(&[], Locale::Ru, Received::at(now)).unwrap();
        let event = Event::Captured(Box::new(capture.clone()));
        let bot =
            ChannelFacts { id: ChannelId::from_uuid(Uuid::from_u128(1)), paused: false, answers: false };
        let channels = Arc::new(BTreeMap::from([("bot".to_owned(), bot)]));
        let mut market =
            Self { policy, snapshot: Snapshot { channels, ..Snapshot::default() }, capture, event, now };
        let state = LeadState::default();
        let wanted = needs(&market.policy, market.subject(), &state, &market.event, now);
        let last = format!("cap:buyer-{:04}:day:2026-11-25@Europe/Moscow", TARGETS - 1);
        let level = |key: &str| match key.split(':').next() {
            Some("cap") if free && key == last => 19,
            Some("cap") if key.contains(":day:") => 20,
            Some("turn") => 7,
            _ => 3,
        };
        let counters: Vec<Counter> = wanted
            .keys()
            .iter()
            .map(|key| Counter { value: level(key.as_str()), last_at: Some(now), ..Counter::default() })
            .collect();
        market.snapshot.facts = Arc::new(wanted.answer(counters));
        market
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            lead_id: LeadId::from_uuid(Uuid::from_u128(1)),
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(2)),
            project_id: ProjectId::from_uuid(Uuid::from_u128(3)),
            source_id: SourceId::from_uuid(Uuid::from_u128(4)),
            source: SourceFacts { key: "site", name: "Site" },
            capture: &self.capture,
        }
    }

    fn decide(&self) -> Decision {
        let policy = PolicyRef { id: PolicyId::from_uuid(Uuid::from_u128(5)), version: 1 };
        let state = LeadState::default();
        decide(&self.policy, policy, self.subject(), &state, &self.snapshot, &self.event, self.now)
    }
}

#[allow(clippy::disallowed_methods, reason = "a bench measures")]
fn markets(criterion: &mut Criterion) {
    for (strategy, free) in [("round_robin", true), ("weighted", true), ("waterfall", false)] {
        let market = Market::new(strategy, free);
        let name = format!("{strategy}, {}", if free { "one has room" } else { "all full" });
        let mut times: Vec<Duration> = (0..5_000)
            .map(|_| {
                let begun = Instant::now();
                black_box(market.decide());
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        let allocated = allocation_counter::measure(|| drop(black_box(market.decide())));
        println!(
            "{name}: p50 {:?}, p99 {:?}, {} allocations of {} bytes",
            times[times.len() / 2],
            times[times.len() * 99 / 100],
            allocated.count_total,
            allocated.bytes_total
        );
        criterion.bench_function(&name, |bencher| bencher.iter(|| black_box(market.decide())));
    }
}

criterion_group!(benches, markets);
criterion_main!(benches);
