//! What a policy has brought about, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Step;
use crate::decide::{Effect, Event, LeadStatus};
use crate::money::Money;
use crate::schedule::{WorkingHours, Zone};
use crate::time::Timestamp;

/// What a policy has brought about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Captures that came in.
    pub captures: u64,
    /// Leads that were handed out or kept for that.
    pub leads: u64,
    /// Captures that repeated a lead.
    pub duplicates: u64,
    /// Leads that were refused, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Leads that were kept for a person to look at.
    pub reviewed: u64,
    /// Leads that had to wait in the queue.
    pub queued: u64,
    /// Leads that somebody accepted.
    pub accepted: u64,
    /// Leads that were given up.
    pub unanswered: u64,
    /// What was paid for leads, in minor units, by currency.
    pub revenue: BTreeMap<String, i64>,
    /// How long leads waited for their first offer.
    pub first_offer: FirstOffer,
    /// By target.
    pub targets: BTreeMap<String, TargetTally>,
    /// By key of the source.
    pub sources: BTreeMap<String, SourceTally>,
}

/// What a target has had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TargetTally {
    /// Offers, those of the ladder included.
    pub offers: u64,
    /// Leads that it accepted or was given.
    pub accepted: u64,
    /// What it paid, in minor units, by currency.
    pub revenue: BTreeMap<String, i64>,
}

/// What a source has brought.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SourceTally {
    /// Captures.
    pub captures: u64,
    /// Leads that were refused.
    pub rejected: u64,
    /// Leads that somebody accepted.
    pub accepted: u64,
    /// What was paid for them, in minor units, by currency.
    pub revenue: BTreeMap<String, i64>,
}

/// How long leads waited for their first offer, in seconds of open time: exact to a second below two minutes,
/// to a minute below two hours, to ten minutes beyond.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FirstOffer {
    /// Leads by seconds.
    #[serde(skip)]
    counts: BTreeMap<u64, u64>,
    /// How many leads had one.
    pub leads: u64,
    /// Half of them waited no longer.
    pub p50_secs: u64,
    /// Nine of ten.
    pub p90_secs: u64,
    /// 99 of 100.
    pub p99_secs: u64,
    /// Of 1,000 leads with an offer so many had it within five minutes.
    pub within_five_minutes_permille: u64,
}

impl FirstOffer {
    fn add(&mut self, seconds: u64) {
        let coarse = match seconds {
            ..120 => seconds,
            120..7_200 => seconds / 60 * 60,
            _ => seconds / 600 * 600,
        };
        *self.counts.entry(coarse).or_default() += 1;
        self.leads += 1;
    }

    /// Works the percentiles out.
    pub(super) fn finish(&mut self) {
        let at = |permille: u64| {
            let wanted = (self.leads * permille).div_ceil(1_000).max(1);
            let mut seen = 0;
            let found = self.counts.iter().find(|(_, count)| {
                seen += **count;
                seen >= wanted
            });
            found.map_or(0, |(seconds, _)| *seconds)
        };
        let soon: u64 = self.counts.range(..=300).map(|(_, count)| *count).sum();
        (self.p50_secs, self.p90_secs, self.p99_secs) = (at(500), at(900), at(990));
        self.within_five_minutes_permille = (soon * 1_000).checked_div(self.leads).unwrap_or(0);
    }
}

/// The hours in which waiting counts. The same for both policies of a comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Ruler {
    pub hours: Option<WorkingHours>,
    pub zone: Zone,
}

impl Ruler {
    fn seconds(&self, from: Timestamp, to: Timestamp) -> u64 {
        let open = self.hours.as_ref().and_then(|hours| hours.open_seconds_between(from, to, self.zone));
        open.unwrap_or_else(|| u64::try_from((to - from).num_seconds()).unwrap_or(0))
    }
}

impl Tally {
    /// Counts what a decision brings about.
    pub(super) fn count(&mut self, step: &Step<'_>, ruler: &Ruler) {
        let source = &step.origin.key;
        if matches!(step.event, Event::Captured(_)) {
            self.captures += 1;
            entry(&mut self.sources, source).captures += 1;
        }
        let mut first = step.before.offers.is_empty();
        let mut sold = !step.before.sales.is_empty();
        for effect in &step.decision.effects {
            match effect {
                Effect::Duplicate { .. } => self.duplicates += 1,
                Effect::Accept => self.leads += 1,
                Effect::Review => self.reviewed += 1,
                Effect::Reject { code } => {
                    *entry(&mut self.rejected, code) += 1;
                    entry(&mut self.sources, source).rejected += 1;
                }
                Effect::Queue { .. } if step.before.status != LeadStatus::Queued => self.queued += 1,
                Effect::GiveUp => self.unanswered += 1,
                Effect::Offer { target, .. } => {
                    entry(&mut self.targets, target).offers += 1;
                    if std::mem::take(&mut first) {
                        self.first_offer.add(ruler.seconds(step.captured_at, step.at));
                    }
                }
                Effect::Assign { target, price, .. } => {
                    let of_target = entry(&mut self.targets, target);
                    of_target.accepted += 1;
                    let of_source = entry(&mut self.sources, source);
                    if !std::mem::replace(&mut sold, true) {
                        self.accepted += 1;
                        of_source.accepted += 1;
                    }
                    if let Some(price) = price {
                        for revenue in [&mut self.revenue, &mut of_target.revenue, &mut of_source.revenue] {
                            pay(revenue, *price);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Every number under a dotted name, such as `targets.anna.offers`, in the order of names.
    pub fn numbers(&self) -> BTreeMap<String, i64> {
        let mut numbers = BTreeMap::new();
        let mut add = |name: String, number: u64| {
            numbers.insert(name, i64::try_from(number).unwrap_or(i64::MAX));
        };
        for (name, number) in [
            ("captures", self.captures),
            ("leads", self.leads),
            ("duplicates", self.duplicates),
            ("reviewed", self.reviewed),
            ("queued", self.queued),
            ("accepted", self.accepted),
            ("unanswered", self.unanswered),
            ("first_offer.leads", self.first_offer.leads),
            ("first_offer.p50_secs", self.first_offer.p50_secs),
            ("first_offer.p90_secs", self.first_offer.p90_secs),
            ("first_offer.p99_secs", self.first_offer.p99_secs),
            ("first_offer.within_five_minutes_permille", self.first_offer.within_five_minutes_permille),
        ] {
            add(name.to_owned(), number);
        }
        for (code, count) in &self.rejected {
            add(format!("rejected.{code}"), *count);
        }
        for (name, target) in &self.targets {
            add(format!("targets.{name}.offers"), target.offers);
            add(format!("targets.{name}.accepted"), target.accepted);
        }
        for (key, source) in &self.sources {
            add(format!("sources.{key}.captures"), source.captures);
            add(format!("sources.{key}.rejected"), source.rejected);
            add(format!("sources.{key}.accepted"), source.accepted);
        }
        let mut money = |path: String, revenue: &BTreeMap<String, i64>| {
            for (currency, minor) in revenue {
                numbers.insert(format!("{path}revenue.{currency}"), *minor);
            }
        };
        money(String::new(), &self.revenue);
        for (name, target) in &self.targets {
            money(format!("targets.{name}."), &target.revenue);
        }
        for (key, source) in &self.sources {
            money(format!("sources.{key}."), &source.revenue);
        }
        numbers
    }
}

fn pay(revenue: &mut BTreeMap<String, i64>, price: Money) {
    let total = entry(revenue, price.currency.as_str());
    *total = total.saturating_add(price.minor);
}

fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    map.entry(name.to_owned()).or_default()
}
