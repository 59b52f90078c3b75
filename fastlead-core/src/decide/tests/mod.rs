mod auction;
mod caps;
mod confirm;
mod fold;
mod found;
mod hours;
mod ladder;
mod lives;
mod patience;
mod people;
mod places;
mod reasons;
mod returns;
mod rotation;
mod screen;
mod sticky;
mod waiting;
mod weekdays;
mod world;

use std::collections::BTreeMap;

use super::*;
use crate::delivery::DeliveryState;
use crate::id::{ChannelId, DeliveryId, PolicyId};
use crate::lead::{CaptureInput, Received};
use crate::message::Response;
use crate::time::epoch;
use uuid::Uuid;

const SMS: u128 = 7;
const BOT: u128 = 8;

fn channel(number: u128) -> ChannelId {
    ChannelId::from_uuid(Uuid::from_u128(number))
}

fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({
        "accept": [{"reject_if": {"phone_country": ["KZ"]}, "code": "not_served"}],
        "dedupe": {"match": "any", "fields": ["contact.phone", "contact.email"], "window_secs": 60},
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
            "oleg": {"display_name": "Oleg", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}]},
            "owner": {"display_name": "Owner", "destinations": [
                {"channel": "bot", "recipient": {"chat": "3"}}, {"channel": "sms", "recipient": {"phone": "+79000000009"}},
            ]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "t"},
        "escalation": [{"after_secs": 60, "targets": ["oleg"], "template": "t"}],
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "t"}, {"channel": "sms", "to": "phone", "template": "t", "class": "advertising"}],
        "alerts": ["owner"],
        "templates": {"t": {"ru": {"plain": "x"}}},
    }))
    .unwrap()
}

fn capture(phone: &str) -> Capture {
    let input = CaptureInput { phone: Some(phone.into()), ..CaptureInput::default() };
    input.validate(&[], Locale::Ru, Received::at(epoch())).unwrap()
}

fn snapshot() -> Snapshot {
    let facts = |number| ChannelFacts { id: channel(number), paused: false, answers: false };
    let channels = BTreeMap::from([("bot".to_owned(), facts(BOT)), ("sms".to_owned(), facts(SMS))]);
    Snapshot { channels: Arc::new(channels), ..Snapshot::default() }
}

fn run(state: &LeadState, snapshot: &Snapshot, event: &Event) -> (LeadState, Decision) {
    let first = capture("+79000000000");
    let subject = Subject {
        lead_id: LeadId::from_uuid(Uuid::from_u128(1)),
        workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(2)),
        project_id: ProjectId::from_uuid(Uuid::from_u128(3)),
        source_id: SourceId::from_uuid(Uuid::from_u128(4)),
        source: SourceFacts { key: "site", name: "Site" },
        capture: &first,
    };
    let reference = PolicyRef { id: PolicyId::from_uuid(Uuid::from_u128(5)), version: 1 };
    let decision = decide(&policy(), reference, subject, state, snapshot, event, epoch());
    let again = decide(&policy(), reference, subject, state, snapshot, event, epoch());
    assert_eq!(serde_json::to_string(&decision).unwrap(), serde_json::to_string(&again).unwrap());
    (state.clone().apply(&decision.effects), decision)
}

fn captured() -> (LeadState, Decision) {
    run(&LeadState::default(), &snapshot(), &Event::Captured(Box::new(capture("+79000000000"))))
}

fn told(decision: &Decision) -> Vec<String> {
    let deliveries = decision.effects.iter().filter_map(|effect| match effect {
        Effect::Deliver(deliver) => {
            Some(format!("{}:{}", deliver.spec.purpose.as_str(), deliver.spec.recipient.address()))
        }
        _ => None,
    });
    deliveries.collect()
}

#[test]
fn a_capture_is_offered_answered_and_timed() {
    let (state, decision) = captured();
    assert_eq!(told(&decision), ["offer:1", "auto_reply:+79000000000"]);
    assert_eq!(state.status, LeadStatus::Open);
    assert_eq!(state.timers.len(), 1);
    assert_eq!(state.offers[0].alive, 1);
    assert!(decision.trace.steps.iter().any(|step| step.reason == Some(Reason::NoAdvertisingConsent)));
    assert!(
        decision
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::ReserveUnique { keys, .. } if keys.len() == 1))
    );
}

#[test]
fn a_refused_and_a_repeated_capture_tell_nobody() {
    let (state, decision) =
        run(&LeadState::default(), &snapshot(), &Event::Captured(Box::new(capture("+7 701 123 45 67"))));
    assert_eq!(state.status, LeadStatus::Rejected { code: "not_served".into() });
    assert!(told(&decision).is_empty());
    let known = Snapshot { duplicate_of: Some(LeadId::from_uuid(Uuid::from_u128(9))), ..snapshot() };
    let (_, decision) =
        run(&LeadState::default(), &known, &Event::Captured(Box::new(capture("+79000000000"))));
    assert!(matches!(decision.effects.as_slice(), [Effect::Duplicate { .. }]));
}

#[test]
fn equal_values_give_equal_keys_in_any_spelling() {
    let keys = |phone: &str| {
        let (_, decision) =
            run(&LeadState::default(), &snapshot(), &Event::Captured(Box::new(capture(phone))));
        decision.effects.iter().find_map(|effect| match effect {
            Effect::ReserveUnique { keys, .. } => Some(keys.clone()),
            _ => None,
        })
    };
    assert_eq!(keys("8 (900) 000-00-00"), keys("+79000000000"));
    assert_ne!(keys("+79000000001"), keys("+79000000000"));
}

#[test]
fn the_ladder_climbs_and_ends() {
    let (state, _) = captured();
    let (state, decision) = run(&state, &snapshot(), &Event::TimerFired { timer: TimerName::Escalate(0) });
    assert_eq!(told(&decision), ["offer:2"]);
    assert_eq!(
        state.timers.iter().map(|(name, _)| *name).collect::<Vec<_>>().last(),
        Some(&TimerName::Unanswered)
    );
    let (state, decision) = run(&state, &snapshot(), &Event::TimerFired { timer: TimerName::Unanswered });
    assert_eq!(state.status, LeadStatus::Unanswered);
    assert!(state.timers.is_empty());
    assert_eq!(told(&decision), ["notice:3", "notice:+79000000009"]);
}

#[test]
fn the_first_to_accept_has_it() {
    let (state, _) = captured();
    let press = |target: &str, response| Event::Responded {
        target: target.into(),
        response,
        via: Via::Button {
            channel_id: channel(BOT),
            interaction_id: "i".into(),
            chat: "1".into(),
            message: None,
            by: Some("Ирина Тихая".into()),
        },
    };
    let (state, decision) = run(&state, &snapshot(), &press("anna", Response::Accept));
    // Who pressed stands in the event, and in nothing that follows from it.
    assert!(!serde_json::to_string(&decision).unwrap().contains("Ирина"));
    let stored = serde_json::to_string(&press("anna", Response::Accept)).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&stored).unwrap(), press("anna", Response::Accept));
    let older = stored.replace(r#","by":"Ирина Тихая""#, "");
    assert!(stored != older && serde_json::from_str::<Event>(&older).is_ok());
    assert_eq!((state.status.clone(), state.assigned_to.as_deref()), (LeadStatus::Accepted, Some("anna")));
    assert!(state.timers.is_empty() && decision.effects.contains(&Effect::CancelOffers));
    let (after, decision) = run(&state, &snapshot(), &press("oleg", Response::Accept));
    assert_eq!(after.assigned_to.as_deref(), Some("anna"));
    assert_eq!(told(&decision), ["interaction_reply:1"]);
    assert!(decision.trace.steps.iter().any(|step| step.reason == Some(Reason::TakenBefore)));
    let (after, _) = run(&state, &snapshot(), &Event::TimerFired { timer: TimerName::Escalate(0) });
    assert_eq!(after.offers, state.offers);
}

#[test]
fn when_nobody_can_answer_the_next_rung_comes_at_once() {
    let (state, _) = captured();
    let lost = Event::DeliveryEnded {
        delivery_id: DeliveryId::from_uuid(Uuid::from_u128(6)),
        target: Some("anna".into()),
        channel_id: channel(BOT),
        state: DeliveryState::Failed,
        reason: Some("recipient".into()),
    };
    let (state, decision) = run(&state, &snapshot(), &lost);
    assert_eq!(told(&decision), ["notice:+79000000009", "offer:2"]);
    let declined = Event::Responded { target: "oleg".into(), response: Response::Decline, via: Via::Api };
    let (state, decision) = run(&state, &snapshot(), &declined);
    assert!(told(&decision).is_empty() && state.waits());
}

#[test]
fn a_trace_names_no_person() {
    let (_, decision) = captured();
    let trace = serde_json::to_string(&decision.trace).unwrap();
    assert!(!trace.contains("79000000000"), "{trace}");
}
