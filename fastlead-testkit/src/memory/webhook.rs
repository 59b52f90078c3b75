//! How news comes back: a JSON list of events under a token.

use std::fmt;

use fastlead_core::channel::InboundEvent;
use fastlead_core::id::ChannelId;
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};

pub(super) const TOKEN_HEADER: &str = "x-memory-token";

/// Believes requests that carry the channel's token.
#[derive(Clone)]
pub(super) struct MemoryWebhook {
    token: String,
}

impl MemoryWebhook {
    pub(super) fn new(id: ChannelId) -> Self {
        Self { token: format!("token-of-{}", id.hex()) }
    }

    pub(super) fn token(&self) -> String {
        self.token.clone()
    }
}

impl WebhookReceiver for MemoryWebhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let given = request.header(TOKEN_HEADER).unwrap_or_default();
        Verified::by_equal(request, self.token.as_bytes(), given.as_bytes())
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let events: Vec<InboundEvent> = serde_json::from_slice(request.request().body).map_err(|_| {
            Error::new(ErrorKind::Invalid, "the body is not a list of events").with_adapter("memory")
        })?;
        Ok(WebhookBatch { events, reply: WebhookReply::ok("ok") })
    }
}

impl fmt::Debug for MemoryWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryWebhook([redacted])")
    }
}
