use serde_json::json;

use super::super::*;
use super::world::World;
use crate::time::from_millis;

#[test]
fn a_cap_is_reached_and_not_passed() {
    let targets = json!({"a": {"caps": [{"per": "day", "limit": 2}]}, "b": {}});
    let route = json!([
        {"strategy": "waterfall", "targets": ["a"], "template": "t", "overflow": "next"},
        {"strategy": "waterfall", "targets": ["b"], "template": "t"},
    ]);
    let mut world = World::new(targets, route, json!({}));
    let leads: Vec<_> = (0..3).map(|_| world.lead()).collect();
    let offered: Vec<_> = leads.iter().map(|lead| world.offered(*lead)[0]).collect();
    assert_eq!(offered, ["a", "a", "b"]);
    assert_eq!(world.reasons("a"), [Reason::CapFull]);
    assert_eq!(world.counter("cap:a:day:2026-11-25@Europe/Moscow"), 2);
    // A refusal gives the place back, once.
    world.decline(leads[0], "a");
    world.decline(leads[0], "a");
    assert_eq!(world.counter("cap:a:day:2026-11-25@Europe/Moscow"), 1);
    let lead = world.lead();
    assert_eq!(world.offered(lead), ["a"]);
}

#[test]
fn caps_count_money_sources_and_the_project() {
    let rub = |minor: i64| json!({"minor": minor, "currency": "RUB"});
    let targets = json!({
        "rich": {"price": rub(60_000), "caps": [{"per": "month", "money": 100_000}]},
        "picky": {"caps": [{"per": "total", "limit": 1, "source": "site"}, {"per": "total", "limit": 9, "source": "x"}]},
        "rest": {},
    });
    let route = json!({"strategy": "waterfall", "targets": ["rich", "picky", "rest"], "template": "t",
        "overflow": {"reject": "sold_out"}});
    let more = json!({"caps": [{"per": "day", "limit": 4}]});
    let mut world = World::new(targets, route, more);
    let leads: Vec<_> = (0..5).map(|_| world.lead()).collect();
    let offered: Vec<_> =
        leads.iter().map(|lead| world.offered(*lead).first().copied().unwrap_or("nobody")).collect();
    assert_eq!(offered, ["rich", "picky", "rest", "rest", "nobody"]);
    assert_eq!(world.state(leads[4]).status, LeadStatus::Rejected { code: "sold_out".into() });
    assert_eq!(world.counter("money:rich:month:2026-11@Europe/Moscow"), 60_000);
    assert_eq!(world.counter("cap:*:day:2026-11-25@Europe/Moscow"), 4);
    assert!(world.leads[4].1.holds.is_empty());
    assert!(world.last.as_ref().unwrap().trace.steps.iter().any(|step| step.reason == Some(Reason::CapFull)));
}

#[test]
fn a_cap_ends_at_the_targets_midnight() {
    // 23:30 in Moscow is 01:30 of the next day in Yekaterinburg.
    let targets = json!({
        "msk": {"caps": [{"per": "day", "limit": 1}]},
        "ekb": {"timezone": "Asia/Yekaterinburg", "caps": [{"per": "day", "limit": 1}]},
    });
    let route = json!({"strategy": "waterfall", "targets": ["msk", "ekb"], "template": "t"});
    let mut world = World::new(targets, route, json!({}));
    world.now = from_millis(1_795_638_600_000);
    let first = world.lead();
    let second = world.lead();
    let third = world.lead();
    assert_eq!((world.offered(first), world.offered(second)), (vec!["msk"], vec!["ekb"]));
    assert_eq!(world.counter("cap:msk:day:2026-11-25@Europe/Moscow"), 1);
    assert_eq!(world.counter("cap:ekb:day:2026-11-26@Asia/Yekaterinburg"), 1);
    assert_eq!(world.status(third), "queued");
    // Half an hour later Moscow's day ends, and the lead that waited is placed.
    world.advance(1_800);
    assert_eq!(world.offered(third), ["msk"]);
}

/// A new version of the policy moves a target to another zone, where the day has the same name and is another one.
#[test]
fn a_period_of_one_zone_does_not_count_in_another() {
    let cap = |limit: u32| json!([{"per": "day", "limit": limit}]);
    let targets = json!({"a": {"timezone": "Asia/Yekaterinburg", "caps": cap(1)}, "b": {}});
    let route = json!({"strategy": "waterfall", "targets": ["a", "b"], "template": "t"});
    let mut world = World::new(targets, route, json!({"caps": cap(9)}));
    let moved = |world: &mut World, zone: &str| {
        world.policy.targets.get_mut("a").unwrap().timezone = Some(zone.parse().unwrap());
        let lead = world.lead();
        world.offered(lead)[0].to_owned()
    };
    assert_eq!(moved(&mut world, "Asia/Yekaterinburg"), "a");
    assert_eq!(moved(&mut world, "Asia/Yekaterinburg"), "b");
    // Nothing was counted in that day yet, though it has the same name.
    assert_eq!(moved(&mut world, "Europe/Berlin"), "a");
    assert_eq!(moved(&mut world, "Europe/Berlin"), "b");
    // The version before is as full as it was, until its own midnight: 22:00 in Moscow.
    assert_eq!(moved(&mut world, "Asia/Yekaterinburg"), "b");
    world.advance(10 * 3_600);
    assert_eq!(moved(&mut world, "Europe/Berlin"), "b");
    assert_eq!(moved(&mut world, "Asia/Yekaterinburg"), "a");
    // What is given back goes to the day that it was taken from.
    world.decline(0, "a");
    world.decline(2, "a");
    assert_eq!(world.counter("cap:a:day:2026-11-25@Europe/Berlin"), 0);
    // That day is over in Yekaterinburg: its counter is forgotten and is left as it is.
    assert_eq!(world.counter("cap:a:day:2026-11-25@Asia/Yekaterinburg"), 1);
    assert_eq!(world.counter("cap:a:day:2026-11-26@Asia/Yekaterinburg"), 1);
    assert_eq!(world.counter("cap:*:day:2026-11-25@Europe/Moscow"), 7);
}

#[test]
fn a_day_of_25_hours_is_one_day_and_one_of_23_too() {
    for (day, hours) in [("2026-10-25", 25), ("2026-03-29", 23)] {
        let targets = json!({"a": {"timezone": "Europe/Berlin", "caps": [{"per": "day", "limit": 100}]}});
        let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t"});
        let mut world = World::new(targets, route, json!({}));
        let zone: crate::schedule::Zone = "Europe/Berlin".parse().unwrap();
        let date: chrono::NaiveDate = day.parse().unwrap();
        world.now = zone.day_start(date);
        for _ in 0..27 {
            world.lead();
            world.now = plus_seconds(world.now, 3_600);
        }
        assert_eq!(world.counter(&format!("cap:a:day:{day}@Europe/Berlin")), hours, "{day}");
    }
}

#[test]
fn an_answer_that_comes_late_takes_the_place_again_or_is_refused() {
    let targets = json!({"a": {"capacity": 1}, "b": {}});
    let route =
        json!({"strategy": "waterfall", "targets": ["a", "b"], "template": "t", "offer_timeout_secs": 60});
    let mut world = World::new(targets, route, json!({}));
    let first = world.lead();
    world.advance(60);
    assert_eq!(world.offered(first), ["a", "b"]);
    assert_eq!(world.counter("open:a"), 0);
    let second = world.lead();
    assert_eq!(world.offered(second), ["a"]);
    // Its only place is taken by the second lead.
    world.accept(first, "a");
    assert_eq!((world.status(first), world.reasons("a")), ("open", vec![Reason::CapacityFull]));
    world.decline(second, "a");
    world.accept(first, "a");
    assert_eq!((world.status(first), world.counter("open:a")), ("accepted", 1));
}

#[test]
fn a_buyer_gets_a_person_once_and_others_may() {
    let buyer = json!({"dedupe_secs": 86_400, "price": {"minor": 1, "currency": "RUB"}});
    let targets = json!({"a": buyer, "b": buyer});
    let route = json!({"strategy": "waterfall", "targets": ["a", "b"], "template": "t"});
    let mut world = World::new(targets, route, json!({}));
    let first = world.capture("+79000000000");
    world.accept(first, "a");
    let again = world.capture("8 900 000-00-00");
    assert_eq!(world.offered(again), ["b"]);
    assert_eq!(world.reasons("a"), [Reason::BoughtBefore]);
    let other = world.capture("+79000000001");
    assert_eq!(world.offered(other), ["a"]);
    // The trace and the facts name nobody.
    let trace = serde_json::to_string(&world.last.as_ref().unwrap().trace).unwrap();
    assert!(!trace.contains("7900"), "{trace}");
}

#[test]
fn where_the_project_has_no_room_no_other_target_has_any() {
    let route =
        json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "overflow": {"target": "b"}});
    let mut world =
        World::new(json!({"a": {}, "b": {}}), route, json!({"caps": [{"per": "day", "limit": 1}]}));
    world.lead();
    let second = world.lead();
    assert_eq!((world.status(second), world.offered(second)), ("queued", vec![]));
    // By hand it cannot be taken either, until the day is over.
    world.accept(second, "b");
    assert_eq!(world.status(second), "queued");
    world.advance(86_400);
    assert_eq!(world.offered(second), ["a"]);
}
