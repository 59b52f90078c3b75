use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::world::World;
use crate::policy::Crew;
use crate::time::from_millis;

const HOUR: u64 = 3_600;
/// Friday, 27 November 2026, 19:00 in Moscow.
const FRIDAY: i64 = super::world::NOON + (2 * 24 + 7) * 3_600_000;

fn office() -> Value {
    json!({"hours": {"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}]}})
}

fn world(targets: Value, route: Value, more: Value) -> World {
    let mut world = World::new(targets, route, more);
    world.now = from_millis(FRIDAY);
    world
}

fn only(name: &str) -> Value {
    json!({"strategy": "broadcast", "targets": [name], "template": "t"})
}

#[test]
fn a_lead_of_friday_evening_is_told_on_monday() {
    let mut world = world(json!({"anna": office()}), only("anna"), json!({}));
    let lead = world.lead();
    world.advance(24 * HOUR);
    assert_eq!((world.status(lead), world.offered(lead)), ("queued", vec![]));
    world.advance(38 * HOUR);
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["anna"]));
}

#[test]
fn a_day_in_the_queue_is_a_day_of_work() {
    let targets = json!({"anna": {"hours": office()["hours"], "capacity": 1}});
    let mut world = world(targets, only("anna"), json!({}));
    world.now = from_millis(super::world::NOON);
    let first = world.lead();
    world.accept(first, "anna");
    let lead = world.lead();
    // Six hours of Wednesday and nine each of Thursday and Friday: that is a day. On Monday it begins anew at nine.
    world.advance(54 * HOUR);
    assert_eq!(world.status(lead), "queued");
    world.advance(3 * 24 * HOUR);
    assert_eq!(world.status(lead), "unanswered");
}

#[test]
fn a_queue_that_is_short_by_its_rule_does_not_end_before_somebody_works() {
    let route = json!({"strategy": "broadcast", "targets": ["anna"], "template": "t", "queue_secs": 600});
    let mut lone = world(json!({"anna": office()}), route.clone(), json!({}));
    let lead = lone.lead();
    lone.advance(24 * HOUR);
    assert_eq!((lone.status(lead), lone.reasons("anna")), ("queued", vec![Reason::OffHours]));
    let steps = &lone.last.as_ref().unwrap().trace.steps;
    assert!(steps.iter().any(|step| step.reason == Some(Reason::WaitsForOpening)), "{steps:?}");
    lone.advance(38 * HOUR);
    assert_eq!(lone.offered(lead), ["anna"]);

    // The ladder begins in time, and whoever has slept is told all the same.
    let ladder = json!({"escalation": [{"after_secs": 300, "targets": ["night"], "template": "t"}]});
    let mut night = world(json!({"anna": office(), "night": {}}), route, ladder);
    let lead = night.lead();
    night.advance(600);
    assert_eq!(night.offered(lead), ["night"]);
    night.advance(24 * HOUR);
    assert_eq!(night.status(lead), "queued");
    night.advance(38 * HOUR - 600);
    assert_eq!((night.status(lead), night.offered(lead)), ("open", vec!["night", "anna"]));
    night.advance(HOUR);
    assert_eq!(night.status(lead), "unanswered");
}

/// Sunday, 16:00. The evening crew works from eight to nine, the night crew at midnight.
#[test]
fn whoever_begins_to_work_while_the_ladder_climbs_is_told_then() {
    let crew = |days: &str, from: &str, to: &str| json!({"hours": {"weekly": [{"days": days, "from": from, "to": to}]}});
    let targets =
        json!({"evening": crew("sat,sun", "20:00", "21:00"), "night": crew("mon-fri", "00:00", "01:00")});
    let remind = json!({"after_secs": 19_121, "action": "remind", "targets": [], "template": "t"});
    for steps in [vec![remind.clone()], vec![remind.clone(), remind]] {
        let route = json!({"strategy": "broadcast", "targets": ["evening", "night"], "template": "t",
            "off_hours": "queue", "queue_secs": 13_279});
        let mut world = world(targets.clone(), route, json!({"escalation": steps}));
        world.now = plus_seconds(world.now, 45 * HOUR);
        let lead = world.lead();
        // A place that is free somewhere makes no step come earlier.
        world.advance(13_300);
        let before = (world.state(lead).rung, world.state(lead).timers.clone());
        world.event(lead, Event::SlotFree);
        assert_eq!((before.0, (world.state(lead).rung, world.state(lead).timers.clone())), (1, before));
        world.advance(4 * HOUR - 13_300);
        assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["evening"]));
    }
}

/// Emma speaks English and works in the office; who is there at night does not.
#[test]
fn nobody_waits_for_the_hours_of_those_who_cannot_take_it() {
    let targets = json!({"emma": {"hours": office()["hours"], "skills": ["english"]}, "night": {}});
    let route = json!({"strategy": "round_robin", "targets": ["emma", "night"], "template": "t",
        "needs_skills": ["english"]});
    let mut world = world(targets, route, json!({}));
    let lead = world.lead();
    world.advance(48 * HOUR);
    assert_eq!(world.status(lead), "queued");
    world.advance(14 * HOUR);
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["emma"]));
}

/// The program stood still while somebody worked: the lead waits for the next time, as nobody was asked.
#[test]
fn an_opening_that_was_slept_through_costs_no_lead() {
    let route = json!({"strategy": "broadcast", "targets": ["anna"], "template": "t", "queue_secs": 600});
    let mut world = world(json!({"anna": office()}), route, json!({}));
    let lead = world.lead();
    let asleep = 72 * HOUR;
    world.now = plus_seconds(world.now, asleep);
    world.advance(0);
    assert_eq!(world.status(lead), "queued");
    world.advance(15 * HOUR);
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["anna"]));
}

#[test]
fn the_final_wait_begins_anew_when_those_who_were_told_work() {
    let ladder = json!({"escalation": [{"after_secs": 300, "action": "remind", "template": "t"}]});
    let timed =
        json!({"strategy": "round_robin", "targets": ["anna"], "template": "t", "offer_timeout_secs": 300});
    for (route, more) in [(only("anna"), ladder), (timed, json!({}))] {
        let mut world = world(json!({"anna": office()}), route, more);
        // Two minutes before six.
        world.now = from_millis(FRIDAY - 62 * 60_000);
        let lead = world.lead();
        assert_eq!(world.offered(lead), ["anna"]);
        world.advance(48 * HOUR);
        assert_eq!(world.status(lead), "open");
        world.accept(lead, "anna");
        assert_eq!(world.status(lead), "accepted");
    }
}

#[test]
fn whoever_works_is_not_waited_for_longer_than_before() {
    let ladder = json!({"escalation": [{"after_secs": 300, "action": "remind", "template": "t"}]});
    let mut world = world(json!({"anna": office()}), only("anna"), ladder);
    world.now = from_millis(super::world::NOON);
    let lead = world.lead();
    world.advance(599);
    assert_eq!(world.status(lead), "open");
    world.advance(1);
    assert_eq!(world.status(lead), "unanswered");
}

fn shifts() -> impl Strategy<Value = Value> {
    let days = prop::sample::select(vec!["mon-fri", "sat,sun", "mon-sun", "wed", "tue-sat"]);
    prop_oneof![
        1 => Just(json!({})),
        4 => (days, 0_u16..22, 1_u16..12).prop_map(|(days, from, long)| {
            let (from, to) = (format!("{from:02}:00"), format!("{:02}:00", (from + long).min(24)));
            json!({"hours": {"weekly": [{"days": days, "from": from, "to": to}]}})
        }),
    ]
}

fn rung() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["offer", "remind", "reassign"]);
    (60_u64..90_000, action, 0_usize..3).prop_map(|(after, action, target)| {
        let targets = if action == "offer" { json!([format!("m{target}")]) } else { json!([]) };
        json!({"after_secs": after, "action": action, "targets": targets, "template": "t"})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// A lead is not given up before somebody who was told of it, and can take it, has worked since.
    #[test]
    fn nobody_is_given_up_before_somebody_could_answer(
        team in prop::collection::vec(shifts(), 3),
        strategy in prop::sample::select(vec!["broadcast", "round_robin", "waterfall", "weighted"]),
        off_hours in prop::sample::select(vec!["queue", "ignore"]),
        ladder in prop::collection::vec(rung(), 0..3),
        queue in prop::option::of(60_u64..200_000),
        offer in prop::option::of(60_u64..20_000),
        hour in 0_u64..168,
        declines in prop::bool::ANY,
    ) {
        let members = if off_hours == "queue" { vec!["m0", "m1"] } else { vec!["m0", "m1", "m2"] };
        let mut route = json!({"strategy": strategy, "targets": members, "template": "t", "off_hours": off_hours});
        if let Some(seconds) = queue {
            route["queue_secs"] = json!(seconds);
        }
        if let Some(seconds) = offer {
            route["offer_timeout_secs"] = json!(seconds);
        }
        let targets = json!({"m0": team[0], "m1": team[1], "m2": team[2]});
        let mut world = world(targets, route, json!({"escalation": ladder}));
        world.now = plus_seconds(world.now, hour * HOUR);
        let lead = world.lead();
        let mut told: Vec<Timestamp> = vec![world.now; world.offered(lead).len()];
        for step in 0..21 * 24 * 6 {
            if world.status(lead) == "unanswered" {
                break;
            }
            if declines && step == 3 && let Some(first) = world.offered(lead).first().map(ToString::to_string) {
                world.decline(lead, &first);
            }
            world.advance(600);
            told.resize(world.offered(lead).len(), world.now);
        }
        if world.status(lead) == "unanswered" {
            let answerable = |(offer, at): (&Offer, &Timestamp)| {
                let crew = Crew::of(&world.policy, [offer.target.as_str()]);
                let early = from_millis(at.timestamp_millis() - 600_000);
                offer.declined || crew.works_from(early).is_some_and(|works| works <= world.now)
            };
            let state = world.state(lead);
            prop_assert!(state.offers.iter().zip(&told).any(answerable), "{:?}", state);
        }
    }
}
