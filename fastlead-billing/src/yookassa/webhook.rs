//! Notifications (<https://yookassa.ru/developers/using-api/webhooks>). They are not signed: an event names an object, and its
//! state is asked for.

use fastlead_core::webhook::{ConfirmByFetch, Verified, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};
use ipnet::IpNet;
use serde::Deserialize;

use super::adapter::KIND;
use crate::payment::{ProviderPaymentId, ProviderRefundId, SavedMethodId};
use crate::provider::{PaymentEvent, PaymentWebhook, PaymentWebhookBatch};

#[derive(Debug)]
pub(super) struct Webhook {
    /// Empty: everybody may give hints.
    pub(super) networks: Vec<IpNet>,
}

#[derive(Debug, Deserialize)]
struct Notification {
    event: String,
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Object {
    id: String,
    #[serde(default)]
    payment_id: Option<String>,
}

impl PaymentWebhook for Webhook {
    /// Where the caller's address is not known its word is a hint like any other.
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let is_stranger = request.remote.is_some_and(|remote| {
            !self.networks.is_empty()
                && !self.networks.iter().any(|network| network.contains(&remote.to_canonical()))
        });
        if is_stranger {
            return Err(Error::new(ErrorKind::Unauthenticated, "the caller's address is not yookassa's")
                .with_adapter(KIND)
                .with_operation("webhook"));
        }
        Ok(Verified::unsigned(request, ConfirmByFetch))
    }

    fn parse(&self, request: &Verified<'_>) -> Result<PaymentWebhookBatch> {
        let Notification { event, object } =
            serde_json::from_slice(request.request().body).map_err(|_| {
                Error::new(ErrorKind::Invalid, "the notification cannot be read")
                    .with_adapter(KIND)
                    .with_operation("webhook")
            })?;
        let kind = event.split('.').next().unwrap_or_default();
        let event = match (kind, object.payment_id) {
            ("payment", _) => Some(PaymentEvent::Payment(ProviderPaymentId(object.id))),
            ("refund", Some(payment)) => Some(PaymentEvent::Refund {
                payment: ProviderPaymentId(payment),
                refund: Some(ProviderRefundId(object.id)),
            }),
            ("payment_method", _) => Some(PaymentEvent::SavedMethod(SavedMethodId(object.id))),
            _ => None,
        };
        Ok(PaymentWebhookBatch { events: event.into_iter().collect(), reply: WebhookReply::ok("") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastlead_core::time::epoch;
    use std::net::IpAddr;

    fn ask(body: &str, remote: Option<&str>) -> Result<Vec<PaymentEvent>> {
        let networks = vec!["185.71.76.0/27".parse().unwrap(), "2a02:5180::/32".parse().unwrap()];
        let webhook = Webhook { networks };
        let remote = remote.map(|remote| remote.parse::<IpAddr>().unwrap());
        let body = body.as_bytes();
        let request =
            WebhookRequest { method: "POST", query: "", headers: &[], body, remote, received_at: epoch() };
        let verified = webhook.verify(request)?;
        assert!(verified.must_confirm());
        let batch = webhook.parse(&verified)?;
        assert_eq!(batch.reply.status, 200);
        Ok(batch.events)
    }

    #[test]
    fn events_name_the_object_and_not_its_state() {
        let of = |event: &str| {
            let body = format!(
                r#"{{"type":"notification","event":"{event}","object":{{"id":"1","status":"succeeded","payment_id":"2"}}}}"#
            );
            ask(&body, None).unwrap()
        };
        let payment = |id: &str| ProviderPaymentId(id.into());
        for event in
            ["payment.succeeded", "payment.waiting_for_capture", "payment.canceled", "payment.new_kind"]
        {
            assert_eq!(of(event), [PaymentEvent::Payment(payment("1"))]);
        }
        let refund = Some(ProviderRefundId("1".into()));
        assert_eq!(of("refund.succeeded"), [PaymentEvent::Refund { payment: payment("2"), refund }]);
        assert_eq!(of("payment_method.active"), [PaymentEvent::SavedMethod(SavedMethodId("1".into()))]);
        assert_eq!(of("deal.closed"), []);
        assert_eq!(ask("{}", None).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn strangers_are_refused_where_they_are_known() {
        let body = r#"{"event":"payment.succeeded","object":{"id":"1"}}"#;
        for (remote, is_known) in [
            (None, true),
            (Some("185.71.76.5"), true),
            (Some("::ffff:185.71.76.5"), true),
            (Some("2a02:5180::1"), true),
            (Some("185.71.76.32"), false),
            (Some("127.0.0.1"), false),
        ] {
            assert_eq!(ask(body, remote).is_ok(), is_known, "{remote:?}");
        }
    }
}
