//! Requests to Postal and their answers. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::adapter::KIND;
use super::config::{PostalConfig, fault};
use super::error::{Operation, parse_error, transport_error};
use super::wire::{Answer, NewMail, Sent};
use crate::egress::Egress;
use crate::http;

const KEY_HEADER: &str = "x-server-api-key";
/// Answers have some hundred bytes; whatever is longer is not Postal's.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Cheap to clone: the clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    key: HeaderValue,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &PostalConfig, egress: &Egress) -> Result<Self> {
        let base = config.base_url()?;
        let encrypted = base.scheme() == "https";
        if let Some(host) = base.host() {
            egress.check(host, encrypted).map_err(|refusal| refusal.of_field(KIND, "endpoint"))?;
        }
        let http = http::client(egress, encrypted, config.timeout()).build().map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot set up the http client")
                .with_adapter(KIND)
                .with_operation("configure")
                .with_source(error.without_url())
        })?;
        let mut key = HeaderValue::try_from(config.api_key.expose())
            .map_err(|_| fault("api_key: expected the whole key, without spaces"))?;
        key.set_sensitive(true);
        Ok(Self { http, base, key })
    }

    /// Returns Postal's number of the mail.
    pub(super) async fn send(&self, mail: &NewMail<'_>) -> Result<i64> {
        let operation = Operation::Send;
        let data = self.call(operation, "send/message", mail).await?;
        let sent: Sent = serde_json::from_value(data).map_err(|_| operation.unreadable())?;
        let mut messages = sent.messages.into_values();
        match (messages.next(), messages.next()) {
            (Some(message), None) => Ok(message.id),
            _ => Err(operation.unreadable()),
        }
    }

    /// Proves the key: Postal says that there is no such mail, and says so only to whoever has the key.
    pub(super) async fn prove(&self) -> Result<()> {
        match self.call(Operation::Check, "messages/message", &json!({ "id": 0 })).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            answered => answered.map(drop),
        }
    }

    async fn call<B: Serialize + Sync + ?Sized>(
        &self,
        operation: Operation,
        action: &str,
        body: &B,
    ) -> Result<Value> {
        let url = self
            .base
            .join(&format!("api/v1/{action}"))
            .map_err(|_| operation.refuse(ErrorKind::Config, "endpoint: cannot be extended"))?;
        let body = serde_json::to_vec(body)
            .map_err(|_| operation.refuse(ErrorKind::Internal, "the request cannot be written as json"))?;
        let fault = |error| transport_error(operation, error);
        let request = self
            .http
            .post(url)
            .header(KEY_HEADER, self.key.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let mut response = request.send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let after = http::retry_after(response.headers(), None);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                let message = "the answer is too long";
                return Err(operation.error(ErrorKind::Protocol, RetryHint::UNKNOWN, message));
            }
            body.extend_from_slice(&chunk);
        }
        decode(operation, status, after, &body)
    }
}

/// `data` of a success, or the error that came in its place.
fn decode(operation: Operation, status: u16, after: Option<Duration>, body: &[u8]) -> Result<Value> {
    match serde_json::from_slice::<Answer>(body) {
        Ok(answer) if answer.status == "success" && (200..300).contains(&status) => Ok(answer.data),
        _ => Err(parse_error(operation, status, after, body)),
    }
}
