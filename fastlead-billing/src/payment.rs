//! Payments and refunds: what is asked of a provider, and what it answers.
//!
//! Each request that moves money carries its [`Attempt`]: whether an earlier one may have reached the provider. An adapter
//! whose provider honours no keys looks before it acts then.

use fastlead_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Money;
use crate::fiscal::{FiscalMarks, FiscalReceipt, ReceiptStatus};

/// What makes a repeated request the same request. Stored before the first attempt, and the same on
/// every attempt; another body needs another key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A key of 1 to 64 characters of `[A-Za-z0-9_-]`, which fits every provider known; `None` for
    /// anything else.
    pub fn new(key: impl Into<String>) -> Option<Self> {
        let key = key.into();
        let fits = (1..=64).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        fits.then_some(Self(key))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which try of a request this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When the request was made for the first time: keys and lookups reach back to here.
    pub first_at: Timestamp,
    /// The moment of this try.
    pub at: Timestamp,
    /// Whether an earlier try may have reached the provider.
    pub repeated: bool,
}

impl Attempt {
    /// The first try.
    pub const fn first(at: Timestamp) -> Self {
        Self { first_at: at, at, repeated: false }
    }

    /// Another try, at `at`, of a request that was made before.
    pub const fn again(first_at: Timestamp, at: Timestamp) -> Self {
        Self { first_at, at, repeated: true }
    }
}

macro_rules! provider_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
    };
}

provider_id!(/// How the provider calls a payment.
    ProviderPaymentId);
provider_id!(/// How the provider calls a refund.
    ProviderRefundId);
provider_id!(/// How the provider calls a fiscal receipt.
    ProviderReceiptId);
provider_id!(/// How the provider calls a payment method that the payer let it keep.
    SavedMethodId);

/// When the money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMode {
    /// At once.
    Immediate,
    /// It is held until [`Capture`].
    Manual,
}

/// Asks for a payment that the payer confirms on the provider's page.
#[derive(Debug, Clone)]
pub struct CreatePayment {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// Our own name of the payment: what a lookup or registry finds it by. Up to 36 characters.
    pub reference: String,
    /// How much. Above zero.
    pub amount: Money,
    /// What the payer reads. Up to 128 characters.
    pub description: String,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// Where the payer comes back to.
    pub return_url: String,
    /// The payer, by our own name, where the provider shall keep the payment method. That needs the payer's consent. Never
    /// personal data. Up to 36 characters.
    pub save_method_of: Option<String>,
    /// The fiscal receipt, where one is due. Its lines add up to the amount.
    pub receipt: Option<FiscalReceipt>,
    /// Which try this is.
    pub attempt: Attempt,
}

/// Takes money that is held, all or in part.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// The payment.
    pub payment: ProviderPaymentId,
    /// How much; the rest is released.
    pub amount: Money,
    /// The fiscal receipt of that part.
    pub receipt: Option<FiscalReceipt>,
    /// Which try this is.
    pub attempt: Attempt,
}

/// Releases money that is held, or withdraws a payment that was not confirmed.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// The payment.
    pub payment: ProviderPaymentId,
    /// Which try this is.
    pub attempt: Attempt,
}

/// Gives money back, all or in part.
#[derive(Debug, Clone)]
pub struct RequestRefund {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// Our own name of the refund: what a lookup finds it by. Up to 36 characters.
    pub reference: String,
    /// The payment.
    pub payment: ProviderPaymentId,
    /// How much. Above zero.
    pub amount: Money,
    /// The fiscal receipt of the refund, with the rates of the sale.
    pub receipt: Option<FiscalReceipt>,
    /// Which try this is.
    pub attempt: Attempt,
}

/// Takes money by a saved method, without the payer. Whoever calls this has made sure, in the
/// transaction that stored the intent, that the payer has not withdrawn the method.
#[derive(Debug, Clone)]
pub struct ChargeSaved {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// Our own name of the payment. Up to 36 characters.
    pub reference: String,
    /// The method.
    pub method: SavedMethodId,
    /// How much. Above zero.
    pub amount: Money,
    /// What the payer reads. Up to 128 characters.
    pub description: String,
    /// The fiscal receipt, where one is due.
    pub receipt: Option<FiscalReceipt>,
    /// Which try this is.
    pub attempt: Attempt,
}

/// Makes the provider forget a saved method.
#[derive(Debug, Clone)]
pub struct ForgetSaved {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// The method.
    pub method: SavedMethodId,
    /// Which try this is.
    pub attempt: Attempt,
}

/// Registers a fiscal receipt apart from a payment, such as the one that closes a prepayment.
#[derive(Debug, Clone)]
pub struct RegisterReceipt {
    /// The key of this request.
    pub idempotency: IdempotencyKey,
    /// The payment it belongs to.
    pub payment: ProviderPaymentId,
    /// The receipt of a sale.
    pub receipt: FiscalReceipt,
    /// Which try this is.
    pub attempt: Attempt,
}

/// A payment, by the provider's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How the provider calls it.
    pub id: ProviderPaymentId,
    /// Our own name of it, where the provider repeats it.
    pub reference: Option<String>,
    /// How much was asked for; once it was captured in part, how much was captured, where the provider says so.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// How much of it was given back, where the provider says so.
    pub refunded: Option<Money>,
    /// What reaches the merchant after the provider's fee and the VAT on it, where the provider says so.
    pub net: Option<Money>,
    /// Where the payer confirms it, while it is pending.
    pub confirmation_url: Option<String>,
    /// The method that the provider keeps, where it does.
    pub saved_method: Option<SavedMethodId>,
    /// Where its fiscal receipt stands, where it has one.
    pub receipt: Option<ReceiptStatus>,
    /// Whether no real money is moved.
    pub test: bool,
}

/// Where a payment stands. What the payer's bank says is a status, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentStatus {
    /// The payer has not confirmed it, or the provider is still working. A status that an adapter
    /// does not know is this one.
    Pending,
    /// The money is held.
    Held,
    /// The money was taken.
    Succeeded,
    /// It was withdrawn, by us or because its time ran out.
    Canceled,
    /// The payer's side has refused it.
    Declined {
        /// What kind of refusal.
        class: DeclineClass,
        /// The provider's own code.
        provider_code: Option<String>,
    },
}

impl PaymentStatus {
    /// Whether it ends the attempt. Refunds are counted apart. On a page where the payer may try again, "declined" and
    /// "canceled" may still be followed by "succeeded", which counts.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Canceled | Self::Declined { .. })
    }
}

/// What kind of refusal: whether the same method may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclineClass {
    /// Not with this method, ever: closed, stolen, expired, forbidden. Never tried again.
    Hard,
    /// Not now: the bank did not answer, a limit was reached. May be tried again within a budget.
    Soft,
    /// Not enough money. May be tried again on another day.
    InsufficientFunds,
    /// The payer has withdrawn the permission. Never tried again, and the method is forgotten.
    PermissionRevoked,
}

/// A refund, by the provider's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// How the provider calls it; `None` where it has no name for refunds.
    pub id: Option<ProviderRefundId>,
    /// The payment.
    pub payment: ProviderPaymentId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: RefundStatus,
}

/// Where the registration of a receipt that was asked for stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRegistration {
    /// How the provider calls it, where it has a name.
    pub id: Option<ProviderReceiptId>,
    /// Where it stands.
    pub status: ReceiptStatus,
    /// Its marks, once it is registered and where the provider tells them.
    pub marks: Option<FiscalMarks>,
}

/// Where a refund stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The money was given back.
    Succeeded,
    /// It was refused.
    Declined {
        /// The provider's own code.
        provider_code: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_every_provider() {
        assert_eq!(IdempotencyKey::new("charge-1").unwrap().as_str(), "charge-1");
        for key in [String::new(), "a".repeat(65), "a b".to_owned(), "ключ".to_owned(), "a\n".to_owned()]
        {
            assert_eq!(IdempotencyKey::new(key), None);
        }
    }
}
