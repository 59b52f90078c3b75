//! Calendar periods in local time, for whatever is counted per hour, day, week or month.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Zone;
use super::zone::within;
use crate::time::Timestamp;

/// Over which stretch of local time something is counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Per {
    /// An hour, counted from local midnight.
    Hour,
    /// A local calendar day, 23 or 25 hours long where clocks are moved.
    Day,
    /// A week from Monday.
    Week,
    /// A calendar month.
    Month,
    /// For ever.
    Total,
}

impl Per {
    /// `hour`, `day`, `week`, `month` or `total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// One calendar period. Periods of a kind follow each other without gap or overlap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Period {
    /// A stable name that is unique among the periods of its kind in its zone:
    /// `2026-11-25T14:00+03:00`, `2026-11-25`, `2026-W48`, `2026-11` or `total`.
    pub key: String,
    /// The first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

impl Period {
    /// The period that `at` belongs to, for moments that [`Zone::local`] takes as they are.
    pub fn of(per: Per, at: Timestamp, zone: Zone) -> Self {
        let at = within(at);
        let day = zone.day(at);
        match per {
            Per::Hour => hour(at, day, zone),
            Per::Day => between(day.to_string(), day, after(day, 1), zone),
            Per::Week => {
                let back = u64::from(day.weekday().num_days_from_monday());
                let monday = day.checked_sub_days(Days::new(back)).unwrap_or(day);
                let week = day.iso_week();
                between(format!("{}-W{:02}", week.year(), week.week()), monday, after(monday, 7), zone)
            }
            Per::Month => {
                let first = day.with_day(1).unwrap_or(day);
                let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
                between(first.format("%Y-%m").to_string(), first, next, zone)
            }
            Per::Total => Self {
                key: "total".to_owned(),
                start: DateTime::<Utc>::MIN_UTC,
                end: DateTime::<Utc>::MAX_UTC,
            },
        }
    }

    /// Whether `at` is in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// Hours are counted in elapsed time from the start of the local day, so that the hour that a clock
/// repeats is an hour of its own, and a day of 23 hours has 23.
fn hour(at: Timestamp, day: NaiveDate, zone: Zone) -> Period {
    let midnight = zone.day_start(day);
    let hours = (at - midnight).num_hours().max(0);
    let start = midnight + TimeDelta::hours(hours);
    let end = (start + TimeDelta::hours(1)).min(zone.day_start(after(day, 1)));
    Period { key: zone.stamp(start), start, end }
}

fn after(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}

fn between(key: String, from: NaiveDate, to: NaiveDate, zone: Zone) -> Period {
    Period { key, start: zone.day_start(from), end: zone.day_start(to) }
}
