//! Numbers of conditions: exact decimals, so that what is written is what is compared.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Thousandths in a whole.
const SCALE: i64 = 1_000;
/// The largest whole part. Fifteen digits in all go through every JSON library unharmed.
const MAX_WHOLE: i64 = 999_999_999_999;

/// A number with at most three decimals, between -999,999,999,999.999 and 999,999,999,999.999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Number(i64);

impl Number {
    /// The whole number; beyond the range the nearest inside.
    pub const fn whole(value: i64) -> Self {
        let value = if value > MAX_WHOLE {
            MAX_WHOLE
        } else if value < -MAX_WHOLE {
            -MAX_WHOLE
        } else {
            value
        };
        Self(value * SCALE)
    }

    /// The same number on the other side of zero.
    pub(super) const fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Reads a number as people write it in a form: `100 000`, `12,5`, `-3.75`. Spaces, also
    /// narrow and no-break ones, and apostrophes group digits; one comma or point is the decimal
    /// sign. `None` for anything else: words, currencies, two signs, more than three decimals.
    pub fn from_field(text: &str) -> Option<Self> {
        let mut plain = String::with_capacity(16);
        for character in text.trim().chars() {
            match character {
                ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’' => {}
                ',' => plain.push('.'),
                '\u{2212}' => plain.push('-'),
                other => plain.push(other),
            }
            if plain.len() > 32 {
                return None;
            }
        }
        plain.parse().ok()
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault =
            || "expected a number of at most 12 digits and 3 decimals, such as `100000` or `12.5`".to_owned();
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, decimals) = match digits.split_once('.') {
            Some((_, "")) => return Err(fault()),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
            return Err(fault());
        }
        let decimals = decimals.trim_end_matches('0');
        let whole: i64 = whole.parse().ok().filter(|whole| *whole <= MAX_WHOLE).ok_or_else(fault)?;
        let thousandths: i64 = match decimals.len() {
            0..=3 => format!("{decimals:0<3}").parse().map_err(|_| fault())?,
            _ => return Err(fault()),
        };
        let value = whole * SCALE + thousandths;
        Ok(Self(if negative { -value } else { value }))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, thousandths) = (self.0.abs() / SCALE, self.0.abs() % SCALE);
        if thousandths == 0 {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{}", format!("{thousandths:03}").trim_end_matches('0'))
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % SCALE == 0 {
            return serializer.serialize_i64(self.0 / SCALE);
        }
        // Fifteen digits at most, so that the nearest double reads back as the same decimal.
        serializer.serialize_f64(self.to_string().parse().map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                value.to_string().parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                value.to_string().parse().map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                value.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number", "multipleOf": 0.001})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        for (text, expected) in [
            ("100000", Some("100000")),
            ("100 000", Some("100000")),
            ("1\u{a0}500,50", Some("1500.5")),
            ("-3.750", Some("-3.75")),
            ("\u{2212}0,005", Some("-0.005")),
            ("007", Some("7")),
            ("999999999999.999", Some("999999999999.999")),
            ("1000000000000", None),
            ("1.2345", None),
            ("1,000,000", None),
            ("100 000 ₽", None),
            ("от 100", None),
            ("1e5", None),
            (".5", None),
            ("5.", None),
            ("--5", None),
            ("", None),
        ] {
            assert_eq!(
                Number::from_field(text).map(|number| number.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_go_through_json_unharmed() {
        for text in ["0", "-1", "0.1", "0.007", "999999999999.999", "-999999999999.999", "123456789012.345"] {
            let number: Number = text.parse().unwrap();
            let json = serde_json::to_string(&number).unwrap();
            assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), number, "{text}");
            assert_eq!(number.to_string(), text);
        }
        assert!(serde_json::from_str::<Number>("0.0001").is_err());
        assert!(serde_json::from_str::<Number>("1e300").is_err());
    }
}
