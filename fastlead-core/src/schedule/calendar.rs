//! Days that are not like their weekday.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{Weekday, russia};

/// Holidays, working weekends and shortened days.
///
/// The days of a policy are laid over those of the base, so that a policy can bring a new year, or
/// mend a day, without a new release. Without a base and without days it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    /// The built-in calendar to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<CalendarBase>,
    /// Days by date, such as `2027-01-01`. They win over the base.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub days: BTreeMap<NaiveDate, DayRule>,
    /// Years whose days are complete here, beside those of the base.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub years: BTreeSet<i32>,
}

/// A calendar that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CalendarBase {
    /// The Russian production calendar of a five-day week: the holidays of the Labour Code, art. 112, in every year,
    /// and what the Government's decrees move in 2025 and 2026.
    Ru,
}

impl CalendarBase {
    /// The years that it has whole, in order.
    pub const fn years(self) -> &'static [i32] {
        match self {
            Self::Ru => &russia::YEARS,
        }
    }

    /// What it says of a day; `None` where the day is like its weekday, as far as is known. The holidays of the law are
    /// known in every year.
    pub fn rule(self, date: NaiveDate) -> Option<DayRule> {
        match self {
            Self::Ru => russia::rule(date),
        }
    }
}

/// How a day differs from its weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum DayRule {
    /// No shift begins.
    Off,
    /// The shifts are those of its weekday, whatever the base says.
    Usual,
    /// The last shift ends earlier.
    Shorter {
        /// By how many minutes.
        #[serde(deserialize_with = "crate::duration::minutes")]
        #[schemars(with = "crate::duration::Minutes")]
        minutes: u16,
    },
    /// The shifts are those of another weekday: a working Saturday.
    Like {
        /// The weekday.
        day: Weekday,
        /// By how many minutes the last shift ends earlier.
        #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "crate::duration::minutes")]
        #[schemars(with = "crate::duration::Minutes")]
        shorter_minutes: u16,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(minutes: &u16) -> bool {
    *minutes == 0
}

impl Calendar {
    /// The built-in calendar and nothing else.
    pub fn based_on(base: CalendarBase) -> Self {
        Self { base: Some(base), ..Self::default() }
    }

    /// Whether it changes no day.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What it says of a day; `None` where the day is like its weekday.
    pub fn rule(&self, date: NaiveDate) -> Option<DayRule> {
        self.days.get(&date).copied().or_else(|| self.base.and_then(|base| base.rule(date)))
    }

    /// Whether it can be trusted in `year`. A calendar without a base knows every year: what it does
    /// not list is as usual.
    pub fn knows(&self, year: i32) -> bool {
        self.base.is_none_or(|base| base.years().contains(&year)) || self.years.contains(&year)
    }

    /// The first year from `from` to `to`, both included, that the calendar does not know whole. In such a year only
    /// the listed days and the holidays of the law are off, so whoever depends on it must be told.
    pub fn unknown_year(&self, from: NaiveDate, to: NaiveDate) -> Option<i32> {
        // Beyond the known years nothing is known, so the first few tell.
        (from.year()..=to.year()).take(50).find(|year| !self.knows(*year))
    }
}
