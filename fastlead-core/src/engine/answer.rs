//! What a partner's program answers to a question for its bid, and to an offer. Pure.

use std::fmt;

use serde_json::Value;

use crate::money::{Currency, Money};

/// What an answer says of a bid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bid {
    /// So much is offered.
    Offered(Money),
    /// The answer names no bid, or one of nothing: the partner does not want the lead.
    None,
    /// There is a bid, but what is written there is none. The partner wanted to buy, and its program has to be mended.
    Unreadable(Unreadable),
}

/// Which field cannot be read, and what it must be. It shows nothing of what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// `bid` is no number of minor units.
    Bid,
    /// `currency` is no code of three letters.
    Currency,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bid => "bid: expected a whole number of minor units, such as 45000 for 450 roubles",
            Self::Currency => "currency: expected a code such as RUB",
        })
    }
}

/// Reads the bid in an answer such as `{"bid": 45000, "currency": "RUB"}`: minor units, roubles where no currency is
/// named.
///
/// Programs write the same number as `45000.0` (a language with one kind of number) or `"45000"` (a form), and the
/// code in small letters; these mean what they say. A fraction of a minor unit means nothing.
pub(super) fn bid(answer: &Value) -> Bid {
    let Value::Object(fields) = answer else { return Bid::None };
    let minor = match fields.get("bid") {
        None | Some(Value::Null | Value::Bool(false)) => return Bid::None,
        Some(Value::Number(number)) => whole(&number.to_string()),
        Some(Value::String(text)) if text.trim().is_empty() => return Bid::None,
        Some(Value::String(text)) => whole(text.trim()),
        Some(_) => None,
    };
    let Some(minor) = minor.filter(|minor| *minor >= 0) else { return Bid::Unreadable(Unreadable::Bid) };
    if minor == 0 {
        return Bid::None;
    }
    let currency = match fields.get("currency") {
        None | Some(Value::Null) => Some(Currency::RUB),
        Some(Value::String(code)) => code.trim().to_ascii_uppercase().parse().ok(),
        Some(_) => None,
    };
    match currency {
        Some(currency) => Bid::Offered(Money::new(minor, currency)),
        None => Bid::Unreadable(Unreadable::Currency),
    }
}

/// A whole number, also where its fraction is written and is nothing. Never by way of floating point.
fn whole(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction.bytes().all(|byte| byte == b'0').then(|| whole.parse().ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_partners_answer() {
        let rub = |minor| Bid::Offered(Money::new(minor, Currency::RUB));
        for (answer, expected) in [
            (json!({"bid": 45000, "currency": "RUB"}), rub(45_000)),
            (json!({"bid": 45000}), rub(45_000)),
            (json!({"bid": 45000, "currency": null}), rub(45_000)),
            (json!({"bid": 45000.0, "currency": "RUB"}), rub(45_000)),
            (json!({"bid": "45000", "currency": "RUB"}), rub(45_000)),
            (json!({"bid": " 45000.00 "}), rub(45_000)),
            (json!({"bid": 45000, "currency": "rub"}), rub(45_000)),
            (json!({"bid": 45000, "currency": " Rub "}), rub(45_000)),
            (json!({"bid": i64::MAX}), rub(i64::MAX)),
            // No bid.
            (json!({}), Bid::None),
            (json!({"bid": null}), Bid::None),
            (json!({"bid": false}), Bid::None),
            (json!({"bid": 0, "currency": "?"}), Bid::None),
            (json!({"bid": ""}), Bid::None),
            (json!([]), Bid::None),
            (json!("thanks"), Bid::None),
            // A bid that means nothing.
            (json!({"bid": 450.5}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": -1}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": 1e300}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": u64::MAX}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": "450 руб."}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": "450,00"}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": true}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": {"amount": 45000}}), Bid::Unreadable(Unreadable::Bid)),
            (json!({"bid": 45000, "currency": "roubles"}), Bid::Unreadable(Unreadable::Currency)),
            (json!({"bid": 45000, "currency": 643}), Bid::Unreadable(Unreadable::Currency)),
        ] {
            assert_eq!(bid(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn nothing_of_the_answer_is_shown() {
        let shown = format!("{:?}", bid(&json!({"bid": "+7 900 000-00-00"})));
        assert!(!shown.contains("900"), "{shown}");
    }
}
