//! YooKassa's formats. Unknown fields are left alone: the API grows faster than its specification.

use fastlead_core::time::Timestamp;
use serde::Deserialize;

use super::error::decline;
use crate::fiscal::{FiscalMarks, ReceiptStatus};
use crate::payment::{
    DeclineClass, Payment, PaymentStatus, ProviderPaymentId, ProviderReceiptId, ProviderRefundId,
    ReceiptRegistration, Refund, RefundStatus, SavedMethodId,
};
use crate::{Currency, Money};

/// Amount as YooKassa writes it: a decimal text.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Amount {
    value: String,
    currency: String,
}

/// Writes an amount of roubles: `100.00`.
pub(super) fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}

impl Amount {
    /// `None` where it is no amount in hundredths.
    fn money(&self) -> Option<Money> {
        let currency: Currency = self.currency.parse().ok()?;
        let (whole, part) = self.value.split_once('.').unwrap_or((&self.value, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > 2 || !digits(whole) || !digits(part) {
            return None;
        }
        let minor = format!("{whole}{part:0<2}").parse().ok()?;
        Some(Money::new(minor, currency))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentObject {
    id: String,
    status: String,
    amount: Amount,
    #[serde(default)]
    refunded_amount: Option<Amount>,
    #[serde(default)]
    income_amount: Option<Amount>,
    #[serde(default)]
    confirmation: Option<Confirmation>,
    #[serde(default)]
    payment_method: Option<Method>,
    #[serde(default)]
    cancellation_details: Option<Cancellation>,
    #[serde(default)]
    receipt_registration: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    test: bool,
}

#[derive(Debug, Default, Clone, Deserialize)]
struct Metadata {
    #[serde(default)]
    reference: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Confirmation {
    #[serde(default)]
    confirmation_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Method {
    id: String,
    #[serde(default)]
    saved: bool,
}

#[derive(Debug, Deserialize)]
struct Cancellation {
    #[serde(default)]
    reason: String,
}

fn registration(status: &str) -> ReceiptStatus {
    match status {
        "succeeded" => ReceiptStatus::Registered,
        "canceled" => ReceiptStatus::Failed,
        _ => ReceiptStatus::Pending,
    }
}

impl PaymentObject {
    pub(super) fn reference(&self) -> Option<&str> {
        self.metadata.reference.as_deref()
    }

    /// `None` where an amount cannot be read.
    pub(super) fn payment(self) -> Option<Payment> {
        let money = |amount: Option<Amount>| match amount {
            None => Some(None),
            Some(amount) => amount.money().map(Some),
        };
        let status = match self.status.as_str() {
            "waiting_for_capture" => PaymentStatus::Held,
            "succeeded" => PaymentStatus::Succeeded,
            "canceled" => {
                let reason = self.cancellation_details.map(|details| details.reason).unwrap_or_default();
                match decline(&reason) {
                    // Without a reason nobody is said to have refused it, and nobody is tried again.
                    _ if reason.is_empty() => {
                        PaymentStatus::Declined { class: DeclineClass::Hard, provider_code: None }
                    }
                    Some(class) => PaymentStatus::Declined { class, provider_code: Some(reason) },
                    None => PaymentStatus::Canceled,
                }
            }
            _ => PaymentStatus::Pending,
        };
        Some(Payment {
            id: ProviderPaymentId(self.id),
            reference: self.metadata.reference,
            amount: self.amount.money()?,
            status,
            refunded: money(self.refunded_amount)?,
            net: money(self.income_amount)?,
            confirmation_url: self.confirmation.and_then(|confirmation| confirmation.confirmation_url),
            saved_method: self
                .payment_method
                .filter(|method| method.saved)
                .map(|method| SavedMethodId(method.id)),
            receipt: self.receipt_registration.as_deref().map(registration),
            test: self.test,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RefundObject {
    id: String,
    payment_id: String,
    status: String,
    amount: Amount,
    #[serde(default)]
    created_at: Option<Timestamp>,
    #[serde(default)]
    cancellation_details: Option<Cancellation>,
    #[serde(default)]
    metadata: Metadata,
}

impl RefundObject {
    pub(super) fn is_called(&self, reference: &str) -> bool {
        self.metadata.reference.as_deref() == Some(reference)
    }

    /// Whether it may be a refund whose name was lost.
    pub(super) fn may_be(&self, amount: Money, since: Timestamp) -> bool {
        self.metadata.reference.is_none()
            && self.amount.money().is_none_or(|own| own == amount)
            && self.created_at.is_none_or(|at| at >= since)
    }

    pub(super) fn refund(self) -> Option<Refund> {
        let status = match self.status.as_str() {
            "succeeded" => RefundStatus::Succeeded,
            "canceled" => {
                let reason = self.cancellation_details.map(|details| details.reason);
                RefundStatus::Declined { provider_code: reason.filter(|reason| !reason.is_empty()) }
            }
            _ => RefundStatus::Pending,
        };
        Some(Refund {
            id: Some(ProviderRefundId(self.id)),
            payment: ProviderPaymentId(self.payment_id),
            amount: self.amount.money()?,
            status,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ReceiptObject {
    id: String,
    status: String,
    #[serde(default)]
    fiscal_document_number: Option<String>,
    #[serde(default)]
    fiscal_storage_number: Option<String>,
    #[serde(default)]
    fiscal_attribute: Option<String>,
}

impl ReceiptObject {
    pub(super) fn registration(self) -> ReceiptRegistration {
        let marks = match (self.fiscal_storage_number, self.fiscal_document_number, self.fiscal_attribute) {
            (Some(storage), Some(document), Some(attribute)) => {
                Some(FiscalMarks { storage, document, attribute })
            }
            _ => None,
        };
        ReceiptRegistration {
            id: Some(ProviderReceiptId(self.id)),
            status: registration(&self.status),
            marks,
        }
    }
}

/// Page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<T>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Payment {
        serde_json::from_str::<PaymentObject>(json).unwrap().payment().unwrap()
    }

    #[test]
    fn amounts_are_decimal_texts() {
        for (minor, text) in
            [(0, "0.00"), (5, "0.05"), (200, "2.00"), (123_456_789, "1234567.89"), (-5, "-0.05")]
        {
            assert_eq!(decimal(minor), text);
        }
        let money = |value: &str| {
            let amount = Amount { value: value.into(), currency: "RUB".into() };
            amount.money().map(|money| money.minor)
        };
        for (text, minor) in
            [("2.00", 200), ("2", 200), ("2.5", 250), ("0.05", 5), ("1234567.89", 123_456_789)]
        {
            assert_eq!(money(text), Some(minor), "{text}");
        }
        for text in ["", ".5", "2.005", "-1", "1 000", "1,50", "1e3", "99999999999999999999"] {
            assert_eq!(money(text), None, "{text}");
        }
    }

    /// The response of the documentation, shortened.
    #[test]
    fn the_example_of_the_documentation_is_read() {
        let pending = read(
            r#"{"id":"22e12f66-000f-5000-8000-18db351245c7","status":"pending","paid":false,"amount":{"value":"2.00","currency":"RUB"},"confirmation":{"type":"redirect","return_url":"https://www.example.com/return_url","confirmation_url":"https://yoomoney.ru/payments/external/confirmation?orderId=22e12f66"},"created_at":"2018-07-18T10:51:18.139Z","metadata":{},"payment_method":{"type":"bank_card","id":"22e12f66-000f-5000-8000-18db351245c7","saved":false},"refundable":false,"test":false}"#,
        );
        assert_eq!((pending.status, pending.saved_method), (PaymentStatus::Pending, None));
        assert!(pending.confirmation_url.unwrap().starts_with("https://yoomoney.ru/"));
    }

    #[test]
    fn statuses_and_reasons() {
        let of = |status: &str, more: &str| {
            read(&format!(
                r#"{{"id":"1","status":"{status}","paid":true,"amount":{{"value":"2.00","currency":"RUB"}}{more}}}"#
            ))
        };
        assert_eq!(of("waiting_for_capture", "").status, PaymentStatus::Held);
        let done = of(
            "succeeded",
            r#","income_amount":{"value":"1.93","currency":"RUB"},"refunded_amount":{"value":"0.50","currency":"RUB"},"payment_method":{"id":"m","saved":true},"receipt_registration":"canceled","metadata":{"reference":"r"}"#,
        );
        assert_eq!(done.status, PaymentStatus::Succeeded);
        assert_eq!((done.net.unwrap().minor, done.refunded.unwrap().minor), (193, 50));
        assert_eq!(done.saved_method, Some(SavedMethodId("m".into())));
        assert_eq!((done.receipt, done.reference.as_deref()), (Some(ReceiptStatus::Failed), Some("r")));
        let reason = |reason: &str| {
            of("canceled", &format!(r#","cancellation_details":{{"party":"yoo_money","reason":"{reason}"}}"#))
                .status
        };
        assert_eq!(reason("expired_on_capture"), PaymentStatus::Canceled);
        let revoked = DeclineClass::PermissionRevoked;
        let expected =
            PaymentStatus::Declined { class: revoked, provider_code: Some("permission_revoked".into()) };
        assert_eq!(reason("permission_revoked"), expected);
        assert_eq!(of("something_new", "").status, PaymentStatus::Pending);
    }
}
