//! The channel.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::egress::Egress;
use fastlead_channels::guarded::reqwest::Response;
use fastlead_channels::guarded::{GuardedAdapter, GuardedClient, by_status, no_answer};
use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference, TextLimit, TextUnit,
};
use fastlead_core::message::{OutboundMessage, Recipient, RecipientKind};
use fastlead_core::secret::Secret;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Content, Error, ErrorKind, Result, RetryHint, async_trait};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

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
    api_key: Secret<String>,
    sender: String,
    http: GuardedClient,
    timeout: Duration,
}

impl fmt::Debug for AcmeSms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeSms").field("info", &self.info).finish_non_exhaustive()
    }
}

impl GuardedAdapter for AcmeSms {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "Acme SMS";
    type Config = AcmeConfig;

    fn build(info: ChannelInfo, config: AcmeConfig, egress: &Egress) -> Result<Arc<dyn Channel>> {
        let wrong = |text| error(ErrorKind::Config, RetryHint::Never, "configure", text);
        if config.sender.is_empty() || config.sender.chars().count() > 11 {
            return Err(wrong("sender must have 1 to 11 letters"));
        }
        if config.timeout_secs == 0 {
            return Err(wrong("timeout_secs must be at least 1"));
        }
        let timeout = Duration::from_secs(config.timeout_secs);
        let http = egress.http_client("endpoint", &config.endpoint, timeout)?;
        let (api_key, sender) = (config.api_key, config.sender);
        Ok(Arc::new(Self { info, api_key, sender, http, timeout }))
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
        capabilities.attempt_timeout_millis = u64::try_from(self.timeout.as_millis()).ok();
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
            .post("messages")
            .bearer_auth(self.api_key.expose())
            .json(&body)
            .send()
            .await
            .map_err(|source| placed("send", no_answer(source)))?;
        if !answer.status().is_success() {
            return Err(parse_error("send", &answer));
        }
        let accepted: Accepted = answer.json().await.map_err(|source| placed("send", no_answer(source)))?;
        Ok(SendReceipt::accepted(accepted.id))
    }

    async fn check(&self) -> Result<()> {
        let request = self.http.get("account").bearer_auth(self.api_key.expose());
        let answer = request.send().await.map_err(|source| placed("check", no_answer(source)))?;
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

/// Says where an error of the network comes from.
fn placed(operation: &'static str, error: Error) -> Error {
    error.with_adapter(KIND).with_operation(operation)
}

/// What an answer that is no success means: Acme's own statuses first, then those of HTTP.
fn parse_error(operation: &'static str, answer: &Response) -> Error {
    use ErrorKind::{Auth, Balance, Content, Recipient};
    let (kind, message) = match answer.status().as_u16() {
        401 => (Auth, "the key is refused"),
        402 => (Balance, "the account is empty"),
        404 => (Recipient, "the number does not exist"),
        422 => (Content, "the text is refused"),
        _ => return placed(operation, by_status(answer)),
    };
    error(kind, RetryHint::Never, operation, message).with_provider_code(answer.status().as_u16().to_string())
}
