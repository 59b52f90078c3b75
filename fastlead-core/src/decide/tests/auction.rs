use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::world::World;
use crate::money::{Currency, Money};

fn market() -> World {
    let buyer = json!({"caps": [{"per": "day", "money": 100_000}], "price": {"minor": 1, "currency": "RUB"}});
    let route = json!({"strategy": "ping_post", "targets": ["a", "b", "c"], "template": "t",
        "floor": {"minor": 10_000, "currency": "RUB"}, "ping_timeout_secs": 5, "offer_timeout_secs": 60,
        "ping_fields": ["fields.city"]});
    let ladder = json!({"escalation": [{"after_secs": 600, "targets": ["house"], "template": "t"}]});
    World::new(json!({"a": buyer, "b": buyer, "c": {}, "house": {}}), route, ladder)
}

fn rub(minor: i64) -> Option<Money> {
    Some(Money::new(minor, Currency::RUB))
}

fn bid(world: &mut World, lead: usize, target: &str, bid: Option<Money>) {
    world.event(lead, Event::Answered { target: target.into(), bid });
}

#[test]
fn the_highest_bid_has_the_lead_when_all_have_answered() {
    let mut world = market();
    let lead = world.lead();
    let pings = world.last.as_ref().unwrap().effects.iter().filter_map(|effect| match effect {
        Effect::Deliver(deliver) => {
            Some((deliver.spec.purpose.clone(), deliver.spec.retry.delays_secs.len()))
        }
        _ => None,
    });
    let pings: Vec<_> = pings.collect();
    assert_eq!(pings.len(), 3);
    assert!(pings.iter().all(|(purpose, retries)| purpose.as_str() == "ping" && *retries == 0));
    assert_eq!(world.status(lead), "auction");
    bid(&mut world, lead, "a", rub(20_000));
    bid(&mut world, lead, "c", rub(30_000));
    assert_eq!((world.status(lead), world.offered(lead)), ("auction", vec![]));
    bid(&mut world, lead, "b", rub(25_000));
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["c"]));
    // Whoever won and does not want it any more makes room for the next.
    world.decline(lead, "c");
    assert_eq!(world.offered(lead), ["c", "b"]);
    assert_eq!(world.counter("money:b:day:2026-11-25@Europe/Moscow"), 25_000);
    world.advance(60);
    assert_eq!(world.offered(lead), ["c", "b", "a"]);
    assert_eq!(
        (
            world.counter("money:b:day:2026-11-25@Europe/Moscow"),
            world.counter("money:a:day:2026-11-25@Europe/Moscow")
        ),
        (0, 20_000)
    );
    world.accept(lead, "a");
    assert_eq!(world.state(lead).sales[0].price, rub(20_000));
}

#[test]
fn a_late_bid_never_wins() {
    let mut world = market();
    let lead = world.lead();
    bid(&mut world, lead, "a", rub(20_000));
    world.now = plus_seconds(world.now, 5);
    // At the very moment at which bids end, and before its timer has fired.
    bid(&mut world, lead, "b", rub(90_000));
    assert_eq!(world.reasons("b"), [Reason::TooLate]);
    world.advance(0);
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["a"]));
    bid(&mut world, lead, "c", rub(99_000));
    assert_eq!((world.offered(lead), world.reasons("c")), (vec!["a"], vec![Reason::TooLate]));
}

#[test]
fn a_second_bid_of_another_currency_or_too_low_does_not_count() {
    let mut world = market();
    let lead = world.lead();
    bid(&mut world, lead, "a", rub(11_000));
    bid(&mut world, lead, "a", rub(50_000));
    assert_eq!(world.reasons("a"), [Reason::OfferClosed]);
    bid(&mut world, lead, "b", Some(Money::new(90_000, "USD".parse().unwrap())));
    bid(&mut world, lead, "c", rub(9_999));
    assert_eq!(world.offered(lead), ["a"]);
    assert!(world.reasons("b").contains(&Reason::NoBid) && world.reasons("c").contains(&Reason::BelowFloor));
}

#[test]
fn a_budget_holds_at_the_price_that_was_bid() {
    let mut world = market();
    let first = world.lead();
    bid(&mut world, first, "a", rub(60_000));
    bid(&mut world, first, "b", rub(10_000));
    bid(&mut world, first, "c", None);
    assert_eq!(world.offered(first), ["a"]);
    let second = world.lead();
    bid(&mut world, second, "a", rub(50_000));
    bid(&mut world, second, "b", rub(10_000));
    bid(&mut world, second, "c", None);
    assert_eq!(world.offered(second), ["b"]);
    assert!(world.reasons("a").contains(&Reason::BudgetFull));
}

#[test]
fn where_nobody_bids_the_ladder_follows() {
    let mut world = market();
    let lead = world.lead();
    world.advance(5);
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["house"]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In whatever order and at whatever moment bids come: the highest of those in time has the lead.
    #[test]
    fn the_highest_bid_in_time_wins(
        bids in prop::collection::vec((0_usize..6, 1_i64..50_000, 0_i64..8_000), 0..12),
    ) {
        let names: Vec<String> = (0..6).map(|index| format!("b{index}")).collect();
        let targets: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), json!({}))).collect();
        let route = json!({"strategy": "ping_post", "targets": names, "template": "t", "ping_timeout_secs": 5});
        let mut world = World::new(targets.into(), route, json!({}));
        let start = world.now;
        let lead = world.lead();
        let mut bids = bids;
        bids.sort_by_key(|(_, _, millis)| *millis);
        let mut counted: Vec<Option<i64>> = vec![None; 6];
        let mut open = true;
        for (who, minor, millis) in bids {
            let at = start + chrono::TimeDelta::milliseconds(millis);
            if open && at >= plus_seconds(start, 5) {
                world.advance(5);
                open = false;
            }
            world.now = world.now.max(at);
            if open && counted[who].is_none() {
                counted[who] = Some(minor);
            }
            bid(&mut world, lead, &names[who], rub(minor));
            if counted.iter().all(Option::is_some) {
                open = false;
            }
        }
        if open {
            world.advance(5);
        }
        let highest = counted.iter().flatten().max();
        let winners: Vec<&String> =
            names.iter().zip(&counted).filter(|(_, bid)| bid.as_ref() == highest).map(|(name, _)| name).collect();
        match (highest, world.offered(lead).first()) {
            (Some(_), Some(winner)) => prop_assert!(winners.iter().any(|name| name == winner)),
            (None, None) => {}
            (highest, winner) => prop_assert!(false, "{highest:?} and {winner:?}"),
        }
    }
}
