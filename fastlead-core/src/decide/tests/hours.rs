use serde_json::json;

use super::super::*;
use super::world::World;
use crate::time::from_millis;

/// Wednesday, 25 November 2026, 20:00 in Moscow.
const EVENING: i64 = super::world::NOON + 8 * 3_600_000;

fn nine_to_six() -> serde_json::Value {
    json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}]})
}

#[test]
fn each_action_off_hours() {
    let cases = [
        (json!("queue"), "queued", vec![], vec!["day"]),
        (json!("skip"), "open", vec!["owner"], vec!["owner"]),
        (json!("ignore"), "open", vec!["day"], vec!["day"]),
        (json!({"target": "night"}), "open", vec!["night"], vec!["night"]),
    ];
    for (off_hours, status, now, later) in cases {
        let targets = json!({"day": {"hours": nine_to_six()}, "night": {}, "owner": {}});
        let route = json!([
            {"strategy": "round_robin", "targets": ["day"], "template": "t", "off_hours": off_hours},
            {"strategy": "broadcast", "targets": ["owner"], "template": "t"},
        ]);
        let mut world = World::new(targets, route, json!({}));
        world.now = from_millis(EVENING);
        let lead = world.lead();
        assert_eq!((world.status(lead), world.offered(lead)), (status, now), "{off_hours}");
        // 13 hours later it is 09:00.
        world.advance(13 * 3_600);
        assert_eq!(world.offered(lead), later, "{off_hours}");
        assert_eq!(world.status(lead), "open", "{off_hours}");
    }
}

#[test]
fn who_is_away_is_passed_over_and_waited_for() {
    let targets =
        json!({"a": {"away": [{"from": "2026-11-25", "to": "2026-11-26"}], "hours": nine_to_six()}});
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "queue_secs": 864_000});
    let mut world = World::new(targets, route, json!({}));
    let lead = world.lead();
    assert_eq!((world.status(lead), world.reasons("a")), ("queued", vec![Reason::Away]));
    // Friday at nine.
    let (timer, at) = world.state(lead).timers[0];
    assert_eq!((timer, at.to_rfc3339()), (TimerName::Queue, "2026-11-27T06:00:00+00:00".to_owned()));
    world.advance(3 * 86_400);
    assert_eq!(world.offered(lead), ["a"]);
}

#[test]
fn the_ladder_waits_for_working_hours_where_it_shall() {
    for (clock, due) in [("wall", "2026-11-25T17:30:00+00:00"), ("business", "2026-11-26T06:30:00+00:00")] {
        let more = json!({
            "hours": nine_to_six(),
            "escalation": [{"after_secs": 1_800, "clock": clock, "targets": ["b"], "template": "t"}],
        });
        let route = json!({"strategy": "broadcast", "targets": ["a"], "template": "t"});
        let mut world = World::new(json!({"a": {}, "b": {}}), route, more);
        world.now = from_millis(EVENING);
        let lead = world.lead();
        assert_eq!(world.state(lead).timers[0].1.to_rfc3339(), due, "{clock}");
    }
}
