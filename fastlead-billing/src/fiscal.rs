//! What a fiscal receipt under 54-FZ says. Registering one is the business of a payment provider.
//!
//! A receipt is a thing of its own: a payment that succeeded says nothing about its receipt
//! ([`ReceiptStatus`]).

use fastlead_core::contact::{Email, Phone};
use fastlead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Money, MoneyError};

/// 2026-01-01 in Moscow, in seconds since the Unix epoch: from then on the base rate is 22 % (425-FZ).
const BASE_RATE_22_SINCE: i64 = 1_767_214_800;

/// A rate of VAT, as cash registers know it. The rate of a merchant is a setting with a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl Vat {
    /// Whether the rate is one that prepayments carry.
    pub const fn is_calculated(self) -> bool {
        matches!(self, Self::Vat105 | Self::Vat107 | Self::Vat110 | Self::Vat120 | Self::Vat122)
    }

    /// Whether a settlement for a sale at `moment` may carry the rate. A refund is judged by the
    /// moment of the sale that it takes back. A sale that was prepaid in 2025 and handed over in 2026
    /// is for an accountant to decide.
    pub const fn is_valid_at(self, moment: Timestamp) -> bool {
        let since_22 = moment.timestamp() >= BASE_RATE_22_SINCE;
        match self {
            Self::Vat20 | Self::Vat120 => !since_22,
            Self::Vat22 | Self::Vat122 => since_22,
            _ => true,
        }
    }
}

/// What kind of settlement an item is (tag 1214).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentMethod {
    /// Paid in full before hand-over.
    FullPrepayment,
    /// Paid in part before hand-over.
    Prepayment,
    /// Paid before it is known for what.
    Advance,
    /// Paid in full at hand-over; also closes a prepayment.
    FullPayment,
}

/// What is sold (tag 1212). Providers know more; these are what FastLead sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentSubject {
    /// A service.
    Service,
    /// Goods.
    Commodity,
    /// A payment, as for an advance.
    Payment,
}

/// Whose cash register it is, in taxes (tag 1055).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaxSystem {
    /// The general system.
    General,
    /// Simplified, income.
    SimplifiedIncome,
    /// Simplified, income less expenses.
    SimplifiedIncomeLessExpenses,
    /// Patent.
    Patent,
    /// Agricultural.
    Agricultural,
}

/// The version of the format of fiscal documents: a setting of the merchant's cash register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FfdVersion {
    /// 1.05.
    #[serde(rename = "1.05")]
    V105,
    /// 1.2.
    #[serde(rename = "1.2")]
    V12,
}

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptItem {
    /// What it is called. Up to 128 characters.
    pub description: String,
    /// How much of it, in thousandths: 1000 is one.
    pub quantity_thousandths: u64,
    /// The sum of the line, with VAT and after discounts.
    pub total: Money,
    /// Its VAT.
    pub vat: Vat,
    /// What kind of settlement.
    pub method: PaymentMethod,
    /// What is sold.
    pub subject: PaymentSubject,
}

/// Where the receipt goes. One of the two is required by law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptRecipient {
    /// To an e-mail address.
    Email(Email),
    /// To a phone number.
    Phone(Phone),
}

/// A receipt that is to be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiscalReceipt {
    /// Where it goes.
    pub recipient: ReceiptRecipient,
    /// The seller's tax system, where the provider asks for it.
    pub tax_system: Option<TaxSystem>,
    /// The format.
    pub ffd: FfdVersion,
    /// The lines. At least one.
    pub items: Vec<ReceiptItem>,
}

/// What is wrong with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// It has no line.
    NoItems,
    /// The lines do not add up to the amount.
    Sum,
    /// A rate is not one of the time of the sale.
    Vat {
        /// The line, from 0.
        item: usize,
    },
    /// The sums cannot be added.
    Money(MoneyError),
}

impl FiscalReceipt {
    /// Checks the receipt of a settlement of `amount` for a sale at `sold_at`.
    ///
    /// # Errors
    /// The first thing that is wrong: a cash register would refuse it, or worse, take it.
    pub fn check(&self, amount: Money, sold_at: Timestamp) -> Result<(), ReceiptFault> {
        if self.items.is_empty() {
            return Err(ReceiptFault::NoItems);
        }
        if let Some(item) = self.items.iter().position(|item| !item.vat.is_valid_at(sold_at)) {
            return Err(ReceiptFault::Vat { item });
        }
        let total = Money::sum(amount.currency, self.items.iter().map(|item| item.total))
            .map_err(ReceiptFault::Money)?;
        if total == amount { Ok(()) } else { Err(ReceiptFault::Sum) }
    }
}

/// Where the registration of a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptStatus {
    /// The cash register has it.
    Pending,
    /// It is registered.
    Registered,
    /// It was refused: somebody must act.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;
    use fastlead_core::time::from_millis;

    fn receipt(vat: Vat, totals: &[i64]) -> FiscalReceipt {
        let item = |minor: &i64| ReceiptItem {
            description: "Accepted leads".to_owned(),
            quantity_thousandths: 1_000,
            total: Money::new(*minor, Currency::RUB),
            vat,
            method: PaymentMethod::FullPayment,
            subject: PaymentSubject::Service,
        };
        FiscalReceipt {
            recipient: ReceiptRecipient::Email("anna@example.com".parse().unwrap()),
            tax_system: None,
            ffd: FfdVersion::V12,
            items: totals.iter().map(item).collect(),
        }
    }

    #[test]
    fn lines_add_up_to_the_kopeck() {
        let now = from_millis(1_780_000_000_000);
        let check = |totals: &[i64]| receipt(Vat::Vat22, totals).check(Money::new(100, Currency::RUB), now);
        assert_eq!(check(&[34, 33, 33]), Ok(()));
        assert_eq!(check(&[33, 33, 33]), Err(ReceiptFault::Sum));
        assert_eq!(check(&[]), Err(ReceiptFault::NoItems));
        assert_eq!(check(&[i64::MAX, 1]), Err(ReceiptFault::Money(MoneyError::Overflow)));
    }

    #[test]
    fn the_base_rate_changes_at_midnight_in_moscow() {
        let last = from_millis(1_767_214_799_999);
        let first = from_millis(1_767_214_800_000);
        for (old, new) in [(Vat::Vat20, Vat::Vat22), (Vat::Vat120, Vat::Vat122)] {
            assert!(old.is_valid_at(last) && !old.is_valid_at(first));
            assert!(!new.is_valid_at(last) && new.is_valid_at(first));
        }
        let fault = receipt(Vat::Vat20, &[100]).check(Money::new(100, Currency::RUB), first);
        assert_eq!(fault, Err(ReceiptFault::Vat { item: 0 }));
        assert!(Vat::None.is_valid_at(first) && Vat::Vat105.is_calculated() && !Vat::Vat22.is_calculated());
    }
}
