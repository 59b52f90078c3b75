use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::world::World;
use std::collections::BTreeMap;

fn team(size: usize) -> serde_json::Value {
    (0..size).map(|index| (format!("m{index}"), json!({}))).collect::<serde_json::Map<_, _>>().into()
}

fn names(size: usize) -> Vec<String> {
    (0..size).map(|index| format!("m{index}")).collect()
}

fn counts(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, state) in &world.leads {
        for offer in &state.offers {
            *counts.entry(offer.target.clone()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_round_gives_everybody_one_before_anybody_two() {
    let route = json!({"strategy": "round_robin", "targets": names(7), "template": "t"});
    let mut world = World::new(team(7), route, json!({}));
    let mut tally = BTreeMap::<String, usize>::new();
    for number in 0..10_000 {
        // All within one millisecond: the turn does not go by the clock.
        let lead = world.lead();
        *tally.entry(world.offered(lead)[0].to_owned()).or_default() += 1;
        if number % 500 == 0 || number == 9_999 {
            let most = tally.values().max().unwrap();
            let least = if tally.len() == 7 { *tally.values().min().unwrap() } else { 0 };
            assert!(most - least <= 1, "{tally:?}");
        }
        world.leads.clear();
    }
}

#[test]
fn a_new_member_takes_one_and_then_its_turn() {
    let rule = |size| json!({"strategy": "round_robin", "targets": names(size), "template": "t"});
    let mut world = World::new(team(3), rule(3), json!({}));
    for _ in 0..30 {
        world.lead();
    }
    world.policy = super::world::policy(team(4), rule(4), json!({}));
    let first: Vec<_> = (0..8).map(|_| world.lead()).collect();
    let offered: Vec<_> = first.iter().map(|lead| world.offered(*lead)[0]).collect();
    assert_eq!(offered, ["m3", "m0", "m1", "m2", "m3", "m0", "m1", "m2"]);
}

#[test]
fn weights_are_kept_and_a_newcomer_starts_at_the_level_of_the_others() {
    let targets = json!({"a": {"weight": 3}, "b": {"weight": 1}, "c": {"weight": 0}});
    let rule = |names: &[&str]| json!({"strategy": "weighted", "targets": names, "template": "t", "window": "month"});
    let mut world = World::new(targets, rule(&["a", "b", "c"]), json!({}));
    for _ in 0..400 {
        world.lead();
    }
    assert_eq!(counts(&world), BTreeMap::from([("a".into(), 300), ("b".into(), 100)]));
    assert_eq!(world.reasons("c"), [Reason::NoWeight]);
    // Joined on the 20th of the month.
    let targets =
        json!({"a": {"weight": 3}, "b": {"weight": 1}, "c": {"weight": 4, "member_since": "2026-11-20"}});
    world.policy = super::world::policy(targets, rule(&["a", "b", "c"]), json!({}));
    world.leads.clear();
    for _ in 0..80 {
        world.lead();
    }
    assert_eq!(counts(&world), BTreeMap::from([("a".into(), 30), ("b".into(), 10), ("c".into(), 40)]));
}

#[test]
fn a_team_that_starts_together_shares_from_the_first_lead() {
    let member = json!({"member_since": "2026-11-20"});
    let targets = json!({"a": member, "b": member, "c": member});
    let rule = json!({"strategy": "weighted", "targets": ["a", "b", "c"], "template": "t"});
    let mut world = World::new(targets, rule, json!({}));
    for _ in 0..9 {
        world.lead();
    }
    assert_eq!(counts(&world).into_values().collect::<Vec<_>>(), [3, 3, 3]);
}

#[test]
fn a_waterfall_goes_down_with_time_and_ends_in_the_ladder() {
    let route = json!({"strategy": "waterfall", "targets": ["a", "b", "c"], "template": "t",
        "offer_timeout_secs": 30, "group_timeout_secs": 70});
    let ladder = json!({"escalation": [{"after_secs": 3600, "targets": ["d"], "template": "t"}]});
    let mut world = World::new(json!({"a": {}, "b": {}, "c": {}, "d": {}}), route, ladder);
    let lead = world.lead();
    assert_eq!(world.offered(lead), ["a"]);
    world.advance(29);
    assert_eq!(world.offered(lead), ["a"]);
    world.advance(1);
    assert_eq!(world.offered(lead), ["a", "b"]);
    // A refusal costs no time.
    world.decline(lead, "b");
    assert_eq!(world.offered(lead), ["a", "b", "c"]);
    // The group's time ends before the third's.
    world.advance(40);
    assert_eq!(world.offered(lead), ["a", "b", "c", "d"]);
    // The first wakes up: nobody has the lead, so it is theirs.
    world.accept(lead, "a");
    assert_eq!((world.status(lead), world.state(lead).timers.len()), ("accepted", 0));
}

#[test]
fn a_lead_is_sold_to_as_many_as_the_limit_says() {
    let route = json!({"strategy": "broadcast", "targets": ["a", "b", "c", "x"], "template": "t",
        "sell_limit": 2, "exclusive": ["x"]});
    let mut world = World::new(json!({"a": {}, "b": {}, "c": {"capacity": 1}, "x": {}}), route, json!({}));
    let lead = world.lead();
    world.accept(lead, "b");
    // Whoever does not want it gives its place back, although the lead is sold once already.
    world.decline(lead, "c");
    assert_eq!((world.counter("open:c"), world.status(lead)), (0, "accepted"));
    world.accept(lead, "x");
    assert_eq!(world.reasons("x"), [Reason::Exclusive]);
    world.accept(lead, "a");
    world.accept(lead, "c");
    assert_eq!(world.state(lead).owners().collect::<Vec<_>>(), ["b", "a"]);
    // One who has it alone ends the sale.
    let lead = world.lead();
    world.accept(lead, "x");
    world.accept(lead, "a");
    assert_eq!(world.state(lead).owners().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn rules_are_tried_in_order_and_skills_count() {
    let route = json!([
        {"when": {"equals": {"field": "fields.city", "value": "Казань"}}, "strategy": "round_robin",
            "targets": ["kazan"], "template": "t"},
        {"strategy": "waterfall", "targets": ["anna", "oleg"], "template": "t", "needs_skills": ["english"]},
    ]);
    let targets = json!({"kazan": {}, "anna": {}, "oleg": {"skills": ["english", "german"]}});
    let mut world = World::new(targets, route, json!({}));
    let input = serde_json::from_value(json!({"phone": "+79000000001", "fields": {"city": "казань"}}));
    let lead = world.captured(input.unwrap());
    assert_eq!(world.offered(lead), ["kazan"]);
    let lead = world.lead();
    assert_eq!(world.offered(lead), ["oleg"]);
    assert_eq!(world.reasons("anna"), [Reason::SkillMissing]);
}

/// A team of which `m1` works on weekdays only, and whom the leads of a week go to, in order.
fn returns_on_monday(weights: &[u32], catch_up: &str, weekend: usize, leads: usize) -> Vec<String> {
    let office = json!({"weekly": [{"days": "mon-fri", "from": "00:00", "to": "24:00"}]});
    let targets: serde_json::Map<_, _> = weights
        .iter()
        .enumerate()
        .map(|(index, weight)| {
            let mut target = json!({"weight": weight});
            if index == 1 {
                target["hours"] = office.clone();
            }
            (format!("m{index}"), target)
        })
        .collect();
    let route = json!({"strategy": "weighted", "targets": names(weights.len()), "template": "t", "catch_up": catch_up});
    let mut world = World::new(targets.into(), route, json!({}));
    // Saturday noon, and Monday noon: of one month.
    world.now = crate::time::from_millis(super::world::NOON - 4 * 86_400_000);
    for _ in 0..weekend {
        world.lead();
    }
    world.now = plus_seconds(world.now, 2 * 86_400);
    (0..leads)
        .map(|_| {
            let lead = world.lead();
            world.offered(lead)[0].to_owned()
        })
        .collect()
}

#[test]
fn whoever_comes_back_does_not_get_every_lead() {
    let of = |told: &[String]| told.iter().filter(|name| *name == "m1").count();
    let none = returns_on_monday(&[1, 1], "none", 40, 20);
    assert!((10..=11).contains(&of(&none)), "{none:?}");
    // Three of four, until level: 40 behind, and 20 more are made up for by 40 leads of 60.
    let slow = returns_on_monday(&[1, 1], "slow", 40, 120);
    assert_eq!((of(&slow[..40]), of(&slow[80..])), (30, 20), "{slow:?}");
    assert!(!slow.windows(5).any(|five| of(five) == 5), "{slow:?}");
}

#[test]
fn a_decision_says_what_catching_up_has_changed() {
    for (catch_up, reason) in [("none", Reason::StartsLevel), ("slow", Reason::CatchesUpSlowly)] {
        let targets = json!({"a": {}, "b": {"away": [{"from": "2026-11-24", "to": "2026-11-25"}]}});
        let route =
            json!({"strategy": "weighted", "targets": ["a", "b"], "template": "t", "catch_up": catch_up});
        let mut world = World::new(targets, route, json!({}));
        for _ in 0..20 {
            world.lead();
        }
        world.now = plus_seconds(world.now, 86_400);
        let mut seen = Vec::new();
        for _ in 0..4 {
            world.lead();
            seen.extend(world.reasons("b"));
        }
        assert!(seen.contains(&reason), "{catch_up}: {seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever comes back gets no long run of leads, whatever the weights and however long they were away.
    #[test]
    fn nobody_who_comes_back_gets_all(
        weights in prop::collection::vec(1_u32..6, 2..5), weekend in 1_usize..120,
    ) {
        let total: u32 = weights.iter().sum();
        let share = f64::from(weights[1]) / f64::from(total);
        for (catch_up, part) in [("none", share), ("slow", f64::midpoint(1.0, share))] {
            let told = returns_on_monday(&weights, catch_up, weekend, 60);
            let own = told.iter().filter(|name| *name == "m1").count();
            let most = part * 60.0 + 3.0;
            prop_assert!(own as f64 <= most, "{catch_up}: {own} of 60, at most {most}: {told:?}");
        }
    }

    /// Where everybody always works, there is nothing to catch up: all choose alike.
    #[test]
    fn catching_up_changes_nothing_where_nobody_was_away(weights in prop::collection::vec(1_u32..20, 2..7)) {
        let order = |catch_up: &str| {
            let targets: serde_json::Map<_, _> = weights.iter().enumerate()
                .map(|(index, weight)| (format!("m{index}"), json!({"weight": weight}))).collect();
            let route = json!({"strategy": "weighted", "targets": names(weights.len()), "template": "t", "catch_up": catch_up});
            let mut world = World::new(targets.into(), route, json!({}));
            let told: Vec<String> = (0..120).map(|_| {
                let lead = world.lead();
                let name = world.offered(lead)[0].to_owned();
                assert!(!world.last.as_ref().unwrap().trace.steps.iter().any(|step| step.rule.ends_with("catch_up")));
                world.leads.clear();
                name
            }).collect();
            told
        };
        prop_assert_eq!(order("none"), order("slow"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the weights: at no moment has anybody got a whole lead more than its part.
    #[test]
    fn nobody_gets_more_than_its_share(weights in prop::collection::vec(1_u32..20, 2..7)) {
        let total: u32 = weights.iter().sum();
        let targets: serde_json::Map<_, _> = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| (format!("m{index}"), json!({"weight": weight})))
            .collect();
        let route = json!({"strategy": "weighted", "targets": names(weights.len()), "template": "t"});
        let mut world = World::new(targets.into(), route, json!({}));
        let mut tally = vec![0_u32; weights.len()];
        for number in 1..=150_u32 {
            let lead = world.lead();
            let place: usize = world.offered(lead)[0][1..].parse().unwrap();
            tally[place] += 1;
            world.leads.clear();
            for (have, weight) in tally.iter().zip(&weights) {
                prop_assert!(have * total < weight * number + total, "{tally:?} of {weights:?}");
            }
        }
    }
}
