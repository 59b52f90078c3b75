//! Time zones by their IANA names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::policy::nearest;
use crate::time::{Timestamp, epoch};

/// A time zone of the IANA database, written by its name, such as `Europe/Moscow`.
///
/// The database is compiled in (release 2025b), so that the same moment gives the same local time
/// on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The name in the IANA database.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What a clock on the wall shows at `at`. Moments outside the years 1 to 9999, and those of
    /// the first and last week inside, are taken as the nearest between.
    pub fn local(self, at: Timestamp) -> NaiveDateTime {
        self.0.from_utc_datetime(&within(at).naive_utc()).naive_local()
    }

    /// The local time with its offset, such as `2026-11-25T14:00+03:00`.
    pub(super) fn stamp(self, at: Timestamp) -> String {
        self.0.from_utc_datetime(&within(at).naive_utc()).format("%Y-%m-%dT%H:%M%:z").to_string()
    }

    /// The first moment when a clock on the wall shows `local`, or shows a later time because it
    /// was put forward over it.
    pub fn first_moment(self, local: NaiveDateTime) -> Timestamp {
        let local = local.clamp(edge(1, 1, 1), edge(9999, 12, 31));
        match self.0.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
            // In a gap: the moment when the clock is put forward.
            LocalResult::None => GapInfo::new(&local, &self.0)
                .and_then(|gap| gap.begin)
                .map_or(local, |(begin, offset)| {
                    begin - TimeDelta::seconds(i64::from(offset.fix().local_minus_utc()))
                })
                .and_utc(),
        }
    }

    /// The first moment of a local day. Where clocks are put forward at midnight, it is the moment
    /// when they are. A day that a zone has left out (Samoa, 30 December 2011) begins with the next.
    pub fn day_start(self, date: NaiveDate) -> Timestamp {
        self.first_moment(date.and_time(NaiveTime::MIN))
    }

    /// The local day that `at` belongs to: the last that has begun. It is the date on the wall, but
    /// for the minutes that a clock repeats when it is put back over midnight: they stay in the day
    /// that had begun before.
    pub fn day(self, at: Timestamp) -> NaiveDate {
        let date = self.local(at).date();
        match date.succ_opt() {
            Some(next) if self.day_start(next) <= within(at) => next,
            _ => date,
        }
    }
}

/// The arithmetic of time zones stays between these, where no offset leads out of the calendar.
fn edge(year: i32, month: u32, day: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(year, month, day)
        .map_or(epoch().naive_utc(), |date| date.and_time(NaiveTime::MIN))
}

/// The nearest moment that has whole days of every zone before and after it.
pub(super) fn within(at: Timestamp) -> Timestamp {
    at.clamp(edge(1, 1, 8).and_utc(), edge(9999, 12, 24).and_utc())
}

/// A text that is not the name of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{name}`; {hint}")]
pub struct UnknownZone {
    name: String,
    hint: String,
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Tz>().map(Self).map_err(|_| {
            let names: Vec<&'static str> = TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
            let short: String = text.chars().take(64).collect();
            let same_but_case = names.iter().copied().find(|name| name.eq_ignore_ascii_case(text));
            // `Moscow` is near to nothing, but is the city of one zone.
            let city = || {
                names.iter().copied().find(|name| {
                    name.rsplit_once('/').is_some_and(|(_, city)| city.eq_ignore_ascii_case(text))
                })
            };
            let hint = match same_but_case.or_else(|| nearest(&short, &names)).or_else(city) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "expected a name of the IANA database, such as `Europe/Moscow`".to_owned(),
            };
            UnknownZone { name: short, hint }
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A time zone by its name in the IANA database.",
            "type": "string",
            "examples": ["Europe/Moscow", "Asia/Yekaterinburg", "UTC"],
        })
    }
}
