//! One decision of everyday policies: the starter policy, and one with 30 rules that tells 50 targets.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement stops at the first surprise; the macros of criterion make undocumented items"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use fastlead_core::decide::{ChannelFacts, Decision, Event, LeadState, Snapshot, Subject, decide};
use fastlead_core::id::{ChannelId, LeadId, PolicyId, ProjectId, RandomIds, SourceId, WorkspaceId};
use fastlead_core::lead::{Capture, CaptureInput, Received};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::{Policy, PolicyRef, SourceFacts};
use fastlead_core::time::epoch;
use serde_json::{Value, json};

/// Thirty conditions, none of which holds, and fifty targets that are all told.
fn large() -> Policy {
    let rules: Vec<Value> = (0..30)
        .map(|number| {
            let cities: Vec<String> = (0..10).map(|city| format!("city {number}-{city}")).collect();
            let condition = format!(
                r#"fields.city in ["{}"] || utm_campaign.startsWith("test-{number}") || contact.phone_country != "RU""#,
                cities.join("\", \"")
            );
            json!({"reject_if": condition, "code": format!("rule_{number}")})
        })
        .collect();
    let names: Vec<String> = (0..50).map(|number| format!("target-{number}")).collect();
    let targets: BTreeMap<&str, Value> = names
        .iter()
        .map(|name| {
            let destination = json!({"channel": "bot", "recipient": {"chat": name}});
            (name.as_str(), json!({"display_name": name, "destinations": [destination]}))
        })
        .collect();
    let policy = json!({
        "accept": rules,
        "dedupe": {"match": "any", "fields": ["contact.phone", "contact.email"], "window_secs": 86_400},
        "targets": targets,
        "route": {"strategy": "broadcast", "targets": names, "template": "offer"},
        "templates": {"offer": {"ru": {"plain": "{{ lead.phone }}"}}},
    });
    serde_json::from_value(policy).unwrap()
}

fn capture() -> Capture {
    let input: CaptureInput = serde_json::from_value(json!({
        "name": "Вера", "phone": "+7 900 000-00-00", "email": "vera@example.com", "fields": {"city": "Казань"},
        "attribution": {"last": {"utm_source": "bench", "utm_campaign": "autumn"}},
    }))
    .unwrap();
    input.validate(&[], Locale::Ru, Received::at(epoch())).unwrap()
}

/// Decides upon a capture, as the engine does.
fn decide_once(policy: &Policy, snapshot: &Snapshot, capture: &Capture, event: &Event) -> Decision {
    let nil = uuid::Uuid::nil();
    let subject = Subject {
        lead_id: LeadId::from_uuid(nil),
        workspace_id: WorkspaceId::from_uuid(nil),
        project_id: ProjectId::from_uuid(nil),
        source_id: SourceId::from_uuid(nil),
        source: SourceFacts { key: "site", name: "Site" },
        capture,
    };
    let reference = PolicyRef { id: PolicyId::from_uuid(nil), version: 1 };
    decide(policy, reference, subject, &LeadState::default(), snapshot, event, epoch())
}

fn benches(criterion: &mut Criterion) {
    let facts = ChannelFacts { id: ChannelId::generate(&RandomIds, epoch()), paused: false, answers: false };
    let channels = Arc::new(BTreeMap::from([("bot".to_owned(), facts)]));
    let snapshot = Snapshot { channels, ..Snapshot::default() };
    let capture = capture();
    let event = Event::Captured(Box::new(capture.clone()));
    let mut group = criterion.benchmark_group("decide everyday");
    for (name, policy, deliveries) in [
        ("starter policy", Policy::starter("bot", Recipient::Chat("1".into())), 1),
        ("30 rules, 50 targets", large(), 50),
    ] {
        let decision = decide_once(&policy, &snapshot, &capture, &event);
        let told = decision.effects.iter().filter(|effect| format!("{effect:?}").starts_with("Deliver"));
        assert_eq!(told.count(), deliveries, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| decide_once(black_box(&policy), &snapshot, &capture, black_box(&event)));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
