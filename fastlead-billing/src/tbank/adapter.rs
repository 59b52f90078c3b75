//! The provider.

use async_trait::async_trait;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use serde_json::{Value, json};

use super::client::Client;
use super::config::TBankConfig;
use super::error::{Operation, by_code, decline};
use super::receipt::receipt;
use super::webhook::Webhook;
use super::wire::{OrderPayment, Reply};
use crate::fiscal::ReceiptStatus;
use crate::payment::{
    Cancel, Capture, CaptureMode, ChargeSaved, CreatePayment, DeclineClass, ForgetSaved, Payment,
    PaymentStatus, ProviderPaymentId, ProviderReceiptId, ReceiptRegistration, Refund, RefundStatus,
    RegisterReceipt, RequestRefund, SavedMethodId,
};
use crate::provider::{PaymentProvider, PaymentProviderInfo, PaymentWebhook};
use crate::{Currency, Money};

pub(super) const KIND: &str = "tbank";
/// An order that no shop has: its state proves the credentials.
const NO_ORDER: &str = "fastlead-check";

/// A terminal of T-Bank.
#[derive(Debug)]
pub struct TBank {
    info: PaymentProviderInfo,
    client: Client,
    webhook: Webhook,
    notification_url: Option<String>,
    charge_initiator: String,
    is_test: bool,
}

impl TBank {
    /// A terminal that is reached through `http`: a client that follows no redirects, repeats nothing, connects only where it
    /// may and trusts the Russian Trusted Root CA beside the usual ones.
    ///
    /// # Errors
    /// As [`TBankConfig::validate`].
    pub fn new(config: &TBankConfig, http: reqwest::Client) -> Result<Self> {
        let webhook =
            Webhook { terminal_key: config.terminal_key.clone(), password: config.password.clone() };
        Ok(Self {
            info: PaymentProviderInfo { kind: KIND, name: config.name.clone(), honours_keys: false },
            client: Client::new(config, http)?,
            webhook,
            notification_url: config.notification_url.clone(),
            charge_initiator: config.charge_initiator.clone(),
            is_test: config.terminal_key.ends_with("DEMO"),
        })
    }

    /// The payments of an order, oldest last as the bank tells them.
    async fn order(&self, order: &str) -> Result<Vec<Payment>> {
        let reply = self.client.call(Operation::CheckOrder, json!({ "OrderId": order })).await?;
        match reply.code() {
            None if reply.is_success() => {}
            Some(code) if by_code(Operation::CheckOrder, code).kind() == ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            code => return Err(by_code(Operation::CheckOrder, code.unwrap_or("0"))),
        }
        reply.payments.iter().map(|payment| self.payment_of_order(order, payment)).collect()
    }

    fn payment_of_order(&self, order: &str, payment: &OrderPayment) -> Result<Payment> {
        let id = payment.payment_id.text().ok_or_else(|| Operation::CheckOrder.unreadable())?;
        let amount = payment.amount.number().ok_or_else(|| Operation::CheckOrder.unreadable())?;
        let code = payment.error_code.as_ref().map_or("0", |code| code.0.as_str());
        Ok(self.payment(id, Some(order.to_owned()), amount, payment.status.as_deref(), code))
    }

    async fn state(&self, payment: &ProviderPaymentId) -> Result<(Payment, Reply)> {
        let reply = self.client.call(Operation::GetState, json!({ "PaymentId": payment.0 })).await?;
        let code = reply.code().unwrap_or("0").to_owned();
        if !reply.is_success() && (reply.status.is_none() || decline(&code).is_none()) {
            return Err(by_code(Operation::GetState, &code));
        }
        let amount = reply.amount.number().ok_or_else(|| Operation::GetState.unreadable())?;
        let reference = reply.order_id.text();
        let found = self.payment(payment.0.clone(), reference, amount, reply.status.as_deref(), &code);
        Ok((found, reply))
    }

    fn payment(
        &self,
        id: String,
        reference: Option<String>,
        minor: i64,
        status: Option<&str>,
        code: &str,
    ) -> Payment {
        let amount = Money::new(minor, Currency::RUB);
        Payment {
            id: ProviderPaymentId(id),
            reference,
            amount,
            status: status_of(status.unwrap_or_default(), code),
            refunded: (status == Some("REFUNDED")).then_some(amount),
            net: None,
            confirmation_url: None,
            saved_method: None,
            receipt: None,
            test: self.is_test,
        }
    }

    async fn init(&self, mut body: Value, reference: &str, amount: Money) -> Result<Payment> {
        if amount.currency != Currency::RUB || amount.minor <= 0 {
            let message = "the terminal takes amounts above zero in roubles";
            return Err(Operation::Init.error(ErrorKind::Invalid, RetryHint::Never, message));
        }
        body["Amount"] = amount.minor.into();
        body["OrderId"] = reference.into();
        if let Some(url) = &self.notification_url {
            body["NotificationURL"] = url.as_str().into();
        }
        let reply = self.client.demand(Operation::Init, body).await?;
        let id = reply.payment_id.text().ok_or_else(|| Operation::Init.unreadable())?;
        let made = self.payment(id, Some(reference.to_owned()), amount.minor, reply.status.as_deref(), "0");
        Ok(Payment { confirmation_url: reply.payment_url, ..made })
    }

    /// The one payment that earlier tries have made, if any.
    async fn earlier(&self, reference: &str) -> Result<Option<Payment>> {
        let mut found = self.order(reference).await?;
        // What has gone furthest counts: a payment that failed may stand beside one that did not.
        found.sort_by_key(|payment| match payment.status {
            PaymentStatus::Succeeded => 0,
            PaymentStatus::Held => 1,
            PaymentStatus::Pending => 2,
            _ => 3,
        });
        Ok(found.into_iter().next())
    }
}

/// The bank's statuses. One that is not known is pending.
fn status_of(status: &str, code: &str) -> PaymentStatus {
    match status {
        "AUTHORIZED" | "PARTIAL_REVERSED" => PaymentStatus::Held,
        "CONFIRMED" | "REFUNDING" | "ASYNC_REFUNDING" | "PARTIAL_REFUNDED" | "REFUNDED" => {
            PaymentStatus::Succeeded
        }
        "CANCELED" | "REVERSED" | "DEADLINE_EXPIRED" | "ATTEMPTS_EXPIRED" => PaymentStatus::Canceled,
        "REJECTED" | "AUTH_FAIL" => PaymentStatus::Declined {
            class: decline(code).unwrap_or(DeclineClass::Soft),
            provider_code: (code != "0").then(|| code.to_owned()),
        },
        _ => PaymentStatus::Pending,
    }
}

/// Where a refund stands by the status of its payment.
fn refund_status(status: &str) -> RefundStatus {
    match status {
        "REFUNDED" | "PARTIAL_REFUNDED" | "REVERSED" | "PARTIAL_REVERSED" => RefundStatus::Succeeded,
        _ => RefundStatus::Pending,
    }
}

#[async_trait]
impl PaymentProvider for TBank {
    fn info(&self) -> &PaymentProviderInfo {
        &self.info
    }

    async fn create(&self, request: &CreatePayment) -> Result<Payment> {
        if request.attempt.repeated
            && let Some(earlier) = self.earlier(&request.reference).await?
        {
            return Ok(earlier);
        }
        let pay_type = match request.capture {
            CaptureMode::Immediate => "O",
            CaptureMode::Manual => "T",
        };
        let mut body = json!({
            "Description": request.description, "PayType": pay_type,
            "SuccessURL": request.return_url, "FailURL": request.return_url,
        });
        if let Some(payer) = &request.save_method_of {
            body["CustomerKey"] = payer.as_str().into();
            body["Recurrent"] = "Y".into();
            body["DATA"] = json!({ "OperationInitiatorType": "1" });
        }
        if let Some(due) = &request.receipt {
            body["Receipt"] = receipt(due);
        }
        self.init(body, &request.reference, request.amount).await
    }

    async fn get(&self, payment: &ProviderPaymentId) -> Result<Payment> {
        self.state(payment).await.map(|(found, _)| found)
    }

    /// The bank tells no dates: `since` counts for nothing.
    async fn find(&self, reference: &str, _since: Timestamp) -> Result<Vec<Payment>> {
        self.order(reference).await
    }

    async fn capture(&self, request: &Capture) -> Result<Payment> {
        if request.attempt.repeated {
            let (found, _) = self.state(&request.payment).await?;
            if found.status != PaymentStatus::Held {
                return Ok(found);
            }
        }
        let mut body = json!({ "PaymentId": request.payment.0, "Amount": request.amount.minor });
        if let Some(due) = &request.receipt {
            body["Receipt"] = receipt(due);
        }
        let reply = self.client.demand(Operation::Confirm, body).await?;
        let status = reply.status.as_deref();
        Ok(self.payment(request.payment.0.clone(), reply.order_id.text(), request.amount.minor, status, "0"))
    }

    async fn cancel(&self, request: &Cancel) -> Result<Payment> {
        // `Cancel` of a payment that was taken would give the money back.
        let (found, _) = self.state(&request.payment).await?;
        if found.status.is_final() {
            return Ok(found);
        }
        let body =
            json!({ "PaymentId": request.payment.0, "ExternalRequestId": request.idempotency.as_str() });
        let reply = self.client.demand(Operation::Cancel, body).await?;
        let status = reply.status.as_deref();
        Ok(self.payment(request.payment.0.clone(), found.reference, found.amount.minor, status, "0"))
    }

    async fn refund(&self, request: &RequestRefund) -> Result<Refund> {
        if request.attempt.repeated {
            let (found, reply) = self.state(&request.payment).await?;
            let is_untouched = reply.status.as_deref() == Some("CONFIRMED");
            if !reply.is_by_card() && !is_untouched {
                // The key does not count for SBP.
                let whole = found.refunded.filter(|refunded| *refunded == request.amount);
                return match whole {
                    Some(amount) => {
                        let (payment, status) = (request.payment.clone(), RefundStatus::Succeeded);
                        Ok(Refund { id: None, payment, amount, status })
                    }
                    None => Err(Operation::Cancel.error(
                        ErrorKind::Conflict,
                        RetryHint::UNKNOWN,
                        "it cannot be told whether the refund was made; look at the payment",
                    )),
                };
            }
        }
        let mut body = json!({
            "PaymentId": request.payment.0, "Amount": request.amount.minor,
            "ExternalRequestId": request.idempotency.as_str(),
        });
        if let Some(due) = &request.receipt {
            body["Receipt"] = receipt(due);
        }
        let reply = self.client.demand(Operation::Cancel, body).await?;
        Ok(Refund {
            id: None,
            payment: request.payment.clone(),
            amount: request.amount,
            status: refund_status(reply.status.as_deref().unwrap_or_default()),
        })
    }

    /// By the status of the payment: of several refunds under way the bank tells them together.
    async fn refund_state(&self, refund: &Refund) -> Result<Refund> {
        let (_, reply) = self.state(&refund.payment).await?;
        let status = refund_status(reply.status.as_deref().unwrap_or_default());
        Ok(Refund { status, ..refund.clone() })
    }

    async fn charge_saved(&self, request: &ChargeSaved) -> Result<Payment> {
        let earlier = match request.attempt.repeated {
            true => self.earlier(&request.reference).await?,
            false => None,
        };
        let made = match earlier {
            Some(earlier) => self.state(&earlier.id).await?,
            None => {
                let mut body = json!({
                    "Description": request.description,
                    "DATA": { "OperationInitiatorType": self.charge_initiator },
                });
                if let Some(due) = &request.receipt {
                    body["Receipt"] = receipt(due);
                }
                let made = self.init(body, &request.reference, request.amount).await?;
                (made, Reply { status: Some("NEW".to_owned()), ..Reply::default() })
            }
        };
        let (made, reply) = made;
        // Only a payment that nobody has begun to charge is charged.
        if reply.status.as_deref() != Some("NEW") {
            return Ok(Payment { saved_method: Some(request.method.clone()), ..made });
        }
        let body = json!({ "PaymentId": made.id.0, "RebillId": request.method.0 });
        let reply = self.client.call(Operation::Charge, body).await?;
        let status = match (reply.is_success(), reply.code()) {
            (true, _) => status_of(reply.status.as_deref().unwrap_or_default(), "0"),
            (false, code) => {
                let code = code.unwrap_or("0");
                let Some(class) = decline(code) else { return Err(by_code(Operation::Charge, code)) };
                PaymentStatus::Declined { class, provider_code: Some(code.to_owned()) }
            }
        };
        Ok(Payment { status, saved_method: Some(request.method.clone()), ..made })
    }

    async fn forget_saved(&self, _: &ForgetSaved) -> Result<()> {
        Err(unsupported("the bank forgets cards by their own id, which is not kept"))
    }

    async fn register_receipt(&self, request: &RegisterReceipt) -> Result<ReceiptRegistration> {
        let body = json!({ "PaymentId": request.payment.0, "Receipt": receipt(&request.receipt) });
        if request.attempt.repeated {
            // A second closing receipt would be registered like the first.
            return Err(Operation::ClosingReceipt.error(
                ErrorKind::Conflict,
                RetryHint::UNKNOWN,
                "it cannot be told whether the receipt was sent; wait for its notification",
            ));
        }
        self.client.demand(Operation::ClosingReceipt, body).await?;
        Ok(ReceiptRegistration { id: None, status: ReceiptStatus::Pending, marks: None })
    }

    async fn receipt(&self, _: &ProviderReceiptId) -> Result<ReceiptRegistration> {
        Err(unsupported("the bank tells of receipts by notifications alone"))
    }

    async fn check(&self) -> Result<()> {
        self.order(NO_ORDER).await.map(drop)
    }

    fn webhook(&self) -> &dyn PaymentWebhook {
        &self.webhook
    }
}

impl TBank {
    /// The saved method that a notification tells of (`RebillId`), for a request that [`PaymentWebhook::verify`] has let pass.
    pub fn saved_method(request: &fastlead_core::webhook::Verified<'_>) -> Option<SavedMethodId> {
        let reply: Reply = serde_json::from_slice(request.request().body).ok()?;
        reply.rebill_id.text().map(SavedMethodId)
    }
}

fn unsupported(message: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_adapter(KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_bank() {
        let declined = PaymentStatus::Declined { class: DeclineClass::Soft, provider_code: None };
        for (status, expected) in [
            (
                "NEW FORM_SHOWED PREAUTHORIZING AUTHORIZING 3DS_CHECKING 3DS_CHECKED PAY_CHECKING CONFIRM_CHECKING PROCESSING CHECKING CONFIRMING REVERSING SOMETHING_NEW",
                PaymentStatus::Pending,
            ),
            ("AUTHORIZED PARTIAL_REVERSED", PaymentStatus::Held),
            ("CONFIRMED REFUNDING ASYNC_REFUNDING PARTIAL_REFUNDED REFUNDED", PaymentStatus::Succeeded),
            ("CANCELED REVERSED DEADLINE_EXPIRED ATTEMPTS_EXPIRED", PaymentStatus::Canceled),
            ("REJECTED AUTH_FAIL", declined),
        ] {
            for status in status.split(' ') {
                assert_eq!(status_of(status, "0"), expected, "{status}");
            }
        }
        let funds = DeclineClass::InsufficientFunds;
        let declined = PaymentStatus::Declined { class: funds, provider_code: Some("1051".into()) };
        assert_eq!(status_of("REJECTED", "1051"), declined);
        assert_eq!(refund_status("ASYNC_REFUNDING"), RefundStatus::Pending);
        assert_eq!(refund_status("PARTIAL_REFUNDED"), RefundStatus::Succeeded);
    }
}
