use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::decide::CounterKey;
use crate::id::PolicyId;
use crate::lead::{CaptureInput, Received};
use crate::message::Locale;
use crate::port::StoredCapture;
use crate::time::{from_millis, plus_seconds};

/// Wednesday, 25 November 2026, 12:00 in Moscow.
const NOON: i64 = 1_795_597_200_000;

fn policy(more: Value) -> Arc<Policy> {
    let target = |chat: &str, price: i64| {
        json!({
            "display_name": chat,
            "destinations": [{"channel": "bot", "recipient": {"chat": chat}}],
            "price": {"minor": price, "currency": "RUB"},
        })
    };
    let mut document = json!({
        "accept": [{"reject_if": {"missing": "contact.phone"}, "code": "no_phone"}],
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 3600},
        "targets": {"anna": target("1", 100), "oleg": target("2", 300)},
        "route": {"strategy": "round_robin", "targets": ["anna", "oleg"], "template": "t"},
        "escalation": [{"after_secs": 600, "targets": ["oleg"], "template": "t"}],
        "templates": {"t": {"ru": {"plain": "x"}}},
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    Arc::new(serde_json::from_value(document).unwrap())
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

fn capture(number: u32, at: Timestamp) -> Capture {
    let phone = format!("+7900{number:07}");
    let input: CaptureInput = serde_json::from_value(json!({"phone": phone})).unwrap();
    input.validate(&[], Locale::Ru, Received::at(at)).unwrap()
}

fn lead(number: u32) -> LeadId {
    LeadId::from_uuid(Uuid::from_u128(1_000 + u128::from(number)))
}

fn reference() -> PolicyRef {
    PolicyRef { id: PolicyId::from_uuid(Uuid::nil()), version: 0 }
}

#[test]
fn rotation_dedupe_and_the_ladder_go_on_from_lead_to_lead() {
    let mut replay = Replay::new(policy(json!({})), reference(), ()).keeping_leads();
    let start = from_millis(NOON);
    let offered = |replay: &Replay<()>, number| -> Vec<String> {
        replay.state(lead(number)).unwrap().offers.iter().map(|offer| offer.target.clone()).collect()
    };
    for number in 0..3 {
        replay.advance(plus_seconds(start, u64::from(number))).unwrap();
        replay.capture(lead(number), &origin(), capture(number, start)).unwrap();
    }
    assert_eq!([0, 1, 2].map(|number| offered(&replay, number)), [["anna"], ["oleg"], ["anna"]]);
    let again = replay.capture(lead(9), &origin(), capture(0, start)).unwrap();
    assert_eq!(again, Captured { lead_id: lead(0), verdict: CaptureVerdict::Duplicate });
    replay.advance(plus_seconds(start, 3_601)).unwrap();
    let later = replay.capture(lead(10), &origin(), capture(0, start)).unwrap();
    assert_eq!(later.verdict, CaptureVerdict::Accepted);
    // The ladder has told Oleg too, and has ended.
    assert_eq!(offered(&replay, 0), ["anna", "oleg"]);
    assert_eq!(replay.state(lead(0)).unwrap().status, LeadStatus::Unanswered);
    assert!(replay.timers(lead(0)).is_empty());
}

#[test]
fn who_waits_is_offered_when_somebody_has_room() {
    let targets = json!({
        "anna": {"display_name": "A", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}], "capacity": 1},
    });
    let route = json!({"strategy": "round_robin", "targets": ["anna"], "template": "t"});
    let policy = policy(json!({"targets": targets, "route": route, "escalation": []}));
    let mut replay = Replay::new(policy, reference(), ()).keeping_leads();
    let start = from_millis(NOON);
    replay.advance(start).unwrap();
    for number in 0..3 {
        replay.capture(lead(number), &origin(), capture(number, start)).unwrap();
    }
    let status = |replay: &Replay<()>, number| replay.state(lead(number)).unwrap().status.as_str();
    assert_eq!([0, 1, 2].map(|number| status(&replay, number)), ["open", "queued", "queued"]);
    replay.event(lead(0), Event::Closed).unwrap();
    assert_eq!([0, 1, 2].map(|number| status(&replay, number)), ["closed", "open", "queued"]);
}

/// `count` captures, one a minute; the even ones were accepted by Anna after half a minute, the odd ones
/// were offered to Oleg in vain.
fn past(count: u32) -> Vec<StoredCapture> {
    let start = from_millis(NOON);
    let stored = |number: u32| {
        let at = plus_seconds(start, 60 * u64::from(number));
        let target = if number.is_multiple_of(2) { "anna" } else { "oleg" };
        let offer = json!({"target": target, "step": 0, "alive": 1, "declined": false});
        let sales = if number.is_multiple_of(2) {
            json!([{"target": "anna", "at": plus_seconds(at, 30)}])
        } else {
            json!([])
        };
        let state = json!({"version": 1, "status": {"type": "open"}, "offers": [offer], "sales": sales});
        StoredCapture {
            id: crate::id::EventId::from_uuid(lead(number).as_uuid()),
            lead_id: lead(number),
            source_id: origin().source_id,
            at,
            capture: capture(number, at),
            state: serde_json::from_value(state).unwrap(),
        }
    };
    (0..count).map(stored).collect()
}

fn tally(policy: Arc<Policy>, past: &[StoredCapture]) -> (Tally, usize) {
    let mut work = PolicyAtWork::new(Arc::clone(&policy).into(), &policy, Assumptions::default());
    let mut most = 0;
    for stored in past {
        work.take(stored, &origin()).unwrap();
        most = most.max(work.in_memory());
    }
    (work.finish(past.last().unwrap().at).unwrap(), most)
}

#[test]
fn the_past_answers_where_it_can_and_assumptions_where_not() {
    let past = past(100);
    let escalation = json!({"escalation": []});
    let (before, _) = tally(policy(escalation), &past);
    // As it was then: Anna took hers, Oleg was silent.
    assert_eq!((before.captures, before.leads, before.accepted), (100, 100, 50));
    assert_eq!((before.targets["anna"].accepted, before.targets["oleg"].accepted), (50, 0));
    assert_eq!(before.revenue, [("RUB".to_owned(), 5_000)].into());
    assert_eq!((before.first_offer.leads, before.first_offer.p99_secs), (100, 0));

    let only_anna = json!({
        "route": {"strategy": "waterfall", "targets": ["anna"], "template": "t"}, "escalation": [],
    });
    let (after, _) = tally(policy(only_anna), &past);
    assert_eq!(after.targets["anna"].accepted, 100);
    assert!(!after.targets.contains_key("oleg"));

    let report = |limits: &[&str]| {
        let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
        let times = (past[0].at, past[99].at);
        Report::new(times, Assumptions::default(), (before.clone(), after.clone()), &limits)
    };
    assert!(report(&[]).exceeded.is_empty());
    assert!(report(&["revenue=100", "rejected=0"]).exceeded.is_empty());
    assert_eq!(report(&["revenue=99.9"]).exceeded, ["revenue.RUB"]);
    let row = report(&[]).rows.into_iter().find(|row| row.name == "targets.anna.accepted").unwrap();
    assert_eq!((row.before, row.after, row.change_permille), (50, 100, Some(1_000)));
    let all = report(&["10"]).exceeded;
    assert!(
        all.contains(&"targets.oleg.offers".to_owned()) && !all.contains(&"accepted".to_owned()),
        "{all:?}"
    );
    let text = |report: &Report| serde_json::to_string(report).unwrap();
    assert_eq!(text(&report(&["10"])), text(&report(&["10"])));
    for wrong in ["", "x", "-1", "1.25", "revnue=1"] {
        assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
    }
}

#[test]
fn memory_holds_what_is_under_way_and_no_more() {
    let past = past(20_000);
    let (tally, most) = tally(policy(json!({})), &past);
    assert_eq!(tally.captures, 20_000);
    // One a minute, each closed a day after it was accepted.
    assert!(most < 1_500, "{most} leads in memory");
}

#[test]
fn the_books_of_counters_agree_with_what_leads_hold() {
    let capped = json!({
        "targets": {
            "anna": {"display_name": "A", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}],
                     "caps": [{"per": "day", "limit": 7}], "capacity": 5},
            "oleg": {"display_name": "O", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}],
                     "caps": [{"per": "hour", "limit": 3}], "dedupe_secs": 600},
        },
    });
    let mut replay = Replay::new(policy(capped), reference(), ()).keeping_leads();
    let start = from_millis(NOON);
    for number in 0..400_u32 {
        replay.advance(plus_seconds(start, 90 * u64::from(number))).unwrap();
        replay.capture(lead(number), &origin(), capture(number % 97, start)).unwrap();
        if number.is_multiple_of(3) {
            replay.event(lead(number), Event::Closed).unwrap();
        }
        let mut held: HashMap<&CounterKey, i64> = HashMap::new();
        for life in replay.leads.values() {
            for hold in life.state.all_holds() {
                *held.entry(&hold.key).or_default() += hold.amount;
            }
        }
        for (key, counter) in &replay.mind.ledger.counters {
            if key.is_room() {
                assert_eq!(counter.value, held.get(key).copied().unwrap_or(0), "{key} after {number}");
            }
        }
    }
}
