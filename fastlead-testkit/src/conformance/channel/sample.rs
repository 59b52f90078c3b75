//! Messages and requests to try a channel with.

use std::fmt;
use std::net::IpAddr;

use fastlead_core::id::{DeliveryId, RandomIds};
use fastlead_core::message::{Content, MessageClass, OutboundMessage, Part, Recipient};
use fastlead_core::time::{Clock, SystemClock, Timestamp};
use fastlead_core::webhook::WebhookRequest;

/// A first attempt of a new delivery, made now.
pub fn outbound(recipient: Recipient, content: Content) -> OutboundMessage {
    let now = SystemClock.now();
    OutboundMessage {
        delivery_id: DeliveryId::generate(&RandomIds, now),
        attempt: 1,
        part: Part::WHOLE,
        recipient,
        content,
        class: MessageClass::Service,
        attempted_at: now,
        expires_at: None,
    }
}

/// A [`WebhookRequest`] that owns what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct SampleRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// The raw query string without `?`.
    pub query: String,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The raw body.
    pub body: Vec<u8>,
    /// Who called.
    pub remote: Option<IpAddr>,
    /// When it came.
    pub received_at: Timestamp,
}

impl SampleRequest {
    /// A `POST` that came now, without headers.
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: body.into(),
            remote: None,
            received_at: SystemClock.now(),
        }
    }

    /// Adds a header; the name is put into lower case.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Takes a header away.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    /// Sets the query string.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Self {
        self.query = query.into();
        self
    }

    /// Puts another body under the same headers.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Shows the request to a receiver.
    pub fn show<R>(&self, to: impl FnOnce(WebhookRequest<'_>) -> R) -> R {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        to(WebhookRequest {
            method: &self.method,
            query: &self.query,
            headers: &headers,
            body: &self.body,
            remote: self.remote,
            received_at: self.received_at,
        })
    }
}

impl fmt::Debug for SampleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleRequest")
            .field("method", &self.method)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
