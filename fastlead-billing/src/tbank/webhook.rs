//! Notifications of the bank (<https://developer.tbank.ru/eacq/intro/developer/notification>).
//!
//! The token proves that the bank has said it once, not that it still holds: notifications come twice and out of order, and
//! a one-stage payment sends two at once. So an event names the payment, and its state is asked for.

use std::str;

use fastlead_core::secret::Secret;
use fastlead_core::webhook::{Verified, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::adapter::KIND;
use super::token::token;
use super::wire::Loose;
use crate::fiscal::{FiscalMarks, ReceiptNews};
use crate::payment::ProviderPaymentId;
use crate::provider::{PaymentEvent, PaymentWebhook, PaymentWebhookBatch};

/// What a notification says. Kinds without a payment (cards, accounts) are left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    #[serde(default)]
    terminal_key: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    payment_id: Loose,
    #[serde(default)]
    token: String,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(default)]
    fn_number: Loose,
    #[serde(default)]
    fiscal_document_number: Loose,
    #[serde(default)]
    fiscal_document_attribute: Loose,
}

#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) terminal_key: String,
    pub(super) password: Secret<String>,
}

fn read(body: &[u8]) -> Result<Notification> {
    serde_json::from_slice(body).map_err(|_| refused(ErrorKind::Invalid, "the notification cannot be read"))
}

fn refused(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).with_adapter(KIND).with_operation("webhook")
}

impl PaymentWebhook for Webhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let notification = read(request.body)?;
        if notification.terminal_key != self.terminal_key {
            return Err(refused(ErrorKind::Unauthenticated, "the notification is of another terminal"));
        }
        let text = str::from_utf8(request.body)
            .map_err(|_| refused(ErrorKind::Invalid, "the notification is not in utf-8"))?;
        let expected = token(text, &self.password)
            .ok_or_else(|| refused(ErrorKind::Invalid, "the notification cannot be read"))?;
        let given = notification.token.to_ascii_lowercase();
        Verified::by_equal(request, expected.as_bytes(), given.as_bytes())
    }

    fn parse(&self, request: &Verified<'_>) -> Result<PaymentWebhookBatch> {
        let notification = read(request.request().body)?;
        let Notification { status, payment_id, error_message, .. } = notification;
        let events = payment_id.text().map(ProviderPaymentId).map(|payment| {
            if status != "RECEIPT" {
                return PaymentEvent::Payment(payment);
            }
            let marks = FiscalMarks {
                storage: notification.fn_number.0,
                document: notification.fiscal_document_number.0,
                attribute: notification.fiscal_document_attribute.0,
            };
            let is_registered = !marks.document.is_empty() && !marks.attribute.is_empty();
            let news = match error_message.filter(|message| !message.is_empty()) {
                None if is_registered => ReceiptNews::Registered(Some(marks)),
                None => ReceiptNews::Pending,
                Some(_) => ReceiptNews::Failed,
            };
            PaymentEvent::Receipt { payment, receipt: None, news }
        });
        Ok(PaymentWebhookBatch { events: events.into_iter().collect(), reply: WebhookReply::ok("OK") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastlead_core::time::epoch;

    const GENUINE: &str = r#"{"TerminalKey":"1321054611234DEMO","OrderId":"201709","Success":true,"Status":"AUTHORIZED","PaymentId":8742591,"ErrorCode":"0","Amount":9855,"CardId":322264,"Pan":"430000******0777","ExpDate":"1122","RebillId":101709,"Token":"b906d28e76c6428e37b25fcf86c0adc52c63d503013fdd632e300593d165766b","Data":{"Route":"TCB"}}"#;

    fn webhook() -> Webhook {
        Webhook { terminal_key: "1321054611234DEMO".into(), password: "Dfsfh56dgKl".into() }
    }

    fn verify(body: &str) -> Result<PaymentWebhookBatch> {
        let request = WebhookRequest {
            method: "POST",
            query: "",
            headers: &[],
            body: body.as_bytes(),
            remote: None,
            received_at: epoch(),
        };
        let verified = webhook().verify(request)?;
        assert!(!verified.must_confirm());
        webhook().parse(&verified)
    }

    fn signed(fields: &str) -> String {
        let token = token(&format!("{{{fields}}}"), &webhook().password).unwrap();
        format!(r#"{{{fields},"Token":"{token}"}}"#)
    }

    #[test]
    fn the_banks_own_example_is_genuine_and_answered_ok() {
        let batch = verify(GENUINE).unwrap();
        assert_eq!(batch.events, [PaymentEvent::Payment(ProviderPaymentId("8742591".into()))]);
        assert_eq!((batch.reply.status, &batch.reply.body[..]), (200, &b"OK"[..]));
    }

    #[test]
    fn a_forged_one_is_refused() {
        for (what, body) in [
            ("another amount", GENUINE.replace("9855", "9856")),
            ("another status", GENUINE.replace("AUTHORIZED", "CONFIRMED")),
            ("the number as a text with a zero", GENUINE.replace("9855", "09855")),
            ("no token", GENUINE.replace("\"Token\"", "\"Tocken\"")),
            (
                "an empty token",
                GENUINE.replace("b906d28e76c6428e37b25fcf86c0adc52c63d503013fdd632e300593d165766b", ""),
            ),
            ("another terminal", signed(r#""TerminalKey":"OTHER","PaymentId":1"#)),
        ] {
            assert!(verify(&body).is_err(), "{what}");
        }
        assert_eq!(verify("nothing").unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn receipts_and_kinds_without_a_payment() {
        let of = |fields: &str| {
            verify(&signed(&format!(r#""TerminalKey":"1321054611234DEMO",{fields}"#))).unwrap().events
        };
        let payment = ProviderPaymentId("7".into());
        let receipt = |news| vec![PaymentEvent::Receipt { payment: payment.clone(), receipt: None, news }];
        let marks = FiscalMarks { storage: "99".into(), document: "126".into(), attribute: "2013".into() };
        assert_eq!(
            of(
                r#""Status":"RECEIPT","PaymentId":7,"ErrorMessage":"","FnNumber":"99","FiscalDocumentNumber":126,"FiscalDocumentAttribute":2013"#
            ),
            receipt(ReceiptNews::Registered(Some(marks)))
        );
        assert_eq!(
            of(r#""Status":"RECEIPT","PaymentId":7,"ErrorMessage":"no paper""#),
            receipt(ReceiptNews::Failed)
        );
        assert_eq!(of(r#""Status":"RECEIPT","PaymentId":7"#), receipt(ReceiptNews::Pending));
        assert_eq!(of(r#""NotificationType":"LINKACCOUNT","Status":"ACTIVE""#), []);
    }
}
