//! Which facts a decision wants, before it is made.

use std::collections::HashMap;

use super::counter::CounterKey;
use super::event::{Event, TimerName};
use super::facts::{CapLevel, Facts, Needs, RuleQueue, Slot, TargetFacts};
use super::period::Periods;
use super::state::{LeadState, LeadStatus};
use super::{Subject, condition_input};
use crate::message::Response;
use crate::person::PersonKey;
use crate::policy::{Cap, Fact, LadderAction, OffHours, Policy, RouteOverflow, RouteRule, Strategy, Target};
use crate::schedule::{Per, Zone};
use crate::time::Timestamp;

/// What [`super::decide`] wants to know for the same arguments: nothing, where the policy counts nothing.
///
/// `now` must be the moment that `decide` is given, because caps are counted by period.
pub fn needs<'a>(
    policy: &'a Policy,
    subject: Subject<'a>,
    state: &'a LeadState,
    event: &'a Event,
    now: Timestamp,
) -> Needs {
    let mut asker = Asker {
        policy,
        subject,
        state,
        now,
        person: None,
        periods: Periods::at(now),
        places: HashMap::new(),
        needs: Needs::default(),
    };
    let route_from = match event {
        Event::Captured(_) => Some(0),
        Event::Returned { .. } if policy.returns.as_ref().is_some_and(|returns| returns.resell) => Some(0),
        Event::Responded { response: Response::Accept, target, .. } => {
            if !state.holds_for(target) {
                asker.project();
                asker.target(target);
            }
            None
        }
        Event::Answered { .. } | Event::TimerFired { timer: TimerName::AuctionEnds } => state.rule(),
        Event::Reviewed { approved: true } | Event::TimerFired { timer: TimerName::Review } => Some(0),
        Event::Confirmed { .. } | Event::TimerFired { timer: TimerName::Confirm } => {
            (state.status == LeadStatus::Unconfirmed).then_some(0)
        }
        _ if !state.waits() => None,
        Event::PolicyChanged => Some(0),
        Event::SlotFree | Event::TimerFired { timer: TimerName::Queue } => Some(state.rule().unwrap_or(0)),
        Event::Responded { response: Response::Decline, .. }
        | Event::DeliveryEnded { target: Some(_), .. }
        | Event::TimerFired { .. } => state.rule().or(Some(0)),
        _ => None,
    };
    if let Some(from) = route_from {
        asker.history(i64::from(!matches!(event, Event::Captured(_))));
        asker.route(from);
        // A lead that no rule has anybody for climbs at once, a new one too.
        let mut rung = state.next_rung();
        asker.rung(rung);
        // A step with a condition may be passed over for the one after it.
        let passes = |rung: u32| {
            let step = usize::try_from(rung).ok().and_then(|rung| policy.escalation.get(rung));
            step.is_some_and(|step| step.when.is_some())
        };
        while passes(rung) {
            rung += 1;
            asker.rung(rung);
        }
        if let Event::TimerFired { timer: TimerName::Escalate(rung) } = event {
            asker.rung(*rung);
        }
    }
    asker.needs
}

struct Asker<'a> {
    policy: &'a Policy,
    subject: Subject<'a>,
    state: &'a LeadState,
    now: Timestamp,
    person: Option<Option<PersonKey>>,
    periods: Periods,
    /// Where the facts of each target are.
    places: HashMap<&'a str, usize>,
    needs: Needs,
}

impl<'a> Asker<'a> {
    fn route(&mut self, from: u32) {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let rules = self.policy.route.rules.iter().enumerate().skip(from);
        let nothing = Facts::default();
        let mut input = None;
        let mut any = false;
        for (index, rule) in rules {
            let may_be_used = rule.when.as_ref().is_none_or(|when| {
                // What is not known yet may hold.
                when.reads(Fact::History) || when.reads(Fact::Score) || {
                    let ask = || condition_input(self.policy, self.subject, self.state, &nothing, self.now);
                    when.holds(input.get_or_insert_with(ask))
                }
            });
            if may_be_used {
                any = true;
                self.rule(rule);
                self.queue(index, rule);
            }
        }
        if any {
            self.project();
        }
    }

    /// Asks how many leads of the person there were and who had the last, where a condition looks at it.
    fn history(&mut self, own: i64) {
        if self.policy.reads(Fact::History)
            && let Some(person) = self.person()
        {
            let key = CounterKey::earlier(person);
            self.needs.want(Slot::Earlier(own), key);
            for merged in self.merged() {
                self.needs.want(Slot::Earlier(0), CounterKey::earlier(merged));
            }
            self.owner();
        }
        let limited = self.policy.spam.as_ref().is_some_and(|spam| spam.most_per_day.is_some());
        if own == 0
            && limited
            && let Some(person) = self.person().cloned()
        {
            let day = self.periods.of(Per::Day, self.policy.timezone).key.clone();
            self.needs.want(Slot::Today, CounterKey::today(&person, &day));
            for merged in self.merged() {
                self.needs.want(Slot::Today, CounterKey::today(merged, &day));
            }
        }
    }

    fn rule(&mut self, rule: &'a RouteRule) {
        let turns = rule.strategy == Strategy::RoundRobin;
        let window = (rule.strategy == Strategy::Weighted).then(|| rule.window.unwrap_or(Per::Month));
        for name in &rule.targets {
            let at = self.target(name);
            if turns || window.is_some() {
                let at = at.unwrap_or_else(|| self.place(name));
                if turns {
                    self.needs.want(Slot::Turn(at), CounterKey::turn(name));
                }
                if let Some(per) = window {
                    let period = self.periods.of(per, self.policy.timezone);
                    let key = CounterKey::share(name, per, &period.key);
                    self.needs.want(Slot::Share(at), key);
                }
            }
        }
        let elsewhere = [
            if let RouteOverflow::Target(name) = &rule.overflow { Some(name) } else { None },
            if let OffHours::Target(name) = &rule.off_hours { Some(name) } else { None },
        ];
        for name in elsewhere.into_iter().flatten() {
            self.target(name);
        }
        if rule.sticky.is_some() && !self.needs.slots.contains(&Slot::Owner) {
            self.owner();
        }
    }

    /// Asks who had the person's last lead.
    fn owner(&mut self) {
        if let Some(person) = self.person() {
            let key = CounterKey::owner(person);
            self.needs.want(Slot::Owner, key);
            for merged in self.merged() {
                self.needs.want(Slot::Owner, CounterKey::owner(merged));
            }
        }
    }

    /// Asks who waits already, where a lead may have to.
    fn queue(&mut self, index: usize, rule: &RouteRule) {
        let policy = self.policy;
        let waits = |target: &Target| {
            target.capacity.is_some()
                || !target.caps.is_empty()
                || target.hours.is_some()
                || !target.away.is_empty()
        };
        let target = |name: &String| policy.targets.get(name).is_some_and(waits);
        if !rule.queues() || (policy.caps.is_empty() && !rule.targets.iter().any(target)) {
            return;
        }
        let rule = u32::try_from(index).unwrap_or(u32::MAX);
        self.needs.shape.queues.push(RuleQueue { rule, leads: 0 });
        self.needs.want(Slot::Queue(self.needs.shape.queues.len() - 1), CounterKey::queue(rule));
    }

    fn rung(&mut self, rung: u32) {
        let rung = usize::try_from(rung).unwrap_or(usize::MAX);
        let Some(step) = self.policy.escalation.get(rung) else { return };
        self.project();
        if step.action != LadderAction::Remind {
            for name in &step.targets {
                self.target(name);
            }
        }
    }

    /// Asks for the levels of a target that counts something. Answers its place among the facts.
    fn target(&mut self, name: &'a str) -> Option<usize> {
        let target = self.policy.targets.get(name)?;
        if target.capacity.is_none() && target.caps.is_empty() && target.dedupe_secs.is_none() {
            return None;
        }
        let before = self.needs.shape.targets.len();
        let at = self.place(name);
        if at < before {
            return Some(at);
        }
        if target.capacity.is_some() {
            self.needs.want(Slot::Open(at), CounterKey::open(name));
        }
        if target.dedupe_secs.is_some()
            && let Some(person) = self.person()
        {
            let key = CounterKey::sold(person, name);
            self.needs.want(Slot::Sold(at), key);
            for merged in self.merged() {
                self.needs.want(Slot::Sold(at), CounterKey::sold(merged, name));
            }
        }
        self.caps(name, target, at);
        Some(at)
    }

    fn caps(&mut self, name: &str, target: &Target, at: usize) {
        let zone = target.timezone.unwrap_or(self.policy.timezone);
        self.needs.shape.targets[at].caps = vec![CapLevel::default(); target.caps.len()];
        for (index, cap) in target.caps.iter().enumerate() {
            let (leads, money) = self.cap(Some(name), cap, zone);
            if let Some(key) = leads {
                self.needs.want(Slot::Leads(at, index), key);
            }
            if let Some(key) = money {
                self.needs.want(Slot::Money(at, index), key);
            }
        }
    }

    fn project(&mut self) {
        let policy = self.policy;
        if policy.caps.is_empty() || !self.needs.shape.caps.is_empty() {
            return;
        }
        self.needs.shape.caps = vec![CapLevel::default(); policy.caps.len()];
        for (index, cap) in policy.caps.iter().enumerate() {
            let (leads, money) = self.cap(None, cap, policy.timezone);
            if let Some(key) = leads {
                self.needs.want(Slot::ProjectLeads(index), key);
            }
            if let Some(key) = money {
                self.needs.want(Slot::ProjectMoney(index), key);
            }
        }
    }

    fn cap(
        &mut self,
        owner: Option<&str>,
        cap: &Cap,
        zone: Zone,
    ) -> (Option<CounterKey>, Option<CounterKey>) {
        if !cap.concerns(self.subject.source.key) || !self.periods.hold(cap, zone) {
            return (None, None);
        }
        let period = self.periods.of(cap.per, zone);
        let source = cap.source.as_deref();
        (
            cap.limit.map(|_| CounterKey::cap(owner, source, cap.per, &period.key)),
            cap.money.map(|_| CounterKey::money(owner, source, cap.per, &period.key)),
        )
    }

    /// Where the facts of a target are, which may be a new place.
    fn place(&mut self, name: &'a str) -> usize {
        let targets = &mut self.needs.shape.targets;
        *self.places.entry(name).or_insert_with(|| {
            targets.push(TargetFacts { target: name.to_owned(), ..TargetFacts::default() });
            targets.len() - 1
        })
    }

    fn person(&mut self) -> Option<&PersonKey> {
        let subject = self.subject;
        self.person.get_or_insert_with(|| subject.person()).as_ref()
    }

    /// The other keys of the person, whose history is wanted too.
    fn merged(&mut self) -> &'a [PersonKey] {
        let merged = self.subject.merged();
        self.needs.shape.merged = u32::try_from(merged.len()).unwrap_or(u32::MAX);
        merged
    }
}
