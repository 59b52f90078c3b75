//! What a decision knows besides the lead: levels of counters, and the person's history.

use serde::{Deserialize, Serialize};

use super::counter::{Counter, CounterKey};
use crate::time::Timestamp;

/// The levels that a decision saw. Names of targets and numbers, no personal data: it is kept in the
/// trace, so that the decision can be made again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Facts {
    /// Of each target that counts something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetFacts>,
    /// Of the policy's own caps, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<CapLevel>,
    /// Of the queues of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<RuleQueue>,
    /// How many leads of this person there were before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<u64>,
    /// How many of them today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub today: Option<u64>,
    /// Of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PreviousOwner>,
    /// How many accounts, linked to the person's phone number, the person's history is also of.
    #[serde(default, skip_serializing_if = "is_none")]
    pub merged: u32,
}

/// The levels of one target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TargetFacts {
    /// Its name.
    pub target: String,
    /// The number of its last turn; the one with the lowest waited longest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub turn: i64,
    /// Its leads in the window of `weighted`; absent where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<i64>,
    /// Its open leads.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open: i64,
    /// How many leads of this person it has within its dedupe window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sold: i64,
    /// Of its caps, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<CapLevel>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_none(value: &u32) -> bool {
    *value == 0
}

/// How many leads wait in the queue of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleQueue {
    /// The index of the rule.
    pub rule: u32,
    /// How many.
    pub leads: i64,
}

/// How far a cap is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CapLevel {
    /// Leads in the present period.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leads: i64,
    /// Money in the present period, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub money: i64,
}

/// Who had the person's last lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PreviousOwner {
    /// The target's name.
    pub target: String,
    /// When it accepted that lead.
    pub at: Timestamp,
}

/// A target of which nothing is known.
pub(super) static NOTHING: TargetFacts =
    TargetFacts { target: String::new(), turn: 0, share: None, open: 0, sold: 0, caps: Vec::new() };

impl Facts {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
            && self.caps.is_empty()
            && self.queues.is_empty()
            && self.owner.is_none()
            && self.earlier.is_none()
            && self.today.is_none()
    }

    /// The levels of a target. `hint` is where it probably is, and moves on: facts come in the order in
    /// which they are asked for, so a search is rare.
    pub(super) fn target(&self, name: &str, hint: &mut usize) -> &TargetFacts {
        let at = |index: usize| self.targets.get(index).filter(|facts| facts.target == name);
        let found = at(*hint)
            .map(|facts| (*hint, facts))
            .or_else(|| self.targets.iter().enumerate().find(|(_, facts)| facts.target == name));
        match found {
            Some((index, facts)) => {
                *hint = index + 1;
                facts
            }
            None => &NOTHING,
        }
    }

    /// The levels of one target.
    pub(super) fn one(&self, name: &str) -> &TargetFacts {
        self.target(name, &mut 0)
    }
}

/// Which counters a decision wants, and where their values go in [`Facts`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    pub(super) shape: Facts,
    pub(super) keys: Vec<CounterKey>,
    pub(super) slots: Vec<Slot>,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Turn(usize),
    Share(usize),
    Open(usize),
    Sold(usize),
    Leads(usize, usize),
    Money(usize, usize),
    ProjectLeads(usize),
    ProjectMoney(usize),
    Queue(usize),
    /// How many of them are the lead itself.
    Earlier(i64),
    Today,
    Owner,
}

impl Needs {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The counters that are wanted.
    pub fn keys(&self) -> &[CounterKey] {
        &self.keys
    }

    pub(super) fn want(&mut self, slot: Slot, key: CounterKey) {
        self.slots.push(slot);
        self.keys.push(key);
    }

    /// The facts, given each counter's value in the order of [`Needs::keys`]. A counter that has no
    /// value is 0. What several say of one person is added up; of several owners the latest counts.
    pub fn answer(self, counters: impl IntoIterator<Item = Counter>) -> Facts {
        let mut facts = self.shape;
        for (slot, counter) in self.slots.into_iter().zip(counters) {
            let value = counter.value;
            match slot {
                Slot::Turn(target) => facts.targets[target].turn = value,
                Slot::Share(target) => facts.targets[target].share = counter.last_at.map(|_| value),
                Slot::Open(target) => facts.targets[target].open = value,
                Slot::Sold(target) => facts.targets[target].sold += value,
                Slot::Leads(target, cap) => facts.targets[target].caps[cap].leads = value,
                Slot::Money(target, cap) => facts.targets[target].caps[cap].money = value,
                Slot::ProjectLeads(cap) => facts.caps[cap].leads = value,
                Slot::ProjectMoney(cap) => facts.caps[cap].money = value,
                Slot::Queue(place) => facts.queues[place].leads = value,
                Slot::Earlier(own) => add(&mut facts.earlier, value - own),
                Slot::Today => add(&mut facts.today, value),
                Slot::Owner => {
                    let known = facts.owner.take();
                    let owner =
                        counter.note.zip(counter.last_at).map(|(target, at)| PreviousOwner { target, at });
                    facts.owner = match (known, owner) {
                        (Some(known), Some(owner)) => Some(if owner.at > known.at { owner } else { known }),
                        (known, owner) => known.or(owner),
                    };
                }
            }
        }
        facts
    }
}

/// Adds what a counter says, where it says more than nothing.
fn add(sum: &mut Option<u64>, value: i64) {
    *sum = Some(sum.unwrap_or(0) + u64::try_from(value).unwrap_or(0));
}
