//! Rates of VAT and the dates on which they are in force.

use fastlead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Money, MoneyError};

/// 2026-01-01 in Moscow, in seconds since the Unix epoch: from then on the base rate is 22 % (425-FZ of 2025-11-28).
const BASE_RATE_22_SINCE: i64 = 1_767_214_800;
/// 2026-04-01 in Moscow: until then a receipt with the old base rate needs no correction.
const OLD_BASE_RATE_TOLERATED_UNTIL: i64 = 1_774_990_800;

/// Rate of VAT on a line of a receipt (tag 1199).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Vat {
    /// Not subject to VAT.
    None,
    /// 0 %.
    Vat0,
    /// 5 %.
    Vat5,
    /// 7 %.
    Vat7,
    /// 10 %.
    Vat10,
    /// 20 %: sales before 2026, and refunds of them.
    Vat20,
    /// 22 %: sales from 2026.
    Vat22,
    /// 5/105, for prepayments.
    Vat105,
    /// 7/107, for prepayments.
    Vat107,
    /// 10/110, for prepayments.
    Vat110,
    /// 20/120, for prepayments before 2026.
    Vat120,
    /// 22/122, for prepayments from 2026.
    Vat122,
}

/// Whether a rate may stand on the receipt of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VatStanding {
    /// The rate of that moment.
    InForce,
    /// The old base rate within the first quarter of 2026: no correction is asked for. FastLead never makes such a receipt.
    Tolerated,
    /// A rate of another time.
    NotInForce,
}

impl Vat {
    /// Every rate.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Vat0,
        Self::Vat5,
        Self::Vat7,
        Self::Vat10,
        Self::Vat20,
        Self::Vat22,
        Self::Vat105,
        Self::Vat107,
        Self::Vat110,
        Self::Vat120,
        Self::Vat122,
    ];

    /// Whether it is a calculated rate (such as 22/122), which prepayments carry.
    pub const fn is_calculated(self) -> bool {
        matches!(self, Self::Vat105 | Self::Vat107 | Self::Vat110 | Self::Vat120 | Self::Vat122)
    }

    /// The calculated rate of the same tax. "No VAT" and 0 % have none and stay.
    #[must_use]
    pub const fn calculated(self) -> Self {
        match self {
            Self::Vat5 => Self::Vat105,
            Self::Vat7 => Self::Vat107,
            Self::Vat10 => Self::Vat110,
            Self::Vat20 => Self::Vat120,
            Self::Vat22 => Self::Vat122,
            other => other,
        }
    }

    /// The plain rate of the same tax, which the receipt at hand-over carries.
    #[must_use]
    pub const fn plain(self) -> Self {
        match self {
            Self::Vat105 => Self::Vat5,
            Self::Vat107 => Self::Vat7,
            Self::Vat110 => Self::Vat10,
            Self::Vat120 => Self::Vat20,
            Self::Vat122 => Self::Vat22,
            other => other,
        }
    }

    /// The rate in percent; 0 also for "no VAT".
    pub const fn percent(self) -> u8 {
        match self.plain() {
            Self::Vat5 => 5,
            Self::Vat7 => 7,
            Self::Vat10 => 10,
            Self::Vat20 => 20,
            Self::Vat22 => 22,
            _ => 0,
        }
    }

    /// Returns the VAT that `total` contains, rounded half away from zero to the kopeck. Plain and calculated rates
    /// contain the same: totals of receipts include VAT.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`], which does not happen: a part is smaller than the whole.
    pub fn within(self, total: Money) -> Result<Money, MoneyError> {
        let (percent, whole) = (i128::from(self.percent()), 100 + i128::from(self.percent()));
        let product = i128::from(total.minor) * percent;
        let rounded = (product + product.signum() * whole / 2) / whole;
        let minor = i64::try_from(rounded).map_err(|_| MoneyError::Overflow)?;
        Ok(Money::new(minor, total.currency))
    }

    /// Returns how the rate stands for a settlement at `moment`. A refund is judged by the moment of the sale that it takes
    /// back.
    pub const fn standing_at(self, moment: Timestamp) -> VatStanding {
        let seconds = moment.timestamp();
        match self.plain() {
            Self::Vat20 if seconds < BASE_RATE_22_SINCE => VatStanding::InForce,
            Self::Vat20 if seconds < OLD_BASE_RATE_TOLERATED_UNTIL => VatStanding::Tolerated,
            Self::Vat20 => VatStanding::NotInForce,
            Self::Vat22 if seconds < BASE_RATE_22_SINCE => VatStanding::NotInForce,
            _ => VatStanding::InForce,
        }
    }
}

/// Kind of rate that a merchant applies; the number behind it is a matter of the date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaxRate {
    /// Not subject to VAT.
    Exempt,
    /// 0 %.
    Zero,
    /// 5 %, simplified system without deductions.
    Five,
    /// 7 %, simplified system without deductions.
    Seven,
    /// 10 %, the reduced list.
    Ten,
    /// The base rate: 20 %, from 2026 on 22 %.
    Base,
}

impl TaxRate {
    /// Returns the plain rate in force at `moment`.
    pub const fn at(self, moment: Timestamp) -> Vat {
        match self {
            Self::Exempt => Vat::None,
            Self::Zero => Vat::Vat0,
            Self::Five => Vat::Vat5,
            Self::Seven => Vat::Vat7,
            Self::Ten => Vat::Vat10,
            Self::Base if moment.timestamp() < BASE_RATE_22_SINCE => Vat::Vat20,
            Self::Base => Vat::Vat22,
        }
    }
}

/// Rates of one merchant by date: what a merchant pays may change, such as from "no VAT" to 5 %.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxSchedule {
    /// The rate before the first change.
    pub first: TaxRate,
    /// Later rates, each from its moment on, in any order.
    #[serde(default)]
    pub changes: Vec<(Timestamp, TaxRate)>,
}

impl TaxSchedule {
    /// A merchant with one rate.
    pub const fn always(rate: TaxRate) -> Self {
        Self { first: rate, changes: Vec::new() }
    }

    /// Returns the kind of rate that applies at `moment`.
    pub fn at(&self, moment: Timestamp) -> TaxRate {
        let begun = self.changes.iter().filter(|(since, _)| *since <= moment);
        begun.max_by_key(|(since, _)| *since).map_or(self.first, |(_, rate)| *rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;
    use fastlead_core::time::from_millis;

    #[test]
    fn the_base_rate_changes_at_midnight_in_moscow() {
        use VatStanding::{InForce, NotInForce, Tolerated};
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        for (at, old, new) in [
            ("2025-12-31T23:59:59.999+03:00", InForce, NotInForce),
            ("2026-01-01T00:00:00+03:00", Tolerated, InForce),
            ("2026-03-31T23:59:59.999+03:00", Tolerated, InForce),
            ("2026-04-01T00:00:00+03:00", NotInForce, InForce),
        ] {
            let at = moment(at);
            for (rate, standing) in
                [(Vat::Vat20, old), (Vat::Vat120, old), (Vat::Vat22, new), (Vat::Vat122, new)]
            {
                assert_eq!(rate.standing_at(at), standing, "{rate:?} {at}");
            }
            assert_eq!(TaxRate::Base.at(at), if old == InForce { Vat::Vat20 } else { Vat::Vat22 });
            for rate in [TaxRate::Exempt, TaxRate::Zero, TaxRate::Five, TaxRate::Seven, TaxRate::Ten] {
                assert_eq!(rate.at(at).standing_at(at), InForce);
            }
        }
    }

    #[test]
    fn plain_and_calculated_rates_are_pairs() {
        for rate in Vat::ALL {
            assert_eq!(rate.calculated().plain(), rate.plain(), "{rate:?}");
            assert_eq!(rate.plain().calculated(), rate.calculated(), "{rate:?}");
            assert_eq!(rate.calculated().is_calculated(), rate.percent() > 0, "{rate:?}");
            assert!(!rate.plain().is_calculated());
        }
    }

    #[test]
    fn the_tax_within_a_total_is_rounded_to_the_kopeck() {
        let within = |rate: Vat, minor| rate.within(Money::new(minor, Currency::RUB)).unwrap().minor;
        for (rate, total, tax) in [
            (Vat::Vat22, 12_200, 2_200),
            (Vat::Vat122, 12_200, 2_200),
            (Vat::Vat20, 100, 17),
            (Vat::Vat10, 11, 1),
            (Vat::Vat5, 10, 0),
            (Vat::Vat5, 11, 1),
            (Vat::Vat7, 10_700, 700),
            (Vat::None, 100, 0),
            (Vat::Vat0, 100, 0),
            (Vat::Vat22, -12_200, -2_200),
        ] {
            assert_eq!(within(rate, total), tax, "{rate:?} of {total}");
        }
    }

    #[test]
    fn a_merchant_changes_its_rate_by_date() {
        let schedule = TaxSchedule {
            first: TaxRate::Exempt,
            changes: vec![(from_millis(2_000), TaxRate::Seven), (from_millis(1_000), TaxRate::Five)],
        };
        for (millis, rate) in
            [(999, TaxRate::Exempt), (1_000, TaxRate::Five), (1_999, TaxRate::Five), (2_000, TaxRate::Seven)]
        {
            assert_eq!(schedule.at(from_millis(millis)), rate);
        }
        assert_eq!(TaxSchedule::always(TaxRate::Base).at(from_millis(0)), TaxRate::Base);
    }
}
