//! Durations as people write them: `90s`, `5m`, `1h30m`, `30d`.
//!
//! A policy keeps a duration as the number of its unit and is written back so. Its text is read wherever a number is,
//! and a number stays valid.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};

/// Returns the seconds of a duration; `None` where the text is not one.
pub fn parse_duration(text: &str) -> Option<u64> {
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.get(digits..)?.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(digits + 1..)?;
    }
    Some(seconds)
}

/// Writes seconds as [`parse_duration`] reads them.
pub fn in_words(seconds: u64) -> String {
    let mut text = String::new();
    let mut rest = seconds;
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Unit that a bare number of a field counts.
trait Unit {
    /// Plural name of the unit.
    const NAME: &'static str;
    /// Duration to show as an example.
    const EXAMPLE: &'static str;

    /// Counts a text in this unit; `None` where it is no duration, or no whole number of units.
    fn count(text: &str) -> Option<u64>;
}

/// Whole seconds.
pub(crate) struct Seconds;
/// Whole minutes.
pub(crate) struct Minutes;
/// Whole days.
pub(crate) struct Days;
/// Milliseconds, which are also written `500ms`.
pub(crate) struct Millis;

impl Unit for Seconds {
    const NAME: &'static str = "seconds";
    const EXAMPLE: &'static str = "5m";

    fn count(text: &str) -> Option<u64> {
        parse_duration(text)
    }
}

impl Unit for Minutes {
    const NAME: &'static str = "minutes";
    const EXAMPLE: &'static str = "1h";

    fn count(text: &str) -> Option<u64> {
        whole(text, 60)
    }
}

impl Unit for Days {
    const NAME: &'static str = "days";
    const EXAMPLE: &'static str = "30d";

    fn count(text: &str) -> Option<u64> {
        whole(text, 86_400)
    }
}

impl Unit for Millis {
    const NAME: &'static str = "milliseconds";
    const EXAMPLE: &'static str = "500ms";

    fn count(text: &str) -> Option<u64> {
        match text.trim().strip_suffix("ms") {
            Some(number) => number.parse().ok(),
            None => parse_duration(text)?.checked_mul(1_000),
        }
    }
}

fn whole(text: &str, size: u64) -> Option<u64> {
    let seconds = parse_duration(text)?;
    seconds.is_multiple_of(size).then_some(seconds / size)
}

/// One duration that is being read, in a unit.
struct Read<U>(PhantomData<U>);

impl<U: Unit> Visitor<'_> for Read<U> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a duration such as {}, or a number of {}", U::EXAMPLE, U::NAME)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let short = || text.chars().take(32).collect::<String>();
        U::count(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(&short()), &self))
    }
}

/// Duration in a field, read from a text or a number.
struct Given<U>(u64, PhantomData<U>);

impl<'de, U: Unit> serde::Deserialize<'de> for Given<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read::<U>(PhantomData)).map(|number| Self(number, PhantomData))
    }
}

fn fits<T: TryFrom<u64>, U: Unit, E: Error>(number: u64) -> Result<T, E> {
    T::try_from(number).map_err(|_| {
        let given = serde::de::Unexpected::Unsigned(number);
        E::invalid_value(given, &Read::<U>(PhantomData))
    })
}

/// Reads a duration in the unit `U`.
///
/// # Errors
/// Where it is neither a duration nor a number that fits.
fn read<'de, U: Unit, T: TryFrom<u64>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let Given::<U>(number, _) = serde::Deserialize::deserialize(deserializer)?;
    fits::<T, U, D::Error>(number)
}

/// Reads a duration that may be `null`.
///
/// # Errors
/// As [`read`].
fn read_option<'de, U: Unit, T: TryFrom<u64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let given: Option<Given<U>> = serde::Deserialize::deserialize(deserializer)?;
    given.map(|Given(number, _)| fits::<T, U, D::Error>(number)).transpose()
}

/// Reads a list of seconds.
///
/// # Errors
/// As [`read`].
pub(crate) fn list_of_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let given: Vec<Given<Seconds>> = serde::Deserialize::deserialize(deserializer)?;
    Ok(given.into_iter().map(|Given(number, _)| number).collect())
}

/// Reads seconds.
///
/// # Errors
/// As [`read`].
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    read::<Seconds, u64, D>(deserializer)
}

/// Reads seconds that may be `null`.
///
/// # Errors
/// As [`read`].
pub(crate) fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    read_option::<Seconds, u64, D>(deserializer)
}

/// Reads days.
///
/// # Errors
/// As [`read`].
pub(crate) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    read::<Days, u32, D>(deserializer)
}

/// Reads days that may be `null`.
///
/// # Errors
/// As [`read`].
pub(crate) fn optional_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    read_option::<Days, u32, D>(deserializer)
}

/// Reads milliseconds.
///
/// # Errors
/// As [`read`].
pub(crate) fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    read::<Millis, u64, D>(deserializer)
}

/// Reads minutes.
///
/// # Errors
/// As [`read`].
pub(crate) fn minutes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    read::<Minutes, u16, D>(deserializer)
}

macro_rules! schema_of {
    ($unit:ident, $pattern:literal) => {
        impl JsonSchema for $unit {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($unit).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "anyOf": [
                        {"type": "integer", "minimum": 0},
                        {"type": "string", "pattern": $pattern, "examples": [$unit::EXAMPLE]},
                    ],
                })
            }
        }
    };
}

schema_of!(Seconds, "^([0-9]+[smhd])+$");
schema_of!(Minutes, "^([0-9]+[smhd])+$");
schema_of!(Days, "^([0-9]+[smhd])+$");
schema_of!(Millis, "^([0-9]+ms|([0-9]+[smhd])+)$");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_back_as_they_are_written() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5_400), ("30d", 2_592_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(seconds), "{text}");
            assert_eq!(parse_duration(&in_words(seconds)), Some(seconds), "{text}");
        }
        for wrong in ["", "5", "m", "5w", "-5m", "5м", "99999999999999999999d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_unit_takes_its_own_numbers_and_whole_durations() {
        assert_eq!(
            (Seconds::count("2h"), Minutes::count("2h"), Minutes::count("90s")),
            (Some(7_200), Some(120), None)
        );
        assert_eq!((Days::count("30d"), Days::count("48h"), Days::count("36h")), (Some(30), Some(2), None));
        assert_eq!(
            (Millis::count("500ms"), Millis::count("2s"), Millis::count("ms")),
            (Some(500), Some(2_000), None)
        );
        let days = |json: &str| read::<Days, u32, _>(&mut serde_json::Deserializer::from_str(json));
        assert_eq!(days("\"14d\"").unwrap(), 14);
        assert_eq!(days("14").unwrap(), 14);
        for wrong in ["\"5 minutes\"", "-1", "1.5", "true", "null", "99999999999", "\"36h\""] {
            let error = days(wrong).unwrap_err().to_string();
            assert!(
                error.contains("expected a duration such as 30d, or a number of days"),
                "{wrong}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_number_of_seconds_reads_back(seconds: u64) {
            prop_assert_eq!(parse_duration(&in_words(seconds)), Some(seconds));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _ = parse_duration(&text);
        }
    }
}
