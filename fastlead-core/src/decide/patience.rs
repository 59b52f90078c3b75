//! How long a lead waits before nobody is waited for any more. Waiting counts the time in which somebody works: a lead
//! of Friday evening is not given up before Monday morning.

use super::route::{Plan, Waits};
use super::{Decider, Effect, LeadState, LeadStatus, Reason, TimerName, Verdict};
use crate::policy::{Crew, EscalationStep, OffHours, RouteOverflow, RouteRule, Strategy};
use crate::time::{Timestamp, plus_seconds};

/// For how much working time a lead may wait in the queue where the rule does not say: a day.
const QUEUE_SECS: u64 = 86_400;

impl<'a> Decider<'a> {
    /// Puts the lead into the queue, or lets it stay there. Returns `false` where it has waited long enough.
    pub(super) fn wait(&mut self, rule: u32, until: Option<Timestamp>, why: Waits) -> bool {
        let since = self.state.queued_at.unwrap_or(self.now);
        self.wait_from(since, rule, until, why)
    }

    fn wait_from(&mut self, since: Timestamp, rule: u32, until: Option<Timestamp>, why: Waits) -> bool {
        let mut end = self.queue_end(rule, since);
        let mut reason = if why == Waits::Others { Reason::OthersWait } else { Reason::Waits };
        let path = self.rule_path(usize::try_from(rule).unwrap_or(usize::MAX));
        if end <= self.now {
            match self.next_opening(rule).filter(|_| why == Waits::Hours && self.no_rung_left()) {
                Some(opening) => (end, reason) = (opening, Reason::WaitsForOpening),
                None => {
                    self.trace.note(path, None, Verdict::Skipped, Reason::WaitedEnough);
                    return false;
                }
            }
        }
        self.trace.note(path, None, Verdict::Scheduled, reason);
        // A moment that has come already would be decided upon again at once, and for ever.
        let due_at = until.filter(|at| *at > self.now).map_or(end, |at| at.min(end));
        let hold = self.take_place(rule);
        self.effects.push(Effect::Queue { at: self.now, hold, behind: why == Waits::Others });
        self.effects.push(Effect::SetTimer { timer: TimerName::Queue, due_at });
        true
    }

    /// When a lead that waits for a rule since `since` has waited long enough: after `queue_secs`, or else after a day
    /// of the working time of those who could take it.
    pub(super) fn queue_end(&self, number: u32, since: Timestamp) -> Timestamp {
        let rule = self.policy.route.rule(number);
        if let Some(seconds) = rule.and_then(|rule| rule.queue_secs) {
            return plus_seconds(since, seconds);
        }
        let counted = rule.filter(|rule| rule.off_hours != OffHours::Ignore);
        let end = counted.and_then(|rule| self.crew_of(rule).plus_open(since, QUEUE_SECS));
        end.unwrap_or_else(|| plus_seconds(since, QUEUE_SECS))
    }

    /// Everybody who can be offered a lead by a rule.
    fn crew_of(&self, rule: &RouteRule) -> Crew<'a> {
        let overflow = if let RouteOverflow::Target(name) = &rule.overflow { Some(name) } else { None };
        let off_hours = if let OffHours::Target(name) = &rule.off_hours { Some(name) } else { None };
        let able = rule.targets.iter().filter(|name| self.can_take(rule, name));
        let names = able.chain(overflow).chain(off_hours);
        Crew::of(self.policy, names.map(String::as_str))
    }

    /// Whether a lead of a rule can go to a target at all, whenever that works: nobody waits for the hours of others.
    fn can_take(&self, rule: &RouteRule, name: &str) -> bool {
        self.policy.targets.get(name).is_some_and(|target| {
            rule.needs_skills.iter().all(|skill| target.skills.contains(skill))
                && !(rule.strategy == Strategy::Weighted && target.weight == Some(0))
        })
    }

    /// When the next target of the rule that was not told begins to work; `None` where one works now. A lead that
    /// nobody could be told of waits for that moment however late it is looked at: it is tried then, so that it does
    /// not wait from one opening to the next for ever.
    fn next_opening(&self, number: u32) -> Option<Timestamp> {
        let rule = self.policy.route.rule(number)?;
        let untold = |name: &&str| {
            !self.state.offers.iter().any(|offer| offer.target == **name) && self.can_take(rule, name)
        };
        let crew = Crew::of(self.policy, rule.targets.iter().map(String::as_str).filter(untold));
        crew.works_from(self.now).filter(|at| *at > self.now)
    }

    /// The ladder climbs for a lead that is still in the queue, because nobody of the route works: whoever of it begins
    /// to work meanwhile is told then, and not after the ladder.
    pub(super) fn wake_at_opening(&mut self, rule: u32) {
        let path = self.rule_path(usize::try_from(rule).unwrap_or(usize::MAX));
        let state = self.state.clone().apply(&self.effects);
        if state.status != LeadStatus::Queued || self.runs(|timer| timer == TimerName::Queue) {
            return;
        }
        if let Some(due_at) = self.next_opening(rule) {
            self.trace.note(path, None, Verdict::Scheduled, Reason::WaitsForOpening);
            self.effects.push(Effect::SetTimer { timer: TimerName::Queue, due_at });
        }
    }

    fn no_rung_left(&self) -> bool {
        usize::try_from(self.state.next_rung()).is_ok_and(|rung| rung >= self.policy.escalation.len())
    }

    /// When the wait after the last step ends: after the step's time, and not before those who were told have worked
    /// for so long.
    pub(super) fn final_wait(&self, step: &EscalationStep) -> (Timestamp, Option<Reason>) {
        let due = self.rung_due(step);
        let state = self.state.clone().apply(&self.effects);
        match self.told(&state).plus_open(self.now, step.after_secs).filter(|open| *open > due) {
            Some(open) => (open, Some(Reason::WaitsForOpening)),
            None => (due, None),
        }
    }

    /// Those whose answer is waited for, or else those who can still accept.
    fn told(&self, state: &LeadState) -> Crew<'a> {
        let names = |late: bool| {
            let offers = state.offers.iter();
            let able =
                offers.filter(move |offer| offer.waits() || (late && offer.alive > 0 && !offer.declined));
            Crew::of(self.policy, able.map(|offer| offer.target.as_str()).collect::<Vec<_>>())
        };
        let waiting = names(false);
        if waiting.is_empty() { names(true) } else { waiting }
    }

    /// Nobody is left, but those who were told can still accept and do not work now: waits for them. Returns whether
    /// it does.
    pub(super) fn wait_for_those_told(&mut self) -> bool {
        let told = self.told(&self.state.clone().apply(&self.effects));
        if told.is_empty() || told.works_from(self.now).is_none_or(|at| at <= self.now) {
            return false;
        }
        let rule = self.state.rule().and_then(|rule| self.policy.route.rule(rule));
        let step = self.policy.escalation.last().map(|step| step.after_secs);
        let seconds = step.or_else(|| rule?.offer_timeout_secs.or(rule?.group_timeout_secs)).unwrap_or(0);
        let Some(due_at) = told.plus_open(self.now, seconds) else { return false };
        self.trace.note("escalation", None, Verdict::Scheduled, Reason::WaitsForOpening);
        self.effects.push(Effect::SetTimer { timer: TimerName::Unanswered, due_at });
        true
    }

    /// The wait after the last step is over. Where nobody of the route can have answered, those of it who work are
    /// offered the lead, or it waits until one does.
    pub(super) fn final_wait_over(&mut self) {
        let of_route = |offer: &super::Offer| offer.rule.is_some() && offer.alive > 0 && !offer.declined;
        let untold = !self.state.offers.iter().any(of_route) && self.state.status != LeadStatus::Unanswered;
        let plan = if untold { self.plan(self.state.rule().unwrap_or(0)) } else { Plan::Nobody };
        let placed = match plan {
            // Somebody has begun to work meanwhile.
            Plan::Offer { .. } | Plan::Auction { .. } => self.carry_out(plan),
            // Whatever has passed of the wait, nobody was asked in it.
            Plan::Wait { rule, until, why: Waits::Hours } => {
                self.wait_from(self.now, rule, until, Waits::Hours)
            }
            Plan::Wait { .. } | Plan::Reject { .. } | Plan::Nobody => false,
        };
        if !placed {
            self.give_up();
        }
    }
}
