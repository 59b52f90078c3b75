//! Caps and capacity, counted from the offers and sales themselves instead of from counters.

use std::collections::BTreeMap;

use chrono::Datelike;
use fastlead_core::decide::{Effect, LeadState, LeadStatus};
use fastlead_core::policy::{Cap, Policy};
use fastlead_core::schedule::{Period, Weekday};
use fastlead_core::time::Timestamp;

use super::Lead;

/// How many leads, and for how much money, each target has or is offered, in each of its periods.
#[derive(Debug, Default)]
pub(super) struct Takes(BTreeMap<(String, String), Level>);

#[derive(Debug, Clone, Copy, Default)]
struct Level {
    leads: i64,
    money: i64,
}

/// One lead in one period of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Take {
    /// The target, and what is counted.
    pub(super) place: (String, String),
    price: i64,
    leads_limit: Option<i64>,
    money_limit: Option<i64>,
}

/// Since when a target has the lead or is offered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Since {
    at: Timestamp,
    /// It was given without being asked, which caps do not stop.
    forced: bool,
    /// What it pays, in minor units.
    price: i64,
}

/// Who has the lead or may accept it, after `effects` of a decision at `at`.
pub(super) fn taken(
    before: &BTreeMap<String, Since>,
    after: &LeadState,
    effects: &[Effect],
    at: Timestamp,
    price: impl Fn(&str, bool) -> i64,
) -> BTreeMap<String, Since> {
    let forced = |name: &str| {
        let assigned =
            effects.iter().any(|effect| matches!(effect, Effect::Assign { target, .. } if target == name));
        let unasked =
            |effect: &Effect| matches!(effect, Effect::Offer { target, rule: None, .. } if target == name);
        assigned && effects.iter().any(unasked)
    };
    let anew = |name: &str| {
        let takes = |effect: &Effect| matches!(effect, Effect::Offer { target, holds, .. } if target == name && !holds.is_empty());
        effects.iter().any(takes)
    };
    let waiting = after.offers.iter().filter(|offer| offer.waits()).map(|offer| offer.target.as_str());
    let mut taken = BTreeMap::new();
    let offered = |name: &str| {
        effects.iter().any(|effect| matches!(effect, Effect::Offer { target, .. } if target == name))
    };
    // What an offer held was given back when it was lost. One that is tried again takes it anew when it is accepted.
    let waiting = waiting.filter(|name| before.contains_key(*name) || offered(name));
    for name in waiting.chain(after.owners()) {
        let since = match before.get(name) {
            Some(since) if !anew(name) => *since,
            _ => {
                let forced = forced(name);
                Since { at, forced, price: price(name, forced) }
            }
        };
        taken.insert(name.to_owned(), since);
    }
    taken
}

impl Lead {
    /// What the lead takes by `policy`.
    pub(super) fn takes(&self, policy: &Policy, source: &str) -> Vec<Take> {
        takes(&self.taken, self.state.status == LeadStatus::Closed, policy, source)
    }
}

fn takes(taken: &BTreeMap<String, Since>, closed: bool, policy: &Policy, source: &str) -> Vec<Take> {
    let mut takes = Vec::new();
    for (name, since) in taken.iter().filter(|(_, since)| !since.forced) {
        let Some(target) = policy.targets.get(name) else { continue };
        let mut take = |what: String, price, leads_limit: Option<u32>, money_limit| {
            let place = (name.clone(), what);
            takes.push(Take { place, price, leads_limit: leads_limit.map(i64::from), money_limit });
        };
        if target.capacity.is_some() && !closed {
            take("open".to_owned(), 0, target.capacity, None);
        }
        let zone = target.timezone.unwrap_or(policy.timezone);
        let day = Weekday::from(zone.local(since.at).weekday());
        let today = |cap: &&Cap| cap.days.is_none_or(|days| days.contains(day));
        for cap in target.caps.iter().filter(|cap| cap.concerns(source)).filter(today) {
            let period = Period::of(cap.per, since.at, zone).key;
            let what = format!("{} {:?} {period}", cap.per.as_str(), cap.source);
            // Leads and money are counted by themselves: a cap counts from the version on that has it.
            if cap.limit.is_some() {
                take(format!("{what}, leads"), 0, cap.limit, None);
            }
            if cap.money.is_some() {
                take(format!("{what}, money"), since.price, None, cap.money);
            }
        }
    }
    takes
}

impl Takes {
    /// Counts `after` instead of `before`.
    ///
    /// # Errors
    /// The place that is too full, and what is wrong.
    pub(super) fn change(
        &mut self,
        before: &[Take],
        after: &[Take],
    ) -> Result<(), ((String, String), String)> {
        for take in before {
            let level = self.0.entry(take.place.clone()).or_default();
            level.leads -= 1;
            level.money -= take.price;
        }
        for take in after {
            let level = self.0.entry(take.place.clone()).or_default();
            level.leads += 1;
            level.money += take.price;
        }
        for take in after.iter().filter(|take| !before.contains(take)) {
            let level = self.0.get(&take.place).copied().unwrap_or_default();
            let (target, what) = &take.place;
            if let Some(limit) = take.leads_limit.filter(|limit| level.leads > *limit) {
                let told = format!(
                    "{target} has or is offered {} leads ({what}), and its limit is {limit}",
                    level.leads
                );
                return Err((take.place.clone(), told));
            }
            if let Some(limit) = take.money_limit.filter(|limit| take.price > 0 && level.money > *limit) {
                let told = format!(
                    "{target} has or is offered leads for {} ({what}), and its limit is {limit}",
                    level.money
                );
                return Err((take.place.clone(), told));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::schedule::Zone;
    use fastlead_core::time::plus_seconds;
    use serde_json::json;

    use super::*;

    /// Counts leads that a target is offered, of which so many come at each moment, in hours after Friday's midnight
    /// in Berlin.
    fn count(caps: &serde_json::Value, offers: &[(u64, usize)]) -> Result<(), String> {
        let policy: Policy = serde_json::from_value(json!({
            "timezone": "Europe/Moscow",
            "targets": {"a": {"display_name": "a", "destinations": [], "timezone": "Europe/Berlin", "caps": caps,
                "price": {"minor": 100, "currency": "RUB"}}},
            "route": {"strategy": "waterfall", "targets": ["a"], "template": "t"},
            "templates": {"t": {"ru": {"plain": "x"}}},
        }))
        .unwrap();
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let friday = zone.day_start("2026-10-23".parse().unwrap());
        let mut counted = Takes::default();
        for (hours, leads) in offers {
            let at = plus_seconds(friday, hours * 3_600);
            for _ in 0..*leads {
                let since = Since { at, forced: false, price: 100 };
                let taken = BTreeMap::from([("a".to_owned(), since)]);
                counted.change(&[], &takes(&taken, false, &policy, "site")).map_err(|(_, told)| told)?;
            }
        }
        Ok(())
    }

    #[test]
    fn a_lead_too_many_is_seen_on_the_days_of_its_cap() {
        let caps = json!([
            {"per": "day", "limit": 2, "money": 200, "days": "sat"},
            {"per": "hour", "limit": 1, "days": "sun"},
            {"per": "day", "limit": 0, "days": "mon"},
        ]);
        // Sunday has 25 hours, so Monday begins after 73.
        let good = [(23, 9), (24, 1), (47, 1), (48, 1), (50, 1), (51, 1), (72, 1), (97, 9)];
        count(&caps, &good).unwrap();
        for (hours, told) in [(24, "limit is 2"), (51, "limit is 1"), (73, "limit is 0"), (96, "limit is 0")]
        {
            let found = count(&caps, &[&good[..], &[(hours, 1)]].concat()).unwrap_err();
            assert!(found.contains(told), "{hours}: {found}");
        }
        let budget = json!([{"per": "day", "money": 200, "days": "sat"}]);
        assert!(count(&budget, &[(30, 3)]).unwrap_err().contains("leads for 300"));
        count(&budget, &[(20, 3), (50, 3)]).unwrap();
    }
}
