//! Whose place it is that is given back, taken again or left.

use serde_json::json;

use super::super::*;
use super::world::World;
use crate::delivery::DeliveryState;
use crate::id::{ChannelId, DeliveryId};
use crate::message::Response;
use uuid::Uuid;

const HOUR: u64 = 3_600;

fn sold(world: &World) -> i64 {
    let key = world.counters.keys().find(|key| key.as_str().starts_with("sold:"));
    key.map_or(0, |key| world.level(key).value)
}

#[test]
fn what_outlived_its_window_gives_back_nothing_of_the_next_lead() {
    let targets = json!({"a": {"dedupe_secs": HOUR}});
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t"});
    let mut world = World::new(targets, route, json!({}));
    let first = world.lead();
    world.now = plus_seconds(world.now, HOUR);
    let second = world.lead();
    assert_eq!((world.offered(second), sold(&world)), (vec!["a"], 1));
    world.decline(first, "a");
    assert_eq!(sold(&world), 1, "the second lead still holds the person");
    let third = world.lead();
    assert_eq!(world.offered(third), Vec::<&str>::new());
    // Within its window it is given back.
    world.decline(second, "a");
    assert_eq!(sold(&world), 0);
}

#[test]
fn a_target_is_offered_the_lead_again_although_it_has_the_last_place() {
    for more in [
        json!({"capacity": 1}),
        json!({"dedupe_secs": HOUR}),
        json!({"caps": [{"per": "day", "limit": 1, "money": 700}], "price": {"minor": 700, "currency": "RUB"}}),
    ] {
        let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t"});
        let ladder = json!({"escalation": [
            {"after_secs": 60, "action": "reassign", "targets": ["a"], "template": "t"},
        ]});
        let mut world = World::new(json!({"a": more.clone()}), route, ladder);
        let lead = world.lead();
        world.advance(61);
        assert_eq!(world.offered(lead), ["a", "a"], "{more}");
        assert!(world.state(lead).offers[1].waits());
        // Others find no room, as before.
        let other = world.lead();
        assert_eq!(world.offered(other), Vec::<&str>::new(), "{more}");
        world.accept(lead, "a");
        assert_eq!(world.status(lead), "accepted", "{more}");
    }
}

#[test]
fn who_is_in_no_policy_answers_nothing() {
    let route = json!({"strategy": "waterfall", "targets": ["a", "b"], "template": "t"});
    let mut world = World::new(json!({"a": {}, "b": {}}), route, json!({}));
    let lead = world.lead();
    let before = world.state(lead).clone();
    for response in [Response::Accept, Response::Decline] {
        world.event(lead, Event::Responded { target: "ghost".into(), response, via: Via::Api });
        assert_eq!(world.reasons("ghost"), [Reason::TargetMissing], "{response:?}");
        assert_eq!(world.state(lead).offers, before.offers);
    }
    // Declining by the one who has the lead does not hide a stranger's either.
    world.accept(lead, "a");
    world.decline(lead, "ghost");
    assert_eq!(world.reasons("ghost"), [Reason::TargetMissing]);
}

fn broadcast(world: &mut World) -> usize {
    let lead = world.lead();
    assert_eq!(world.offered(lead), ["anna", "oleg"]);
    world.accept(lead, "anna");
    world.event(lead, Event::Returned { target: "anna".into(), reason: "bad".into() });
    lead
}

const HELD: [&str; 3] = ["open:anna", "open:oleg", "cap:*:total:total"];

#[test]
fn a_return_beside_a_pending_offer_leaves_what_the_offer_needs() {
    let route =
        json!({"strategy": "broadcast", "targets": ["anna", "oleg"], "template": "t", "sell_limit": 2});
    let returns = json!({"within_days": 1, "reasons": ["bad"], "resell": false});
    let new = || {
        let more = json!({"returns": returns, "caps": [{"per": "total", "limit": 1}]});
        World::new(json!({"anna": {"capacity": 1}, "oleg": {"capacity": 1}}), route.clone(), more)
    };
    // The other one accepts.
    let mut world = new();
    let lead = broadcast(&mut world);
    assert_eq!(
        HELD.map(|key| world.counter(key)),
        [0, 1, 1],
        "the offer is pending, so the project counts it"
    );
    world.accept(lead, "oleg");
    assert_eq!((world.status(lead), HELD.map(|key| world.counter(key))), ("accepted", [0, 1, 1]));
    world.event(lead, Event::Returned { target: "oleg".into(), reason: "bad".into() });
    assert_eq!(HELD.map(|key| world.counter(key)), [0, 0, 0]);
    // The other one declines.
    let mut world = new();
    let lead = broadcast(&mut world);
    world.decline(lead, "oleg");
    assert_eq!(world.counter("open:oleg"), 0);
    // The other one's message does not arrive.
    let mut world = new();
    let lead = broadcast(&mut world);
    let lost = Event::DeliveryEnded {
        delivery_id: DeliveryId::from_uuid(Uuid::from_u128(77)),
        target: Some("oleg".into()),
        channel_id: ChannelId::from_uuid(Uuid::from_u128(8)),
        state: DeliveryState::Failed,
        reason: None,
    };
    world.event(lead, lost);
    assert_eq!(world.counter("open:oleg"), 0);
    // The work on it is said to be done.
    let mut world = new();
    let lead = broadcast(&mut world);
    world.event(lead, Event::Closed);
    assert_eq!(world.counter("open:oleg"), 0);
}
