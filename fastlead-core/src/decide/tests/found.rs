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

fn bid(world: &mut World, lead: usize, target: &str, minor: Option<i64>) {
    let bid = minor.map(|minor| crate::money::Money::new(minor, crate::money::Currency::RUB));
    world.event(lead, Event::Answered { target: target.into(), bid });
}

#[test]
fn who_has_bid_pays_that_when_the_ladder_offers_the_lead_again() {
    let buyer = json!({"price": {"minor": 100, "currency": "RUB"}, "caps": [{"per": "day", "money": 1_000}]});
    let route = json!({"strategy": "ping_post", "targets": ["a"], "template": "t", "offer_timeout_secs": 60});
    let more = json!({"escalation": [{"after_secs": 600, "targets": ["a"], "template": "t"}]});
    let mut world = World::new(json!({"a": buyer}), route, more);
    let lead = world.lead();
    bid(&mut world, lead, "a", Some(300));
    world.advance(60);
    assert_eq!((world.offered(lead).len(), world.counter("money:a:day:2026-11-25@Europe/Moscow")), (2, 300));
    world.accept(lead, "a");
    assert_eq!(world.state(lead).sales[0].price.map(|price| price.minor), Some(300));
    assert_eq!(world.counter("money:a:day:2026-11-25@Europe/Moscow"), 300);
}

#[test]
fn a_bid_below_the_floor_is_nobodys_price() {
    let route = json!({"strategy": "ping_post", "targets": ["a"], "template": "t",
        "floor": {"minor": 200, "currency": "RUB"}});
    let more = json!({"escalation": [{"after_secs": 600, "targets": ["a"], "template": "t"}]});
    let mut world = World::new(json!({"a": {"price": {"minor": 500, "currency": "RUB"}}}), route, more);
    let lead = world.lead();
    bid(&mut world, lead, "a", Some(10));
    world.accept(lead, "a");
    assert_eq!(world.state(lead).sales[0].price.map(|price| price.minor), Some(500));
}

#[test]
fn the_previous_owner_has_the_lead_only_for_a_bid_and_others_are_asked_too() {
    let route = json!({"strategy": "ping_post", "targets": ["a", "b"], "template": "t", "sticky": {}});
    let mut world = World::new(json!({"a": {}, "b": {}}), route, json!({}));
    let first = world.lead();
    bid(&mut world, first, "a", Some(300));
    bid(&mut world, first, "b", Some(200));
    world.accept(first, "a");
    let second = world.lead();
    bid(&mut world, second, "a", None);
    bid(&mut world, second, "b", Some(200));
    assert_eq!(world.offered(second), ["b"]);
    let third = world.lead();
    bid(&mut world, third, "a", Some(100));
    bid(&mut world, third, "b", Some(200));
    assert_eq!(world.offered(third), ["a"]);
}

#[test]
fn nobody_is_asked_for_a_bid_twice() {
    let rule = |targets: serde_json::Value| json!({"strategy": "ping_post", "targets": targets, "template": "t", "overflow": "next"});
    let route = json!([rule(json!(["a", "c"])), rule(json!(["b"]))]);
    let mut world = World::new(json!({"a": {}, "b": {}, "c": {}}), route, json!({}));
    let lead = world.lead();
    bid(&mut world, lead, "a", Some(300));
    bid(&mut world, lead, "c", None);
    world.decline(lead, "a");
    assert_eq!(world.status(lead), "auction");
    bid(&mut world, lead, "b", None);
    assert_eq!((world.status(lead), world.offered(lead)), ("unanswered", vec!["a"]));
}

#[test]
fn a_lead_does_not_wait_for_whoever_has_made_no_bid() {
    let hours = json!({"weekly": [{"days": "mon-sun", "from": "18:00", "to": "20:00"}]});
    let route = json!({"strategy": "ping_post", "targets": ["a", "b"], "template": "t"});
    let more = json!({"escalation": [{"after_secs": 600, "targets": ["house"], "template": "t"}]});
    let mut world = World::new(json!({"a": {}, "b": {"hours": hours}, "house": {}}), route, more);
    let lead = world.lead();
    bid(&mut world, lead, "a", None);
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["house"]));
}
