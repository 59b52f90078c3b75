use serde_json::json;

use super::super::*;
use super::world::World;

fn market(resell: bool) -> World {
    let buyer = json!({"price": {"minor": 50_000, "currency": "RUB"}, "capacity": 10,
        "caps": [{"per": "day", "limit": 10, "money": 500_000}]});
    let route = json!({"strategy": "weighted", "targets": ["a", "b"], "template": "t"});
    let more = json!({
        "returns": {"within_days": 3, "reasons": ["wrong_number"], "resell": resell},
        "caps": [{"per": "total", "limit": 1}],
    });
    World::new(json!({"a": buyer, "b": buyer}), route, more)
}

fn give_back(world: &mut World, lead: usize, target: &str, reason: &str) {
    world.event(lead, Event::Returned { target: target.into(), reason: reason.into() });
}

const COUNTERS: [&str; 5] = [
    "cap:a:day:2026-11-25@Europe/Moscow",
    "money:a:day:2026-11-25@Europe/Moscow",
    "open:a",
    "share:a:month:2026-11@Europe/Moscow",
    "cap:*:total:total",
];

fn counters(world: &World) -> [i64; 5] {
    COUNTERS.map(|key| world.counter(key))
}

#[test]
fn everything_is_given_back_once() {
    let mut world = market(false);
    let lead = world.lead();
    world.accept(lead, "a");
    assert_eq!(counters(&world), [1, 50_000, 1, 1, 1]);
    give_back(&mut world, lead, "a", "wrong_number");
    assert_eq!((world.status(lead), counters(&world)), ("returned", [0, 0, 0, 0, 0]));
    give_back(&mut world, lead, "a", "wrong_number");
    assert_eq!((world.reasons("a"), counters(&world)), (vec![Reason::NotTheirs], [0, 0, 0, 0, 0]));
    assert_eq!(world.state(lead).sales[0].returned.as_deref(), Some("wrong_number"));
}

#[test]
fn not_for_another_reason_not_by_others_not_too_late() {
    let mut world = market(false);
    let lead = world.lead();
    world.accept(lead, "a");
    give_back(&mut world, lead, "a", "too_expensive");
    assert_eq!(world.reasons("a"), [Reason::ReturnNotAllowed]);
    give_back(&mut world, lead, "b", "wrong_number");
    assert_eq!(world.reasons("b"), [Reason::NotTheirs]);
    world.now = plus_seconds(world.now, 3 * 86_400 + 1);
    give_back(&mut world, lead, "a", "wrong_number");
    assert_eq!((world.reasons("a"), world.status(lead)), (vec![Reason::ReturnTooLate], "accepted"));
    assert_eq!(counters(&world), [1, 50_000, 1, 1, 1]);
}

#[test]
fn a_returned_lead_goes_to_another() {
    let mut world = market(true);
    let lead = world.lead();
    world.accept(lead, "a");
    give_back(&mut world, lead, "a", "wrong_number");
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["a", "b"]));
    // Only the project's own cap still counts it.
    assert_eq!((counters(&world), world.counter("open:b")), ([0, 0, 0, 0, 1], 1));
    world.accept(lead, "b");
    assert_eq!(world.state(lead).assigned_to.as_deref(), Some("b"));
    give_back(&mut world, lead, "b", "wrong_number");
    assert_eq!((world.status(lead), world.counter("cap:*:total:total")), ("returned", 0));
}
