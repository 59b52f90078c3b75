//! The port: what an adapter of a payment provider implements.

use std::fmt::Debug;

use async_trait::async_trait;
use fastlead_core::Result;
use fastlead_core::time::Timestamp;
use fastlead_core::webhook::{Verified, WebhookReply, WebhookRequest};

use crate::fiscal::ReceiptNews;
use crate::payment::{
    Cancel, Capture, ChargeSaved, CreatePayment, ForgetSaved, Payment, ProviderPaymentId, ProviderReceiptId,
    ProviderRefundId, ReceiptRegistration, Refund, RegisterReceipt, RequestRefund, SavedMethodId,
};

/// An account with a payment provider.
///
/// No method has a default body: what is forgotten does not build. An operation that a provider does
/// not have is answered with [`fastlead_core::ErrorKind::Unsupported`].
///
/// # Behavior
/// * Each method makes at most one request that can move money; it does not retry.
/// * A refusal by the payer's side is `Ok` with [`crate::PaymentStatus::Declined`]. An `Err` says that
///   there is no payment, or that its fate is unknown ([`fastlead_core::RetryHint::IfIdempotent`]).
/// * Where the provider honours a key it is given the request's. Where it does not, or not any more, the adapter looks
///   before it acts again ([`crate::Attempt::repeated`]), by the request's `reference` or payment, and says
///   [`fastlead_core::RetryHint::IfIdempotent`] where it could not find out. So the same request may be made again and
///   again, one after the other, and moves money once.
/// * Errors and logs carry neither credentials nor personal data.
/// * May be dropped at any await point.
///
/// ```no_run
/// use fastlead_billing::{Payment, PaymentProvider, ProviderPaymentId};
/// use fastlead_core::Result;
///
/// /// What an unsigned webhook said is believed only after the provider was asked.
/// async fn confirmed(provider: &dyn PaymentProvider, named: &ProviderPaymentId) -> Result<Payment> {
///     provider.get(named).await
/// }
/// ```
#[async_trait]
pub trait PaymentProvider: Debug + Send + Sync + 'static {
    /// What this is. Never changes.
    fn info(&self) -> &PaymentProviderInfo;

    /// Starts a payment that the payer confirms. Where an earlier try had made it, that payment is returned; its page may be
    /// lost then ([`Payment::confirmation_url`] is `None` although it is pending), and nobody has seen it.
    async fn create(&self, request: &CreatePayment) -> Result<Payment>;

    /// Where a payment stands now. What an unsigned webhook said is believed only after this.
    async fn get(&self, payment: &ProviderPaymentId) -> Result<Payment>;

    /// The payments with this reference that were made at `since` or later, in no order.
    async fn find(&self, reference: &str, since: Timestamp) -> Result<Vec<Payment>>;

    /// Takes held money.
    async fn capture(&self, request: &Capture) -> Result<Payment>;

    /// Releases held money, or withdraws a payment that the payer has not confirmed. Money that was taken meanwhile is left,
    /// and the payment is returned as it is.
    async fn cancel(&self, request: &Cancel) -> Result<Payment>;

    /// Gives money back. `Ok` with [`crate::RefundStatus::Pending`] where the provider takes its time.
    async fn refund(&self, request: &RequestRefund) -> Result<Refund>;

    /// Where a refund that this provider has begun stands now.
    async fn refund_state(&self, refund: &Refund) -> Result<Refund>;

    /// Takes money by a saved method.
    async fn charge_saved(&self, request: &ChargeSaved) -> Result<Payment>;

    /// Forgets a saved method. `Ok` also where it was forgotten before.
    async fn forget_saved(&self, request: &ForgetSaved) -> Result<()>;

    /// Registers a fiscal receipt.
    async fn register_receipt(&self, request: &RegisterReceipt) -> Result<ReceiptRegistration>;

    /// Where the registration of a receipt stands now.
    async fn receipt(&self, receipt: &ProviderReceiptId) -> Result<ReceiptRegistration>;

    /// Proves the credentials. Moves no money.
    async fn check(&self) -> Result<()>;

    /// Where the provider calls us: every provider does.
    fn webhook(&self) -> &dyn PaymentWebhook;
}

/// What a payment provider's account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentProviderInfo {
    /// The adapter, such as `yookassa`.
    pub kind: &'static str,
    /// What its owner calls it.
    pub name: String,
    /// Whether the provider recognises a repeated request by its key, so that it may be made again within seconds, while the
    /// first may still be under way.
    pub honours_keys: bool,
}

/// Understands the requests of one payment provider. Pure: no network, no clock, no store.
///
/// ```
/// use fastlead_billing::{PaymentWebhook, PaymentWebhookBatch};
/// use fastlead_core::Result;
/// use fastlead_core::webhook::{ConfirmByFetch, Verified, WebhookReply, WebhookRequest};
///
/// /// A provider that does not sign: what it says is a hint only.
/// #[derive(Debug)]
/// struct Unsigned;
///
/// impl PaymentWebhook for Unsigned {
///     fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
///         Ok(Verified::unsigned(request, ConfirmByFetch))
///     }
///
///     fn parse(&self, _request: &Verified<'_>) -> Result<PaymentWebhookBatch> {
///         Ok(PaymentWebhookBatch { events: Vec::new(), reply: WebhookReply::ok("OK") })
///     }
/// }
/// ```
pub trait PaymentWebhook: Debug + Send + Sync {
    /// Proves that the request comes from the provider; where the provider does not sign,
    /// [`Verified::unsigned`], and the object is fetched before anything is believed.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Unauthenticated`] where it does not.
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>>;

    /// Reads the events out of a verified request. Kinds that the adapter does not know are left out,
    /// without an error.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Invalid`] where the body cannot be read.
    fn parse(&self, request: &Verified<'_>) -> Result<PaymentWebhookBatch>;
}

/// What a request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentWebhookBatch {
    /// The events, in the provider's order.
    pub events: Vec<PaymentEvent>,
    /// The exact reply that the provider wants, given after the events are on disk.
    pub reply: WebhookReply,
}

/// Something changed at the provider. It names the object and not its state: the state is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PaymentEvent {
    /// A payment.
    Payment(ProviderPaymentId),
    /// A refund of a payment.
    Refund {
        /// The payment.
        payment: ProviderPaymentId,
        /// The refund, where the provider names it.
        refund: Option<ProviderRefundId>,
    },
    /// A fiscal receipt of a payment.
    Receipt {
        /// The payment.
        payment: ProviderPaymentId,
        /// The receipt, where the provider names it.
        receipt: Option<ProviderReceiptId>,
        /// What became known of it.
        news: ReceiptNews,
    },
    /// A saved method, which may have been withdrawn.
    SavedMethod(SavedMethodId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_can_be_an_object() {
        fn _takes(_: &dyn PaymentProvider) {}
    }
}
