#![doc = include_str!("../README.md")]

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
