//! Caps in all their forms, and on some days of the week only.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::world::{NOON, World};
use crate::schedule::Zone;
use crate::time::from_millis;

const DAY: u64 = 86_400;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// One target `a` with these caps; what it cannot take is refused.
fn refusing(target: serde_json::Value, more: serde_json::Value) -> World {
    let route =
        json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "overflow": {"reject": "full"}});
    World::new(json!({"a": target}), route, more)
}

/// Whether a new lead is offered.
fn passes(world: &mut World) -> bool {
    let lead = world.lead();
    !world.offered(lead).is_empty()
}

/// When a lead that waits is looked at again.
fn due(world: &World, lead: usize) -> Timestamp {
    let mut timers = world.state(lead).timers.iter();
    timers.find(|(name, _)| *name == TimerName::Queue).unwrap().1
}

/// The cap that the last decision calls full.
fn full_cap(world: &World) -> Option<serde_json::Value> {
    let mut steps = world.last.as_ref().unwrap().trace.steps.iter();
    let cap = steps.find_map(|step| step.cap.as_ref().filter(|_| step.reason.is_some()))?;
    Some(serde_json::to_value(cap).unwrap())
}

/// Every period, in leads and in money, of a target and of the project, of all sources, this one and another, and on
/// all days and on some: room for two where the cap holds, and again in the next period.
#[test]
fn caps_hold_in_every_form() {
    let next: [(&str, u64); 5] =
        [("hour", 3_600), ("day", DAY), ("week", 7 * DAY), ("month", 31 * DAY), ("total", 40 * DAY)];
    let mut held = 0;
    for ((per, next), days, source, money, project) in all_forms(&next) {
        let mut cap = json!({"per": per});
        if money {
            cap["money"] = json!(250);
        } else {
            cap["limit"] = json!(2);
        }
        if let Some(days) = days {
            cap["days"] = json!(days);
        }
        if let Some(source) = source {
            cap["source"] = json!(source);
        }
        // Wednesday and Saturday, at noon.
        for start in [NOON, NOON + 3 * 86_400_000] {
            let told = format!("{cap} project {project} at {start}");
            let price = json!({"minor": 100, "currency": "RUB"});
            let mut world = if project {
                refusing(json!({"price": price}), json!({"caps": [cap]}))
            } else {
                refusing(json!({"price": price, "caps": [cap]}), json!({}))
            };
            world.now = from_millis(start);
            let holds = |world: &World| {
                let saturday = zone("Europe/Moscow").day(world.now).weekday() == chrono::Weekday::Sat;
                let today = match days {
                    Some("sat") => saturday,
                    Some(_) => {
                        !saturday && zone("Europe/Moscow").day(world.now).weekday() != chrono::Weekday::Sun
                    }
                    None => true,
                };
                today && source != Some("partner")
            };
            let is_full = holds(&world);
            held += u32::from(is_full);
            let taken: Vec<bool> = (0..3).map(|_| passes(&mut world)).collect();
            assert_eq!(taken, [true, true, !is_full], "{told}");
            let mut expected = json!({"per": per});
            for field in ["days", "source"] {
                if let Some(value) = cap.get(field) {
                    expected[field] = value.clone();
                }
            }
            assert_eq!(full_cap(&world), is_full.then_some(expected), "{told}");
            world.now = plus_seconds(world.now, next);
            assert_eq!(passes(&mut world), !is_full || per != "total", "{told}, next period");
        }
    }
    assert!(held > 40, "{held}");
}

/// All combinations that a policy may have.
#[allow(clippy::type_complexity, reason = "one list of everything, read in one place")]
fn all_forms<'a>(
    periods: &'a [(&'a str, u64)],
) -> Vec<((&'a str, u64), Option<&'a str>, Option<&'a str>, bool, bool)> {
    let mut all = Vec::new();
    for period in periods {
        for days in [None, Some("mon-fri"), Some("sat")] {
            for source in [None, Some("site"), Some("partner")] {
                for (money, project) in [(false, false), (true, false), (false, true)] {
                    if days.is_none() || matches!(period.0, "hour" | "day") {
                        all.push((*period, days, source, money, project));
                    }
                }
            }
        }
    }
    all
}

/// Twenty on working days, five on Saturday, none on Sunday, and as many as come on a day that no cap names.
#[test]
fn each_day_has_its_own_limit() {
    let caps = json!([
        {"per": "day", "limit": 20, "days": "mon-thu"},
        {"per": "day", "limit": 5, "days": "sat"},
        {"per": "day", "limit": 0, "days": "sun"},
    ]);
    let mut world = refusing(json!({"caps": caps}), json!({}));
    let taken: Vec<usize> = (0..8)
        .map(|_| {
            let taken = (0..25).filter(|_| passes(&mut world)).count();
            world.now = plus_seconds(world.now, DAY);
            taken
        })
        .collect();
    // From Wednesday on.
    assert_eq!(taken, [20, 20, 25, 5, 0, 20, 20, 20]);
    assert_eq!(world.counter("cap:a:day:2026-11-28@Europe/Moscow"), 5);
    // Where no cap holds nothing is counted.
    assert_eq!(world.counter("cap:a:day:2026-11-27@Europe/Moscow"), 0);
}

/// The caps of a week whose Saturday has one place and whose Sunday has none.
fn short_week() -> serde_json::Value {
    json!([
        {"per": "day", "limit": 2, "days": "mon-fri"},
        {"per": "day", "limit": 1, "days": "sat"},
        {"per": "day", "limit": 0, "days": "sun"},
    ])
}

/// A lead that waits is looked at on the next day that has room, and not at a midnight that has none.
#[test]
fn who_waits_waits_for_the_next_day_with_room() {
    let caps = short_week();
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "queue_secs": 10 * DAY});
    let midnight = |day: &str| zone("Asia/Yekaterinburg").day_start(date(day));
    for of_project in [false, true] {
        let (target, more) = if of_project {
            (json!({}), json!({"caps": caps, "timezone": "Asia/Yekaterinburg"}))
        } else {
            (json!({"caps": caps, "timezone": "Asia/Yekaterinburg"}), json!({}))
        };
        let mut world = World::new(json!({"a": target}), route.clone(), more);
        let fill = |world: &mut World| loop {
            let lead = world.lead();
            if world.offered(lead).is_empty() {
                return lead;
            }
        };
        // Friday, 27 November: the next day has room.
        world.now = plus_seconds(from_millis(NOON), 2 * DAY);
        let first = fill(&mut world);
        assert_eq!(due(&world, first), midnight("2026-11-28"), "{of_project}");
        // Saturday has room for that one, and Sunday for none.
        world.advance(DAY);
        assert_eq!(world.offered(first), ["a"]);
        let second = fill(&mut world);
        assert_eq!(due(&world, second), midnight("2026-11-30"), "{of_project}");
        assert_eq!(full_cap(&world), Some(json!({"per": "day", "days": "sat"})));
        // Nor by hand on Sunday.
        world.advance(DAY);
        assert_eq!(world.status(second), "queued");
        world.accept(second, "a");
        assert_eq!(world.status(second), "queued");
        assert_eq!(full_cap(&world), Some(json!({"per": "day", "days": "sun"})));
        world.advance(DAY);
        assert_eq!(world.offered(second), ["a"], "{of_project}");
        assert_eq!(world.counter("cap:a:day:2026-11-29@Asia/Yekaterinburg"), 0);
    }
}

#[test]
fn what_never_ends_is_not_waited_for_by_the_clock() {
    let target = json!({"price": {"minor": 500, "currency": "RUB"}, "caps": [{"per": "day", "money": 400}]});
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "queue_secs": 3 * DAY});
    let mut world = World::new(json!({"a": target}), route, json!({}));
    let lead = world.lead();
    // No day has room for this price, so the lead waits as long as it may.
    assert_eq!(due(&world, lead), plus_seconds(world.now, 3 * DAY));
    // Full for the hour, closed on the days that follow, full for the week: the latest of all.
    let caps = json!([
        {"per": "hour", "limit": 1, "days": "wed-sun"},
        {"per": "day", "limit": 0, "days": "thu-sun"},
        {"per": "week", "limit": 1},
        {"per": "hour", "limit": 0, "days": "mon,tue"},
    ]);
    let route = json!({"strategy": "waterfall", "targets": ["a"], "template": "t", "queue_secs": 30 * DAY});
    let mut world = World::new(json!({"a": {"caps": caps}}), route, json!({}));
    world.lead();
    let lead = world.lead();
    let next_wednesday = zone("Europe/Moscow").day_start(date("2026-12-02"));
    assert_eq!(due(&world, lead), next_wednesday);
}

/// Sundays on which clocks are moved: 25 and 23 hours long, and every hour of them is one.
#[test]
fn a_cap_of_a_day_holds_as_long_as_the_day() {
    for (day, hours) in [("2026-10-25", 25), ("2026-03-29", 23)] {
        let caps = json!([
            {"per": "day", "limit": 24, "days": "sun"},
            {"per": "hour", "limit": 1, "days": "sun"},
        ]);
        let mut world = refusing(json!({"timezone": "Europe/Berlin", "caps": caps}), json!({}));
        let midnight = zone("Europe/Berlin").day_start(date(day));
        world.now = midnight - chrono::TimeDelta::seconds(1);
        assert!(passes(&mut world) && passes(&mut world), "Saturday is free");
        let mut taken = 0;
        for half in 0..2 * hours {
            world.now = midnight + chrono::TimeDelta::minutes(30 * half);
            taken += i64::from(passes(&mut world));
        }
        assert_eq!(taken, hours.min(24), "{day}");
        world.now = midnight + chrono::TimeDelta::hours(hours);
        assert!(passes(&mut world) && passes(&mut world), "Monday is free");
        assert_eq!(world.counter(&format!("cap:a:day:{day}@Europe/Berlin")), hours.min(24));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Over a year a lead passes exactly where its local day has room: counted by dates, without counters.
    #[test]
    fn no_day_of_a_year_is_exceeded(
        limits in prop::collection::vec(prop::option::of(0_u32..4), 7),
        name in prop::sample::select(vec!["Europe/Moscow", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
        gaps in prop::collection::vec(0_u64..3 * DAY, 500),
        of_project in any::<bool>(),
    ) {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let caps: Vec<_> = DAYS.iter().zip(&limits)
            .filter_map(|(day, limit)| limit.map(|limit| json!({"per": "day", "limit": limit, "days": day})))
            .collect();
        let mut world = if of_project {
            refusing(json!({}), json!({"caps": caps, "timezone": name}))
        } else {
            refusing(json!({"caps": caps, "timezone": name}), json!({}))
        };
        let zone = zone(name);
        let mut taken: BTreeMap<NaiveDate, u32> = BTreeMap::new();
        for gap in gaps {
            // Half of them come in bursts.
            world.now = plus_seconds(world.now, if gap % 2 == 0 { gap } else { gap % 600 });
            let day = zone.local(world.now).date();
            let limit = limits[day.weekday().num_days_from_monday() as usize];
            let have = taken.entry(day).or_default();
            let room = limit.is_none_or(|limit| *have < limit);
            prop_assert_eq!(passes(&mut world), room, "{} of {:?} on {}", have, limit, day);
            *have += u32::from(room);
        }
        prop_assert!((world.now - from_millis(NOON)).num_days() > 200);
    }
}

/// One counter for a day, whichever cap of the day counts it: a new version goes on where the old one was.
#[test]
fn a_version_with_other_days_goes_on_counting() {
    let mut world = refusing(json!({"caps": [{"per": "day", "limit": 3}]}), json!({}));
    assert!(passes(&mut world) && passes(&mut world));
    let caps = &mut world.policy.targets.get_mut("a").unwrap().caps;
    caps[0].days = Some("mon-fri".parse().unwrap());
    assert!(passes(&mut world) && !passes(&mut world));
    assert_eq!(world.counter("cap:a:day:2026-11-25@Europe/Moscow"), 3);
}
