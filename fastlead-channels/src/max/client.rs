//! Requests to MAX and their answers. One HTTP request per call; nothing is retried or followed here.

use std::fmt;
use std::time::Duration;

use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::adapter::{Address, KIND};
use super::config::MaxConfig;
use super::error::{Operation, parse_error, transport_error};
use super::wire::{
    CallbackAnswer, Done, Me, NewMessage, NewSubscription, Sent, Subscription, Subscriptions, UpdateList,
};
use crate::egress::Egress;
use crate::http;

/// A hundred updates with texts of 4,000 characters take less than a fourth of this. What is longer is asked for in smaller
/// pieces.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
const TOO_LONG: &str = "the answer is too long";
/// A request without parameters.
const NO_QUERY: [(&str, &str); 0] = [];

/// Cheap to clone: the clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    timeout: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// What came back over HTTP.
struct Answer {
    status: u16,
    /// The delay of the header.
    after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    /// The object asked for, or the error that came in its place.
    fn read<R: DeserializeOwned>(&self, operation: Operation) -> Result<R> {
        let object = (200..300).contains(&self.status).then(|| serde_json::from_slice(&self.body).ok());
        object.flatten().ok_or_else(|| self.refused(operation))
    }

    /// The answer of whatever brings no object.
    fn done(&self, operation: Operation) -> Result<()> {
        match self.read(operation)? {
            Done { success: true } => Ok(()),
            Done { success: false } => Err(self.refused(operation)),
        }
    }

    fn refused(&self, operation: Operation) -> Error {
        parse_error(operation, self.status, self.after, &self.body)
    }
}

impl Client {
    pub(super) fn new(config: &MaxConfig, egress: &Egress) -> Result<Self> {
        let base = config.base_url()?;
        let encrypted = base.scheme() == "https";
        if let Some(host) = base.host() {
            egress.check(host, encrypted).map_err(|refusal| refusal.of_field(KIND, "endpoint"))?;
        }
        let http = http::client(egress, encrypted, config.timeout())
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
        Ok(Self { http, base, authorization: config.authorization()?, timeout: config.timeout() })
    }

    /// Returns the id of the message.
    pub(super) async fn send_message(&self, to: Address, message: &NewMessage<'_>) -> Result<String> {
        let (name, id) = match to {
            Address::Person(id) => ("user_id", id.to_string()),
            Address::Chat(id) => ("chat_id", id.to_string()),
        };
        let query = [(name, id.as_str()), ("disable_link_preview", "true")];
        let answer = self.ask(Operation::Send, Method::POST, "messages", &query, Some(message)).await?;
        match answer.read(Operation::Send) {
            Ok(Sent { message }) if !message.body.mid.trim().is_empty() => Ok(message.body.mid),
            Ok(_) => Err(answer.refused(Operation::Send)),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn edit_message(&self, message_id: &str, message: &NewMessage<'_>) -> Result<()> {
        let query = [("message_id", message_id)];
        let answer = self.ask(Operation::Edit, Method::PUT, "messages", &query, Some(message)).await?;
        answer.done(Operation::Edit)
    }

    pub(super) async fn answer_callback(&self, callback_id: &str, answer: &CallbackAnswer<'_>) -> Result<()> {
        let query = [("callback_id", callback_id)];
        let answer = self.ask(Operation::Answer, Method::POST, "answers", &query, Some(answer)).await?;
        answer.done(Operation::Answer)
    }

    /// Proves the token.
    pub(super) async fn me(&self) -> Result<()> {
        let answer = self.ask(Operation::Check, Method::GET, "me", &NO_QUERY, None::<&()>).await?;
        answer.read::<Me>(Operation::Check).map(drop)
    }

    pub(super) async fn subscribe(&self, subscription: &NewSubscription<'_>) -> Result<()> {
        let operation = Operation::SetUpWebhook;
        let answer =
            self.ask(operation, Method::POST, "subscriptions", &NO_QUERY, Some(subscription)).await?;
        answer.done(operation)
    }

    pub(super) async fn unsubscribe(&self, url: &str) -> Result<()> {
        let operation = Operation::SetUpWebhook;
        let answer =
            self.ask(operation, Method::DELETE, "subscriptions", &[("url", url)], None::<&()>).await?;
        answer.done(operation)
    }

    pub(super) async fn subscriptions(&self, operation: Operation) -> Result<Vec<Subscription>> {
        let answer = self.ask(operation, Method::GET, "subscriptions", &NO_QUERY, None::<&()>).await?;
        answer.read::<Subscriptions>(operation).map(|list| list.subscriptions)
    }

    /// `wait` is how long MAX may keep silent because there is no news. `None` where the answer is too long to be
    /// read; a smaller `limit` makes it shorter.
    pub(super) async fn updates(
        &self,
        marker: Option<i64>,
        types: &str,
        limit: u32,
        wait: Duration,
    ) -> Result<Option<UpdateList>> {
        let (limit, timeout, marker) =
            (limit.to_string(), wait.as_secs().to_string(), marker.map(|marker| marker.to_string()));
        let mut query = vec![("limit", limit.as_str()), ("timeout", timeout.as_str()), ("types", types)];
        query.extend(marker.as_deref().map(|marker| ("marker", marker)));
        let patience = wait + self.timeout;
        let asked = self.ask_within(patience, Operation::Poll, Method::GET, "updates", &query, None::<&()>);
        match asked.await {
            Ok(answer) => answer.read(Operation::Poll).map(Some),
            Err(error) if error.message() == TOO_LONG => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ask<B: Serialize + Sync + ?Sized>(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&B>,
    ) -> Result<Answer> {
        self.ask_within(self.timeout, operation, method, path, query, body).await
    }

    async fn ask_within<B: Serialize + Sync + ?Sized>(
        &self,
        patience: Duration,
        operation: Operation,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&B>,
    ) -> Result<Answer> {
        let fault = |error| transport_error(operation, error);
        let mut request = self
            .http
            .request(method, self.address(operation, path, query)?)
            .timeout(patience)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|_| {
                let message = "the request cannot be written as json";
                operation.error(ErrorKind::Internal, RetryHint::Never, message)
            })?;
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let mut response = request.send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let after = http::retry_after(response.headers(), None);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(operation.error(ErrorKind::Protocol, RetryHint::UNKNOWN, TOO_LONG));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, after, body })
    }

    fn address(&self, operation: Operation, path: &str, query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.base.clone();
        let Ok(mut segments) = url.path_segments_mut() else {
            return Err(operation.error(ErrorKind::Config, RetryHint::Never, "endpoint: cannot be extended"));
        };
        segments.pop_if_empty().push(path);
        drop(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(endpoint: &str) -> Client {
        let mut config = MaxConfig::new("hidden-token".into());
        config.endpoint = Some(endpoint.to_owned());
        let egress = Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap();
        Client::new(&config, &egress).unwrap()
    }

    #[test]
    fn the_endpoint_keeps_its_path_and_values_are_escaped() {
        let query = [("message_id", "mid.1&user_id=2 я/?#"), ("x", "")];
        for (endpoint, url) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081/messages"),
            ("http://127.0.0.1:8081/max/", "http://127.0.0.1:8081/max/messages"),
        ] {
            let client = client(endpoint);
            assert_eq!(client.address(Operation::Send, "messages", &[]).unwrap().as_str(), url);
            let escaped = client.address(Operation::Edit, "messages", &query).unwrap();
            let expected = format!("{url}?message_id=mid.1%26user_id%3D2+%D1%8F%2F%3F%23&x=");
            assert_eq!(escaped.as_str(), expected);
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let client = client("http://127.0.0.1:8081");
        assert!(!format!("{client:?}").contains("hidden"));
        assert_eq!(client.authorization, "hidden-token");
    }

    #[test]
    fn an_answer_may_have_more_fields_than_we_know() {
        let answer = |status, body: &str| Answer { status, after: None, body: body.as_bytes().to_vec() };
        let body = r#"{"message":{"sender":{"user_id":1,"is_bot":true},"recipient":{"chat_type":"hologram"},
            "timestamp":1775026671403,"body":{"mid":"mid.0001","seq":18446744073709551615,"text":"x","new":{}}}}"#;
        assert_eq!(answer(200, body).read::<Sent>(Operation::Send).unwrap().message.body.mid, "mid.0001");
        let error = answer(500, body).read::<Sent>(Operation::Send).err().unwrap();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::UNKNOWN));
        assert!(answer(200, r#"{"success":true,"new":1}"#).done(Operation::Edit).is_ok());
        let error = answer(200, r#"{"success":false}"#).done(Operation::Answer).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never));
    }
}
