//! The channel.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference, TextLimit, TextUnit,
};
use fastlead_core::message::{OutboundMessage, Recipient, RecipientKind};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::secret::Secret;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Content, Error, ErrorKind, Result, RetryHint, async_trait};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use url::Url;

const KIND: &str = "acme_sms";

/// The longest text that Acme takes, in characters.
const TEXT_MAX_CHARS: u32 = 670;

/// The configuration of one Acme account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcmeConfig {
    /// Where the gateway listens, such as `https://sms.example.com`.
    pub endpoint: String,
    /// The key from the page "API access" of your account.
    pub api_key: Secret<String>,
    /// The sender name that people see. Up to 11 letters.
    pub sender: String,
    /// How many seconds an answer may take. Default 10.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
}

const fn default_timeout_secs() -> u64 {
    10
}

/// One Acme account.
pub struct AcmeSms {
    info: ChannelInfo,
    messages: Url,
    account: Url,
    api_key: Secret<String>,
    sender: String,
    http: reqwest::Client,
}

impl fmt::Debug for AcmeSms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeSms").field("info", &self.info).finish_non_exhaustive()
    }
}

impl ChannelAdapter for AcmeSms {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "Acme SMS";
    type Config = AcmeConfig;

    fn build(info: ChannelInfo, config: AcmeConfig) -> Result<Arc<dyn Channel>> {
        let wrong = |text| error(ErrorKind::Config, RetryHint::Never, "configure", text);
        let endpoint = Url::parse(&config.endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| wrong("endpoint must be an address such as https://sms.example.com"))?;
        let address =
            |path| endpoint.join(path).map_err(|_| wrong("endpoint must be an address without a path"));
        if config.sender.is_empty() || config.sender.chars().count() > 11 {
            return Err(wrong("sender must have 1 to 11 letters"));
        }
        if config.timeout_secs == 0 {
            return Err(wrong("timeout_secs must be at least 1"));
        }
        // reqwest is built without a TLS provider here: `Err` means that the program has chosen one already.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let timeout = Duration::from_secs(config.timeout_secs);
        let http = reqwest::Client::builder()
            .timeout(timeout)
            // Shorter than the whole, so that an unreachable host is known to have got nothing.
            .connect_timeout(timeout / 2)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|source| wrong("cannot set up the http client").with_source(source.without_url()))?;
        Ok(Arc::new(Self {
            info,
            messages: address("/messages")?,
            account: address("/account")?,
            api_key: config.api_key,
            sender: config.sender,
            http,
        }))
    }
}

#[async_trait]
impl Channel for AcmeSms {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Phone];
        capabilities.text = true;
        capabilities.text_max = Some(TextLimit { max: TEXT_MAX_CHARS, unit: TextUnit::Chars });
        capabilities.idempotent_send = true;
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let refuse = |kind, text| Err(error(kind, RetryHint::Never, "send", text));
        let Recipient::Phone(phone) = &message.recipient else {
            return refuse(ErrorKind::Invalid, "acme sends to phone numbers only");
        };
        let Content::Text(text) = &message.content else {
            return refuse(ErrorKind::Unsupported, "acme carries texts only");
        };
        let plain = text.plain.expose();
        if TextUnit::Chars.measure(plain) > TEXT_MAX_CHARS as usize {
            return refuse(ErrorKind::Content, "the text is longer than 670 characters");
        }
        let body = json!({
            "key": message.idempotency_key(),
            "to": phone.expose(),
            "from": self.sender,
            "text": plain,
        });
        let answer = self
            .http
            .post(self.messages.clone())
            .bearer_auth(self.api_key.expose())
            .json(&body)
            .send()
            .await
            .map_err(|source| transport_error("send", source))?;
        if !answer.status().is_success() {
            return Err(parse_error("send", &answer));
        }
        let accepted: Accepted = answer.json().await.map_err(|source| transport_error("send", source))?;
        Ok(SendReceipt::accepted(accepted.id))
    }

    async fn check(&self) -> Result<()> {
        let request = self.http.get(self.account.clone()).bearer_auth(self.api_key.expose());
        let answer = request.send().await.map_err(|source| transport_error("check", source))?;
        if answer.status().is_success() { Ok(()) } else { Err(parse_error("check", &answer)) }
    }

    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

/// What Acme answers to a message that it takes.
#[derive(Deserialize)]
struct Accepted {
    id: String,
}

fn error(kind: ErrorKind, retry: RetryHint, operation: &'static str, message: &'static str) -> Error {
    Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(operation)
}

/// What an answer that is no success means.
fn parse_error(operation: &'static str, answer: &reqwest::Response) -> Error {
    use ErrorKind::{Auth, Balance, Content, Invalid, Protocol, RateLimited, Recipient, Unavailable};
    let status = answer.status().as_u16();
    let after = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let (kind, retry, message) = match status {
        401 => (Auth, RetryHint::Never, "the key is refused"),
        402 => (Balance, RetryHint::Never, "the account is empty"),
        404 => (Recipient, RetryHint::Never, "the number does not exist"),
        422 => (Content, RetryHint::Never, "the text is refused"),
        429 => (RateLimited, RetryHint::Safe { after }, "too many requests"),
        400..=499 => (Invalid, RetryHint::Never, "the request is refused"),
        // Whether the gateway behind the proxy has acted is not known.
        500..=599 => (Unavailable, RetryHint::IfIdempotent { after }, "the gateway failed"),
        _ => (Protocol, RetryHint::UNKNOWN, "the answer has no meaning"),
    };
    error(kind, retry, operation, message).with_provider_code(status.to_string())
}

/// What a request without an answer means.
fn transport_error(operation: &'static str, source: reqwest::Error) -> Error {
    let (kind, retry, message) = if source.is_connect() {
        (ErrorKind::Unavailable, RetryHint::SAFE, "cannot connect")
    } else if source.is_timeout() {
        (ErrorKind::Timeout, RetryHint::UNKNOWN, "no answer in time")
    } else if source.is_decode() {
        (ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer cannot be read")
    } else {
        (ErrorKind::Unavailable, RetryHint::UNKNOWN, "the connection broke before the answer")
    };
    error(kind, retry, operation, message).with_source(source.without_url())
}
