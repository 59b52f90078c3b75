use serde_json::json;

use super::super::*;
use super::world::World;

fn speed_to_lead() -> World {
    let targets = json!({"a": {"capacity": 5}, "b": {"capacity": 5}, "chief": {}, "owner": {"capacity": 1}});
    let route = json!({"strategy": "round_robin", "targets": ["a", "b"], "template": "t"});
    let ladder = json!({"escalation": [
        {"after_secs": 60, "action": "remind", "template": "t"},
        {"after_secs": 60, "action": "reassign", "template": "t"},
        {"after_secs": 60, "targets": ["chief"], "template": "t"},
        {"after_secs": 60, "action": "fallback", "targets": ["owner"], "template": "t"},
    ]});
    World::new(targets, route, ladder)
}

fn messages(world: &World) -> usize {
    let effects = &world.last.as_ref().unwrap().effects;
    effects.iter().filter(|effect| matches!(effect, Effect::Deliver(_))).count()
}

#[test]
fn remind_reassign_escalate_fall_back() {
    let mut world = speed_to_lead();
    let busy = world.lead();
    world.accept(busy, "owner");
    let lead = world.lead();
    assert_eq!(world.offered(lead), ["b"]);
    world.advance(60);
    assert_eq!((world.offered(lead), messages(&world), world.state(lead).offers[0].alive), (vec!["b"], 1, 2));
    world.advance(60);
    assert_eq!(world.offered(lead), ["b", "a"]);
    assert_eq!((world.counter("open:b"), world.counter("open:a")), (0, 1));
    world.advance(60);
    assert_eq!(world.offered(lead), ["b", "a", "chief"]);
    world.advance(60);
    assert_eq!((world.status(lead), world.state(lead).assigned_to.as_deref()), ("accepted", Some("owner")));
    // The last resort is not stopped by a limit, and is counted.
    assert_eq!((world.counter("open:owner"), world.counter("open:a")), (2, 0));
    assert!(world.state(lead).timers.is_empty());
}

/// Every step and reply with a condition on the hour, at every hour: what is done is what holds then.
#[test]
fn steps_and_replies_go_by_the_moment_at_which_they_come() {
    for hour in 0..24_u64 {
        let night = "time.hour >= 21 || time.hour < 9";
        let more = json!({
            "escalation": [
                {"after_secs": 60, "when": night, "targets": ["nina"], "template": "t"},
                {"after_secs": 60, "when": "!(time.hour >= 21 || time.hour < 9)", "targets": ["chief"], "template": "t"},
            ],
            "auto_reply": [{"when": night, "channel": "bot", "to": "phone", "template": "t"}],
        });
        let route = json!({"strategy": "broadcast", "targets": ["anna"], "template": "t"});
        let mut world = World::new(json!({"anna": {}, "nina": {}, "chief": {}}), route, more);
        world.now = plus_seconds(world.now, hour * 3_600);
        let at_night = !(9..21).contains(&((12 + hour) % 24));
        let lead = world.lead();
        // The offer, and at night the answer to the visitor.
        assert_eq!(messages(&world), if at_night { 2 } else { 1 }, "{hour}");
        world.advance(120);
        assert_eq!(world.offered(lead), ["anna", if at_night { "nina" } else { "chief" }], "{hour}");
        world.advance(120);
        assert_eq!(world.status(lead), "unanswered", "{hour}");
    }
}

#[test]
fn steps_that_are_not_for_a_lead_cost_no_time_where_nobody_is_left() {
    let more = json!({"escalation": [
        {"after_secs": 600, "when": "false", "targets": ["nina"], "template": "t"},
        {"after_secs": 600, "targets": ["chief"], "template": "t"},
        {"after_secs": 600, "when": "false", "action": "fallback", "targets": ["anna"], "template": "t"},
    ]});
    let route = json!({"strategy": "broadcast", "targets": ["anna"], "template": "t"});
    let mut world = World::new(json!({"anna": {}, "nina": {}, "chief": {}}), route, more);
    let lead = world.lead();
    world.decline(lead, "anna");
    assert_eq!(world.offered(lead), ["anna", "chief"]);
    world.decline(lead, "chief");
    assert_eq!(world.status(lead), "unanswered");
}

#[test]
fn an_acceptance_ends_it_on_any_rung() {
    for seconds in [0, 60, 120, 180] {
        let mut world = speed_to_lead();
        let lead = world.lead();
        world.advance(seconds);
        world.accept(lead, "b");
        assert_eq!(world.status(lead), "accepted", "{seconds}");
        let offers = world.state(lead).offers.clone();
        world.advance(1_000);
        assert_eq!(world.state(lead).offers, offers, "{seconds}");
        assert_eq!((world.counter("open:a"), world.counter("open:b")), (0, 1), "{seconds}");
    }
}
