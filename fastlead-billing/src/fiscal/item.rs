//! Lines of a receipt.

use fastlead_core::contact::Phone;
use serde::{Deserialize, Serialize};

use super::vat::Vat;
use crate::Money;

/// Kind of settlement of a line (tag 1214).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentMethod {
    /// Paid in full before hand-over.
    FullPrepayment,
    /// Paid in part before hand-over.
    Prepayment,
    /// Paid before it is known for what, such as the top-up of a wallet.
    Advance,
    /// Paid in full at hand-over; also closes a prepayment.
    FullPayment,
    /// Paid in part at hand-over, the rest on credit.
    PartialPayment,
    /// Handed over on credit.
    Credit,
    /// Payment of a credit.
    CreditPayment,
}

impl PaymentMethod {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::FullPrepayment,
        Self::Prepayment,
        Self::Advance,
        Self::FullPayment,
        Self::PartialPayment,
        Self::Credit,
        Self::CreditPayment,
    ];

    /// Whether the money comes before the hand-over, so that the calculated rate applies and a closing receipt is due.
    pub const fn is_prepayment(self) -> bool {
        matches!(self, Self::FullPrepayment | Self::Prepayment | Self::Advance)
    }
}

/// Kind of what is sold (tag 1212): what both providers know and sellers of leads use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentSubject {
    /// A service.
    Service,
    /// Goods.
    Commodity,
    /// A job.
    Job,
    /// Excisable goods without a marking code.
    Excise,
    /// A payment, as for an advance.
    Payment,
    /// An agent's commission.
    AgentCommission,
    /// Goods with a marking code. FFD 1.2 only.
    MarkedGoods,
    /// Anything else.
    Another,
}

impl PaymentSubject {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Service,
        Self::Commodity,
        Self::Job,
        Self::Excise,
        Self::Payment,
        Self::AgentCommission,
        Self::MarkedGoods,
        Self::Another,
    ];
}

/// Unit of a quantity (tag 2108), required by FFD 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Pieces: leads, messages, months.
    Piece,
    /// Kilograms.
    Kilogram,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Minutes.
    Minute,
}

/// Quantity in thousandths: 1000 is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(pub u32);

impl Quantity {
    /// One.
    pub const ONE: Self = Self(1_000);

    /// `count` whole units; `None` above 4,294,967.
    pub fn whole(count: u32) -> Option<Self> {
        count.checked_mul(1_000).map(Self)
    }

    /// The decimal number, such as `1.5`, without zeros at its end.
    pub fn decimal(self) -> String {
        let (whole, part) = (self.0 / 1_000, self.0 % 1_000);
        if part == 0 {
            return whole.to_string();
        }
        format!("{whole}.{part:03}").trim_end_matches('0').to_owned()
    }
}

/// Kind of agent who sells (tag 1222).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentKind {
    /// A bank's payment agent.
    BankPaymentAgent,
    /// A bank's payment subagent.
    BankPaymentSubagent,
    /// A payment agent.
    PaymentAgent,
    /// A payment subagent.
    PaymentSubagent,
    /// An attorney.
    Attorney,
    /// A commissioner.
    Commissioner,
    /// Any other agent.
    Agent,
}

impl AgentKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::BankPaymentAgent,
        Self::BankPaymentSubagent,
        Self::PaymentAgent,
        Self::PaymentSubagent,
        Self::Attorney,
        Self::Commissioner,
        Self::Agent,
    ];
}

/// Principal for whom an agent sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supplier {
    /// The name (tag 1225).
    pub name: String,
    /// The phone number (tag 1171).
    pub phone: Phone,
    /// The tax number (tag 1226): 10 or 12 digits.
    pub inn: String,
}

/// Agent attributes of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The kind of agent.
    pub kind: AgentKind,
    /// The principal.
    pub supplier: Supplier,
}

/// Name, rate and attributes of a line; all but its sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What the payer reads. 1 to 128 characters.
    pub description: String,
    /// Kind of what is sold.
    pub subject: PaymentSubject,
    /// Unit of the quantity.
    pub measure: Measure,
    /// Agent attributes, where the seller is an agent.
    pub agent: Option<Agent>,
    /// Marking code (tag 2000) as it was scanned, which is passed on as it is. Such a line has a quantity of one.
    pub marking: Option<String>,
}

impl Subject {
    /// A line without agent and marking code, counted in pieces.
    pub fn new(description: impl Into<String>, subject: PaymentSubject) -> Self {
        let (description, measure) = (description.into(), Measure::Piece);
        Self { description, subject, measure, agent: None, marking: None }
    }
}

/// Line of a receipt. `price` times `quantity` is `total` exactly, as both providers compare them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptItem {
    /// What it is.
    pub subject: Subject,
    /// Price of one unit, with VAT and after discounts (tag 1079).
    pub price: Money,
    /// How much of it.
    pub quantity: Quantity,
    /// Sum of the line (tag 1043).
    pub total: Money,
    /// Its VAT.
    pub vat: Vat,
    /// Kind of settlement.
    pub method: PaymentMethod,
}

impl ReceiptItem {
    /// Whether price times quantity is the total exactly.
    pub fn is_exact(&self) -> bool {
        let product = i128::from(self.price.minor) * i128::from(self.quantity.0);
        product == i128::from(self.total.minor) * 1_000
            && self.price.currency == self.total.currency
            && self.quantity.0 > 0
    }

    /// Gives a line another sum: one or two lines with the same attributes whose sums are `minor` together.
    ///
    /// # Behavior
    /// * Whole units that do not share the sum evenly become two lines whose prices differ by one kopeck.
    /// * A fraction that no price fits, and units cheaper than a kopeck, become one unit for the whole sum.
    /// * A sum of 0 becomes no line.
    pub(super) fn reshaped(&self, minor: i64) -> Vec<Self> {
        let line = |quantity: Quantity, price: i64, total: i64| {
            let money = |minor| Money::new(minor, self.total.currency);
            Self { quantity, price: money(price), total: money(total), ..self.clone() }
        };
        let quantity = i64::from(self.quantity.0);
        if minor <= 0 {
            return Vec::new();
        }
        let thousandfold = i128::from(minor) * 1_000;
        if quantity > 0
            && thousandfold % i128::from(quantity) == 0
            && let Ok(price) = i64::try_from(thousandfold / i128::from(quantity))
        {
            return vec![line(self.quantity, price, minor)];
        }
        let units = quantity / 1_000;
        if units == 0 || quantity % 1_000 != 0 || minor < units {
            return vec![line(Quantity::ONE, minor, minor)];
        }
        let (price, dearer) = (minor / units, minor % units);
        let several = |count: i64| u32::try_from(count * 1_000).map_or(self.quantity, Quantity);
        vec![
            line(several(dearer), price + 1, dearer * (price + 1)),
            line(several(units - dearer), price, (units - dearer) * price),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    fn line(quantity: u32) -> ReceiptItem {
        let zero = Money::zero(Currency::RUB);
        ReceiptItem {
            subject: Subject::new("Accepted leads", PaymentSubject::Service),
            price: zero,
            quantity: Quantity(quantity),
            total: zero,
            vat: Vat::None,
            method: PaymentMethod::FullPayment,
        }
    }

    #[test]
    fn a_sum_that_units_do_not_share_evenly_becomes_two_prices() {
        let shapes = |quantity, minor| {
            let lines = line(quantity).reshaped(minor);
            assert!(lines.iter().all(ReceiptItem::is_exact), "{lines:?}");
            lines.iter().map(|line| (line.quantity.0, line.price.minor)).collect::<Vec<_>>()
        };
        assert_eq!(shapes(3_000, 10_000), [(1_000, 3_334), (2_000, 3_333)]);
        assert_eq!(shapes(3_000, 9_999), [(3_000, 3_333)]);
        assert_eq!(shapes(1_500, 300), [(1_500, 200)]);
        assert_eq!(shapes(1_500, 100), [(1_000, 100)]);
        assert_eq!(shapes(3_000, 2), [(1_000, 2)]);
        assert_eq!(shapes(3_000, 0), []);
        assert_eq!(shapes(2_000, i64::MAX), [(1_000, i64::MAX / 2 + 1), (1_000, i64::MAX / 2)]);
    }

    #[test]
    fn quantities_are_written_as_short_decimals() {
        for (quantity, text) in [(1_000, "1"), (1_500, "1.5"), (1_050, "1.05"), (7, "0.007"), (12_000, "12")]
        {
            assert_eq!(Quantity(quantity).decimal(), text);
        }
        assert_eq!(Quantity::whole(3), Some(Quantity(3_000)));
        assert_eq!(Quantity::whole(u32::MAX), None);
    }
}
