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

/// Another policy is published, and all leads are looked after in their order.
fn publish(world: &mut World, change: impl FnOnce(&mut Policy)) {
    change(&mut world.policy);
    for lead in 0..world.leads.len() {
        world.event(lead, Event::PolicyChanged);
    }
}

#[test]
fn who_waits_goes_on_by_another_policy() {
    let mut world = one_at_a_time(json!("queue"));
    let leads: Vec<_> = (0..5).map(|_| world.lead()).collect();
    assert_eq!(world.counter("queue:0"), 4);
    publish(&mut world, |policy| policy.targets.get_mut("a").unwrap().capacity = Some(3));
    let statuses: Vec<_> = leads.iter().map(|lead| world.status(*lead)).collect();
    assert_eq!(statuses, ["open", "open", "open", "queued", "queued"]);
    assert_eq!((world.counter("open:a"), world.counter("queue:0")), (3, 2));
    // Whoever comes now waits behind them.
    let sixth = world.lead();
    assert_eq!((world.status(sixth), world.counter("queue:0")), ("queued", 3));
    // One that has left the queue is left alone.
    world.event(leads[0], Event::PolicyChanged);
    assert_eq!(world.last.as_ref().unwrap().effects, []);
}

#[test]
fn a_place_in_the_queue_moves_with_its_rule() {
    let mut world = one_at_a_time(json!("queue"));
    let leads: Vec<_> = (0..3).map(|_| world.lead()).collect();
    let since = world.state(leads[1]).queued_at;
    world.advance(60);
    publish(&mut world, |policy| {
        // The rule for which they wait is the second one now.
        let mut first = policy.route.rules[0].clone();
        first.targets = vec!["spare".into()];
        first.needs_skills = vec!["english".into()];
        first.overflow = serde_json::from_value(json!("next")).unwrap();
        policy.route.rules.insert(0, first);
    });
    assert_eq!((world.counter("queue:0"), world.counter("queue:1")), (0, 2));
    assert_eq!((world.status(leads[1]), world.state(leads[1]).queued_at), ("queued", since));
    // No rule of the newest has anybody for it: the ladder, and then nobody.
    publish(&mut world, |policy| policy.route.rules.truncate(1));
    assert_eq!((world.counter("queue:0"), world.counter("queue:1")), (0, 0));
    assert_eq!(world.status(leads[2]), "unanswered");
}

#[test]
fn who_was_offered_it_by_an_earlier_policy_is_not_offered_it_again() {
    let targets = json!({"a": {}, "b": {"capacity": 1}, "c": {}});
    let route = json!([
        {"strategy": "waterfall", "targets": ["a", "b"], "template": "t", "offer_timeout_secs": 60, "overflow": "queue"},
    ]);
    let mut world = World::new(targets, route, json!({}));
    world.policy.targets.get_mut("b").unwrap().capacity = Some(0);
    let lead = world.lead();
    assert_eq!(world.offered(lead), ["a"]);
    world.decline(lead, "a");
    assert_eq!(world.status(lead), "queued");
    publish(&mut world, |policy| policy.route.rules[0].targets = vec!["a".into(), "c".into()]);
    // Who was offered it is not offered it again.
    assert_eq!(world.offered(lead), ["a", "c"]);
    let rules: Vec<_> = world.state(lead).offers.iter().map(|offer| offer.rule).collect();
    assert_eq!(rules, [None, Some(0)]);
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
