//! How long a group of 64 commits takes until all are on disk, and a page of leads at risk where very many are.
//!
//! The file is in the build's own folder: a temporary folder of the system may be in memory, where
//! nothing is ever flushed.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement stops at the first surprise; the macros of criterion make undocumented items"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fastlead_core::decide::{ChannelFacts, Effect, Event, LeadState, Snapshot, Subject, TimerName, decide};
use fastlead_core::delivery::{Lease, NewDelivery, Scope};
use fastlead_core::id::{
    ChannelId, DeliveryId, LeadId, LeaseToken, PolicyId, ProjectId, RandomIds, SourceId, TimerId, WorkspaceId,
};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::{Policy, PolicyRef, SourceFacts};
use fastlead_core::port::{
    CommitOutcome, Journal, NewTimer, PageRequest, Reservation, RiskFilter, Store, Transition, place_at_risk,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, SystemClock, plus};
use fastlead_store::{SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use uuid::Uuid;

const GROUP: u64 = 64;

/// What the starter policy makes of a lead that nobody has seen before.
fn transition(policy: &Policy, number: u64) -> Transition {
    let (now, ids) = (SystemClock.now(), &RandomIds);
    let input =
        CaptureInput { phone: Some(Pii::new(format!("+7900{number:07}"))), ..CaptureInput::default() };
    let capture = input.validate(&[], Locale::Ru, Received::at(now)).unwrap();
    let (workspace_id, project_id) = (WorkspaceId::from_uuid(Uuid::nil()), ProjectId::from_uuid(Uuid::nil()));
    let (lead_id, source_id) = (LeadId::generate(ids, now), SourceId::from_uuid(Uuid::nil()));
    let reference = PolicyRef { id: PolicyId::from_uuid(Uuid::nil()), version: 1 };
    let channel_id = ChannelId::from_uuid(Uuid::nil());
    let facts = ChannelFacts { id: channel_id, paused: false, answers: false };
    let channels = Arc::new(BTreeMap::from([("bot".to_owned(), facts)]));
    let snapshot = Snapshot { channels, ..Snapshot::default() };
    let event = Event::Captured(Box::new(capture.clone()));
    let source = SourceFacts { key: "site", name: "Site" };
    let subject = Subject { lead_id, workspace_id, project_id, source_id, source, capture: &capture };
    let decision = decide(policy, reference, subject, &LeadState::default(), &snapshot, &event, now);
    let scope = Scope { workspace_id, project_id };
    let mut deliveries = Vec::new();
    let mut reservations = Vec::new();
    for effect in &decision.effects {
        match effect {
            Effect::Deliver(deliver) => deliveries.push(NewDelivery {
                id: DeliveryId::generate(ids, now),
                scope,
                lead_id: Some(lead_id),
                channel_id,
                created_at: now,
                due_at: now,
                expires_at: deliver.expires_at,
                order_key: None,
                spec: deliver.spec.clone(),
                lease: Some(Lease {
                    token: LeaseToken::generate(ids, now),
                    until: plus(now, Duration::from_secs(120)),
                }),
            }),
            Effect::ReserveUnique { keys, until, .. } => {
                reservations.extend(keys.iter().map(|key| Reservation::Unique { key: *key, until: *until }));
            }
            _ => {}
        }
    }
    assert_eq!((deliveries.len(), reservations.len()), (1, 1), "what the starter policy makes of a lead");
    Transition {
        deliveries,
        reservations,
        ..Transition::new_lead(
            scope,
            source_id,
            lead_id,
            event,
            now,
            decision.trace,
            LeadState::default().apply(&decision.effects),
        )
    }
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store =
        runtime.block_on(SqliteStore::open(SqliteOptions::new(folder.path().join("bench.db")))).unwrap();
    let policy = Policy::starter("bot", Recipient::Chat("1".into()));
    let mut next = 0..10_000_000;
    let mut group = criterion.benchmark_group("sqlite");
    group.throughput(Throughput::Elements(GROUP));
    group.bench_function("a group of 64 commits", |bencher| {
        bencher.iter_batched(
            || next.by_ref().take(64).map(|number| transition(&policy, number)).collect::<Vec<_>>(),
            |transitions| {
                let commits = transitions.into_iter().map(|transition| store.commit(transition));
                for outcome in runtime.block_on(join_all(commits)) {
                    assert_eq!(outcome.unwrap(), CommitOutcome::Applied);
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// How many leads are late at once.
const LATE: u64 = 100_000;

/// Pages and the count of leads at risk, where a hundred thousand are due at the same moment.
fn at_risk(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store =
        runtime.block_on(SqliteStore::open(SqliteOptions::new(folder.path().join("bench.db")))).unwrap();
    let policy = Policy::starter("bot", Recipient::Chat("1".into()));
    let due_at = SystemClock.now();
    let timer =
        || NewTimer { id: TimerId::generate(&RandomIds, due_at), name: TimerName::Escalate(0), due_at };
    let timers: Vec<_> = (0..LATE).map(|_| timer()).collect();
    let mut places: Vec<_> = timers.iter().map(|timer| place_at_risk(due_at, timer.id)).collect();
    places.sort_by_key(|place| place.0);
    for (number, group) in (0..).zip(timers.chunks(256)) {
        let commits = (number * 256..).zip(group).map(|(number, timer)| {
            let waits =
                Transition { deliveries: Vec::new(), timers: vec![*timer], ..transition(&policy, number) };
            store.commit(waits)
        });
        for outcome in runtime.block_on(join_all(commits)) {
            assert_eq!(outcome.unwrap(), CommitOutcome::Applied);
        }
    }
    let workspace = WorkspaceId::from_uuid(Uuid::nil());
    let filter = RiskFilter { project_id: None, until: due_at };
    let mut group = criterion.benchmark_group("100,000 leads at risk");
    group.sample_size(10);
    for (name, after) in [("the first page", None), ("a page in the middle", Some(places[50_000]))] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let request = PageRequest { after, limit: 50 };
                let page = runtime.block_on(store.at_risk(workspace, filter, request)).unwrap();
                assert_eq!(page.items.len(), 50);
            });
        });
    }
    group.bench_function("the count to 10,000", |bencher| {
        bencher.iter(|| {
            let count = runtime.block_on(store.count_at_risk(due_at, 10_000)).unwrap();
            assert_eq!(count, 10_000);
        });
    });
    group.finish();
}

criterion_group!(all, benches, at_risk);
criterion_main!(all);
