//! What a backtest remembers in files is what it would remember in memory.

use std::sync::Arc;

use fastlead_core::decide::{Effect, Event, LeadState, Via};
use fastlead_core::error::ErrorKind;
use fastlead_core::id::{EventId, LeadId, PolicyId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, Response};
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::StoredCapture;
use fastlead_core::replay::{
    Assumptions, InMemory, KEY_BYTES, Memory, MemoryKey, Observer, Origin, PolicyAtWork, Remembered, Replay,
    Side, Step, VALUE_BYTES,
};
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};
use fastlead_store::SpillingMemory;
use fastlead_testkit::policy::Document;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

/// Wednesday, 25 November 2026, 12:00 in Moscow.
const NOON: i64 = 1_795_597_200_000;

fn key(kind: u8, person: u64) -> MemoryKey {
    let mut key = [0; KEY_BYTES];
    key[0] = kind;
    key[5..13].copy_from_slice(&person.wrapping_mul(0xd6e8_feb8_6659_fd93).to_be_bytes());
    key[13..].copy_from_slice(&person.wrapping_mul(0xa076_1d64_78bd_642f).to_be_bytes());
    key
}

fn entry(number: u64, until: i64) -> Remembered {
    let mut value = [0; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_be_bytes());
    Remembered { until, value }
}

#[derive(Debug, Clone)]
enum Call {
    Put { person: u64, lasts: i64 },
    Get { person: u64 },
    Sweep,
    Later { by: i64 },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (0..60_u64, prop_oneof![0..50_i64, 0..2_000_i64]).prop_map(|(person, lasts)| Call::Put { person, lasts }),
        4 => (0..80_u64).prop_map(|person| Call::Get { person }),
        1 => Just(Call::Sweep),
        2 => (0..60_i64).prop_map(|by| Call::Later { by }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was put, ends earlier than what it replaces, is swept, merged or forgotten.
    #[test]
    fn every_call_is_answered_as_in_memory(
        room in 1_usize..12,
        calls in prop::collection::vec(call(), 1..400),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut spilling = SpillingMemory::new(folder.path()).with_room_for(room);
        let mut memory = InMemory::new();
        let mut now = 0;
        for (number, call) in (0..).zip(calls) {
            match call {
                Call::Put { person, lasts } => {
                    let until = if lasts == 0 { i64::MAX } else { now + lasts };
                    spilling.put(key(0, person), entry(number, until), now).unwrap();
                    memory.put(key(0, person), entry(number, until), now).unwrap();
                }
                Call::Get { person } => {
                    let found = spilling.get(&key(0, person), now).unwrap();
                    prop_assert_eq!(found, memory.get(&key(0, person), now).unwrap());
                }
                Call::Sweep => {
                    spilling.sweep(now).unwrap();
                    memory.sweep(now).unwrap();
                }
                Call::Later { by } => now += by,
            }
        }
        for person in 0..80 {
            let found = spilling.get(&key(0, person), now).unwrap();
            prop_assert_eq!(found, memory.get(&key(0, person), now).unwrap());
        }
        // Nobody else sees the files.
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn files_are_few_and_go_when_all_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut memory = SpillingMemory::new(folder.path()).with_room_for(1_000);
    for person in 0..200_000 {
        memory.put(key(1, person), entry(person, i64::MAX), 0).unwrap();
    }
    assert!((1..10).contains(&memory.files()), "{} files", memory.files());
    let (newest, spilled) = memory.entries();
    assert_eq!(newest as u64 + spilled, 200_000);
    assert!(newest <= 1_000);
    for person in (0..200_000).step_by(997) {
        assert_eq!(memory.get(&key(1, person), 0).unwrap(), Some(entry(person, i64::MAX)));
        assert_eq!(memory.get(&key(2, person), 0).unwrap(), None);
    }

    // A hundred days of a thousand people, each remembered for ten days.
    let mut memory = SpillingMemory::new(folder.path()).with_room_for(500);
    let mut most = 0;
    for day in 0..100 {
        for person in 0..1_000 {
            memory.put(key(1, day * 1_000 + person), entry(day, day as i64 + 10), day as i64).unwrap();
        }
        memory.sweep(day as i64).unwrap();
        most = most.max(memory.entries().1);
    }
    assert!(most < 30_000, "{most} entries in files, of which 10,000 say something");
    memory.sweep(200).unwrap();
    assert_eq!((memory.files(), memory.entries().1), (0, 0));
}

#[test]
fn short_memories_need_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut memory = SpillingMemory::new(folder.path().join("missing")).with_room_for(100);
    for person in 0..10_000 {
        memory.put(key(0, person), entry(person, person as i64 + 40), person as i64).unwrap();
    }
    assert_eq!(memory.files(), 0);
}

/// Tells every decision; every target accepts what it is offered, and is done with it two hours later.
#[derive(Debug, Default)]
struct Told(Vec<String>);

impl Observer for Told {
    fn decided(&mut self, step: &Step<'_>) -> Vec<(Timestamp, Event)> {
        let json = serde_json::to_string(&(step.decision, step.before, step.after)).unwrap();
        self.0.push(format!("{} {} {json}", step.at, step.lead_id));
        let accepted = |effect: &Effect| match effect {
            Effect::Offer { target, .. } => {
                let response = Response::Accept;
                let event = Event::Responded { target: target.clone(), response, via: Via::Api };
                Some((plus_seconds(step.at, 30), event))
            }
            Effect::Assign { at, .. } => Some((plus_seconds(*at, 7_200), Event::Closed)),
            _ => None,
        };
        step.decision.effects.iter().filter_map(accepted).collect()
    }

    fn forgotten(&mut self, _: LeadId) {}
}

fn policies() -> Vec<Arc<Policy>> {
    let file = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
        std::fs::read_to_string(folder.join(name)).unwrap()
    };
    let read = |text: &str| Arc::new(Document::parse(text).unwrap().policy().unwrap());
    let clinic = file("dental-clinic.yaml");
    // Remembers how often people came, which the policies of the library do not.
    let counting = clinic.replace(
        "dedupe: {match: any, fields: [contact.phone], window_secs: 86400}",
        "history_days: 2\nspam: {most_per_day: 2}\ndedupe: {match: any, fields: [contact.phone], window_secs: 60}",
    );
    let counting = counting
        .replace("code: no_phone}", "code: no_phone}\n  - {reject_if: history.leads >= 4, code: often}");
    vec![read(&clinic), read(&counting), read(&file("lead-seller.yaml"))]
}

fn origin() -> Arc<Origin> {
    let id = Uuid::from_u128;
    Arc::new(Origin {
        workspace_id: WorkspaceId::from_uuid(id(1)),
        project_id: ProjectId::from_uuid(id(2)),
        source_id: SourceId::from_uuid(id(3)),
        key: "site".to_owned(),
        name: "Site".to_owned(),
    })
}

/// Captures of people, each so many seconds after the one before.
fn past(people: &[(u32, u32)]) -> Vec<StoredCapture> {
    let mut at = from_millis(NOON);
    let stored = |(number, (person, later)): (u128, &(u32, u32))| {
        at = plus_seconds(at, u64::from(*later));
        let input = json!({
            "phone": format!("+7900{person:07}"),
            "fields": {"budget": (person * 9_000).to_string(), "city": "Казань"},
        });
        let input: CaptureInput = serde_json::from_value(input).unwrap();
        let id = Uuid::from_u128(1_000 + number);
        StoredCapture {
            id: EventId::from_uuid(id),
            lead_id: LeadId::from_uuid(id),
            source_id: origin().source_id,
            at,
            capture: input.validate(&[], Locale::Ru, Received::at(at)).unwrap(),
            state: LeadState::default(),
        }
    };
    (0..).zip(people).map(stored).collect()
}

fn replayed(
    policy: &Arc<Policy>,
    past: &[StoredCapture],
    people: impl Fn() -> Box<dyn Memory>,
) -> Vec<String> {
    let reference = PolicyRef { id: PolicyId::from_uuid(Uuid::nil()), version: 0 };
    let mut replay = Replay::with_memory(Arc::clone(policy), reference, Told::default(), people());
    for stored in past {
        replay.advance(stored.at).unwrap();
        replay.capture(stored.lead_id, &origin(), stored.capture.clone()).unwrap();
    }
    let end = past.last().unwrap().at;
    replay.settle(plus_seconds(end, 31 * 86_400)).unwrap();
    let mut told = replay.into_observer().0;

    let side = Side::new(Arc::clone(policy), people());
    let mut work = PolicyAtWork::new(side, policy, Assumptions::default());
    for stored in past {
        work.take(stored, &origin()).unwrap();
    }
    told.push(serde_json::to_string(&work.finish(end).unwrap()).unwrap());
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_and_number_is_the_same(
        room in 1_usize..20,
        people in prop::collection::vec((0..40_u32, prop_oneof![0..400_u32, 0..100_000_u32]), 20..120),
    ) {
        let past = past(&people);
        let folder = tempfile::tempdir().unwrap();
        for policy in policies() {
            let told = replayed(&policy, &past, || Box::new(InMemory::new()));
            let spilled =
                replayed(&policy, &past, || Box::new(SpillingMemory::new(folder.path()).with_room_for(room)));
            prop_assert!(told.len() > people.len());
            prop_assert_eq!(told, spilled);
        }
    }
}

/// Otherwise the test above would compare little.
#[test]
fn the_captures_of_the_test_use_what_is_remembered() {
    let people: Vec<(u32, u32)> = (0..120).map(|number| (number * 7 % 9, 4_000)).collect();
    let told: Vec<String> = policies()
        .iter()
        .flat_map(|policy| replayed(policy, &past(&people), || Box::new(InMemory::new())))
        .collect();
    for wanted in ["\"owner:", "\"leads:", "\"sold:", "\"today:", "\"often\"", "reserve_unique", "duplicate"]
    {
        assert!(told.iter().any(|text| text.contains(wanted)), "{wanted}");
    }
}

#[test]
fn leads_under_way_are_put_away_where_memory_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let past = past(&(0..600).map(|person| (person, 120)).collect::<Vec<_>>());
    let policy = policies().swap_remove(0);
    let most = |people: Box<dyn Memory>| {
        let side = Side::new(Arc::clone(&policy), people);
        let mut work = PolicyAtWork::new(side, &policy, Assumptions::default());
        let mut most = 0;
        for stored in &past {
            work.take(stored, &origin()).unwrap();
            most = most.max(work.in_memory());
        }
        (most, work.finish(past[599].at).unwrap())
    };
    let (of_memory, known) = most(Box::new(InMemory::new()));
    let (of_spilling, spilled) = most(Box::new(SpillingMemory::new(folder.path()).with_room_for(320)));
    assert_eq!(known, spilled);
    assert_eq!(known.accepted, 600);
    // Each is done a day after it was accepted, a minute after it came.
    assert!(of_memory >= 590, "{of_memory}");
    assert!(of_spilling <= 13, "{of_spilling}");
}

#[test]
fn a_folder_that_cannot_be_written_ends_the_backtest() {
    let folder = tempfile::tempdir().unwrap();
    let people: Vec<(u32, u32)> = (0..40).map(|person| (person, 60)).collect();
    let policy = policies().swap_remove(0);
    let memory = SpillingMemory::new(folder.path().join("missing")).with_room_for(10);
    let mut work =
        PolicyAtWork::new(Side::new(Arc::clone(&policy), Box::new(memory)), &policy, Assumptions::default());
    let error = past(&people).iter().find_map(|stored| work.take(stored, &origin()).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().starts_with("a temporary file cannot be written"), "{error}");
    assert!(error.to_string().contains("missing"), "{error} names the folder");
}
