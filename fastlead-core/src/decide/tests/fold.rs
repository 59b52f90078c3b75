//! Deliveries and places are in the fold of a lead: nothing leaks, nothing is counted twice, and what is tried again is
//! still true.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::*;
use super::world::World;
use crate::delivery::DeliveryState;
use crate::id::DeliveryId;

fn delivery(number: u128) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(number))
}

fn lose(world: &mut World, lead: usize, target: &str, number: u128, state: DeliveryState) {
    let event = Event::DeliveryEnded {
        delivery_id: delivery(number),
        target: Some(target.to_owned()),
        channel_id: super::channel(1),
        state,
        reason: None,
    };
    world.event(lead, event);
}

/// Asks for a delivery to be tried again; returns why that is refused.
fn revive(world: &mut World, lead: usize, number: u128, purpose: Purpose) -> Option<Reason> {
    world.event(lead, Event::Revived { delivery_id: delivery(number), purpose });
    let decision = world.last.as_ref().unwrap();
    let revives = decision.effects.iter().any(|effect| matches!(effect, Effect::Revive { .. }));
    let reason = decision.trace.steps.iter().rev().find_map(|step| step.reason);
    assert!(revives || reason.is_some(), "refused without a reason");
    if revives { None } else { reason }
}

fn offer_to(target: &str) -> Purpose {
    Purpose::Offer { target: target.to_owned(), step: 0 }
}

fn returned(world: &mut World, lead: usize, target: &str) {
    world.event(lead, Event::Returned { target: target.to_owned(), reason: "wrong".to_owned() });
}

fn returns() -> Value {
    json!({"within_days": 5, "reasons": ["wrong"]})
}

/// A lead that one of two has given back: the other's offer can be accepted, can lapse and can be closed, and his place is
/// free afterwards.
#[test]
fn an_offer_beside_a_returned_sale_leaks_no_place() {
    type End = fn(&mut World, usize);
    let ends: [(&str, End); 3] = [
        ("accepted", |world, lead| world.accept(lead, "oleg")),
        ("unanswered", |world, lead| {
            world.advance(600);
            world.event(lead, Event::TimerFired { timer: TimerName::Offer(0) });
        }),
        ("closed", |world, lead| world.event(lead, Event::Closed)),
    ];
    for (status, end) in ends {
        let targets = json!({"anna": {"capacity": 1}, "oleg": {"capacity": 1}});
        let route = json!({"strategy": "broadcast", "targets": ["anna", "oleg"], "template": "t", "sell_limit": 2,
            "offer_timeout_secs": 600});
        let more = json!({"returns": returns(), "caps": [{"per": "total", "limit": 5}]});
        let mut world = World::new(targets, route, more);
        let lead = world.lead();
        world.accept(lead, "anna");
        returned(&mut world, lead, "anna");
        assert_eq!(world.status(lead), "open", "oleg can still have it");
        assert_eq!((world.counter("open:anna"), world.counter("open:oleg")), (0, 1));
        assert_eq!(
            world.counter("cap:*:total:total"),
            1,
            "the project's cap counts it while an offer is open"
        );
        end(&mut world, lead);
        assert_eq!(world.status(lead), status);
        let held = i64::from(status == "accepted");
        assert_eq!(world.counter("open:oleg"), held, "{status}");
    }
}

/// A person can end every lead, wherever it stands, and it holds no place then.
#[test]
fn every_lead_can_be_closed() {
    let route = json!({"strategy": "broadcast", "targets": ["anna"], "template": "t"});
    let review = json!({"review": {"when": "true", "sla_secs": 600}});
    for (more, status) in
        [(json!({}), "open"), (review, "review"), (json!({"returns": returns()}), "returned")]
    {
        let mut world = World::new(json!({"anna": {"capacity": 1}}), route.clone(), more);
        let lead = world.lead();
        if status == "returned" {
            world.accept(lead, "anna");
            returned(&mut world, lead, "anna");
        }
        assert_eq!(world.status(lead), status);
        world.event(lead, Event::Closed);
        assert_eq!((world.status(lead), world.counter("open:anna")), ("closed", 0));
        assert!(world.state(lead).timers.is_empty());
    }
}

/// Two messages carry an offer. One that fails, is tried again and fails again is lost once: the other one is still there,
/// and nobody else is called.
#[test]
fn a_delivery_is_lost_once_however_often_it_fails() {
    let route = json!({"strategy": "waterfall", "targets": ["anna", "oleg"], "template": "t"});
    let mut policy = super::world::policy(json!({"anna": {}, "oleg": {}}), route, json!({}));
    let anna = policy.targets.get_mut("anna").unwrap();
    let second = anna.destinations[0].clone();
    anna.destinations.push(second);
    let mut world = World::with(policy);
    let lead = world.lead();
    assert_eq!(world.state(lead).offers[0].alive, 2);
    lose(&mut world, lead, "anna", 1, DeliveryState::Ambiguous);
    // A late receipt says once more what is known.
    lose(&mut world, lead, "anna", 1, DeliveryState::Failed);
    assert_eq!((world.state(lead).offers[0].alive, world.offered(lead)), (1, vec!["anna"]));
    assert_eq!(revive(&mut world, lead, 1, offer_to("anna")), None);
    assert_eq!(world.state(lead).offers[0].alive, 2);
    lose(&mut world, lead, "anna", 1, DeliveryState::Failed);
    assert_eq!((world.state(lead).offers[0].alive, world.offered(lead)), (1, vec!["anna"]));
    lose(&mut world, lead, "anna", 2, DeliveryState::Failed);
    assert_eq!(world.offered(lead), ["anna", "oleg"]);
    lose(&mut world, lead, "anna", 2, DeliveryState::Failed);
    assert_eq!(world.offered(lead), ["anna", "oleg"], "it was lost before");
}

/// What is tried again is still true.
#[test]
fn only_what_is_still_true_is_tried_again() {
    let route = json!({"strategy": "broadcast", "targets": ["anna", "oleg"], "template": "t"});
    let world = || {
        let mut world = World::new(json!({"anna": {}, "oleg": {}}), route.clone(), json!({}));
        let lead = world.lead();
        lose(&mut world, lead, "anna", 1, DeliveryState::Failed);
        (world, lead)
    };
    let (mut open, lead) = world();
    assert_eq!(revive(&mut open, lead, 1, offer_to("anna")), None);

    let (mut taken, lead) = world();
    taken.accept(lead, "oleg");
    assert_eq!(revive(&mut taken, lead, 1, offer_to("anna")), Some(Reason::TakenBefore));
    assert_eq!(revive(&mut taken, lead, 2, Purpose::Webhook), None, "what has happened stays true");
    assert_eq!(revive(&mut taken, lead, 2, Purpose::AutoReply), None);
    assert_eq!(revive(&mut taken, lead, 2, Purpose::InteractionReply), Some(Reason::TooLate));
    assert_eq!(revive(&mut taken, lead, 2, Purpose::Confirmation), Some(Reason::TooLate));
    taken.event(lead, Event::Closed);
    assert_eq!(revive(&mut taken, lead, 1, offer_to("anna")), Some(Reason::NotWaiting));
    assert_eq!(revive(&mut taken, lead, 2, Purpose::AutoReply), Some(Reason::NotWaiting));

    let (mut declined, lead) = world();
    declined.decline(lead, "anna");
    assert_eq!(revive(&mut declined, lead, 1, offer_to("anna")), Some(Reason::DeclinedBefore));

    let route = json!({"strategy": "ping_post", "targets": ["anna"], "template": "t"});
    let mut auction = World::new(json!({"anna": {}}), route, json!({}));
    let lead = auction.lead();
    let ping = || Purpose::Ping { target: "anna".to_owned() };
    assert_eq!(revive(&mut auction, lead, 1, ping()), None);
    let ends_at = auction.state(lead).auction.as_ref().unwrap().ends_at;
    let decided = auction.last.clone().unwrap();
    let until = decided.effects.iter().find_map(|effect| match effect {
        Effect::Revive { expires_at, .. } => Some(*expires_at),
        _ => None,
    });
    assert_eq!(until, Some(ends_at), "a question for a bid lives as long as the auction");
    auction.event(lead, Event::Answered { target: "anna".to_owned(), bid: None });
    assert_eq!(revive(&mut auction, lead, 1, ping()), Some(Reason::TooLate));
}

/// Nobody whom the policy does not know can have a lead.
#[test]
fn a_target_that_no_policy_has_gets_nothing() {
    let route = json!({"strategy": "broadcast", "targets": ["anna"], "template": "t"});
    let mut world = World::new(json!({"anna": {}}), route, json!({}));
    let lead = world.lead();
    world.accept(lead, "nobody");
    assert_eq!((world.status(lead), world.state(lead).assigned_to.as_deref()), ("open", None));
    let reasons: Vec<_> = world.last.as_ref().unwrap().trace.steps.iter().map(|step| step.reason).collect();
    assert!(reasons.contains(&Some(Reason::TargetMissing)), "{reasons:?}");
}
