//! Fiscal receipts under 54-FZ: what they say and how their sums come out. Pure; registering a receipt is the business
//! of a payment provider.
//!
//! A [`Basket`] becomes the lines of a receipt, to the kopeck: discounts are shared by largest remainder, and a line whose
//! sum its units do not share evenly becomes two. An [`OpenSale`] gives the lines of refunds and partial captures, which
//! add up to those of the sale. [`closing`] makes the second receipt of a prepayment. A receipt has a state of its own
//! ([`ReceiptProgress`]): a payment that succeeded says nothing about its receipt.
//!
//! ```
//! use fastlead_billing::fiscal::{
//!     Basket, BasketLine, PaymentMethod, PaymentSubject, Quantity, Subject, TaxRate, Vat,
//! };
//! use fastlead_billing::{Currency, Money};
//!
//! let rub = |minor| Money::new(minor, Currency::RUB);
//! let leads = BasketLine {
//!     subject: Subject::new("Accepted leads", PaymentSubject::Service),
//!     price: rub(150_00),
//!     quantity: Quantity(3_000),
//!     discount: rub(0),
//!     rate: TaxRate::Base,
//! };
//! let basket = Basket { lines: vec![leads], discount: rub(50_00) };
//! let settled_at = "2026-11-29T12:00:00Z".parse()?;
//! let lines = basket.settle(PaymentMethod::FullPayment, settled_at)?;
//! let shown: Vec<_> = lines.iter().map(|line| (line.quantity.0, line.price.minor)).collect();
//! assert_eq!(shown, [(1_000, 133_34), (2_000, 133_33)]);
//! assert_eq!(lines[0].vat, Vat::Vat22);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod basket;
mod item;
mod progress;
mod receipt;
mod vat;

pub use basket::{Basket, BasketLine, OpenSale};
pub use item::{
    Agent, AgentKind, Measure, PaymentMethod, PaymentSubject, Quantity, ReceiptItem, Subject, Supplier,
};
pub use progress::{FiscalMarks, ReceiptAlarm, ReceiptChange, ReceiptNews, ReceiptProgress, ReceiptStatus};
pub use receipt::{
    FfdVersion, FiscalReceipt, ReceiptFault, ReceiptRecipient, Settlement, TaxSystem, closing,
};
pub use vat::{TaxRate, TaxSchedule, Vat, VatStanding};

#[cfg(test)]
mod tests;
