//! Billing for FastLead: what a payment provider is, and the values that it speaks in.
//!
//! What exists: [`Money`], the port [`PaymentProvider`] with its requests and answers, and the items of
//! a fiscal receipt ([`fiscal`]). What does not exist yet: an adapter for any provider, a ledger
//! (accounts, holds, charges), subscriptions, invoices, reconciliation. Nothing in FastLead moves money.
//!
//! A provider's "no" about money is a [`Payment`] with a status, not an error:
//!
//! ```
//! use fastlead_billing::{DeclineClass, PaymentStatus};
//!
//! let status = PaymentStatus::Declined {
//!     class: DeclineClass::InsufficientFunds,
//!     provider_code: Some("insufficient_funds".to_owned()),
//! };
//! assert!(status.is_final());
//! ```

pub mod fiscal;
mod payment;
mod provider;

pub use fastlead_core::money::{Currency, Money, MoneyError};
pub use payment::{
    Cancel, Capture, CaptureMode, ChargeSaved, CreatePayment, DeclineClass, ForgetSaved, IdempotencyKey,
    Payment, PaymentStatus, ProviderPaymentId, ProviderReceiptId, ProviderRefundId, Refund, RefundStatus,
    RegisterReceipt, RequestRefund, SavedMethodId,
};
pub use provider::{PaymentEvent, PaymentProvider, PaymentProviderInfo, PaymentWebhook, PaymentWebhookBatch};
