//! What Postal posts to us: events of its webhooks, and mail of its routes. Both are signed the same way.

use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::adapter::KIND;
use super::inbound::read_body;
use super::signature::SigningKeys;

/// SHA-256. The older header with SHA-1 is not believed.
const SIGNATURE_HEADER: &str = "x-postal-signature-256";

#[derive(Debug)]
pub(super) struct PostalWebhook {
    keys: SigningKeys,
}

impl PostalWebhook {
    pub(super) const fn new(keys: SigningKeys) -> Self {
        Self { keys }
    }
}

impl WebhookReceiver for PostalWebhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let given = request.header(SIGNATURE_HEADER).unwrap_or_default();
        let holds = request.method == "POST" && self.keys.have_signed(request.body, given);
        Verified::by_public_key(request, holds).map_err(|error| error.with_adapter(KIND))
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let request = request.request();
        let body: Value =
            serde_json::from_slice(request.body).ok().filter(Value::is_object).ok_or_else(|| {
                Error::new(ErrorKind::Invalid, "the body is not a json object")
                    .with_adapter(KIND)
                    .with_operation("parse")
            })?;
        let events = read_body(body, request.received_at).into_iter().collect();
        Ok(WebhookBatch { events, reply: WebhookReply::ok("ok") })
    }
}
