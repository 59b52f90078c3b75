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

#[test]
fn not_where_the_owner_is_away_too_long_full_or_forgotten() {
    let hours = json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}]});
    let evening = from_millis(super::world::NOON + 8 * 3_600_000);
    // 13 hours until nine.
    for (limit, whom) in [(14 * 3_600, "anna"), (12 * 3_600, "oleg")] {
        let mut world = world(json!({"unless_away_secs": limit}), json!({"hours": hours}));
        let first = world.capture("+79000000000");
        world.accept(first, "anna");
        world.now = evening;
        let again = world.capture("+79000000000");
        assert_eq!(world.offered(again), [whom], "{limit}");
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
