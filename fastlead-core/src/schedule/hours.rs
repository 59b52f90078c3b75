//! When somebody works: a weekly pattern, and the calendar that bends it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Calendar, Weekdays};

/// When somebody works. The time zone is given with each question.
///
/// A shift belongs to the day on which it begins: on a holiday no shift begins, and the night shift
/// of the evening before runs to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkingHours {
    /// The shifts of a week. Several a day leave breaks between them.
    pub weekly: Vec<OpenHours>,
    /// Holidays, working weekends and shortened days. Absent: every week is like the other.
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    pub holidays: Calendar,
}

/// One shift, on some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenHours {
    /// The days on which it begins, such as `mon-fri`.
    pub days: Weekdays,
    /// When it begins, local time.
    pub from: TimeOfDay,
    /// When it ends, local time: `24:00` is the end of the day; a time before `from` is on the next
    /// day.
    pub to: TimeOfDay,
}

impl OpenHours {
    /// The local times between which the shift of `date` runs.
    pub(super) fn on(&self, date: NaiveDate) -> (NaiveDateTime, NaiveDateTime) {
        let midnight = date.and_time(NaiveTime::MIN);
        let over_night = if self.to <= self.from { 24 * 60 } else { 0 };
        let at = |minutes: u16| {
            midnight.checked_add_signed(TimeDelta::minutes(i64::from(minutes))).unwrap_or(NaiveDateTime::MAX)
        };
        (at(self.from.0), at(self.to.0 + over_night))
    }
}

/// A time on the wall in whole minutes, written `HH:MM`, from `00:00` to `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// The end of a day.
    pub const MIDNIGHT: Self = Self(24 * 60);

    /// So many hours and minutes after midnight; `None` beyond 24 hours.
    pub const fn new(hours: u16, minutes: u16) -> Option<Self> {
        if minutes < 60 && (hours < 24 || (hours == 24 && minutes == 0)) {
            Some(Self(hours * 60 + minutes))
        } else {
            None
        }
    }

    /// Whole minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Self::new(number(hours)?, number(minutes)?))
            .ok_or_else(|| {
                let short: String = text.chars().take(32).collect();
                format!("`{short}` is not a time of day, expected HH:MM such as `09:00`, at most `24:00`")
            })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A local time of day, HH:MM.",
            "type": "string",
            "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        })
    }
}

/// One fault of working hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleFault {
    /// Where, such as `weekly[1].to`; empty for the whole.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}
