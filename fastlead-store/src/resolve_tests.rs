//! Who of a group wins.

use fastlead_core::decide::{Event, LeadState, TimerName, Trace, UniqueKey};
use fastlead_core::delivery::{DeliveryState, Scope};
use fastlead_core::id::{
    DeliveryId, EventId, LeadId, LeaseToken, PolicyId, ProjectId, RandomIds, SourceId, TimerId, WorkspaceId,
};
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    CaptureAnswer, CaptureVerdict, Guard, IdempotencyRecord, InboundRef, Refusal, Reservation, Settled,
    Settlement, Transition,
};
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};

use crate::known_ledger::KnownLedger;
use crate::resolve::{Facts, Held, Resolver, Used};

fn knowing(facts: Facts) -> Resolver {
    Resolver::new(facts, KnownLedger::default())
}

fn at(seconds: u64) -> Timestamp {
    plus_seconds(from_millis(1_767_225_600_000), seconds)
}

/// A transition of a new lead that asks for nothing.
fn new_lead() -> Transition {
    let now = at(0);
    let lead_id = LeadId::generate(&RandomIds, now);
    Transition::new_lead(
        Scope {
            workspace_id: WorkspaceId::generate(&RandomIds, now),
            project_id: ProjectId::generate(&RandomIds, now),
        },
        SourceId::generate(&RandomIds, now),
        lead_id,
        Event::TimerFired { timer: TimerName::Unanswered },
        now,
        Trace::new(PolicyRef { id: PolicyId::generate(&RandomIds, now), version: 1 }),
        LeadState::default(),
    )
}

fn later(lead: &Transition, guard: Guard) -> Transition {
    Transition { guard, event_id: EventId::generate(&RandomIds, at(0)), ..lead.clone() }
}

fn known(lead: &Transition, version: u64) -> Facts {
    let scope = (version, lead.scope.workspace_id.as_uuid(), lead.scope.project_id.as_uuid());
    Facts { leads: [(lead.lead_id, scope)].into(), ..Facts::default() }
}

fn unique(until: u64) -> Vec<Reservation> {
    vec![Reservation::Unique { key: UniqueKey([1; 16]), until: at(until) }]
}

fn key(lead: &Transition, request: u8) -> Option<IdempotencyRecord> {
    let answer = CaptureAnswer { lead_id: lead.lead_id, verdict: CaptureVerdict::Accepted };
    Some(IdempotencyRecord { key: [2; 16], request: [request; 16], answer, until: at(60) })
}

fn settlement(delivery_id: DeliveryId, token: LeaseToken) -> Settlement {
    let outcome = Settled::Retry {
        due_at: at(1),
        reason: "unavailable".to_owned(),
        counted: true,
        parts_sent: 0,
        uncertain: false,
    };
    Settlement { delivery_id, token, at: at(0), outcome, attempt: None, pause: None }
}

#[test]
fn the_first_to_come_gets_the_unique_key_and_the_others_are_told_to_ask_again() {
    let mut resolver = knowing(Facts::default());
    let member = || Transition { reservations: unique(60), ..new_lead() };
    assert_eq!(resolver.commit(&member()), Ok(()));
    assert_eq!(resolver.commit(&member()), Err(Refusal::Contended));
    assert_eq!(resolver.commit(&new_lead()), Ok(()), "a lead without the key is held up");
}

#[test]
fn a_live_key_refuses_others_and_an_expired_one_nobody() {
    let holder = new_lead().lead_id;
    let facts = |until: u64| Facts {
        unique: [(UniqueKey([1; 16]), (holder, at(until).timestamp_millis()))].into(),
        ..Facts::default()
    };
    let member = Transition { at: at(10), reservations: unique(60), ..new_lead() };
    assert_eq!(knowing(facts(11)).commit(&member), Err(Refusal::Duplicate(holder)));
    assert_eq!(knowing(facts(10)).commit(&member), Ok(()));
    let own = Transition { lead_id: holder, ..member };
    assert_eq!(knowing(facts(11)).commit(&own), Ok(()));
}

#[test]
fn an_idempotency_key_repeats_its_answer_and_refuses_another_request() {
    let lead = new_lead();
    let record = key(&lead, 7).unwrap();
    let facts = || Facts {
        idempotency: [(
            (lead.source_id, record.key),
            Used {
                request: record.request,
                answer: record.answer.clone(),
                until: record.until.timestamp_millis(),
            },
        )]
        .into(),
        ..Facts::default()
    };
    let same = Transition { idempotency: key(&lead, 7), ..lead.clone() };
    assert_eq!(
        knowing(facts()).commit(&same),
        Err(Refusal::Replayed(record.answer.clone())),
        "a repetition is recognised before its lead is found stale"
    );
    let other = Transition { idempotency: key(&lead, 8), ..lead.clone() };
    assert_eq!(knowing(facts()).commit(&other), Err(Refusal::KeyReused));
    let after = Transition { at: at(60), ..other };
    assert_eq!(knowing(facts()).commit(&after), Ok(()));
    let elsewhere = Transition { source_id: SourceId::generate(&RandomIds, at(0)), ..same };
    assert_eq!(knowing(facts()).commit(&elsewhere), Ok(()));
}

#[test]
fn one_decision_per_lead_and_group_but_any_number_of_appended_events() {
    let lead = new_lead();
    let mut resolver = knowing(known(&lead, 3));
    assert_eq!(resolver.commit(&later(&lead, Guard::Version(2))), Err(Refusal::Stale));
    assert_eq!(resolver.commit(&later(&lead, Guard::Append)), Ok(()));
    assert_eq!(resolver.commit(&later(&lead, Guard::Version(3))), Ok(()));
    assert_eq!(resolver.commit(&later(&lead, Guard::Version(3))), Err(Refusal::Contended));
    assert_eq!(resolver.commit(&later(&lead, Guard::Append)), Ok(()));
    assert_eq!(resolver.commit(&lead), Err(Refusal::Stale), "the lead exists");
    let mut foreign = later(&lead, Guard::Append);
    foreign.scope.project_id = ProjectId::generate(&RandomIds, at(0));
    assert_eq!(resolver.commit(&foreign), Err(Refusal::Stale), "the lead of another project");
    assert_eq!(resolver.commit(&later(&new_lead(), Guard::Append)), Err(Refusal::Stale), "no such lead");
}

#[test]
fn an_event_is_added_once() {
    let lead = new_lead();
    let event = later(&lead, Guard::Append);
    let mut resolver = knowing(known(&lead, 1));
    assert_eq!(resolver.commit(&event), Ok(()));
    assert_eq!(resolver.commit(&event), Err(Refusal::Contended));
    let mut facts = known(&lead, 1);
    facts.events.insert(event.event_id);
    assert_eq!(knowing(facts).commit(&event), Err(Refusal::Stale));
}

#[test]
fn a_lease_is_settled_once_and_only_by_its_token() {
    let (delivery, token) =
        (DeliveryId::generate(&RandomIds, at(0)), LeaseToken::generate(&RandomIds, at(0)));
    let held = || Held {
        lease: Some(token),
        begun_by: None,
        state: DeliveryState::Sending,
        uncertain: false,
        unwanted: false,
        paused: false,
    };
    let facts = || Facts { held: [(delivery, held())].into(), ..Facts::default() };
    let mut resolver = knowing(facts());
    let stranger = LeaseToken::generate(&RandomIds, at(0));
    assert_eq!(resolver.settle(&settlement(delivery, stranger)), Err(Refusal::LeaseLost));
    assert_eq!(resolver.settle(&settlement(delivery, token)), Ok(()));
    assert_eq!(resolver.settle(&settlement(delivery, token)), Err(Refusal::LeaseLost));
    let decision = Transition { settlement: Some(settlement(delivery, token)), ..new_lead() };
    assert_eq!(resolver.commit(&decision), Err(Refusal::LeaseLost));
    assert_eq!(knowing(facts()).commit(&decision), Ok(()));
}

#[test]
fn a_timer_fires_once_and_an_inbound_event_is_acted_upon_once() {
    let (timer, token) = (TimerId::generate(&RandomIds, at(0)), LeaseToken::generate(&RandomIds, at(0)));
    let inbound = InboundRef {
        channel_id: fastlead_core::id::ChannelId::generate(&RandomIds, at(0)),
        provider_event_id: "press-1".to_owned(),
    };
    let facts = Facts {
        timers: [(timer.as_uuid(), token)].into(),
        inbound: [(inbound.channel_id, inbound.provider_event_id.clone())].into(),
        ..Facts::default()
    };
    let mut resolver = knowing(facts);
    let stranger = LeaseToken::generate(&RandomIds, at(0));
    let fired = |token| Transition { fired: Some((timer, token)), ..new_lead() };
    assert_eq!(resolver.commit(&fired(stranger)), Err(Refusal::LeaseLost));
    assert_eq!(resolver.commit(&fired(token)), Ok(()));
    assert_eq!(resolver.commit(&fired(token)), Err(Refusal::LeaseLost));
    let pressed = || Transition { inbound: Some(inbound.clone()), ..new_lead() };
    assert_eq!(resolver.commit(&pressed()), Ok(()));
    assert_eq!(resolver.commit(&pressed()), Err(Refusal::Contended));
    let mut done = knowing(Facts::default());
    assert_eq!(done.commit(&pressed()), Err(Refusal::InboundDone));
}

#[test]
fn who_is_refused_takes_nothing() {
    let lead = new_lead();
    let mut resolver = knowing(known(&lead, 1));
    let stale = Transition {
        reservations: unique(60),
        idempotency: key(&lead, 7),
        ..later(&lead, Guard::Version(9))
    };
    assert_eq!(resolver.commit(&stale), Err(Refusal::Stale));
    let fresh = Transition { guard: Guard::Version(1), ..stale };
    assert_eq!(resolver.commit(&fresh), Ok(()));
}
