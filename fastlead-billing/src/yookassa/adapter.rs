//! The provider.

use std::time::Duration;

use async_trait::async_trait;
use fastlead_core::time::{Timestamp, plus};
use fastlead_core::{ErrorKind, Result, RetryHint};
use serde_json::{Value, json};

use super::client::Client;
use super::config::YooKassaConfig;
use super::error::Operation;
use super::receipt::{receipt, separate};
use super::webhook::Webhook;
use super::wire::{PaymentObject, ReceiptObject, RefundObject, decimal};
use crate::payment::{
    Attempt, Cancel, Capture, CaptureMode, ChargeSaved, CreatePayment, ForgetSaved, IdempotencyKey, Payment,
    PaymentStatus, ProviderPaymentId, ProviderReceiptId, ReceiptRegistration, Refund, RegisterReceipt,
    RequestRefund,
};
use crate::provider::{PaymentProvider, PaymentProviderInfo, PaymentWebhook};
use crate::{Currency, Money};

pub(super) const KIND: &str = "yookassa";
/// YooKassa keeps keys for 24 hours; an hour is left for clocks that differ.
const KEYS_LAST: Duration = Duration::from_secs(23 * 60 * 60);
/// How far back a lookup reaches behind the first try, for clocks that differ.
const CLOCKS_DIFFER: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// A shop of YooKassa.
#[derive(Debug)]
pub struct YooKassa {
    info: PaymentProviderInfo,
    client: Client,
    webhook: Webhook,
}

impl YooKassa {
    /// A shop that is reached through `http`: a client that follows no redirects, repeats nothing and connects only where it
    /// may.
    ///
    /// # Errors
    /// As [`YooKassaConfig::validate`].
    pub fn new(config: &YooKassaConfig, http: reqwest::Client) -> Result<Self> {
        Ok(Self {
            info: PaymentProviderInfo { kind: KIND, name: config.name.clone(), honours_keys: true },
            client: Client::new(config, http)?,
            webhook: Webhook { networks: config.networks()? },
        })
    }

    async fn lookup(&self, reference: &str, since: Timestamp) -> Result<Vec<Payment>> {
        let operation = Operation::asks("find");
        let since = rfc3339(since - CLOCKS_DIFFER);
        let found: Vec<PaymentObject> =
            self.client.list(operation, "payments", &[("created_at.gte", &since)]).await?;
        let named = found.into_iter().filter(|payment| payment.reference() == Some(reference));
        named.map(|payment| payment.payment().ok_or_else(|| operation.unreadable())).collect()
    }

    /// Makes a payment, or finds the one that was made where the key counts for nothing any more.
    async fn make(
        &self,
        operation: Operation,
        key: &IdempotencyKey,
        reference: &str,
        attempt: &Attempt,
        body: &Value,
    ) -> Result<Payment> {
        if is_stale(attempt) {
            let mut earlier = self.lookup(reference, attempt.first_at).await?;
            if earlier.len() > 1 {
                let message = "several payments have this reference; look at them";
                return Err(operation.error(ErrorKind::Conflict, RetryHint::UNKNOWN, message));
            }
            if let Some(earlier) = earlier.pop() {
                return Ok(earlier);
            }
        }
        self.post_payment(operation, &["payments"], key, body).await
    }

    async fn post_payment(
        &self,
        operation: Operation,
        path: &[&str],
        key: &IdempotencyKey,
        body: &Value,
    ) -> Result<Payment> {
        let object: PaymentObject = self.client.post(operation, path, key, body).await?;
        object.payment().ok_or_else(|| operation.unreadable())
    }
}

/// Whether the key of a repeated request counts for nothing any more, so that it would be another request.
fn is_stale(attempt: &Attempt) -> bool {
    attempt.repeated && attempt.at >= plus(attempt.first_at, KEYS_LAST)
}

fn rfc3339(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn amount(operation: Operation, amount: Money) -> Result<Value> {
    if amount.currency != Currency::RUB || amount.minor <= 0 {
        let message = "yookassa takes amounts above zero in roubles";
        return Err(operation.error(ErrorKind::Invalid, RetryHint::Never, message));
    }
    Ok(json!({ "value": decimal(amount.minor), "currency": "RUB" }))
}

#[async_trait]
impl PaymentProvider for YooKassa {
    fn info(&self) -> &PaymentProviderInfo {
        &self.info
    }

    async fn create(&self, request: &CreatePayment) -> Result<Payment> {
        let operation = Operation::acts("create");
        let mut body = json!({
            "amount": amount(operation, request.amount)?,
            "capture": request.capture == CaptureMode::Immediate,
            "confirmation": { "type": "redirect", "return_url": request.return_url },
            "description": request.description, "metadata": { "reference": request.reference },
        });
        if let Some(payer) = &request.save_method_of {
            body["save_payment_method"] = true.into();
            body["merchant_customer_id"] = payer.as_str().into();
        }
        if let Some(due) = &request.receipt {
            body["receipt"] = receipt(due);
        }
        self.make(operation, &request.idempotency, &request.reference, &request.attempt, &body).await
    }

    async fn get(&self, payment: &ProviderPaymentId) -> Result<Payment> {
        let operation = Operation::asks("get");
        let object: PaymentObject = self.client.get(operation, &["payments", &payment.0], &[]).await?;
        object.payment().ok_or_else(|| operation.unreadable())
    }

    async fn find(&self, reference: &str, since: Timestamp) -> Result<Vec<Payment>> {
        self.lookup(reference, since).await
    }

    async fn capture(&self, request: &Capture) -> Result<Payment> {
        let operation = Operation::acts("capture");
        if is_stale(&request.attempt) {
            let found = self.get(&request.payment).await?;
            if found.status != PaymentStatus::Held {
                return Ok(found);
            }
        }
        let mut body = json!({ "amount": amount(operation, request.amount)? });
        if let Some(due) = &request.receipt {
            body["receipt"] = receipt(due);
        }
        let path = ["payments", request.payment.0.as_str(), "capture"];
        self.post_payment(operation, &path, &request.idempotency, &body).await
    }

    /// YooKassa withdraws held payments alone: one that waits for the payer is returned as it is, and runs out by itself.
    async fn cancel(&self, request: &Cancel) -> Result<Payment> {
        let found = self.get(&request.payment).await?;
        if found.status != PaymentStatus::Held {
            return Ok(found);
        }
        let path = ["payments", request.payment.0.as_str(), "cancel"];
        self.post_payment(Operation::acts("cancel"), &path, &request.idempotency, &json!({})).await
    }

    async fn refund(&self, request: &RequestRefund) -> Result<Refund> {
        let operation = Operation::acts("refund");
        let value = amount(operation, request.amount)?;
        if is_stale(&request.attempt) {
            let filter = [("payment_id", request.payment.0.as_str())];
            let mut earlier: Vec<RefundObject> =
                self.client.list(Operation::asks("find refund"), "refunds", &filter).await?;
            if let Some(place) = earlier.iter().position(|refund| refund.is_called(&request.reference)) {
                return earlier.swap_remove(place).refund().ok_or_else(|| operation.unreadable());
            }
            let since = request.attempt.first_at - CLOCKS_DIFFER;
            if earlier.iter().any(|refund| refund.may_be(request.amount, since)) {
                let message = "it cannot be told whether the refund was made; look at the payment";
                return Err(operation.error(ErrorKind::Conflict, RetryHint::UNKNOWN, message));
            }
        }
        let mut body = json!({
            "payment_id": request.payment.0, "amount": value, "metadata": { "reference": request.reference },
        });
        if let Some(due) = &request.receipt {
            body["receipt"] = receipt(due);
        }
        let object: RefundObject =
            self.client.post(operation, &["refunds"], &request.idempotency, &body).await?;
        object.refund().ok_or_else(|| operation.unreadable())
    }

    async fn refund_state(&self, refund: &Refund) -> Result<Refund> {
        let operation = Operation::asks("get refund");
        let Some(id) = &refund.id else {
            let message = "the refund has no id";
            return Err(operation.error(ErrorKind::Invalid, RetryHint::Never, message));
        };
        let object: RefundObject = self.client.get(operation, &["refunds", &id.0], &[]).await?;
        object.refund().ok_or_else(|| operation.unreadable())
    }

    async fn charge_saved(&self, request: &ChargeSaved) -> Result<Payment> {
        let operation = Operation::acts("charge");
        let mut body = json!({
            "amount": amount(operation, request.amount)?, "capture": true,
            "payment_method_id": request.method.0, "description": request.description,
            "metadata": { "reference": request.reference },
        });
        if let Some(due) = &request.receipt {
            body["receipt"] = receipt(due);
        }
        self.make(operation, &request.idempotency, &request.reference, &request.attempt, &body).await
    }

    async fn forget_saved(&self, _: &ForgetSaved) -> Result<()> {
        let message = "yookassa documents no way to forget a saved method";
        Err(Operation::acts("forget").error(ErrorKind::Unsupported, RetryHint::Never, message))
    }

    async fn register_receipt(&self, request: &RegisterReceipt) -> Result<ReceiptRegistration> {
        let operation = Operation::acts("register receipt");
        if is_stale(&request.attempt) {
            let message = "it cannot be told whether the receipt was sent; look at the payment";
            return Err(operation.error(ErrorKind::Conflict, RetryHint::UNKNOWN, message));
        }
        let body = separate(&request.receipt, &request.payment.0);
        let object: ReceiptObject =
            self.client.post(operation, &["receipts"], &request.idempotency, &body).await?;
        Ok(object.registration())
    }

    async fn receipt(&self, receipt: &ProviderReceiptId) -> Result<ReceiptRegistration> {
        let object: ReceiptObject =
            self.client.get(Operation::asks("get receipt"), &["receipts", &receipt.0], &[]).await?;
        Ok(object.registration())
    }

    async fn check(&self) -> Result<()> {
        let _shop: Value = self.client.get(Operation::asks("check"), &["me"], &[]).await?;
        Ok(())
    }

    fn webhook(&self) -> &dyn PaymentWebhook {
        &self.webhook
    }
}
