//! From a basket to lines that add up, and from a sale to its refunds.

use fastlead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{PaymentMethod, Quantity, ReceiptItem, Subject};
use super::receipt::ReceiptFault;
use super::vat::TaxRate;
use crate::{Currency, Money, MoneyError};

/// What is sold together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basket {
    /// The lines. At least one.
    pub lines: Vec<BasketLine>,
    /// Discount on the whole, after those of the lines. 0 or more; shared among the lines by largest remainder.
    pub discount: Money,
}

/// Line of a basket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasketLine {
    /// What it is.
    pub subject: Subject,
    /// Price of one unit, with VAT and before discounts. 0 or more.
    pub price: Money,
    /// How much of it. Above zero.
    pub quantity: Quantity,
    /// Discount on this line. From 0 to the sum of the line.
    pub discount: Money,
    /// Kind of its VAT.
    pub rate: TaxRate,
}

impl BasketLine {
    /// Sum of the line after its own discount, in minor units; a fraction of a kopeck is rounded half up.
    fn sum(&self, currency: Currency) -> Result<i64, ReceiptFault> {
        if self.price.currency != currency || self.discount.currency != currency {
            return Err(ReceiptFault::Money(MoneyError::CurrencyMismatch));
        }
        let product = i128::from(self.price.minor) * i128::from(self.quantity.0);
        let gross =
            i64::try_from((product + 500) / 1_000).map_err(|_| ReceiptFault::Money(MoneyError::Overflow))?;
        if self.price.minor < 0 || self.quantity.0 == 0 {
            return Err(ReceiptFault::Sum);
        }
        if !(0..=gross).contains(&self.discount.minor) {
            return Err(ReceiptFault::Discount);
        }
        Ok(gross - self.discount.minor)
    }
}

impl Basket {
    /// Returns what is to be paid: the lines, less all discounts.
    ///
    /// # Errors
    /// [`ReceiptFault::NoItems`]; [`ReceiptFault::Discount`] where a discount is below zero or above what it is taken from;
    /// [`ReceiptFault::Sum`] where a price is below zero or a quantity is 0; [`ReceiptFault::Money`].
    pub fn total(&self) -> Result<Money, ReceiptFault> {
        let sum = self.sums()?.into_iter().map(i128::from).sum::<i128>();
        let minor = i64::try_from(sum).map_err(|_| ReceiptFault::Money(MoneyError::Overflow))?;
        Ok(Money::new(minor, self.discount.currency))
    }

    /// Returns the lines of the receipt of a settlement at `at`, with the rates in force then: calculated ones where `method`
    /// is a prepayment. Lines for nothing are left out.
    ///
    /// # Errors
    /// As [`Basket::total`]; [`ReceiptFault::NoItems`] also where nothing is to be paid.
    pub fn settle(&self, method: PaymentMethod, at: Timestamp) -> Result<Vec<ReceiptItem>, ReceiptFault> {
        let line = |(line, sum): (&BasketLine, i64)| {
            let plain = line.rate.at(at);
            let whole = ReceiptItem {
                subject: line.subject.clone(),
                price: line.price,
                quantity: line.quantity,
                total: Money::new(sum, self.discount.currency),
                vat: if method.is_prepayment() { plain.calculated() } else { plain },
                method,
            };
            whole.reshaped(sum)
        };
        let items: Vec<_> = self.lines.iter().zip(self.sums()?).flat_map(line).collect();
        if items.is_empty() { Err(ReceiptFault::NoItems) } else { Ok(items) }
    }

    /// Sums of the lines after all discounts.
    fn sums(&self) -> Result<Vec<i64>, ReceiptFault> {
        if self.lines.is_empty() {
            return Err(ReceiptFault::NoItems);
        }
        let sums =
            self.lines.iter().map(|line| line.sum(self.discount.currency)).collect::<Result<Vec<_>, _>>()?;
        let shares = allot(self.discount.minor, &sums).ok_or(ReceiptFault::Discount)?;
        Ok(sums.iter().zip(shares).map(|(sum, share)| sum - share).collect())
    }
}

/// Lines of a sale, or of an authorised payment, that are still open: neither refunded nor captured.
///
/// Each part takes from what is left of each line, so the parts of a line never exceed it and add up to it. The rates
/// stay those of the sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSale {
    items: Vec<ReceiptItem>,
    open: Vec<i64>,
}

impl OpenSale {
    /// A sale of which everything is open.
    ///
    /// # Errors
    /// [`ReceiptFault::NoItems`]; [`ReceiptFault::Money`] where the currencies differ or the sum is too large;
    /// [`ReceiptFault::Sum`] where a line is below zero.
    pub fn new(items: Vec<ReceiptItem>) -> Result<Self, ReceiptFault> {
        let currency = items.first().ok_or(ReceiptFault::NoItems)?.total.currency;
        Money::sum(currency, items.iter().map(|item| item.total)).map_err(ReceiptFault::Money)?;
        if items.iter().any(|item| item.total.minor < 0) {
            return Err(ReceiptFault::Sum);
        }
        let open = items.iter().map(|item| item.total.minor).collect();
        Ok(Self { items, open })
    }

    /// How much is open.
    pub fn open(&self) -> Money {
        let currency = self.items.first().map_or(Currency::RUB, |item| item.total.currency);
        Money::new(self.open.iter().sum(), currency)
    }

    /// Takes a part of the sale. Returns its lines, whose sums are `amount` together; the shares of the lines follow what is
    /// open of each, by largest remainder.
    ///
    /// # Errors
    /// [`ReceiptFault::Sum`] where `amount` is not above zero or is more than is open; nothing changes then.
    pub fn take(&mut self, amount: Money) -> Result<Vec<ReceiptItem>, ReceiptFault> {
        if amount.currency != self.open().currency {
            return Err(ReceiptFault::Money(MoneyError::CurrencyMismatch));
        }
        let shares = allot(amount.minor, &self.open).filter(|_| amount.minor > 0).ok_or(ReceiptFault::Sum)?;
        for (open, share) in self.open.iter_mut().zip(&shares) {
            *open -= share;
        }
        Ok(self.items.iter().zip(shares).flat_map(|(item, share)| item.reshaped(share)).collect())
    }
}

/// Shares `amount` in proportion to `weights`, none of which is below zero. The shares add up to it, and none exceeds its
/// weight: what is left after rounding down goes, one each, to the largest remainders, the first one among equals.
///
/// `None` where `amount` is below zero or above the sum of the weights.
fn allot(amount: i64, weights: &[i64]) -> Option<Vec<i64>> {
    let whole: i128 = weights.iter().copied().map(i128::from).sum();
    if amount < 0 || i128::from(amount) > whole {
        return None;
    }
    if whole == 0 {
        return Some(vec![0; weights.len()]);
    }
    let products: Vec<i128> = weights.iter().map(|weight| i128::from(*weight) * i128::from(amount)).collect();
    let mut shares: Vec<i64> =
        products.iter().map(|product| i64::try_from(product / whole).ok()).collect::<Option<_>>()?;
    let mut order: Vec<usize> = (0..weights.len()).collect();
    // A stable sort keeps the first among equals first.
    order.sort_by_key(|index| std::cmp::Reverse(products[*index] % whole));
    let rest = usize::try_from(amount - shares.iter().sum::<i64>()).ok()?;
    for index in order.into_iter().take(rest) {
        shares[index] += 1;
    }
    Some(shares)
}
