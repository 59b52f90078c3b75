//! What the seeded simulation has found, one case each.

use serde_json::json;

use super::super::*;
use super::world::World;

fn fire(world: &mut World, lead: usize, timer: TimerName) {
    world.event(lead, Event::TimerFired { timer });
}

#[test]
fn a_new_lead_that_climbs_at_once_respects_the_rungs_limits() {
    let targets = json!({"a": {"capacity": 1}, "b": {"capacity": 1, "dedupe_secs": 600}});
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "overflow": "next"});
    let more = json!({"escalation": [{"after_secs": 60, "targets": ["b"], "template": "t"}]});
    let mut world = World::new(targets, route, more);
    let leads: Vec<_> = (0..3).map(|_| world.lead()).collect();
    assert_eq!(world.offered(leads[0]), ["a"]);
    assert_eq!(world.offered(leads[1]), ["b"]);
    assert!(world.offered(leads[2]).is_empty());
    assert_eq!((world.counter("open:a"), world.counter("open:b")), (1, 1));
}

#[test]
fn what_cannot_be_placed_goes_elsewhere_only_within_the_projects_caps() {
    let route =
        json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "overflow": {"target": "b"}});
    let more = json!({"caps": [{"per": "total", "limit": 1}]});
    let mut world = World::new(json!({"a": {}, "b": {}}), route, more);
    let (first, second) = (world.lead(), world.lead());
    assert_eq!(world.offered(first), ["a"]);
    assert_eq!((world.offered(second).len(), world.status(second)), (0, "queued"));
}

#[test]
fn what_an_offer_holds_goes_on_to_the_next_of_the_same_target() {
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "offer_timeout_secs": 90, "overflow": "next"});
    let more = json!({"escalation": [{"after_secs": 60, "targets": ["a"], "template": "t"}]});
    let mut world = World::new(json!({"a": {"capacity": 1}}), route, more);
    let lead = world.lead();
    world.advance(60);
    fire(&mut world, lead, TimerName::Escalate(0));
    assert_eq!(world.counter("open:a"), 1);
    world.advance(30);
    fire(&mut world, lead, TimerName::Offer(0));
    assert_eq!(world.counter("open:a"), 1);
    let other = world.lead();
    assert!(world.offered(other).is_empty());
    world.accept(lead, "a");
    assert_eq!((world.status(lead), world.counter("open:a")), ("accepted", 1));
}

#[test]
fn who_gets_a_lead_without_being_asked_and_was_offered_it_is_counted_once() {
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t"});
    let fallback = json!({"after_secs": 60, "action": "fallback", "targets": ["a"], "template": "t"});
    let mut world = World::new(json!({"a": {"capacity": 3}}), route, json!({"escalation": [fallback]}));
    let lead = world.lead();
    fire(&mut world, lead, TimerName::Escalate(0));
    assert_eq!((world.status(lead), world.counter("open:a")), ("accepted", 1));
}

#[test]
fn a_lead_that_nobody_answered_is_not_handed_out_again() {
    let route = json!({"strategy": "waterfall", "targets": ["a", "b"], "template": "t"});
    let remind = json!({"after_secs": 60, "action": "remind", "template": "t"});
    let mut world = World::new(json!({"a": {}, "b": {}}), route, json!({"escalation": [remind]}));
    let lead = world.lead();
    fire(&mut world, lead, TimerName::Escalate(0));
    fire(&mut world, lead, TimerName::Unanswered);
    world.decline(lead, "a");
    assert_eq!((world.status(lead), world.offered(lead)), ("unanswered", vec!["a"]));
    world.accept(lead, "b");
    assert_eq!(world.status(lead), "accepted");
}

#[test]
fn a_lead_that_is_sold_again_does_not_wait_for_ever() {
    let route = json!({"strategy": "waterfall", "targets": ["a", "b"], "template": "t"});
    let more = json!({
        "returns": {"within_days": 7, "reasons": ["wrong"], "resell": true},
        "escalation": [{"after_secs": 60, "action": "remind", "template": "t"}],
    });
    let mut world = World::new(json!({"a": {}, "b": {}}), route, more);
    let lead = world.lead();
    fire(&mut world, lead, TimerName::Escalate(0));
    world.accept(lead, "a");
    world.event(lead, Event::Returned { target: "a".into(), reason: "wrong".into() });
    let timers: Vec<_> = world.state(lead).timers.iter().map(|(timer, _)| *timer).collect();
    assert_eq!((world.status(lead), timers), ("open", vec![TimerName::Unanswered]));
}

#[test]
fn a_late_acceptance_takes_anew_what_a_lost_offer_held() {
    let route = json!({"strategy": "broadcast", "targets": ["a", "b"], "template": "t", "sell_limit": 2});
    let mut world = World::new(json!({"a": {"capacity": 1}, "b": {}}), route, json!({}));
    let lead = world.lead();
    let lost = Event::DeliveryEnded {
        delivery_id: crate::id::DeliveryId::from_uuid(uuid::Uuid::from_u128(1)),
        target: Some("a".into()),
        channel_id: super::channel(1),
        state: crate::delivery::DeliveryState::Failed,
        reason: None,
    };
    world.event(lead, lost);
    world.accept(lead, "b");
    let other = world.lead();
    assert_eq!(world.counter("open:a"), 1);
    world.accept(lead, "a");
    assert_eq!(world.state(lead).owners().collect::<Vec<_>>(), ["b"]);
    assert!(world.offered(other).contains(&"a"));
}
