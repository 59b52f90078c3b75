//! Counters as the fold of the effects of all decisions.

use fastlead_core::decide::{Counter, CounterId, CounterKey, Effect, LeadState};
use fastlead_core::id::ProjectId;
use fastlead_core::port::{Refusal, Reservation, Transition};
use fastlead_core::time::Timestamp;

use super::{Checked, Model};

/// More often than this no lead is refused for a full counter before something comes of it: a decision knows
/// of the counter the next time.
const MOST_REFUSALS: u32 = 300;

/// What the effects of one decision do to one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Net {
    key: CounterKey,
    amount: i64,
    limit: Option<i64>,
    note: Option<String>,
    until: Option<Timestamp>,
}

/// One change for each counter that changes.
pub(super) fn net(effects: &[Effect]) -> Vec<Net> {
    let mut all: Vec<Net> = Vec::new();
    for effect in effects {
        let (key, amount, limit, note, until) = match effect {
            Effect::Reserve { key, amount, limit, until } => (key, *amount, *limit, None, *until),
            Effect::Release { key, amount } => (key, -amount, None, None, None),
            Effect::Note { key, name, until } => (key, 1, None, Some(name), *until),
            _ => continue,
        };
        let place = all.iter().position(|net| net.key == *key).unwrap_or_else(|| {
            all.push(Net { key: key.clone(), amount: 0, limit: None, note: None, until: None });
            all.len() - 1
        });
        let net = &mut all[place];
        net.amount += amount;
        net.limit = net.limit.into_iter().chain(limit).min();
        net.note = note.cloned().or(net.note.take());
        net.until = until.or(net.until);
    }
    all.retain(|net| net.amount != 0 || net.note.is_some());
    all
}

/// Whether the leads that exist hold exactly what such a counter says, as long as it is not forgotten.
fn is_sum_of_holds(key: &CounterKey) -> bool {
    ["cap:", "money:", "open:", "queue:"].iter().any(|kind| key.as_str().starts_with(kind))
}

impl Model {
    /// The engine asks the store for what the decision says, and for nothing else.
    pub(super) fn reservations_fit(transition: &Transition, nets: &[Net]) -> Checked {
        let project = transition.scope.project_id;
        let asked =
            transition.reservations.iter().filter(|asked| matches!(asked, Reservation::Counter { .. }));
        let same = |net: &Net, asked: &Reservation| {
            let Reservation::Counter { id, amount, limit, note, until } = asked else { return false };
            (*id, *amount, *limit, note, *until)
                == (net.key.id(project), net.amount, net.limit, &net.note, net.until)
        };
        if asked.clone().count() == nets.len()
            && nets.iter().all(|net| asked.clone().any(|asked| same(net, asked)))
        {
            return Ok(());
        }
        Err(format!(
            "{}: the store is asked for {:?}, and the decision says {nets:?}",
            transition.lead_id, transition.reservations
        ))
    }

    /// Makes the changes of a decision that was applied.
    pub(super) fn count(
        &mut self,
        nets: &[Net],
        (before, after): (&LeadState, &LeadState),
        (project, at): (ProjectId, Timestamp),
    ) -> Checked {
        for hold in holds(before) {
            *self.held.entry(hold.key.clone()).or_default() -= hold.amount;
        }
        for hold in holds(after) {
            *self.held.entry(hold.key.clone()).or_default() += hold.amount;
        }
        for net in nets {
            let counter = self.counters.remove(&net.key).unwrap_or_default();
            let value = counter.clone().at(at).value;
            if let Some(limit) = net.limit.filter(|limit| net.amount > 0 && value + net.amount > *limit) {
                return Err(format!(
                    "`{}` went from {value} by {} beyond its limit of {limit}",
                    net.key, net.amount
                ));
            }
            let changed = counter.changed(net.amount, net.note.as_deref(), net.until, at);
            // A counter of a period that is over says nothing of those who took something in it.
            let end = net.until.or(self.ends.get(&net.key).copied());
            self.ends.extend(end.map(|end| (net.key.clone(), end)));
            let lives = end.is_none_or(|end| end > at);
            let held = self.held.get(&net.key).copied().unwrap_or(0);
            if lives && is_sum_of_holds(&net.key) && changed.value != held {
                return Err(format!("`{}` is {}, and the leads hold {held} of it", net.key, changed.value));
            }
            self.keys.entry(net.key.id(project)).or_insert_with(|| net.key.clone());
            self.counters.insert(net.key.clone(), changed);
        }
        Ok(())
    }

    /// A counter that the store calls full is full.
    pub(super) fn is_full(&mut self, transition: &Transition, id: CounterId, said: &Counter) -> Checked {
        let known = self.by_id(id, transition.at);
        let asked = transition.reservations.iter().find_map(|asked| match asked {
            Reservation::Counter { id: asked, amount, limit: Some(limit), .. } if *asked == id => {
                Some((*amount, *limit))
            }
            _ => None,
        });
        let full = asked.is_some_and(|(amount, limit)| known.value + amount > limit);
        if full && *said == known {
            let times = self.refusals.entry(transition.lead_id).or_default();
            *times += 1;
            if *times <= MOST_REFUSALS {
                return Ok(());
            }
            let key = self.key(id).map(CounterKey::as_str).unwrap_or_default();
            return Err(format!(
                "{} is refused again and again, because `{key}` is full",
                transition.lead_id
            ));
        }
        let refusal = Refusal::CapFull { id, counter: said.clone() };
        Err(format!("{}: refused with {refusal:?}, and the counter is {known:?}", transition.lead_id))
    }

    /// What the store says of counters is their fold.
    pub(in super::super) fn counters_fit(
        &self,
        ids: &[CounterId],
        said: &[Counter],
        now: Timestamp,
    ) -> Checked {
        for (id, said) in ids.iter().zip(said) {
            let known = self.by_id(*id, now);
            if known != *said {
                return Err(format!("the store says {said:?} of a counter that is {known:?}"));
            }
        }
        Ok(())
    }

    /// What people call a counter.
    pub(in super::super) fn key(&self, id: CounterId) -> Option<&CounterKey> {
        self.keys.get(&id)
    }

    fn by_id(&self, id: CounterId, now: Timestamp) -> Counter {
        let found = self.keys.get(&id).and_then(|key| self.counters.get(key));
        found.cloned().unwrap_or_default().at(now)
    }
}

/// Everything that a lead takes from counters.
fn holds(state: &LeadState) -> impl Iterator<Item = &fastlead_core::decide::Hold> {
    let offers = state.offers.iter().flat_map(|offer| &offer.holds);
    let sales = state.sales.iter().flat_map(|sale| &sale.holds);
    state.holds.iter().chain(offers).chain(sales)
}
