//! Amounts of money: whole minor units of one currency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency code: three capital letters, such as `RUB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The Russian rouble; its minor unit is the kopeck.
    pub const RUB: Self = Self(*b"RUB");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        // Only capital ASCII letters get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(MoneyError::Currency),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An ISO 4217 currency code, such as `RUB`.",
            "pattern": "^[A-Z]{3}$",
        })
    }
}

/// Why a calculation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MoneyError {
    /// The result does not fit into 64 bits.
    Overflow,
    /// The two amounts are of different currencies.
    CurrencyMismatch,
    /// The text is not an ISO 4217 code.
    Currency,
    /// The shares of a split are empty, or none is above zero.
    Shares,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overflow => "the amount is too large",
            Self::CurrencyMismatch => "the currencies differ",
            Self::Currency => "a currency is three capital letters",
            Self::Shares => "an amount needs at least one share above zero",
        })
    }
}

impl std::error::Error for MoneyError {}

/// An amount in minor units (kopecks, cents), of one currency. May be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: 12345 is 123.45 roubles.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `minor` minor units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Whether it is above zero.
    pub const fn is_positive(&self) -> bool {
        self.minor > 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    /// `count` times the amount.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn checked_mul(self, count: i64) -> Result<Self, MoneyError> {
        self.minor
            .checked_mul(count)
            .map_or(Err(MoneyError::Overflow), |minor| Ok(Self::new(minor, self.currency)))
    }

    /// The sum of all.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// Splits the amount in proportion to `shares`, so that the parts add up to it exactly: what is
    /// left after rounding towards zero goes, one minor unit each, to the parts with the largest
    /// remainders, the first one among equals.
    ///
    /// # Errors
    /// [`MoneyError::Shares`].
    pub fn split(self, shares: &[u32]) -> Result<Vec<Self>, MoneyError> {
        let total: i128 = shares.iter().map(|share| i128::from(*share)).sum();
        if total == 0 {
            return Err(MoneyError::Shares);
        }
        let amount = i128::from(self.minor);
        let products: Vec<i128> = shares.iter().map(|share| amount * i128::from(*share)).collect();
        let mut parts: Vec<i128> = products.iter().map(|product| product / total).collect();
        let mut order: Vec<usize> = (0..shares.len()).collect();
        // A stable sort keeps the first among equals first.
        order.sort_by_key(|index| std::cmp::Reverse((products[*index] % total).abs()));
        let missing = amount - parts.iter().sum::<i128>();
        let left_over = usize::try_from(missing.unsigned_abs()).unwrap_or(usize::MAX);
        for index in order.into_iter().take(left_over) {
            parts[index] += missing.signum();
        }
        // A part is never further from zero than the whole, which fits.
        parts
            .into_iter()
            .map(|part| i64::try_from(part).map_err(|_| MoneyError::Overflow))
            .map(|part| part.map(|minor| Self::new(minor, self.currency)))
            .collect()
    }

    fn combine(self, other: Self, how: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        how(self.minor, other.minor)
            .map_or(Err(MoneyError::Overflow), |minor| Ok(Self::new(minor, self.currency)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rub(minor: i64) -> Money {
        Money::new(minor, Currency::RUB)
    }

    #[test]
    fn arithmetic_is_checked() {
        let usd = Money::new(1, "USD".parse().unwrap());
        assert_eq!(rub(150).checked_add(rub(50)), Ok(rub(200)));
        assert_eq!(rub(150).checked_sub(rub(200)), Ok(rub(-50)));
        assert_eq!(rub(33).checked_mul(3), Ok(rub(99)));
        assert_eq!(rub(1).checked_add(usd), Err(MoneyError::CurrencyMismatch));
        assert_eq!(rub(i64::MAX).checked_add(rub(1)), Err(MoneyError::Overflow));
        assert_eq!(rub(i64::MIN).checked_sub(rub(1)), Err(MoneyError::Overflow));
        assert_eq!(rub(i64::MIN).checked_mul(-1), Err(MoneyError::Overflow));
        assert_eq!(Money::sum(Currency::RUB, [rub(1), rub(2), rub(-4)]), Ok(rub(-1)));
        assert_eq!(Money::sum(Currency::RUB, []), Ok(rub(0)));
    }

    #[test]
    fn a_split_loses_nothing() {
        assert_eq!(rub(100).split(&[1, 1, 1]), Ok(vec![rub(34), rub(33), rub(33)]));
        assert_eq!(rub(-100).split(&[1, 1, 1]), Ok(vec![rub(-34), rub(-33), rub(-33)]));
        assert_eq!(rub(10).split(&[0, 3, 4]), Ok(vec![rub(0), rub(4), rub(6)]));
        assert_eq!(rub(1).split(&[]), Err(MoneyError::Shares));
        assert_eq!(rub(1).split(&[0, 0]), Err(MoneyError::Shares));
        for minor in [i64::MIN, -101, -1, 0, 1, 99, 1_000_003, i64::MAX] {
            let parts = rub(minor).split(&[7, u32::MAX, 1, 0, 13]).unwrap();
            assert_eq!(Money::sum(Currency::RUB, parts), Ok(rub(minor)));
        }
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("RUB".parse(), Ok(Currency::RUB));
        assert_eq!(Currency::RUB.to_string(), "RUB");
        for text in ["", "rub", "RU", "RUBL", "РУ", "R1B"] {
            assert_eq!(text.parse::<Currency>(), Err(MoneyError::Currency), "{text}");
        }
    }
}
