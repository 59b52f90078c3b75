//! Days of the week, and sets of them as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::Datelike;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Zone;
use crate::policy::nearest;
use crate::time::Timestamp;

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

impl Weekday {
    /// All, from Monday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// `mon` to `sun`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    /// That of the local day that `at` belongs to.
    pub fn of(at: Timestamp, zone: Zone) -> Self {
        zone.day(at).weekday().into()
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl From<chrono::Weekday> for Weekday {
    fn from(day: chrono::Weekday) -> Self {
        match day {
            chrono::Weekday::Mon => Self::Mon,
            chrono::Weekday::Tue => Self::Tue,
            chrono::Weekday::Wed => Self::Wed,
            chrono::Weekday::Thu => Self::Thu,
            chrono::Weekday::Fri => Self::Fri,
            chrono::Weekday::Sat => Self::Sat,
            chrono::Weekday::Sun => Self::Sun,
        }
    }
}

impl FromStr for Weekday {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|day| day.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let short: String = text.chars().take(32).collect();
            let lower = short.to_ascii_lowercase();
            // A whole name, in English, begins with the short one.
            let begins = Self::ALL.into_iter().map(Self::as_str).find(|day| lower.starts_with(day));
            match begins.or_else(|| nearest(&lower, &Self::ALL.map(Self::as_str))) {
                Some(near) => format!("unknown day `{short}`; did you mean `{near}`?"),
                None => format!("unknown day `{short}`, expected mon, tue, wed, thu, fri, sat or sun"),
            }
        })
    }
}

/// Some days of the week, written as days and ranges: `mon-fri`, `sat,sun`, `fri-mon`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Weekdays(u8);

impl Weekdays {
    /// No day.
    pub const NONE: Self = Self(0);
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// Whether `day` is among them.
    pub const fn contains(self, day: Weekday) -> bool {
        self.0 & day.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The days that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The days that are in one of them or in both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The days that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<Weekday> for Weekdays {
    fn from_iter<T: IntoIterator<Item = Weekday>>(days: T) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | day.bit()))
    }
}

impl FromStr for Weekdays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bits = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse::<Weekday>()?, last.trim().parse::<Weekday>()?);
            for step in 0..7 {
                let day = Weekday::ALL[(first as usize + step) % 7];
                bits |= day.bit();
                if day == last {
                    break;
                }
            }
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut day = 0;
        let mut comma = "";
        while let Some(first) = Weekday::ALL.get(day) {
            let run = Weekday::ALL[day..].iter().take_while(|day| self.contains(**day)).count();
            match run {
                0 => {}
                1 => write!(f, "{comma}{}", first.as_str())?,
                2 => write!(f, "{comma}{},{}", first.as_str(), Weekday::ALL[day + 1].as_str())?,
                _ => write!(f, "{comma}{}-{}", first.as_str(), Weekday::ALL[day + run - 1].as_str())?,
            }
            if run > 0 {
                comma = ",";
            }
            day += run.max(1);
        }
        Ok(())
    }
}

impl fmt::Debug for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weekdays({self})")
    }
}

impl Serialize for Weekdays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weekdays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Weekdays;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("days as a text, such as `mon-fri` or `sat,sun`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Weekdays, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl schemars::JsonSchema for Weekdays {
    fn schema_name() -> Cow<'static, str> {
        "Weekdays".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Days of the week: days and ranges, separated by commas.",
            "type": "string",
            "examples": ["mon-fri", "sat,sun", "mon,wed,fri"],
        })
    }
}
