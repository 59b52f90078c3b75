//! The counters of a replay.

use std::collections::{BTreeMap, HashMap};

use crate::decide::{Counter, CounterKey};
use crate::time::{Timestamp, from_millis};

/// Every counter that says something. What is remembered of people, of whom there are many, is kept small: a tree,
/// because a hash table has twice as many places as entries right after it has grown.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) counters: HashMap<CounterKey, Counter>,
    people: BTreeMap<Person, Known>,
    /// The names that were noted of people: those of targets, so there are few.
    names: Vec<String>,
}

/// What is counted of whom: `owner` or `leads`, and the 16 bytes that name a person.
type Person = (u8, [u8; 16]);

/// A counter of a person.
#[derive(Debug, Clone, Copy)]
struct Known {
    value: i64,
    last_at: Moment,
    until: Moment,
    /// The place of the name that was noted, counted from one; zero where there is none.
    note: u32,
}

/// Milliseconds since 1970, or none, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(i64);

impl Moment {
    const NONE: i64 = i64::MIN;

    pub(super) fn at(self) -> Option<Timestamp> {
        (self.0 != Self::NONE).then(|| from_millis(self.0))
    }

    /// Whether it is there and not after `now`.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.0 != Self::NONE && self.0 <= now.timestamp_millis()
    }
}

impl From<Option<Timestamp>> for Moment {
    fn from(at: Option<Timestamp>) -> Self {
        Self(at.map_or(Self::NONE, |at| at.timestamp_millis()))
    }
}

fn person(key: &CounterKey) -> Option<Person> {
    let (kind, digits) = key.as_str().split_once(':')?;
    let kind = match kind {
        "owner" => 0,
        "leads" => 1,
        _ => return None,
    };
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some((kind, bytes))
}

impl Ledger {
    /// What a counter says at `now`.
    pub(super) fn level(&self, key: &CounterKey, now: Timestamp) -> Counter {
        let counter = match person(key) {
            Some(person) => self.people.get(&person).map(|known| self.counter(*known)),
            None => self.counters.get(key).cloned(),
        };
        counter.unwrap_or_default().at(now)
    }

    /// Changes a counter at `now`. What is forgotten is not given back.
    pub(super) fn change(
        &mut self,
        key: &CounterKey,
        amount: i64,
        note: Option<&str>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) {
        let over = |counter: &Counter| counter.until.is_some_and(|until| until <= now);
        if let Some(person) = person(key) {
            let before = self.people.get(&person).map(|known| self.counter(*known));
            if amount < 0 && before.as_ref().is_none_or(over) {
                return;
            }
            let after = before.unwrap_or_default().changed(amount, note, until, now);
            let known = self.known(&after);
            self.people.insert(person, known);
            return;
        }
        match self.counters.get_mut(key) {
            Some(counter) if amount < 0 && over(counter) => {}
            None if amount < 0 => {}
            Some(counter) => *counter = std::mem::take(counter).changed(amount, note, until, now),
            None => {
                self.counters.insert(key.clone(), Counter::default().changed(amount, note, until, now));
            }
        }
    }

    /// Forgets what says nothing any more.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.counters.retain(|_, counter| counter.until.is_none_or(|until| until > now));
        self.people.retain(|_, known| !known.until.is_over(now));
    }

    fn counter(&self, known: Known) -> Counter {
        let place = usize::try_from(known.note).ok().and_then(|note| note.checked_sub(1));
        Counter {
            value: known.value,
            note: place.and_then(|place| self.names.get(place)).cloned(),
            last_at: known.last_at.at(),
            until: known.until.at(),
        }
    }

    fn known(&mut self, counter: &Counter) -> Known {
        let note = counter.note.as_ref().map_or(0, |name| {
            let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
                self.names.push(name.clone());
                self.names.len() - 1
            });
            u32::try_from(place + 1).unwrap_or(0)
        });
        Known { value: counter.value, last_at: counter.last_at.into(), until: counter.until.into(), note }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_people_reads_back_and_is_forgotten() {
        let key = |text: &str| serde_json::from_value::<CounterKey>(text.into()).unwrap();
        let (owner, turn) = (key("owner:000102030405060708090a0b0c0d0e0f"), key("turn:anna"));
        let mut ledger = Ledger::default();
        let (now, until) = (from_millis(1_000), from_millis(2_000));
        for (name, value) in [("anna", 1), ("oleg", 2), ("anna", 3)] {
            ledger.change(&owner, 1, Some(name), Some(until), now);
            let wanted =
                Counter { value, note: Some(name.to_owned()), last_at: Some(now), until: Some(until) };
            assert_eq!(ledger.level(&owner, now), wanted);
        }
        ledger.change(&turn, 5, None, None, now);
        assert_eq!(ledger.level(&turn, until).value, 5);
        assert_eq!((ledger.counters.len(), ledger.people.len()), (1, 1));
        assert_eq!(ledger.level(&owner, until), Counter::default());
        ledger.change(&owner, -1, None, None, until);
        ledger.sweep(until);
        assert_eq!((ledger.counters.len(), ledger.people.len()), (1, 0));
    }
}
