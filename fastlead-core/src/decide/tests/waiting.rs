use serde_json::json;

use super::super::*;
use super::world::World;

fn one_at_a_time(overflow: serde_json::Value) -> World {
    let targets = json!({"a": {"capacity": 1}, "spare": {"capacity": 1}, "rest": {}});
    let route = json!([
        {"strategy": "round_robin", "targets": ["a"], "template": "t", "overflow": overflow},
        {"strategy": "broadcast", "targets": ["rest"], "template": "t"},
    ]);
    World::new(targets, route, json!({}))
}

#[test]
fn each_action_on_overflow() {
    let cases = [
        (json!("queue"), "queued", vec![]),
        (json!("next"), "open", vec!["rest"]),
        (json!({"target": "spare"}), "open", vec!["spare"]),
        (json!({"reject": "no_room"}), "rejected", vec![]),
    ];
    for (overflow, status, offered) in cases {
        let mut world = one_at_a_time(overflow.clone());
        world.lead();
        let second = world.lead();
        assert_eq!((world.status(second), world.offered(second)), (status, offered), "{overflow}");
    }
    // Where the other target is full too, the lead waits.
    let mut world = one_at_a_time(json!({"target": "spare"}));
    let leads: Vec<_> = (0..3).map(|_| world.lead()).collect();
    assert_eq!(world.status(leads[2]), "queued");
}

#[test]
fn a_place_that_is_free_again_is_given_away() {
    let mut world = one_at_a_time(json!("queue"));
    let first = world.lead();
    let second = world.lead();
    let third = world.lead();
    world.event(second, Event::SlotFree);
    assert_eq!(world.status(second), "queued");
    world.accept(first, "a");
    assert_eq!(world.counter("open:a"), 1);
    world.event(first, Event::Closed);
    assert_eq!((world.status(first), world.counter("open:a")), ("closed", 0));
    // Whoever comes now does not overtake those who wait.
    let fourth = world.lead();
    assert_eq!((world.status(fourth), world.counter("queue:0")), ("queued", 3));
    let reasons: Vec<_> = world.last.as_ref().unwrap().trace.steps.iter().map(|step| step.reason).collect();
    assert!(reasons.contains(&Some(Reason::OthersWait)), "{reasons:?}");
    world.event(second, Event::SlotFree);
    assert_eq!((world.status(second), world.offered(second)), ("open", vec!["a"]));
    world.event(third, Event::SlotFree);
    assert_eq!(world.status(third), "queued");
    // Somebody takes it from the queue by hand.
    world.accept(third, "rest");
    assert_eq!(world.status(third), "accepted");
}

#[test]
fn a_lead_does_not_wait_for_ever() {
    let ladder = json!([{"after_secs": 60, "targets": ["rest"], "template": "t"}]);
    let mut world = one_at_a_time(json!("queue"));
    world.policy.escalation = serde_json::from_value(ladder).unwrap();
    world.policy.route.rules.truncate(1);
    world.policy.route.rules[0].queue_secs = Some(600);
    let first = world.lead();
    world.accept(first, "a");
    let second = world.lead();
    world.advance(599);
    assert_eq!(world.status(second), "queued");
    world.advance(1);
    assert_eq!((world.status(second), world.offered(second)), ("open", vec!["rest"]));
    // Without a ladder somebody is told.
    world.policy.escalation.clear();
    let third = world.lead();
    world.advance(600);
    assert_eq!(world.status(third), "unanswered");
}
