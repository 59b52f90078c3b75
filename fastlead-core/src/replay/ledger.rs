//! The counters of a replay, and whose keys are taken.

use std::collections::HashMap;

use super::memory::{KEY_BYTES, Memory, MemoryKey, Remembered, Shelf, VALUE_BYTES, millis};
use crate::decide::{Counter, CounterKey, UniqueKey};
use crate::error::{Error, ErrorKind, Result};
use crate::id::LeadId;
use crate::time::{Timestamp, from_millis};

/// Every counter that says something. What is remembered of people, of whom there are many, is in a [`Memory`]; the
/// others are those of targets and periods.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) counters: HashMap<CounterKey, Counter>,
    people: Box<dyn Memory>,
    names: Names,
}

/// The kinds of keys that name a person; the other kind is a counter's.
const UNIQUE: u8 = 0;

/// A counter of a person: what is counted, and of whom.
struct Person<'a> {
    kind: u8,
    digest: [u8; 16],
    /// The target or the day, where a person has a counter for each.
    name: Option<&'a str>,
}

fn person(key: &CounterKey) -> Option<Person<'_>> {
    let (kind, rest) = key.as_str().split_once(':')?;
    let kind = match kind {
        "owner" => 1,
        "leads" => 2,
        "sold" => 3,
        "today" => 4,
        _ => return None,
    };
    let (digits, name) = rest.split_once(':').map_or((rest, None), |(digits, name)| (digits, Some(name)));
    let mut digest = [0; 16];
    hex::decode_to_slice(digits, &mut digest).ok()?;
    Some(Person { kind, digest, name })
}

/// The names that were noted of people: those of targets and days, so there are few.
#[derive(Debug, Default)]
struct Names {
    places: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    /// Where a name stands, counted from one; `None` where it does not.
    fn find(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    fn place(&mut self, name: &str) -> Result<u32> {
        if let Some(place) = self.find(name) {
            return Ok(place);
        }
        self.names.push(name.to_owned());
        let many = |_| Error::new(ErrorKind::Internal, "a replay has noted too many names");
        let place = u32::try_from(self.names.len()).map_err(many)?;
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    fn name(&self, place: u32) -> Option<String> {
        let index = usize::try_from(place).ok()?.checked_sub(1)?;
        self.names.get(index).cloned()
    }
}

fn memory_key(kind: u8, place: u32, digest: &[u8; 16]) -> MemoryKey {
    let mut key = [0; KEY_BYTES];
    key[0] = kind;
    key[1..5].copy_from_slice(&place.to_be_bytes());
    key[5..].copy_from_slice(digest);
    key
}

/// What stands for no moment.
const NONE: i64 = i64::MIN;
/// What stands for no end.
const NEVER: i64 = i64::MAX;

impl Ledger {
    pub(super) fn new(people: Box<dyn Memory>) -> Self {
        Self { counters: HashMap::new(), people, names: Names::default() }
    }

    /// Where leads are put away, if anywhere.
    pub(super) fn shelf(&mut self) -> Option<&mut dyn Shelf> {
        self.people.shelf()
    }

    /// What a counter says at `now`.
    pub(super) fn level(&mut self, key: &CounterKey, now: Timestamp) -> Result<Counter> {
        let Some(person) = person(key) else {
            return Ok(self.counters.get(key).cloned().unwrap_or_default().at(now));
        };
        let place = match person.name {
            None => Some(0),
            Some(name) => self.names.find(name),
        };
        // A name that was never noted has no counters.
        let Some(place) = place else { return Ok(Counter::default()) };
        let found = self.people.get(&memory_key(person.kind, place, &person.digest), millis(now))?;
        Ok(found.map_or_else(Counter::default, |found| self.counter(&found)))
    }

    /// Changes a counter at `now`. What is forgotten is not given back.
    pub(super) fn change(
        &mut self,
        key: &CounterKey,
        amount: i64,
        note: Option<&str>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        if let Some(person) = person(key) {
            let place = person.name.map_or(Ok(0), |name| self.names.place(name))?;
            let key = memory_key(person.kind, place, &person.digest);
            let found = self.people.get(&key, millis(now))?;
            if amount < 0 && found.is_none() {
                return Ok(());
            }
            let before = found.map_or_else(Counter::default, |found| self.counter(&found));
            let entry = self.entry(&before.changed(amount, note, until, now))?;
            return self.people.put(key, entry, millis(now));
        }
        let over = |counter: &Counter| counter.until.is_some_and(|until| until <= now);
        match self.counters.get_mut(key) {
            Some(counter) if amount < 0 && over(counter) => {}
            None if amount < 0 => {}
            Some(counter) => *counter = std::mem::take(counter).changed(amount, note, until, now),
            None => {
                self.counters.insert(key.clone(), Counter::default().changed(amount, note, until, now));
            }
        }
        Ok(())
    }

    /// Whose a key is at `now`.
    pub(super) fn holder(&mut self, key: &UniqueKey, now: Timestamp) -> Result<Option<LeadId>> {
        let found = self.people.get(&memory_key(UNIQUE, 0, &key.0), millis(now))?;
        Ok(found.map(|found| LeadId::from_uuid(uuid::Uuid::from_bytes(part(&found.value, 0)))))
    }

    /// Gives a key to a lead.
    pub(super) fn hold(
        &mut self,
        key: &UniqueKey,
        lead: LeadId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let mut value = [0; VALUE_BYTES];
        value[..16].copy_from_slice(lead.as_uuid().as_bytes());
        self.people.put(
            memory_key(UNIQUE, 0, &key.0),
            Remembered { until: millis(until), value },
            millis(now),
        )
    }

    /// Forgets what says nothing any more.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Result<()> {
        self.counters.retain(|_, counter| counter.until.is_none_or(|until| until > now));
        self.people.sweep(millis(now))
    }

    fn counter(&self, entry: &Remembered) -> Counter {
        let at = |millis: i64, none: i64| (millis != none).then(|| from_millis(millis));
        Counter {
            value: i64::from_be_bytes(part(&entry.value, 0)),
            note: self.names.name(u32::from_be_bytes(part(&entry.value, 16))),
            last_at: at(i64::from_be_bytes(part(&entry.value, 8)), NONE),
            until: at(entry.until, NEVER),
        }
    }

    fn entry(&mut self, counter: &Counter) -> Result<Remembered> {
        let note = counter.note.as_deref().map_or(Ok(0), |name| self.names.place(name))?;
        let mut value = [0; VALUE_BYTES];
        value[..8].copy_from_slice(&counter.value.to_be_bytes());
        value[8..16].copy_from_slice(&counter.last_at.map_or(NONE, millis).to_be_bytes());
        value[16..].copy_from_slice(&note.to_be_bytes());
        Ok(Remembered { until: counter.until.map_or(NEVER, millis), value })
    }
}

/// So many bytes from a place on.
fn part<const N: usize>(value: &[u8; VALUE_BYTES], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&value[from..from + N]);
    part
}

#[cfg(test)]
mod tests {
    use super::super::memory::InMemory;
    use super::*;

    #[test]
    fn what_is_known_of_people_reads_back_and_is_forgotten() {
        let key = |text: &str| serde_json::from_value::<CounterKey>(text.into()).unwrap();
        let digits = "000102030405060708090a0b0c0d0e0f";
        let turn = key("turn:anna");
        let people = ["owner:P", "leads:P", "sold:P:anna", "sold:P:oleg", "today:P:2026-11-25"]
            .map(|text| key(&text.replace('P', digits)));
        let mut ledger = Ledger::new(Box::new(InMemory::new()));
        let (now, until) = (from_millis(1_000), from_millis(2_000));
        for (value, name) in (1..).zip(["anna", "oleg", "anna"]) {
            for (more, key) in (0..).zip(&people) {
                let amount = if value == 1 { 1 + more } else { 1 };
                ledger.change(key, amount, Some(name), Some(until), now).unwrap();
                let wanted = Counter {
                    value: value + more,
                    note: Some(name.to_owned()),
                    last_at: Some(now),
                    until: Some(until),
                };
                assert_eq!(ledger.level(key, now).unwrap(), wanted, "{key}");
            }
        }
        let endless = key("sold:ffffffffffffffffffffffffffffffff:anna");
        ledger.change(&endless, 1, None, None, now).unwrap();
        ledger.change(&turn, 5, None, None, now).unwrap();
        assert_eq!(ledger.level(&turn, until).unwrap().value, 5);
        assert_eq!(ledger.counters.len(), 1, "people are not among the counters of all");
        ledger.sweep(until).unwrap();
        for key in &people {
            assert_eq!(ledger.level(key, until).unwrap(), Counter::default());
            ledger.change(key, -1, None, None, until).unwrap();
            assert_eq!(ledger.level(key, until).unwrap(), Counter::default(), "nothing is given back");
        }
        let counter = ledger.level(&endless, from_millis(i64::from(u32::MAX))).unwrap();
        assert_eq!((counter.value, counter.until), (1, None));
    }

    #[test]
    fn a_key_is_held_until_a_moment() {
        let lead = |number| LeadId::from_uuid(uuid::Uuid::from_u128(number));
        let mut ledger = Ledger::new(Box::new(InMemory::new()));
        let (key, now, until) = (UniqueKey([7; 16]), from_millis(1_000), from_millis(2_000));
        assert_eq!(ledger.holder(&key, now).unwrap(), None);
        ledger.hold(&key, lead(1), until, now).unwrap();
        assert_eq!(ledger.holder(&key, from_millis(1_999)).unwrap(), Some(lead(1)));
        assert_eq!(ledger.holder(&key, until).unwrap(), None);
    }
}
