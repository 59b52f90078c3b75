//! Who gets a lead: the rules in order, until one has somebody for it.

use super::candidate::Candidate;
use super::facts::RuleQueue;
use super::strategy::{self, Marks, Window};
use super::trace::{Out, Wait};
use super::{Decider, Effect, Reason, TimerName, Verdict};
use crate::money::Money;
use crate::policy::{CatchUp, OffHours, RouteOverflow, RouteRule, Strategy, Target};
use crate::schedule::Per;
use crate::time::{Timestamp, plus_seconds};

/// What a route comes to.
pub(super) enum Plan<'a> {
    /// These targets are offered the lead.
    Offer { rule: u32, chosen: Vec<Chosen<'a>> },
    /// These targets are asked for bids.
    Auction { rule: u32, asked: Vec<Candidate<'a>> },
    /// The lead waits, until this moment at the latest.
    Wait { rule: u32, until: Option<Timestamp>, why: Waits },
    /// The lead is refused.
    Reject { code: &'a str },
    /// No rule has anybody for it.
    Nobody,
}

/// What a lead waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Somebody to have room.
    Room,
    /// Somebody to work.
    Hours,
    /// Others, who came before it.
    Others,
}

/// A target that was chosen.
pub(super) struct Chosen<'a> {
    /// Its place in the rule; `None` where the rule names it for what it cannot place.
    index: Option<usize>,
    name: &'a str,
    target: &'a Target,
    marks: Marks,
    price: Option<Money>,
}

/// What one rule comes to.
enum Considered<'a> {
    Chosen(Vec<Chosen<'a>>),
    Asked(Vec<Candidate<'a>>),
    Full(Option<Timestamp>),
    /// The whole project has no room, so that no other target has any either.
    ProjectFull(Option<Timestamp>),
    Closed(Option<Timestamp>),
    /// Whoever had the person's last lead works then.
    OwnerLater(Timestamp),
    Nobody,
}

/// Whoever had the person's last lead, among the candidates.
enum Owner {
    /// At this place, and can take this one now.
    Now(usize),
    /// Works from this moment on.
    Later(Timestamp),
}

impl<'a> Decider<'a> {
    /// Tries the rules from the one with this index on. Changes nothing but the trace.
    pub(super) fn plan(&mut self, from: u32) -> Plan<'a> {
        let policy = self.policy;
        for (index, rule) in policy.route.rules.iter().enumerate().skip(usize::try_from(from).unwrap_or(0)) {
            if let Some(when) = &rule.when
                && !when.holds(&self.input)
            {
                let path = self.rule_path(index);
                self.trace.note(path, None, Verdict::Skipped, Reason::ConditionFailed);
                continue;
            }
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            match self.consider(index, rule) {
                Considered::Chosen(_) | Considered::Asked(_) if self.others_wait(number, rule) => {
                    return Plan::Wait { rule: number, until: None, why: Waits::Others };
                }
                Considered::Chosen(chosen) => return Plan::Offer { rule: number, chosen },
                Considered::Asked(asked) => return Plan::Auction { rule: number, asked },
                Considered::ProjectFull(until) => match &rule.overflow {
                    RouteOverflow::Reject(code) => return self.refuse(index, code),
                    RouteOverflow::Next => {}
                    RouteOverflow::Queue | RouteOverflow::Target(_) => {
                        return Plan::Wait { rule: number, until, why: Waits::Room };
                    }
                },
                Considered::Full(until) => match &rule.overflow {
                    RouteOverflow::Queue => return Plan::Wait { rule: number, until, why: Waits::Room },
                    RouteOverflow::Next => {}
                    RouteOverflow::Reject(code) => return self.refuse(index, code),
                    RouteOverflow::Target(name) => {
                        return match self.instead(index, "overflow", name) {
                            Some(chosen) => Plan::Offer { rule: number, chosen: vec![chosen] },
                            None => Plan::Wait { rule: number, until, why: Waits::Room },
                        };
                    }
                },
                Considered::Closed(until) => match &rule.off_hours {
                    OffHours::Queue => return Plan::Wait { rule: number, until, why: Waits::Hours },
                    OffHours::Skip | OffHours::Ignore => {}
                    OffHours::Target(name) => {
                        return match self.instead(index, "off_hours", name) {
                            Some(chosen) => Plan::Offer { rule: number, chosen: vec![chosen] },
                            None => Plan::Wait { rule: number, until, why: Waits::Hours },
                        };
                    }
                },
                Considered::OwnerLater(at) => {
                    return Plan::Wait { rule: number, until: Some(at), why: Waits::Hours };
                }
                Considered::Nobody if rule.overflow == RouteOverflow::Next => {}
                Considered::Nobody => return Plan::Nobody,
            }
            let path = self.rule_path(index);
            self.trace.note(path, None, Verdict::Skipped, Reason::NextRule);
        }
        Plan::Nobody
    }

    fn refuse(&mut self, index: usize, code: &'a str) -> Plan<'a> {
        let path = format!("{}.overflow", self.rule_path(index));
        self.trace.note(path, Some(code), Verdict::Refused, Reason::OverflowReject);
        Plan::Reject { code }
    }

    /// Whether leads that came earlier wait for this rule, so that this one must not overtake them.
    fn others_wait(&self, number: u32, rule: &RouteRule) -> bool {
        let waits = |queue: &RuleQueue| queue.rule == number && queue.leads > 0;
        self.state.queued_at.is_none() && rule.queues() && self.snapshot.facts.queues.iter().any(waits)
    }

    pub(super) fn rule_path(&self, index: usize) -> String {
        match self.policy.route.rules.len() {
            1 => "route".to_owned(),
            _ => format!("route[{index}]"),
        }
    }

    fn consider(&mut self, index: usize, rule: &'a RouteRule) -> Considered<'a> {
        let mut candidates = self.candidates(index, rule);
        if let Some((out, until)) = self.project_full() {
            self.trace.note_out("caps", None, Verdict::Skipped, out);
            return Considered::ProjectFull(until);
        }
        let window = self.window(rule);
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let bids = rule.strategy == Strategy::PingPost && self.has_bids(number);
        let asks = rule.strategy == Strategy::PingPost && !bids;
        let highest = if bids { self.highest(&mut candidates) } else { Vec::new() };
        // Where bids are asked for, everybody is asked: whoever had the last lead may not want this one.
        let owner = if asks { None } else { self.owner_place(index, rule, &candidates) };
        let places = match owner {
            Some(Owner::Later(at)) => {
                self.note_left_out(index, &candidates, &[]);
                return Considered::OwnerLater(at);
            }
            Some(Owner::Now(place)) => vec![place],
            None if bids => highest,
            None => strategy::choose(rule.strategy, &candidates, window),
        };
        if owner.is_none() && rule.strategy == Strategy::Weighted {
            self.note_catch_up(index, &candidates, &places, window);
        }
        self.note_left_out(index, &candidates, &places);
        if asks && !places.is_empty() {
            return Considered::Asked(places.into_iter().map(|place| candidates[place]).collect());
        }
        if !places.is_empty() {
            let chosen = places.into_iter().map(|place| Chosen {
                index: Some(candidates[place].index),
                name: candidates[place].name,
                target: candidates[place].target,
                marks: strategy::marks(rule.strategy, &candidates, place, window),
                price: self.price_of(candidates[place].name, candidates[place].target),
            });
            return Considered::Chosen(chosen.collect());
        }
        self.whom_to_wait_for(&candidates)
    }

    /// Nobody can be chosen: whether somebody may be later, and when.
    fn whom_to_wait_for(&mut self, candidates: &[Candidate<'a>]) -> Considered<'a> {
        let wait = |candidate: &Candidate<'_>| candidate.out.and_then(Out::wait);
        let room = candidates.iter().any(|candidate| wait(candidate) == Some(Wait::Room));
        let hours = candidates.iter().any(|candidate| wait(candidate) == Some(Wait::Hours));
        let mut soonest: Option<Timestamp> = None;
        for candidate in candidates {
            if let Some(at) = self.free_at(candidate) {
                soonest = Some(soonest.map_or(at, |have| have.min(at)));
            }
        }
        match (room, hours) {
            (true, _) => Considered::Full(soonest),
            (false, true) => Considered::Closed(soonest),
            (false, false) => Considered::Nobody,
        }
    }

    fn window(&mut self, rule: &RouteRule) -> Window {
        let zone = self.policy.timezone;
        if rule.strategy != Strategy::Weighted {
            return Window { start: self.now, zone, catch_up: CatchUp::None };
        }
        let start = self.periods.of(rule.window.unwrap_or(Per::Month), zone).start;
        Window { start, zone, catch_up: rule.catch_up.unwrap_or_default() }
    }

    /// The candidate that had the person's last lead, where the rule wants it and it can take this one now or later.
    fn owner_place(&mut self, index: usize, rule: &RouteRule, candidates: &[Candidate<'a>]) -> Option<Owner> {
        rule.sticky?;
        let owner = self.snapshot.facts.owner.as_ref()?;
        let place = candidates.iter().position(|candidate| candidate.name == owner.target)?;
        let path = format!("{}.sticky", self.rule_path(index));
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        match self.owner_fits((number, rule), &candidates[place], owner.at) {
            Ok(None) => {
                self.trace.note(path, Some(&owner.target), Verdict::Chosen, Reason::PreviousOwner);
                Some(Owner::Now(place))
            }
            Ok(Some(at)) => {
                self.trace.note(path, Some(&owner.target), Verdict::Scheduled, Reason::OwnerLater);
                Some(Owner::Later(at))
            }
            Err(out) => {
                self.trace.note_out(path, Some(&owner.target), Verdict::Skipped, out);
                None
            }
        }
    }

    /// Says where what somebody has missed has made a difference.
    fn note_catch_up(
        &mut self,
        index: usize,
        candidates: &[Candidate<'_>],
        places: &[usize],
        window: Window,
    ) {
        let behind = strategy::behind(candidates, window);
        let names = |which: &dyn Fn(usize) -> bool| -> Vec<String> {
            let found = behind.iter().filter(|place| which(**place));
            found.map(|place| candidates[*place].name.to_owned()).collect()
        };
        let path = format!("{}.catch_up", self.rule_path(index));
        match window.catch_up {
            CatchUp::Slow if !places.is_empty() && !places.iter().any(|place| behind.contains(place)) => {
                let waiting = names(&|_| true);
                if !waiting.is_empty() {
                    self.trace.note_all_out(&path, waiting, Reason::CatchesUpSlowly.into());
                }
            }
            CatchUp::Slow => {}
            _ => {
                for name in names(&|place| places.contains(&place)) {
                    self.trace.note(path.clone(), Some(&name), Verdict::Passed, Reason::StartsLevel);
                }
            }
        }
    }

    /// Says of every candidate that was not chosen why: one step for each reason.
    fn note_left_out(&mut self, index: usize, candidates: &[Candidate<'_>], chosen: &[usize]) {
        let mut groups: Vec<(Out<'_>, Vec<String>)> = Vec::new();
        let mut chosen = chosen.iter().copied().peekable();
        for (place, candidate) in candidates.iter().enumerate() {
            if chosen.next_if_eq(&place).is_some() {
                continue;
            }
            let out = candidate.out.unwrap_or_else(|| Reason::OthersFirst.into());
            let name = candidate.name.to_owned();
            match groups.iter_mut().find(|(known, _)| known.is_like(out)) {
                Some((_, names)) => names.push(name),
                None => groups.push((out, vec![name])),
            }
        }
        if groups.is_empty() {
            return;
        }
        let path = format!("{}.targets", self.rule_path(index));
        for (out, names) in groups {
            self.trace.note_all_out(&path, names, out);
        }
    }

    /// The target that a rule names for what it cannot place, if it has room.
    fn instead(&mut self, index: usize, field: &str, name: &'a str) -> Option<Chosen<'a>> {
        let path = format!("{}.{field}", self.rule_path(index));
        let Some(target) = self.policy.targets.get(name) else {
            self.trace.note(path, Some(name), Verdict::Skipped, Reason::TargetMissing);
            return None;
        };
        let offered = self.state.offers.iter().any(|offer| offer.target == name);
        let facts = self.snapshot.facts.one(name);
        let sold = target.dedupe_secs.is_some() && facts.sold > 0;
        let out = if offered {
            Some(Reason::OfferedBefore.into())
        } else if sold {
            Some(Reason::BoughtBefore.into())
        } else {
            let own = self.full(name, target, facts);
            own.or_else(|| self.project_full().map(|(out, _)| out))
        };
        if let Some(out) = out {
            self.trace.note_out(path, Some(name), Verdict::Skipped, out);
            return None;
        }
        self.trace.note(path, Some(name), Verdict::Passed, Reason::OverflowTarget);
        Some(Chosen {
            index: None,
            name,
            target,
            marks: Marks::default(),
            price: self.price_of(name, target),
        })
    }

    /// Carries a plan out. Answers whether the lead is in somebody's hands or waits now.
    pub(super) fn carry_out(&mut self, plan: Plan<'a>) -> bool {
        match plan {
            Plan::Offer { rule, chosen } => {
                self.offer_chosen(rule, chosen);
                true
            }
            Plan::Auction { rule, asked } => {
                self.open_auction(rule, asked);
                true
            }
            Plan::Wait { rule, until, why } => self.wait(rule, until, why),
            // A lead that was taken in is not refused any more.
            Plan::Reject { .. } | Plan::Nobody => false,
        }
    }

    fn offer_chosen(&mut self, number: u32, chosen: Vec<Chosen<'a>>) {
        let policy = self.policy;
        let Some(rule) = policy.route.rule(number) else { return };
        let path = self.rule_path(usize::try_from(number).unwrap_or(usize::MAX));
        // However long an answer is waited for: what could not be sent in that time tells somebody later, and can be accepted.
        let ttl = policy.delivery.ttl_secs;
        let new_rule = !self.state.offers.iter().any(|offer| offer.rule == Some(number));
        let first = self.offers_so_far();
        self.hold_for_lead();
        for Chosen { index, name, target, marks, price } in chosen {
            let path = match index {
                Some(index) => format!("{path}.targets[{index}]"),
                None => format!("{path}.instead"),
            };
            let reason = (rule.strategy != Strategy::Broadcast).then_some(Reason::ByStrategy);
            self.trace.note(path.clone(), Some(name), Verdict::Chosen, reason);
            let mut holds = self.holds_of(name, target, price, true);
            self.count(rule, name, marks, &mut holds);
            self.tell(&path, name, target, (&rule.template, 0, ttl), Some(number), holds);
        }
        if let Some(seconds) = rule.offer_timeout_secs {
            let due_at = plus_seconds(self.now, seconds);
            self.effects.push(Effect::SetTimer { timer: TimerName::Offer(first), due_at });
        }
        if let Some(seconds) = rule.group_timeout_secs.filter(|_| new_rule) {
            let due_at = plus_seconds(self.now, seconds);
            self.effects.push(Effect::SetTimer { timer: TimerName::Group, due_at });
        }
        self.next_rung_timer();
    }

    /// How many offers there are, those of this decision included.
    pub(super) fn offers_so_far(&self) -> u32 {
        let new = self.effects.iter().filter(|effect| matches!(effect, Effect::Offer { .. })).count();
        u32::try_from(self.state.offers.len() + new).unwrap_or(u32::MAX)
    }

    /// Tries the rules again for a lead that nobody has, from the rule that it was last offered by. Answers
    /// whether it is in somebody's hands or waits now.
    pub(super) fn reroute(&mut self) -> bool {
        let from = self.state.rule().unwrap_or(0);
        let plan = self.plan(from);
        self.carry_out(plan)
    }

    /// A lead that waits goes on by this policy, from its first rule on. Who was offered it before is not offered it again.
    pub(super) fn policy_changed(&mut self) {
        if self.state.queued_at.is_some() {
            self.effects.push(Effect::Repin);
        }
        self.try_queued();
    }

    /// Somebody may have room for a lead that waits.
    pub(super) fn try_queued(&mut self) {
        if self.state.queued_at.is_none() {
            self.trace.note("route", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        let climbs_by_itself = self.state.rung > 0 && self.ladder_runs();
        let plan = self.plan(self.state.rule().unwrap_or(0));
        let closed = if let Plan::Wait { rule, why: Waits::Hours, .. } = plan { Some(rule) } else { None };
        if self.carry_out(plan) {
            return;
        }
        // Where the ladder climbs already, somebody's free place makes no step come earlier.
        if !climbs_by_itself {
            self.climb_or_give_up();
        }
        if let Some(rule) = closed {
            self.wake_at_opening(rule);
        }
    }

    /// The time for an offer has run out. With `broadcast` that is the time for all of its offers.
    pub(super) fn offer_timed_out(&mut self, number: u32) {
        let offers = &self.state.offers;
        let timed = usize::try_from(number).ok().and_then(|index| offers.get(index));
        // An offer by a rule of an earlier policy, which has no number any more, is one by itself.
        let Some(rule) = timed.map(|offer| offer.rule) else { return };
        let by = rule.and_then(|rule| self.policy.route.rule(rule));
        let together = by.is_some_and(|rule| rule.strategy == Strategy::Broadcast);
        let first = usize::try_from(number).unwrap_or(usize::MAX);
        let lapsing: Vec<(usize, String)> = offers
            .iter()
            .enumerate()
            .skip(first)
            .take(if together { usize::MAX } else { 1 })
            .filter(|(_, offer)| offer.rule == rule && offer.waits())
            .map(|(index, offer)| (index, offer.target.clone()))
            .collect();
        if lapsing.is_empty() {
            self.trace.note("route.offer_timeout_secs", None, Verdict::Skipped, Reason::OfferClosed);
            return;
        }
        self.lapse(lapsing);
        let others = offers.iter().enumerate().any(|(index, offer)| {
            offer.waits() && !(index >= first && offer.rule == rule && (together || index == first))
        });
        if together || !self.reroute() {
            if others {
                self.trace.note("escalation", None, Verdict::Skipped, Reason::OthersMayAnswer);
            } else {
                self.climb_or_give_up();
            }
        }
    }

    /// The time for all answers to a rule has run out: the ladder goes on.
    pub(super) fn group_timed_out(&mut self) {
        let Some(rule) = self.state.rule() else { return };
        let offers = self.state.offers.iter().enumerate();
        let lapsing: Vec<(usize, String)> = offers
            .filter(|(_, offer)| offer.rule == Some(rule) && offer.waits())
            .map(|(index, offer)| (index, offer.target.clone()))
            .collect();
        self.lapse(lapsing);
        self.climb_or_give_up();
    }

    pub(super) fn lapse(&mut self, offers: Vec<(usize, String)>) {
        for (index, target) in offers {
            self.trace.note("route.offer", Some(&target), Verdict::Skipped, Reason::TimedOut);
            self.effects.push(Effect::Lapse { offer: u32::try_from(index).unwrap_or(u32::MAX) });
        }
    }
}
