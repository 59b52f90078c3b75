//! A receipt as a whole, and what is wrong with one.

use std::fmt;

use fastlead_core::contact::{Email, Phone};
use fastlead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{PaymentMethod, PaymentSubject, Quantity, ReceiptItem};
use super::vat::{Vat, VatStanding};
use crate::{Money, MoneyError};

/// Most lines that both providers take in one receipt.
const MOST_ITEMS: usize = 100;
/// Most characters of a description.
const MOST_OF_A_DESCRIPTION: usize = 128;

/// Tax system of the seller (tag 1055).
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

/// Version of the format of fiscal documents: a setting of the merchant's cash register.
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

/// Where the receipt goes. One of the two is required by law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptRecipient {
    /// To an e-mail address.
    Email(Email),
    /// To a phone number.
    Phone(Phone),
}

/// How the sum of a receipt was settled (tags 1031, 1081, 1215 to 1217).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settlement {
    /// With the payment that the receipt belongs to.
    Cashless,
    /// With a prepayment that another receipt has: this one closes it.
    Prepayment,
}

/// A receipt that is to be registered. Holds the payer's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiscalReceipt {
    /// Where it goes.
    pub recipient: ReceiptRecipient,
    /// The seller's tax system, where the provider asks for it.
    pub tax_system: Option<TaxSystem>,
    /// The format.
    pub ffd: FfdVersion,
    /// How it was settled.
    pub settlement: Settlement,
    /// The lines. 1 to 100.
    pub items: Vec<ReceiptItem>,
}

/// What is wrong with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// It has no line.
    NoItems,
    /// It has more than 100 lines.
    TooManyItems,
    /// The lines do not add up to the amount, or a sum is below zero.
    Sum,
    /// A discount is below zero or above what it is taken from.
    Discount,
    /// Price times quantity is not the total.
    Price {
        /// The line, from 0.
        item: usize,
    },
    /// The description is empty or longer than 128 characters.
    Description {
        /// The line, from 0.
        item: usize,
    },
    /// The rate is not one of the time of the sale.
    Vat {
        /// The line, from 0.
        item: usize,
    },
    /// A prepayment has a plain rate, or another settlement a calculated one.
    VatOfMethod {
        /// The line, from 0.
        item: usize,
    },
    /// A prepayment at 20/120 is handed over at 22 %: an accountant decides.
    Transitional {
        /// The line, from 0.
        item: usize,
    },
    /// The receipt to close holds a line that is no prepayment.
    NotAPrepayment {
        /// The line, from 0.
        item: usize,
    },
    /// An agent's principal has no name, or an INN that is not 10 or 12 digits.
    Supplier {
        /// The line, from 0.
        item: usize,
    },
    /// A marked line has another quantity than one, or the format is not 1.2.
    Marking {
        /// The line, from 0.
        item: usize,
    },
    /// The sums cannot be added.
    Money(MoneyError),
}

impl fmt::Display for ReceiptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (item, what) = match self {
            Self::NoItems => return f.write_str("the receipt has no line"),
            Self::TooManyItems => return f.write_str("the receipt has more than 100 lines"),
            Self::Sum => return f.write_str("the lines do not add up to the amount"),
            Self::Discount => return f.write_str("a discount is below zero or too large"),
            Self::Money(error) => return error.fmt(f),
            Self::Price { item } => (item, "price times quantity is not the total"),
            Self::Description { item } => (item, "the description is empty or too long"),
            Self::Vat { item } => (item, "the rate of vat is not in force"),
            Self::VatOfMethod { item } => (item, "the rate of vat does not go with the payment method"),
            Self::Transitional { item } => (item, "prepaid at 20/120, an accountant decides about the rate"),
            Self::NotAPrepayment { item } => (item, "the line is no prepayment"),
            Self::Supplier { item } => (item, "the supplier is incomplete"),
            Self::Marking { item } => (item, "a marking code needs a quantity of one and format 1.2"),
        };
        write!(f, "line {item}: {what}")
    }
}

impl std::error::Error for ReceiptFault {}

impl FiscalReceipt {
    /// Checks the receipt of a settlement of `amount` for a sale at `sold_at`. A refund is judged by the moment of the sale
    /// that it takes back.
    ///
    /// # Errors
    /// The first thing that is wrong: a cash register would refuse it, or worse, take it. The old base rate passes until
    /// 2026-04-01 ([`VatStanding::Tolerated`]).
    pub fn check(&self, amount: Money, sold_at: Timestamp) -> Result<(), ReceiptFault> {
        if self.items.is_empty() {
            return Err(ReceiptFault::NoItems);
        }
        if self.items.len() > MOST_ITEMS {
            return Err(ReceiptFault::TooManyItems);
        }
        let faults = self.items.iter().enumerate().find_map(|(place, item)| self.fault(place, item, sold_at));
        if let Some(fault) = faults {
            return Err(fault);
        }
        let total = Money::sum(amount.currency, self.items.iter().map(|item| item.total))
            .map_err(ReceiptFault::Money)?;
        if total == amount { Ok(()) } else { Err(ReceiptFault::Sum) }
    }

    fn fault(&self, place: usize, line: &ReceiptItem, sold_at: Timestamp) -> Option<ReceiptFault> {
        let item = place;
        let length = line.subject.description.chars().count();
        if !(1..=MOST_OF_A_DESCRIPTION).contains(&length) || line.subject.description.trim().is_empty() {
            return Some(ReceiptFault::Description { item });
        }
        if line.total.minor < 0 {
            return Some(ReceiptFault::Sum);
        }
        if !line.is_exact() {
            return Some(ReceiptFault::Price { item });
        }
        if line.vat.standing_at(sold_at) == VatStanding::NotInForce {
            return Some(ReceiptFault::Vat { item });
        }
        let expected = if line.method.is_prepayment() { line.vat.calculated() } else { line.vat.plain() };
        if line.vat != expected {
            return Some(ReceiptFault::VatOfMethod { item });
        }
        if let Some(agent) = &line.subject.agent {
            let inn = &agent.supplier.inn;
            let is_inn = matches!(inn.len(), 10 | 12) && inn.bytes().all(|byte| byte.is_ascii_digit());
            if !is_inn || agent.supplier.name.trim().is_empty() {
                return Some(ReceiptFault::Supplier { item });
            }
        }
        let marked = line.subject.marking.is_some() || line.subject.subject == PaymentSubject::MarkedGoods;
        let may_be_marked = line.quantity == Quantity::ONE
            && line.subject.marking.is_some()
            && (self.ffd == FfdVersion::V12 || line.subject.subject != PaymentSubject::MarkedGoods);
        (marked && !may_be_marked).then_some(ReceiptFault::Marking { item })
    }
}

/// Makes the receipt that closes a prepayment at hand-over at `at`: the same lines, paid in full, settled with the
/// prepayment, at the plain rate.
///
/// # Errors
/// [`ReceiptFault::NotAPrepayment`]; [`ReceiptFault::Transitional`] where the line was prepaid at 20/120 and the base rate
/// is another one at `at`.
pub fn closing(prepaid: &FiscalReceipt, at: Timestamp) -> Result<FiscalReceipt, ReceiptFault> {
    let close = |(item, line): (usize, &ReceiptItem)| {
        if !line.method.is_prepayment() {
            return Err(ReceiptFault::NotAPrepayment { item });
        }
        let vat = line.vat.plain();
        if vat.standing_at(at) != VatStanding::InForce {
            let fault = match vat {
                Vat::Vat20 => ReceiptFault::Transitional { item },
                _ => ReceiptFault::Vat { item },
            };
            return Err(fault);
        }
        Ok(ReceiptItem { vat, method: PaymentMethod::FullPayment, ..line.clone() })
    };
    let items = prepaid.items.iter().enumerate().map(close).collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Err(ReceiptFault::NoItems);
    }
    Ok(FiscalReceipt { settlement: Settlement::Prepayment, items, ..prepaid.clone() })
}
