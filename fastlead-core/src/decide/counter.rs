//! Numbers that many leads share: caps, turns, shares, open leads. Their keys are readable.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::ProjectId;
use crate::person::PersonKey;
use crate::schedule::Per;
use crate::time::Timestamp;

/// The name of a counter within its project, such as `cap:anna:day:2026-11-25@Europe/Moscow` or `turn:anna`.
///
/// It names targets, sources and periods. A person is named by 16 bytes that tell nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CounterKey(String);

/// A counter as stores know it: 16 bytes that tell nothing of whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterId(pub [u8; 16]);

/// What a counter says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counter {
    /// Its value. 0 where there is no such counter.
    pub value: i64,
    /// What was noted with it last: the name of a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was last changed; `None` where there is no such counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// From which moment on it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Counter {
    /// Whether it says what a counter says that is not there. Such a one need not be stored.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What it says at `now`: nothing, where it is forgotten.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        if self.until.is_some_and(|until| until <= now) { Self::default() } else { self }
    }

    /// What it says after a change at `at`. It never goes below 0, and giving back of what is forgotten or was never
    /// there leaves it as it is.
    #[must_use]
    pub fn changed(self, amount: i64, note: Option<&str>, until: Option<Timestamp>, at: Timestamp) -> Self {
        let forgotten = self.until.is_some_and(|until| until <= at);
        if amount <= 0 && note.is_none() && (forgotten || self.is_nothing()) {
            return self;
        }
        let have = self.at(at);
        Self {
            value: have.value.saturating_add(amount).max(0),
            note: note.map(str::to_owned).or(have.note),
            last_at: if amount > 0 { Some(at) } else { have.last_at },
            until: until.or(have.until),
        }
    }
}

impl CounterKey {
    /// The key as people read it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name by which stores know it: the same for the same project and key only.
    pub fn id(&self, project: ProjectId) -> CounterId {
        let mut hash = Sha256::new();
        hash.update(project.as_uuid().as_bytes());
        hash.update(self.0.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        CounterId(id)
    }

    /// Leads that wait in the queue of a rule.
    pub(super) fn queue(rule: u32) -> Self {
        Self::of(&["queue", &rule.to_string()])
    }

    /// Whether somebody has more room when the counter goes down.
    pub(crate) fn is_room(&self) -> bool {
        ["open:", "cap:", "money:"].iter().any(|kind| self.0.starts_with(kind))
    }

    /// When a target was last in turn.
    pub(super) fn turn(target: &str) -> Self {
        Self::of(&["turn", target])
    }

    /// A target's share in a period.
    pub(super) fn share(target: &str, per: Per, period: &str) -> Self {
        Self::of(&["share", target, per.as_str(), period])
    }

    /// A target's open leads.
    pub(super) fn open(target: &str) -> Self {
        Self::of(&["open", target])
    }

    /// Leads of a target in a period; of the project where `target` is `None`.
    pub(super) fn cap(target: Option<&str>, source: Option<&str>, per: Per, period: &str) -> Self {
        Self::limit("cap", target, source, per, period)
    }

    /// Money for leads of a target in a period; of the project where `target` is `None`.
    pub(super) fn money(target: Option<&str>, source: Option<&str>, per: Per, period: &str) -> Self {
        Self::limit("money", target, source, per, period)
    }

    fn limit(kind: &str, target: Option<&str>, source: Option<&str>, per: Per, period: &str) -> Self {
        // No target's name is empty after escaping, so the project cannot be taken for one.
        let owner = target.unwrap_or_default();
        match source {
            Some(source) => Self::of(&[kind, owner, "source", source, per.as_str(), period]),
            None => Self::of(&[kind, owner, per.as_str(), period]),
        }
    }

    /// Whether a person's lead was offered to the target.
    pub(super) fn sold(person: &PersonKey, target: &str) -> Self {
        Self::of(&["sold", person.as_str(), target])
    }

    /// How many leads of a person there were.
    pub(super) fn earlier(person: &PersonKey) -> Self {
        Self::of(&["leads", person.as_str()])
    }

    /// How many leads of a person there were on a day.
    pub(super) fn today(person: &PersonKey, day: &str) -> Self {
        Self::of(&["today", person.as_str(), day])
    }

    /// Who had a person's last lead.
    pub(super) fn owner(person: &PersonKey) -> Self {
        Self::of(&["owner", person.as_str()])
    }

    /// Joins the parts; a colon inside a part is doubled, so that no two lists give one key.
    fn of(parts: &[&str]) -> Self {
        let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                key.push(':');
            }
            if part.is_empty() {
                key.push('*');
            } else if part.contains([':', '*', '\\']) {
                for character in part.chars() {
                    if matches!(character, ':' | '*' | '\\') {
                        key.push('\\');
                    }
                    key.push(character);
                }
            } else {
                key.push_str(part);
            }
        }
        Self(key)
    }
}

impl std::fmt::Display for CounterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_of_nothing_leaves_nothing() {
        let at = |seconds| crate::time::plus_seconds(crate::time::epoch(), seconds);
        let counter = Counter::default().changed(2, None, Some(at(60)), at(0));
        assert_eq!(counter.clone().changed(-1, None, None, at(59)).value, 1);
        // It is to be forgotten at the same moment as before.
        assert_eq!(counter.clone().changed(-1, None, None, at(60)), counter);
        assert_eq!(Counter::default().changed(-1, None, None, at(0)), Counter::default());
        let noted = counter.changed(-1, Some("anna"), Some(at(120)), at(60));
        assert_eq!((noted.value, noted.until), (0, Some(at(120))));
    }

    #[test]
    fn keys_read_well_and_never_meet() {
        let key = |key: CounterKey| key.to_string();
        assert_eq!(
            key(CounterKey::cap(Some("anna"), None, Per::Day, "2026-11-25")),
            "cap:anna:day:2026-11-25"
        );
        assert_eq!(
            key(CounterKey::money(None, Some("site"), Per::Total, "total")),
            "money:*:source:site:total:total"
        );
        let near = [
            CounterKey::turn("a:b"),
            CounterKey::turn("a"),
            CounterKey::turn("*"),
            CounterKey::turn(""),
            CounterKey::open("a"),
            CounterKey::cap(Some("a"), Some("s"), Per::Day, "x"),
            CounterKey::cap(Some("a:source:s"), None, Per::Day, "x"),
            CounterKey::cap(None, None, Per::Day, "x"),
            CounterKey::cap(Some("*"), None, Per::Day, "x"),
        ];
        let all: std::collections::BTreeSet<_> = near.iter().map(CounterKey::as_str).collect();
        assert_eq!(all.len(), near.len(), "{all:?}");
    }
}
