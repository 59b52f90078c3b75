//! Who can be offered a lead now, and who can not and why.

use super::Decider;
use super::facts::{CapLevel, TargetFacts};
use super::hold::YEAR_SECS;
use super::trace::{Out, Reason, Verdict, Wait};
use crate::policy::{Cap, OffHours, RouteRule, Strategy, Target};
use crate::schedule::{Per, Period, Weekday, Zone};
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
    pub out: Option<Out<'a>>,
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

    fn left_out(
        &self,
        rule: &RouteRule,
        name: &str,
        target: &'a Target,
        facts: &TargetFacts,
    ) -> Option<Out<'a>> {
        let own = self.not_for_this(rule, name, target, facts);
        own.map(Out::from).or_else(|| self.full(name, target, facts))
    }

    /// Why the target cannot be chosen, whether it has room or not.
    fn not_for_this(
        &self,
        rule: &RouteRule,
        name: &str,
        target: &Target,
        facts: &TargetFacts,
    ) -> Option<Reason> {
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
        if rule.off_hours == OffHours::Ignore {
            return None;
        }
        self.absence(target)
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
        target.works_from(self.now, self.zone(target))
    }

    /// Why the target has no room for this lead, if it has none.
    pub(super) fn full(&self, name: &str, target: &'a Target, facts: &TargetFacts) -> Option<Out<'a>> {
        if target.capacity.is_some_and(|capacity| facts.open >= i64::from(capacity)) {
            return Some(Reason::CapacityFull.into());
        }
        if target.caps.is_empty() {
            return None;
        }
        let price = self.price_of(name, target).map_or(0, |price| price.minor);
        self.over(&target.caps, &facts.caps, price, self.zone(target))
    }

    /// The first cap that this lead would lead beyond.
    fn over(&self, caps: &'a [Cap], levels: &[CapLevel], price: i64, zone: Zone) -> Option<Out<'a>> {
        caps.iter().enumerate().find_map(|(index, cap)| {
            let reason = over(cap, level(levels, index), price)?;
            let today = || cap.days.is_none() || cap.holds_on(Weekday::of(self.now, zone));
            let holds = cap.concerns(self.subject.source.key) && today();
            holds.then_some(Out { reason, cap: Some(cap) })
        })
    }

    /// Why the whole project has no room, if it has none, and until when.
    pub(super) fn project_full(&mut self) -> Option<(Out<'a>, Option<Timestamp>)> {
        let policy = self.policy;
        if policy.caps.is_empty() || self.counted_by_project() {
            return None;
        }
        let levels = &self.snapshot.facts.caps;
        let out = self.over(&policy.caps, levels, 0, policy.timezone)?;
        Some((out, self.caps_free_at(&policy.caps, levels, 0, policy.timezone)))
    }

    /// The first moment at which no cap is in the way any more by the passing of time alone; `None` where that
    /// never comes. Days on which nothing may be taken are passed over.
    fn caps_free_at(
        &mut self,
        caps: &[Cap],
        levels: &[CapLevel],
        price: i64,
        zone: Zone,
    ) -> Option<Timestamp> {
        let source = self.subject.source.key;
        let mut at = self.now;
        // Each cap is full once, in its present period, and in between at most the days of a week are closed.
        for _ in 0..8 * (caps.len() + 1) {
            let mut day = None;
            let mut later: Option<Timestamp> = None;
            for (index, cap) in caps.iter().enumerate().filter(|(_, cap)| cap.concerns(source)) {
                let mut holds = || cap.holds_on(*day.get_or_insert_with(|| Weekday::of(at, zone)));
                if cap.days.is_some() && !holds() {
                    continue;
                }
                let end = if over(cap, CapLevel::default(), price).is_some() {
                    // Not even an empty one has room, so it takes another day of the week.
                    cap.days?;
                    Period::of(Per::Day, at, zone).end
                } else if over(cap, level(levels, index), price).is_some() {
                    self.periods.of(cap.per, zone).end
                } else {
                    continue;
                };
                if end > at {
                    later = later.max(Some(end));
                }
            }
            match later {
                None => return Some(at),
                Some(end) if end >= Timestamp::MAX_UTC => return None,
                Some(end) => at = end,
            }
        }
        None
    }

    /// When a candidate that was left out may be chosen by the passing of time alone; `None` where it
    /// takes an event.
    pub(super) fn free_at(&mut self, candidate: &Candidate<'_>) -> Option<Timestamp> {
        let out = candidate.out?;
        match out.wait()? {
            Wait::Hours => self.works_at(candidate.target),
            Wait::Room if out.reason == Reason::CapacityFull => None,
            Wait::Room => {
                let price = self.price_of(candidate.name, candidate.target).map_or(0, |price| price.minor);
                let zone = self.zone(candidate.target);
                self.caps_free_at(&candidate.target.caps, &candidate.facts.caps, price, zone)
            }
        }
    }

    /// When a target that had the person's last lead can be offered this one for that: now (`None`) or when it works
    /// again.
    ///
    /// # Errors
    /// Why it can not.
    pub(super) fn owner_fits(
        &self,
        (number, rule): (u32, &RouteRule),
        candidate: &Candidate<'a>,
        owned_at: Timestamp,
    ) -> Result<Option<Timestamp>, Out<'a>> {
        let Some(sticky) = rule.sticky else { return Err(Reason::OthersFirst.into()) };
        if plus_seconds(owned_at, sticky.within_secs.unwrap_or(YEAR_SECS)) < self.now {
            return Err(Reason::OwnerTooLong.into());
        }
        match candidate.out {
            None => Ok(None),
            Some(Out { reason: Reason::Away | Reason::OffHours, .. }) => {
                if let Some(full) = self.full(candidate.name, candidate.target, candidate.facts) {
                    return Err(full);
                }
                let since = self.state.queued_at.unwrap_or(self.now);
                let asked = sticky.unless_away_secs.map(|limit| plus_seconds(self.now, limit));
                let latest = asked.into_iter().chain([self.queue_end(number, since)]).min();
                match self.works_at(candidate.target) {
                    Some(at) if latest.is_some_and(|latest| at <= latest) => {
                        // Programs do not sleep, and a bid does not keep until the morning.
                        Ok((rule.strategy != Strategy::PingPost).then_some(at))
                    }
                    _ => Err(Reason::OwnerTooLong.into()),
                }
            }
            Some(out) => Err(out),
        }
    }
}

/// How far the cap at this place is used up.
fn level(levels: &[CapLevel], index: usize) -> CapLevel {
    levels.get(index).copied().unwrap_or_default()
}

/// Whether one lead more at this price is beyond the cap.
fn over(cap: &Cap, level: CapLevel, price: i64) -> Option<Reason> {
    if cap.limit.is_some_and(|limit| level.leads >= i64::from(limit)) {
        return Some(Reason::CapFull);
    }
    let money_over = |most: i64| level.money.saturating_add(price) > most;
    cap.money.is_some_and(money_over).then_some(Reason::BudgetFull)
}
