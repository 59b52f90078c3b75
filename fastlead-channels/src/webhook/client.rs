//! Requests to the receiver. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use url::Url;

use super::adapter::KIND;
use super::config::WebhookConfig;
use super::error::{Operation, transport_error};
use crate::egress::Egress;
use crate::http;

/// An answer is read up to here, so that its connection can be used again. A longer one is thrown away.
const LONGEST_ANSWER: usize = 16 * 1024;

/// What is signed and what it is signed with.
pub(super) struct SignedBody {
    pub(super) id: String,
    pub(super) timestamp: i64,
    pub(super) signature: String,
    pub(super) body: Vec<u8>,
}

/// What came back.
pub(super) struct Answer {
    /// The body, where it is JSON and not too long.
    pub(super) body: Option<serde_json::Value>,
    pub(super) status: StatusCode,
    /// The delay that the receiver names.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
}

impl fmt::Debug for Client {
    /// The host alone: path and query are credentials at many receivers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &WebhookConfig, egress: &Egress) -> Result<Self> {
        let url = config.target()?;
        let encrypted = url.scheme() == "https";
        if let Some(host) = url.host() {
            egress.check(host, encrypted).map_err(|refusal| refusal.of_field(KIND, "url"))?;
        }
        let http = http::client(egress, encrypted, config.timeout())
            .default_headers(config.header_map()?)
            .tls_certs_merge(config.authorities()?)
            .build()
            .map_err(|error| {
                let (kind, message) = match config.ca_pem {
                    Some(_) => (ErrorKind::Config, "ca_pem: holds a certificate that cannot be trusted"),
                    None => (ErrorKind::Internal, "cannot set up the http client"),
                };
                Error::new(kind, message)
                    .with_adapter(KIND)
                    .with_operation("configure")
                    .with_source(error.without_url())
            })?;
        Ok(Self { http, url })
    }

    /// Posts the body once. `now` is the moment of the attempt.
    pub(super) async fn post(&self, signed: SignedBody, now: Timestamp) -> Result<Answer> {
        let response = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(signed.body)
            .send()
            .await
            .map_err(|error| transport_error(Operation::Send, error))?;
        let status = response.status();
        let retry_after = http::retry_after(response.headers(), Some(now));
        let body = read(response).await.and_then(|body| json(&body));
        Ok(Answer { status, retry_after, body })
    }

    /// Proves name, address, connection and certificate. The answer to `HEAD` says nothing about
    /// webhooks, so every answer is good.
    pub(super) async fn reach(&self) -> Result<()> {
        let answer = self.http.head(self.url.clone()).send().await;
        answer.map(drop).map_err(|error| transport_error(Operation::Check, error))
    }
}

/// JSON, also behind a byte order mark, which a reader may ignore (RFC 8259 section 8.1) and Windows programs write.
fn json(body: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
}

/// Reads the body to its end; `None` where it is too long or breaks off. The status is known by then, and
/// nothing of this changes it.
async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
