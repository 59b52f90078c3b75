//! What differs between two policies, in numbers, and whether that is too much.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::Serialize;

use super::{Assumptions, Tally};
use crate::time::Timestamp;

/// What a backtest has found. The same captures and policies give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// From which moment on captures were replayed.
    pub since: Timestamp,
    /// Before which moment.
    pub until: Timestamp,
    /// What was assumed where the past does not say.
    pub assumed: Assumptions,
    /// What the policy of before came to.
    pub before: Tally,
    /// What the new policy comes to.
    pub after: Tally,
    /// Every number of both, by name.
    pub rows: Vec<Row>,
    /// The rows that have changed by more than was allowed.
    pub exceeded: Vec<String>,
}

/// One number of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name, such as `targets.anna.accepted`.
    pub name: String,
    /// With the policy of before.
    pub before: i64,
    /// With the new policy.
    pub after: i64,
    /// By how much it has changed, of 1,000; absent where it was nothing before.
    pub change_permille: Option<i64>,
}

impl Row {
    fn exceeds(&self, permille: i64) -> bool {
        match self.change_permille {
            Some(change) => change.abs() > permille,
            None => self.before != self.after,
        }
    }
}

/// A group of numbers that a limit can be set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// What targets get: offers, accepted leads, revenue.
    Targets,
    /// What comes of sources.
    Sources,
    /// Leads that are refused, by code.
    Rejected,
    /// Money in all.
    Revenue,
    /// The time until the first offer.
    FirstOffer,
}

impl Family {
    const ALL: [(&'static str, Self); 5] = [
        ("targets", Self::Targets),
        ("sources", Self::Sources),
        ("rejected", Self::Rejected),
        ("revenue", Self::Revenue),
        ("first_offer", Self::FirstOffer),
    ];

    fn has(self, row: &Row) -> bool {
        let head = row.name.split('.').next().unwrap_or_default();
        Self::ALL.iter().any(|(name, family)| *family == self && *name == head)
    }
}

/// By how much numbers may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which numbers; `None`: of every family.
    pub family: Option<Family>,
    /// By how much, of 1,000.
    pub permille: i64,
}

impl FromStr for Limit {
    type Err = String;

    /// `10` or `revenue=2.5`, in percent.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (family, percent) = match text.split_once('=') {
            None => (None, text),
            Some((name, percent)) => {
                let known = Family::ALL.iter().find(|(known, _)| *known == name);
                let names: Vec<&str> = Family::ALL.iter().map(|(name, _)| *name).collect();
                let wrong = || format!("unknown numbers `{name}`; expected one of: {}", names.join(", "));
                (Some(known.ok_or_else(wrong)?.1), percent)
            }
        };
        let (whole, tenths) = percent.split_once('.').unwrap_or((percent, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = (digits(whole) && digits(tenths) && tenths.len() == 1)
            .then(|| Some(whole.parse::<i64>().ok()?.checked_mul(10)? + tenths.parse::<i64>().ok()?));
        let wrong =
            || format!("expected percent with at most one decimal, such as `10` or `2.5`, not `{percent}`");
        Ok(Self { family, permille: number.flatten().ok_or_else(wrong)? })
    }
}

impl Report {
    /// Compares two sides.
    pub fn new(
        (since, until): (Timestamp, Timestamp),
        assumed: Assumptions,
        (before, after): (Tally, Tally),
        limits: &[Limit],
    ) -> Self {
        let (old, new) = (before.numbers(), after.numbers());
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let row = |name: &String| {
            let (before, after) =
                (old.get(name).copied().unwrap_or_default(), new.get(name).copied().unwrap_or_default());
            let change = i128::from(after) - i128::from(before);
            let permille = (before != 0).then(|| {
                let permille = change * 1_000 / i128::from(before).abs();
                i64::try_from(permille).unwrap_or(if change < 0 { i64::MIN } else { i64::MAX })
            });
            Row { name: name.clone(), before, after, change_permille: permille }
        };
        let rows: Vec<Row> = names.into_iter().map(row).collect();
        let too_much = |row: &&Row| {
            limits.iter().any(|limit| {
                let concerned = match limit.family {
                    Some(family) => family.has(row),
                    None => Family::ALL.iter().any(|(_, family)| family.has(row)),
                };
                concerned && row.exceeds(limit.permille)
            })
        };
        let exceeded = rows.iter().filter(too_much).map(|row| row.name.clone()).collect();
        Self { since, until, assumed, before, after, rows, exceeded }
    }
}
