use serde_json::json;

use super::super::*;
use super::world::World;
use crate::time::from_millis;

fn world(sticky: serde_json::Value, anna: serde_json::Value) -> World {
    let route =
        json!({"strategy": "round_robin", "targets": ["oleg", "anna"], "template": "t", "sticky": sticky});
    World::new(json!({"anna": anna, "oleg": {}}), route, json!({}))
}

#[test]
fn a_person_comes_back_to_whom_they_know() {
    let mut world = world(json!({}), json!({}));
    let first = world.capture("+79000000000");
    assert_eq!(world.offered(first), ["oleg"]);
    world.accept(first, "anna");
    for _ in 0..2 {
        let again = world.capture("+79000000000");
        assert_eq!(world.offered(again), ["anna"]);
        assert!(world.reasons("anna").contains(&Reason::PreviousOwner));
    }
    // What came to her so counts as her turn.
    let other = world.capture("+79000000001");
    assert_eq!(world.offered(other), ["oleg"]);
}

/// Hour by hour through a week: an owner who sleeps is told when they work, and is told once.
#[test]
fn an_owner_who_sleeps_is_told_when_they_work() {
    let hours = json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}]});
    let alone = json!({"strategy": "round_robin", "targets": ["anna"], "template": "t", "sticky": {}});
    for hour in 0..168 {
        let anna = json!({"anna": {"hours": hours}});
        let mut world = World::new(anna, alone.clone(), json!({}));
        let first = world.capture("+79000000000");
        world.accept(first, "anna");
        world.now = plus_seconds(world.now, hour * 3_600);
        let works = world.policy.targets["anna"]
            .hours
            .as_ref()
            .unwrap()
            .next_open(world.now, world.policy.timezone)
            .unwrap();
        let again = world.capture("+79000000000");
        if works > world.now {
            assert_eq!((world.status(again), world.offered(again)), ("queued", vec![]), "{hour}");
            assert!(world.reasons("anna").contains(&Reason::OwnerLater), "{hour}");
        }
        let wait = u64::try_from((works - world.now).num_seconds()).unwrap();
        world.advance(wait);
        assert_eq!(world.offered(again), ["anna"], "{hour}");
        world.advance(86_400);
        assert_eq!(world.offered(again), ["anna"], "{hour}");
    }
}

#[test]
fn others_are_told_at_once_where_the_owner_is_away_for_longer_than_leads_wait() {
    let away = json!({"away": [{"from": "2026-11-26", "to": "2026-12-10"}]});
    let mut world = world(json!({}), away);
    let first = world.capture("+79000000000");
    world.accept(first, "anna");
    world.now = plus_seconds(world.now, 86_400);
    let again = world.capture("+79000000000");
    assert_eq!((world.offered(again), world.reasons("anna")[0]), (vec!["oleg"], Reason::OwnerTooLong));
}

#[test]
fn not_where_the_owner_is_away_too_long_full_or_forgotten() {
    let hours = json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}]});
    let evening = from_millis(super::world::NOON + 8 * 3_600_000);
    // 13 hours until nine.
    for (limit, now, later) in [(14 * 3_600, vec![], vec!["anna"]), (12 * 3_600, vec!["oleg"], vec!["oleg"])]
    {
        let mut world = world(json!({"unless_away_secs": limit}), json!({"hours": hours}));
        let first = world.capture("+79000000000");
        world.accept(first, "anna");
        world.now = evening;
        let again = world.capture("+79000000000");
        assert_eq!(world.offered(again), now, "{limit}");
        world.advance(13 * 3_600);
        assert_eq!(world.offered(again), later, "{limit}");
    }
    let mut full = world(json!({}), json!({"capacity": 1}));
    let first = full.capture("+79000000000");
    full.accept(first, "anna");
    let again = full.capture("+79000000000");
    assert_eq!(full.offered(again), ["oleg"]);
    assert_eq!(full.reasons("anna"), [Reason::CapacityFull, Reason::CapacityFull]);

    let mut forgotten = world(json!({"within_secs": 60}), json!({}));
    let first = forgotten.capture("+79000000000");
    forgotten.accept(first, "oleg");
    forgotten.now = plus_seconds(forgotten.now, 61);
    let again = forgotten.capture("+79000000000");
    assert_eq!(forgotten.offered(again), ["anna"]);
}
