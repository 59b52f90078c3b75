//! What an offer takes from counters, and what is given back.

use super::counter::CounterKey;
use super::facts::TargetFacts;
use super::state::{Hold, HoldKind, LeadState};
use super::strategy::Marks;
use super::{Decider, Effect};
use crate::money::Money;
use crate::person::PersonKey;
use crate::policy::{Cap, Fact, RouteRule, Target};
use crate::schedule::{Per, Zone};
use crate::time::{Timestamp, plus_seconds};

/// For how long it is remembered who had a person's lead where no rule says less.
pub(super) const YEAR_SECS: u64 = 366 * 86_400;

/// For how many days a person's leads are counted where the policy does not say.
const HISTORY_DAYS: u32 = 30;

impl Decider<'_> {
    /// Reserves what an offer to a target takes. Without `limited` it is counted and never refused.
    pub(super) fn holds_of(
        &mut self,
        name: &str,
        target: &Target,
        price: Option<Money>,
        limited: bool,
    ) -> Vec<Hold> {
        let mut holds = Vec::new();
        if let Some(capacity) = target.capacity {
            let limit = limited.then(|| i64::from(capacity));
            self.reserve_counter(&mut holds, CounterKey::open(name), 1, limit, None, HoldKind::Place);
        }
        let zone = target.timezone.unwrap_or(self.policy.timezone);
        let price = price.map_or(0, |price| price.minor);
        for cap in &target.caps {
            self.reserve_cap(&mut holds, Some(name), cap, zone, price, limited);
        }
        if let Some(seconds) = target.dedupe_secs
            && let Some(person) = self.person()
        {
            let until = Some(plus_seconds(self.now, seconds));
            let key = CounterKey::sold(&person, name);
            self.reserve_counter(&mut holds, key, 1, limited.then_some(1), until, HoldKind::Person);
        }
        holds
    }

    /// Levels of a target without what its offers held before this decision and give back in it: nobody is in their own
    /// way.
    ///
    /// `state` is the state after what was decided so far.
    pub(super) fn levels_without_own(
        &mut self,
        name: &str,
        target: &Target,
        state: &LeadState,
    ) -> TargetFacts {
        let mut facts = self.snapshot.facts.one(name).clone();
        if state.holds_for(name) {
            return facts;
        }
        let zone = target.timezone.unwrap_or(self.policy.timezone);
        let (open, sold) =
            (CounterKey::open(name), self.person().map(|person| CounterKey::sold(&person, name)));
        let before = self.state;
        for Hold { key, amount, .. } in before.held_for(name).filter(|hold| hold.lives(self.now)) {
            if *key == open {
                facts.open = (facts.open - amount).max(0);
            } else if Some(key) == sold.as_ref() {
                facts.sold = (facts.sold - amount).max(0);
            }
            for (cap, level) in target.caps.iter().zip(&mut facts.caps) {
                let (source, period) = (cap.source.as_deref(), &self.periods.of(cap.per, zone).key);
                if *key == CounterKey::cap(Some(name), source, cap.per, period) {
                    level.leads = (level.leads - amount).max(0);
                } else if *key == CounterKey::money(Some(name), source, cap.per, period) {
                    level.money = (level.money - amount).max(0);
                }
            }
        }
        facts
    }

    /// Reserves what the lead takes from the project's own caps, once.
    pub(super) fn hold_for_lead(&mut self) {
        let policy = self.policy;
        if policy.caps.is_empty() || self.counted_by_project() {
            return;
        }
        let mut holds = Vec::new();
        for cap in &policy.caps {
            self.reserve_cap(&mut holds, None, cap, policy.timezone, 0, true);
        }
        if !holds.is_empty() {
            self.effects.push(Effect::Hold { holds });
        }
    }

    /// Whether the project's own caps count the lead already.
    pub(super) fn counted_by_project(&self) -> bool {
        let counted = |effect: &Effect| matches!(effect, Effect::Hold { .. });
        self.state.holds.iter().any(|hold| hold.kind == HoldKind::Cap) || self.effects.iter().any(counted)
    }

    /// Takes a place in the queue of a rule.
    pub(super) fn take_place(&mut self, rule: u32) -> Option<Hold> {
        let key = CounterKey::queue(rule);
        let moves = self.effects.contains(&Effect::Repin);
        if !moves && self.state.holds.iter().any(|hold| hold.key == key) {
            return None;
        }
        let mut holds = Vec::new();
        self.reserve_counter(&mut holds, key, 1, None, None, HoldKind::Queue);
        holds.pop()
    }

    fn reserve_cap(
        &mut self,
        holds: &mut Vec<Hold>,
        owner: Option<&str>,
        cap: &Cap,
        zone: Zone,
        price: i64,
        limited: bool,
    ) {
        if !cap.concerns(self.subject.source.key) || !self.periods.hold(cap, zone) {
            return;
        }
        let period = self.periods.of(cap.per, zone).clone();
        let until = (period.end < Timestamp::MAX_UTC).then_some(period.end);
        let source = cap.source.as_deref();
        if let Some(limit) = cap.limit {
            let key = CounterKey::cap(owner, source, cap.per, &period.key);
            let limit = limited.then(|| i64::from(limit));
            self.reserve_counter(holds, key, 1, limit, until, HoldKind::Cap);
        }
        if let Some(most) = cap.money.filter(|_| price != 0) {
            let key = CounterKey::money(owner, source, cap.per, &period.key);
            self.reserve_counter(holds, key, price, limited.then_some(most), until, HoldKind::Cap);
        }
    }

    /// Counts a turn or a share, by the rule's strategy.
    pub(super) fn count(&mut self, rule: &RouteRule, name: &str, marks: Marks, holds: &mut Vec<Hold>) {
        if let Some(amount) = marks.turn {
            let key = CounterKey::turn(name);
            self.effects.push(Effect::Reserve { key, amount, limit: None, until: None });
        }
        if let Some(start) = marks.share {
            let per = rule.window.unwrap_or(Per::Month);
            let period = self.periods.of(per, self.policy.timezone).clone();
            let until = (period.end < Timestamp::MAX_UTC).then_some(period.end);
            let key = CounterKey::share(name, per, &period.key);
            if start != 0 {
                let key = key.clone();
                self.effects.push(Effect::Reserve { key, amount: start, limit: None, until });
            }
            self.reserve_counter(holds, key, 1, None, until, HoldKind::Share);
        }
    }

    fn reserve_counter(
        &mut self,
        holds: &mut Vec<Hold>,
        key: CounterKey,
        amount: i64,
        limit: Option<i64>,
        until: Option<Timestamp>,
        kind: HoldKind,
    ) {
        self.effects.push(Effect::Reserve { key: key.clone(), amount, limit, until });
        // Counters of a period have the period in their names; that of a person is taken again after its window.
        let until = until.filter(|_| kind == HoldKind::Person);
        holds.push(Hold { key, amount, kind, until });
    }

    /// Counts one more lead of the person today, where that is limited.
    pub(super) fn count_today(&mut self) {
        if self.snapshot.facts.today.is_some()
            && let Some(person) = self.person()
        {
            let day = self.periods.of(Per::Day, self.policy.timezone).clone();
            let key = CounterKey::today(&person, &day.key);
            self.effects.push(Effect::Reserve { key, amount: 1, limit: None, until: Some(day.end) });
        }
    }

    /// Counts one more lead of the person, where a condition asks how many there were.
    pub(super) fn count_person(&mut self) {
        if self.snapshot.facts.earlier.is_none() {
            return;
        }
        if let Some(person) = self.person() {
            let days = u64::from(self.policy.history_days.unwrap_or(HISTORY_DAYS));
            let until = Some(plus_seconds(self.now, days * 86_400));
            let key = CounterKey::earlier(&person);
            self.effects.push(Effect::Reserve { key, amount: 1, limit: None, until });
        }
    }

    /// Notes who had the person's last lead, where a rule asks for that.
    pub(super) fn note_owner(&mut self, name: &str) {
        let history = self.policy.reads(Fact::History).then_some(YEAR_SECS);
        let sticky = self.policy.route.rules.iter().filter_map(|rule| rule.sticky);
        let Some(longest) = sticky.map(|sticky| sticky.within_secs.unwrap_or(YEAR_SECS)).chain(history).max()
        else {
            return;
        };
        if let Some(person) = self.person() {
            let key = CounterKey::owner(&person);
            let until = Some(plus_seconds(self.now, longest));
            self.effects.push(Effect::Note { key, name: name.to_owned(), until });
        }
    }

    /// Gives back what the lead held before this decision, or has taken in it, and does not hold after it. Said
    /// once, because the state says what is held, and its version is what a commit goes by.
    pub(super) fn release(&mut self) {
        let taken = self.effects.iter().flat_map(|effect| match effect {
            Effect::Offer { holds, .. } | Effect::Hold { holds } => holds.as_slice(),
            Effect::Queue { hold: Some(hold), .. } => std::slice::from_ref(hold),
            _ => &[],
        });
        let mut left: Vec<&Hold> = self.state.all_holds().chain(taken).collect();
        if left.is_empty() {
            return;
        }
        let after = self.state.clone().apply(&self.effects);
        for hold in after.all_holds() {
            if let Some(index) = left.iter().position(|other| *other == hold) {
                left.swap_remove(index);
            }
        }
        let released: Vec<Effect> = left
            .into_iter()
            .filter(|hold| hold.lives(self.now))
            .map(|hold| Effect::Release { key: hold.key.clone(), amount: hold.amount })
            .collect();
        self.effects.extend(released);
    }

    fn person(&self) -> Option<PersonKey> {
        self.subject.person()
    }
}
