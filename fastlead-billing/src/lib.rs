#![doc = include_str!("../README.md")]

pub mod fiscal;
#[cfg(any(feature = "tbank", feature = "yookassa"))]
mod http;
mod layer;
mod payment;
mod provider;
#[cfg(feature = "tbank")]
pub mod tbank;
mod wallet;
#[cfg(feature = "yookassa")]
pub mod yookassa;

pub use fastlead_core::money::{Currency, Money, MoneyError};
pub use layer::LayeredProvider;
pub use payment::{
    Attempt, Cancel, Capture, CaptureMode, ChargeSaved, CreatePayment, DeclineClass, ForgetSaved,
    IdempotencyKey, Payment, PaymentStatus, ProviderPaymentId, ProviderReceiptId, ProviderRefundId,
    ReceiptRegistration, Refund, RefundStatus, RegisterReceipt, RequestRefund, SavedMethodId,
};
pub use provider::{PaymentEvent, PaymentProvider, PaymentProviderInfo, PaymentWebhook, PaymentWebhookBatch};
pub use wallet::{
    Books, Intent, IntentId, IntentState, Intents, MemoryIntents, Moved, Purpose, Reconciled, Wallet, taken,
};
