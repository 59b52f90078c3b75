//! Requests to Telegram and their answers. One HTTP request per call; nothing is retried or followed
//! here.
//!
//! The requests are teloxide-core's typed payloads. They are not sent by its `Bot`: that one sleeps
//! for ten seconds on every 5xx, drops `error_code`, and refuses an answer or an update for one field
//! that Telegram has added since.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use teloxide_core::payloads::{
    AnswerCallbackQuery, DeleteWebhook, EditMessageReplyMarkup, EditMessageText, GetMe, GetUpdates,
    GetWebhookInfo, SendMessage, SetWebhook,
};
use teloxide_core::requests::Payload;
use url::{Host, Url};

use super::adapter::KIND;
use super::config::{TELEGRAM, TelegramConfig};
use super::error::{Operation, parse_error, transport_error};
use super::wire::{Me, Refusal, SentMessage, Success, Update, WebhookInfo};
use crate::egress::Egress;
use crate::http;

/// Sixteen updates of at most 512 KiB each: two texts of 4,096 characters with an entity for each take 100 KiB. What is
/// longer is asked for in smaller pieces.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
const TOO_LONG: &str = "the answer is too long";
/// How long to wait until buttons are taken away from a message.
pub(super) const LONGEST_EDIT: Duration = Duration::from_secs(3);

/// Cheap to clone: the clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Secret<String>,
    timeout: Duration,
    /// What the bot is called, once Telegram has said it.
    name: Arc<OnceLock<String>>,
}

/// A message that Telegram did not take.
pub(super) struct Refused {
    pub(super) error: Error,
    /// The id that the group has now.
    pub(super) moved_to: Option<i64>,
}

impl fmt::Debug for Client {
    /// Without the HTTP client, which would print the proxy and its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(config: &TelegramConfig, egress: &Egress) -> Result<Self> {
        let configure =
            |kind, message| Error::new(kind, message).with_adapter(KIND).with_operation("configure");
        let timeout = config.timeout();
        let (base, proxy) = (config.base_url()?, config.proxy_url()?);
        check(egress, &base, proxy.as_ref())?;
        let mut http = http::client(egress, is_encrypted(&base), timeout);
        if let Some(url) = proxy {
            let proxy = reqwest::Proxy::all(url)
                .map_err(|_| configure(ErrorKind::Config, "proxy: cannot be used; check the address"))?;
            http = http.proxy(proxy);
        }
        let http = http.build().map_err(|error| {
            configure(ErrorKind::Internal, "cannot set up the http client").with_source(error.without_url())
        })?;
        Ok(Self { http, base, token: config.bot_token.clone(), timeout, name: Arc::default() })
    }

    pub(super) async fn send_message(&self, request: &SendMessage) -> Result<SentMessage, Refused> {
        let answer = self.ask(Operation::Send, request, self.timeout).await;
        let Answer { status, after, body } = answer.map_err(|error| Refused { error, moved_to: None })?;
        decode(Operation::Send, status, after, &body)
            .map_err(|error| Refused { error, moved_to: moved_to(&body) })
    }

    pub(super) async fn answer_callback_query(&self, request: &AnswerCallbackQuery) -> Result<()> {
        self.call::<_, IgnoredAny>(Operation::Send, request, self.timeout).await.map(drop)
    }

    pub(super) async fn edit_message_text(&self, request: &EditMessageText) -> Result<()> {
        self.call::<_, IgnoredAny>(Operation::Edit, request, self.timeout).await.map(drop)
    }

    /// Waits only shortly: the answer to the press, which comes before, must not be held up by it.
    pub(super) async fn edit_message_reply_markup(&self, request: &EditMessageReplyMarkup) -> Result<()> {
        let timeout = self.timeout.min(LONGEST_EDIT);
        self.call::<_, IgnoredAny>(Operation::Edit, request, timeout).await.map(drop)
    }

    /// Proves the token, and learns what the bot is called.
    pub(super) async fn get_me(&self) -> Result<()> {
        let me: Me = self.call(Operation::Check, &GetMe::new(), self.timeout).await?;
        if let Some(name) = me.username {
            // A bot that has been given another name is known by it after a restart.
            let _known_already = self.name.set(name);
        }
        Ok(())
    }

    /// What the bot is called, without `@`; `None` before [`Self::get_me`].
    pub(super) fn name(&self) -> Option<&str> {
        self.name.get().map(String::as_str)
    }

    /// `wait` is how long Telegram may keep silent because there is no news. `None` where the answer is too long to be
    /// read; a smaller `limit` makes it shorter.
    pub(super) async fn get_updates(
        &self,
        request: &GetUpdates,
        wait: Duration,
    ) -> Result<Option<Vec<Update>>> {
        match self.call(Operation::Poll, request, wait + self.timeout).await {
            Ok(updates) => Ok(Some(updates)),
            Err(error) if error.message() == TOO_LONG => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn set_webhook(&self, request: &SetWebhook) -> Result<()> {
        self.call::<_, IgnoredAny>(Operation::SetUpWebhook, request, self.timeout).await.map(drop)
    }

    pub(super) async fn delete_webhook(&self) -> Result<()> {
        let request = DeleteWebhook::new();
        self.call::<_, IgnoredAny>(Operation::SetUpWebhook, &request, self.timeout).await.map(drop)
    }

    pub(super) async fn get_webhook_info(&self) -> Result<WebhookInfo> {
        self.call(Operation::SetUpWebhook, &GetWebhookInfo::new(), self.timeout).await
    }

    async fn call<P, R>(&self, operation: Operation, request: &P, timeout: Duration) -> Result<R>
    where
        P: Payload + Serialize + Sync,
        R: DeserializeOwned,
    {
        let Answer { status, after, body } = self.ask(operation, request, timeout).await?;
        decode(operation, status, after, &body)
    }

    async fn ask<P>(&self, operation: Operation, request: &P, timeout: Duration) -> Result<Answer>
    where
        P: Payload + Serialize + Sync,
    {
        let body = serde_json::to_vec(request).map_err(|_| {
            operation.error(ErrorKind::Internal, RetryHint::Never, "the request cannot be written as json")
        })?;
        let fault = |error| transport_error(operation, error);
        let mut response = self
            .http
            .post(self.method_url(operation, P::NAME)?)
            .timeout(timeout)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .send()
            .await
            .map_err(fault)?;
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

    /// The address carries the token: it must not be printed.
    fn method_url(&self, operation: Operation, method: &str) -> Result<Url> {
        let mut url = self.base.clone();
        let Ok(mut path) = url.path_segments_mut() else {
            return Err(operation.error(ErrorKind::Config, RetryHint::Never, "endpoint: cannot be extended"));
        };
        path.pop_if_empty().push(&format!("bot{}", self.token.expose())).push(method);
        drop(path);
        Ok(url)
    }
}

/// What came back over HTTP.
struct Answer {
    status: u16,
    /// The delay of the header.
    after: Option<Duration>,
    body: Vec<u8>,
}

/// The new id of a group that has become a supergroup. It stays out of errors: an id of a chat is personal data.
fn moved_to(body: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Refusal>(body).ok()?.parameters.migrate_to_chat_id
}

fn is_encrypted(base: &Url) -> bool {
    base.scheme() == "https"
}

/// Judges what is connected to: the proxy, where there is one. A proxy looks the endpoint up by itself,
/// past our guard, and may stand where it reaches more than we would, so behind it only Telegram and what
/// the installation has named may be an endpoint.
fn check(egress: &Egress, base: &Url, proxy: Option<&Url>) -> Result<()> {
    let (target, field) = proxy.map_or((base, "endpoint"), |proxy| (proxy, "proxy"));
    if let Some(host) = target.host() {
        egress.check(host, is_encrypted(base)).map_err(|refusal| refusal.of_field(KIND, field))?;
    }
    let is_known = |host: Host<&str>| host == Host::Domain(TELEGRAM) || egress.names(host);
    if proxy.is_none() || base.host().is_some_and(is_known) {
        return Ok(());
    }
    let message = "endpoint: cannot be checked behind a proxy; leave one of them out, or whoever runs the \
                   installation can name the endpoint in channels.allowed_private_hosts";
    Err(Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure"))
}

/// The result asked for, or the error that came in its place.
fn decode<R: DeserializeOwned>(
    operation: Operation,
    status: u16,
    after: Option<Duration>,
    body: &[u8],
) -> Result<R> {
    match serde_json::from_slice::<Success<R>>(body) {
        Ok(Success { ok: true, result }) if (200..300).contains(&status) => Ok(result),
        _ => Err(parse_error(operation, status, after, body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress() -> Egress {
        Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap()
    }

    fn client(endpoint: &str) -> Client {
        let mut config = TelegramConfig::new("123456:hidden".into());
        config.endpoint = Some(endpoint.to_owned());
        config.proxy = Some("http://user:hidden@127.0.0.1:3128".into());
        Client::new(&config, &egress()).unwrap()
    }

    #[test]
    fn the_endpoint_keeps_its_path() {
        for (endpoint, url) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081/bot123456:hidden/GetMe"),
            ("http://127.0.0.1:8081/telegram/", "http://127.0.0.1:8081/telegram/bot123456:hidden/GetMe"),
        ] {
            assert_eq!(client(endpoint).method_url(Operation::Check, GetMe::NAME).unwrap().as_str(), url);
        }
    }

    #[test]
    fn a_proxy_hides_no_endpoint_from_the_guard() {
        let verdict = |endpoint: Option<&str>, proxy: &str, egress: &Egress| {
            let mut config = TelegramConfig::new("123456:hidden".into());
            config.endpoint = endpoint.map(str::to_owned);
            config.proxy = Some(proxy.into());
            Client::new(&config, egress).map(drop).map_err(|error| error.message().to_owned())
        };
        let (public, inside) = (Egress::public(), egress());
        assert_eq!(verdict(None, "http://proxy.example.com:3128", &public), Ok(()));
        assert_eq!(verdict(None, "http://127.0.0.1:3128", &inside), Ok(()));
        assert_eq!(verdict(Some("http://127.0.0.1:8081"), "http://127.0.0.1:3128", &inside), Ok(()));
        for (endpoint, proxy, egress, field) in [
            (None, "http://127.0.0.1:3128", &public, "proxy: "),
            (Some("https://bots.example.com"), "http://proxy.example.com:3128", &public, "endpoint: "),
            (Some("https://bots.example.com"), "http://127.0.0.1:3128", &inside, "endpoint: "),
            (Some("http://api.telegram.org"), "http://proxy.example.com:3128", &public, "proxy: "),
        ] {
            let message = verdict(endpoint, proxy, egress).unwrap_err();
            assert!(message.starts_with(field), "{endpoint:?} by {proxy}: {message}");
        }
    }

    #[test]
    fn neither_token_nor_proxy_password_is_printed() {
        let shown = format!("{:?}", client("http://127.0.0.1:8081"));
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn an_answer_may_have_more_fields_than_we_know() {
        let body =
            br#"{"ok":true,"result":{"message_id":42,"date":1,"chat":{"id":1,"type":"hologram"},"new":{}}}"#;
        assert_eq!(decode::<SentMessage>(Operation::Send, 200, None, body).unwrap().message_id, 42);
        let error = decode::<SentMessage>(Operation::Send, 500, None, body).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
