//! Who can be offered a lead now, and who can not and why.

use super::Decider;
use super::facts::{CapLevel, TargetFacts};
use super::hold::YEAR_SECS;
use super::trace::{Reason, Verdict, Wait};
use crate::policy::{Cap, OffHours, RouteRule, Strategy, Target};
use crate::schedule::Zone;
use crate::time::{Timestamp, plus_seconds};

/// A target of a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its place in the rule.
    pub index: usize,
    /// Its name.
    pub name: &'a str,
    /// What the policy says of it.
    pub target: &'a Target,
    /// What is known of it.
    pub facts: &'a TargetFacts,
    /// Why it cannot be chosen now, if it can not.
    pub out: Option<Reason>,
}

impl<'a> Decider<'a> {
    /// Looks at every target of a rule. Those that are not in the policy are left out of the answer.
    pub(super) fn candidates(&mut self, number: usize, rule: &'a RouteRule) -> Vec<Candidate<'a>> {
        let mut hint = 0;
        let mut candidates = Vec::with_capacity(rule.targets.len());
        let (policy, snapshot) = (self.policy, self.snapshot);
        for (index, name) in rule.targets.iter().enumerate() {
            let Some(target) = policy.targets.get(name) else {
                let path = format!("{}.targets[{index}]", self.rule_path(number));
                self.trace.note(path, Some(name), Verdict::Skipped, Reason::TargetMissing);
                continue;
            };
            let facts = snapshot.facts.target(name, &mut hint);
            let out = self.left_out(rule, name, target, facts);
            candidates.push(Candidate { index, name, target, facts, out });
        }
        candidates
    }

    fn left_out(&self, rule: &RouteRule, name: &str, target: &Target, facts: &TargetFacts) -> Option<Reason> {
        for offer in &self.state.offers {
            if offer.target == name {
                return Some(if offer.declined { Reason::DeclinedBefore } else { Reason::OfferedBefore });
            }
        }
        if rule.needs_skills.iter().any(|skill| !target.skills.contains(skill)) {
            return Some(Reason::SkillMissing);
        }
        if rule.strategy == Strategy::Weighted && target.weight == Some(0) {
            return Some(Reason::NoWeight);
        }
        if rule.strategy == Strategy::PingPost
            && !target.destinations.iter().any(|destination| self.answers(&destination.channel))
        {
            return Some(Reason::CannotAnswer);
        }
        if target.dedupe_secs.is_some() && facts.sold > 0 {
            return Some(Reason::BoughtBefore);
        }
        if rule.off_hours != OffHours::Ignore
            && let Some(reason) = self.absence(target)
        {
            return Some(reason);
        }
        self.full(name, target, facts)
    }

    pub(super) fn zone(&self, target: &Target) -> Zone {
        target.timezone.unwrap_or(self.policy.timezone)
    }

    /// Why the target does not work now, if it does not.
    fn absence(&self, target: &Target) -> Option<Reason> {
        if target.away.is_empty() && target.hours.is_none() {
            return None;
        }
        let zone = self.zone(target);
        if !target.away.is_empty() {
            let today = zone.day(self.now);
            if target.away.iter().any(|away| away.from <= today && today <= away.to) {
                return Some(Reason::Away);
            }
        }
        let closed = target.hours.as_ref().is_some_and(|hours| !hours.is_open(self.now, zone));
        closed.then_some(Reason::OffHours)
    }

    /// When the target works again; `None` where that cannot be foreseen.
    pub(super) fn works_at(&self, target: &Target) -> Option<Timestamp> {
        let zone = self.zone(target);
        let mut at = self.now;
        // Each round leaves one stretch of absence behind.
        for _ in 0..=target.away.len() {
            at = match &target.hours {
                Some(hours) => hours.next_open(at, zone)?,
                None => at,
            };
            let day = zone.day(at);
            match target.away.iter().find(|away| away.from <= day && day <= away.to) {
                Some(away) => at = zone.day_start(away.to.succ_opt()?),
                None => return Some(at),
            }
        }
        None
    }

    /// Why the target has no room for this lead, if it has none.
    pub(super) fn full(&self, name: &str, target: &Target, facts: &TargetFacts) -> Option<Reason> {
        let price = self.price_of(name, target).map_or(0, |price| price.minor);
        if target.capacity.is_some_and(|capacity| facts.open >= i64::from(capacity)) {
            return Some(Reason::CapacityFull);
        }
        self.over_caps(target, facts, price)
    }

    fn over_caps(&self, target: &Target, facts: &TargetFacts, price: i64) -> Option<Reason> {
        self.over(&target.caps, &facts.caps, price).map(|(_, reason)| reason)
    }

    /// The first cap that this lead would lead beyond, with its place.
    fn over(&self, caps: &[Cap], levels: &[CapLevel], price: i64) -> Option<(usize, Reason)> {
        caps.iter().enumerate().find_map(|(index, cap)| {
            over(cap, levels, index, price)
                .filter(|_| cap.concerns(self.subject.source.key))
                .map(|reason| (index, reason))
        })
    }

    /// Why the whole project has no room, if it has none, and until when.
    pub(super) fn project_full(&mut self) -> Option<(Reason, Option<Timestamp>)> {
        if self.policy.caps.is_empty() || self.counted_by_project() {
            return None;
        }
        let (_, reason) = self.over(&self.policy.caps, &self.snapshot.facts.caps, 0)?;
        let levels = &self.snapshot.facts.caps;
        Some((reason, self.caps_free_at(&self.policy.caps, levels, 0, self.policy.timezone)))
    }

    /// When none of the caps is full any more by the passing of time; `None` where a full one never ends.
    fn caps_free_at(
        &mut self,
        caps: &[Cap],
        levels: &[CapLevel],
        price: i64,
        zone: Zone,
    ) -> Option<Timestamp> {
        let mut at = self.now;
        for (index, cap) in caps.iter().enumerate() {
            if cap.concerns(self.subject.source.key) && over(cap, levels, index, price).is_some() {
                at = at.max(self.periods.of(cap.per, zone).end);
            }
        }
        (at < Timestamp::MAX_UTC).then_some(at)
    }

    /// When a candidate that was left out may be chosen by the passing of time alone; `None` where it
    /// takes an event.
    pub(super) fn free_at(&mut self, candidate: &Candidate<'_>) -> Option<Timestamp> {
        let reason = candidate.out?;
        match reason.wait()? {
            Wait::Hours => self.works_at(candidate.target),
            Wait::Room if reason == Reason::CapacityFull => None,
            Wait::Room => {
                let price = self.price_of(candidate.name, candidate.target).map_or(0, |price| price.minor);
                let zone = self.zone(candidate.target);
                self.caps_free_at(&candidate.target.caps, &candidate.facts.caps, price, zone)
            }
        }
    }

    /// Whether a target that had the person's last lead can be chosen for that, and else why not.
    pub(super) fn owner_fits(
        &self,
        rule: &RouteRule,
        candidate: &Candidate<'_>,
        owned_at: Timestamp,
    ) -> Result<(), Reason> {
        let Some(sticky) = rule.sticky else { return Err(Reason::OthersFirst) };
        if plus_seconds(owned_at, sticky.within_secs.unwrap_or(YEAR_SECS)) < self.now {
            return Err(Reason::OwnerTooLong);
        }
        match candidate.out {
            None => Ok(()),
            Some(Reason::Away | Reason::OffHours) => {
                if let Some(full) = self.full(candidate.name, candidate.target, candidate.facts) {
                    return Err(full);
                }
                let Some(limit) = sticky.unless_away_secs else { return Ok(()) };
                match self.works_at(candidate.target) {
                    Some(at) if at <= plus_seconds(self.now, limit) => Ok(()),
                    _ => Err(Reason::OwnerTooLong),
                }
            }
            Some(reason) => Err(reason),
        }
    }
}

/// Whether one lead more at this price is beyond the cap.
fn over(cap: &Cap, levels: &[CapLevel], index: usize, price: i64) -> Option<Reason> {
    let level = levels.get(index).copied().unwrap_or_default();
    if cap.limit.is_some_and(|limit| level.leads >= i64::from(limit)) {
        return Some(Reason::CapFull);
    }
    let money_over = |most: i64| level.money.saturating_add(price) > most;
    cap.money.is_some_and(money_over).then_some(Reason::BudgetFull)
}
