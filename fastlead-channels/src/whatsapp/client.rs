//! Requests to the Graph API and their answers. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use url::Url;

use super::adapter::KIND;
use super::config::{WhatsAppConfig, fault};
use super::error::{Operation, parse_error, transport_error};
use super::wire::{NewMessage, PhoneNumber, Sent};
use crate::egress::Egress;
use crate::http;

/// Answers have some hundred bytes; whatever is longer is not Meta's.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Cheap to clone: the clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    /// `https://graph.facebook.com/v25.0/{phone_number_id}`.
    number: Url,
    authorization: HeaderValue,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("number", &self.number.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &WhatsAppConfig, egress: &Egress) -> Result<Self> {
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
        let number = base
            .join(&format!("{}/{}", config.api_version, config.phone_number_id))
            .map_err(|_| fault("endpoint: cannot be extended"))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", config.access_token.expose()))
            .map_err(|_| fault("access_token: expected the whole token, without spaces"))?;
        authorization.set_sensitive(true);
        Ok(Self { http, number, authorization })
    }

    /// Returns the id of the message.
    pub(super) async fn send(&self, message: &NewMessage<'_>) -> Result<String> {
        let operation = Operation::Send;
        let body = serde_json::to_vec(message)
            .map_err(|_| operation.refuse(ErrorKind::Internal, "the request cannot be written as json"))?;
        let mut url = self.number.clone();
        let Ok(mut segments) = url.path_segments_mut() else {
            return Err(operation.refuse(ErrorKind::Config, "endpoint: cannot be extended"));
        };
        segments.push("messages");
        drop(segments);
        let sent: Sent = self.call(operation, Method::POST, url, Some(body)).await?;
        let id = sent.messages.into_iter().next().map(|message| message.id);
        id.filter(|id| !id.trim().is_empty()).ok_or_else(|| operation.unreadable())
    }

    /// Proves the token and the number.
    pub(super) async fn number(&self) -> Result<PhoneNumber> {
        let mut url = self.number.clone();
        url.set_query(Some("fields=id"));
        self.call(Operation::Check, Method::GET, url, None).await
    }

    async fn call<R: DeserializeOwned>(
        &self,
        operation: Operation,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<R> {
        let fault = |error| transport_error(operation, error);
        let mut request = self.http.request(method, url).header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
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

/// The object asked for, or the error that came in its place.
fn decode<R: DeserializeOwned>(
    operation: Operation,
    status: u16,
    after: Option<Duration>,
    body: &[u8],
) -> Result<R> {
    let object = (200..300).contains(&status).then(|| serde_json::from_slice(body).ok());
    object.flatten().ok_or_else(|| parse_error(operation, status, after, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_meta_are_read() {
        let read = |status, body: &str| {
            decode::<Sent>(Operation::Send, status, None, body.as_bytes())
                .map(|sent| sent.messages[0].id.clone())
        };
        for body in [
            r#"{"messaging_product":"whatsapp","contacts":[{"input":"79991234567","wa_id":"79991234567"}],"messages":[{"id":"wamid.HBg","message_status":"accepted"}]}"#,
            r#"{"messaging_product":"whatsapp","contacts":[{"input":"US.134","user_id":"US.134"}],"messages":[{"id":"wamid.HBg"}]}"#,
        ] {
            assert_eq!(read(200, body).unwrap(), "wamid.HBg");
        }
        let error = read(500, r#"{"messages":[{"id":"wamid.HBg"}]}"#).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::UNKNOWN));
        for strange in [r#"{"messages":{}}"#, r#"{"messages":[{}]}"#, "[]", "ok"] {
            let error = read(200, strange).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, RetryHint::UNKNOWN), "{strange}");
        }
        let error = read(200, r#"{"error":{"code":131026}}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Recipient, "a code counts, whatever the status");
    }

    #[test]
    fn the_token_is_not_printed_and_the_endpoint_keeps_its_path() {
        let mut config = WhatsAppConfig::new("hidden-token".into(), "1122334455667");
        config.endpoint = Some("https://graph.example.com/proxy/".to_owned());
        let client = Client::new(&config, &Egress::public()).unwrap();
        let shown = format!("{client:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert_eq!(client.number.as_str(), "https://graph.example.com/proxy/v25.0/1122334455667");
    }
}
