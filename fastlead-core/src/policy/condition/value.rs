//! Values that fields are compared with, and the ways to compare.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{FieldKind, Number};
use crate::schedule::TimeOfDay;

/// A value that is not a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Value {
    /// A number.
    Number(Number),
    /// A date, such as `2026-12-31`.
    Date(NaiveDate),
    /// A time of day, such as `18:30`.
    TimeOfDay(TimeOfDay),
}

impl Value {
    /// What it can be compared with.
    pub const fn kind(self) -> FieldKind {
        match self {
            Self::Number(_) => FieldKind::Number,
            Self::Date(_) => FieldKind::Date,
            Self::TimeOfDay(_) => FieldKind::TimeOfDay,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Date(date) => write!(f, "\"{}\"", date.format("%Y-%m-%d")),
            Self::TimeOfDay(time) => write!(f, "\"{time}\""),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a date such as \"2026-12-31\" or a time of day such as \"18:30\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
                value.to_string().parse().map(Value::Number).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
                value.to_string().parse().map(Value::Number).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
                value.to_string().parse().map(Value::Number).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
                date(value)
                    .map(Value::Date)
                    .or_else(|| value.parse().ok().map(Value::TimeOfDay))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str("a text"), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Reads `YYYY-MM-DD` and nothing else.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    plain.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Different,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// Whether `have` stands so to `want`.
    pub(super) fn holds<T: Ord>(self, have: &T, want: &T) -> bool {
        match self {
            Self::Equal => have == want,
            Self::Different => have != want,
            Self::Less => have < want,
            Self::AtMost => have <= want,
            Self::More => have > want,
            Self::AtLeast => have >= want,
        }
    }

    /// As it is written in the text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Different => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// The same with the sides changed.
    pub(super) const fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }
}
