//! What an owner of a bot fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;

const DEFAULT_ENDPOINT: &str = "https://api.telegram.org";
/// The host of the default endpoint.
pub(super) const TELEGRAM: &str = "api.telegram.org";
/// <https://core.telegram.org/bots/api#setwebhook>
const LONGEST_WEBHOOK_SECRET: usize = 256;

/// A Telegram bot.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TelegramConfig {
    /// Token of the bot, as @BotFather gave it, such as `123456:ABC-DEF`.
    pub bot_token: Secret<String>,
    /// Base address of the Bot API. Default: `https://api.telegram.org`. Set it for a server of your own; one that
    /// is not on the public internet must be allowed by whoever runs the installation.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// How presses of buttons and messages from people come back. Default: `off`, the bot only sends, and
    /// without buttons.
    #[serde(default)]
    pub updates: Updates,
    /// Secret that Telegram repeats with every webhook request: 1 to 256 Latin letters, digits, hyphens and
    /// underscores. Needed where `updates` is `webhook`.
    #[serde(default)]
    pub webhook_secret: Option<Secret<String>>,
    /// Topic to write into, where the recipient is a group with topics. Private chats ignore it. Default: none.
    #[serde(default)]
    pub message_thread_id: Option<i32>,
    /// How long one request may take, in seconds, from 1 to 120. Default: 15. Long polling waits longer by
    /// itself.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// How many messages the bot may send each second, from 1 to 1000. Default: 30, which is what Telegram
    /// tolerates from a usual bot.
    #[serde(default = "default_messages_per_second")]
    pub messages_per_second: u32,
    /// HTTP proxy for every request, such as `http://user:password@proxy.example.com:3128`. Default: none.
    #[serde(default)]
    pub proxy: Option<Secret<String>>,
}

const fn default_timeout_secs() -> u64 {
    15
}

const fn default_messages_per_second() -> u32 {
    30
}

/// How updates come from Telegram. A bot can use only one way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// The bot only sends.
    #[default]
    Off,
    /// We ask Telegram again and again. Needs no public address.
    Polling,
    /// Telegram calls us at a public HTTPS address.
    Webhook,
}

impl TelegramConfig {
    /// A bot that only sends, with the defaults for everything else.
    pub const fn new(bot_token: Secret<String>) -> Self {
        Self {
            bot_token,
            endpoint: None,
            updates: Updates::Off,
            webhook_secret: None,
            message_thread_id: None,
            timeout_secs: default_timeout_secs(),
            messages_per_second: default_messages_per_second(),
            proxy: None,
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        if !is_token(self.bot_token.expose()) {
            return Err(fault("bot_token: expected the whole token from @BotFather, such as 123456:ABC-DEF"));
        }
        self.base_url()?;
        self.proxy_url()?;
        match (&self.webhook_secret, self.updates) {
            (None, Updates::Webhook) => {
                return Err(fault(
                    "webhook_secret: set one, or choose polling; without it anybody could \
                                  pretend to be Telegram",
                ));
            }
            (Some(secret), _) if !is_webhook_secret(secret.expose()) => {
                return Err(fault(
                    "webhook_secret: use 1 to 256 latin letters, digits, hyphens and underscores",
                ));
            }
            _ => {}
        }
        if self.message_thread_id.is_some_and(|id| id < 1) {
            return Err(fault("message_thread_id: use the positive number from the topic's link"));
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 120"));
        }
        if !(1..=1000).contains(&self.messages_per_second) {
            return Err(fault("messages_per_second: use 1 to 1000"));
        }
        Ok(())
    }

    pub(super) fn base_url(&self) -> Result<Url> {
        let refused = || {
            fault("endpoint: expected an address such as https://api.telegram.org, without query or password")
        };
        let url = http_url(self.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT)).ok_or_else(refused)?;
        let bare = url.query().is_none() && url.username().is_empty() && url.password().is_none();
        if bare { Ok(url) } else { Err(refused()) }
    }

    pub(super) fn proxy_url(&self) -> Result<Option<Url>> {
        self.proxy
            .as_ref()
            .map(|proxy| {
                http_url(proxy.expose())
                    .ok_or_else(|| fault("proxy: expected an address such as http://proxy.example.com:3128"))
            })
            .transpose()
    }

    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_secs)
    }
}

fn http_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none())
}

/// The token becomes a part of the path, so nothing else may be in it.
fn is_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(bot_id, secret)| {
        !bot_id.is_empty() && bot_id.bytes().all(|byte| byte.is_ascii_digit()) && is_base64url(secret)
    })
}

fn is_webhook_secret(text: &str) -> bool {
    text.len() <= LONGEST_WEBHOOK_SECRET && is_base64url(text)
}

fn is_base64url(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(json: serde_json::Value) -> Result<TelegramConfig, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn a_token_is_enough() {
        let config = parse(json!({"bot_token": "123456:ABC-DEF_9"})).unwrap();
        config.validate().unwrap();
        assert_eq!(config.updates, Updates::Off);
        assert_eq!(config.base_url().unwrap().as_str(), "https://api.telegram.org/");
        assert_eq!((config.timeout_secs, config.messages_per_second), (15, 30));
    }

    #[test]
    fn faults_name_the_field_and_not_the_value() {
        for (field, value) in [
            ("bot_token", json!("hidden")),
            ("bot_token", json!("123456:")),
            ("bot_token", json!(":hidden")),
            ("bot_token", json!("12a:hidden")),
            ("bot_token", json!("123456:hidden/../other")),
            ("endpoint", json!("ftp://example.com")),
            ("endpoint", json!("example.com")),
            ("endpoint", json!("https://user:hidden@example.com")),
            ("endpoint", json!("https://example.com/?hidden=1")),
            ("endpoint", json!("https://example.com/#hidden")),
            ("webhook_secret", json!("")),
            ("webhook_secret", json!("hidden secret")),
            ("webhook_secret", json!("x".repeat(257))),
            ("message_thread_id", json!(0)),
            ("timeout_secs", json!(0)),
            ("timeout_secs", json!(121)),
            ("messages_per_second", json!(0)),
            ("messages_per_second", json!(1001)),
            ("proxy", json!("socks5://hidden@example.com:1080")),
            ("proxy", json!("proxy")),
        ] {
            let mut json = json!({"bot_token": "123456:ABC"});
            json[field] = value.clone();
            let error = parse(json).unwrap().validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{field} {value}");
            assert!(error.message().starts_with(field), "{field} {value}: {error}");
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        }
    }

    #[test]
    fn a_webhook_needs_a_secret() {
        let open = parse(json!({"bot_token": "123456:ABC", "updates": "webhook"})).unwrap();
        assert!(open.validate().unwrap_err().message().starts_with("webhook_secret"));
        let closed =
            parse(json!({"bot_token": "123456:ABC", "updates": "webhook", "webhook_secret": "s-1"})).unwrap();
        closed.validate().unwrap();
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(parse(json!({"bot_token": "123456:ABC", "token": "x"})).is_err());
        assert!(parse(json!({"bot_token": "123456:ABC", "updates": "push"})).is_err());
    }

    #[test]
    fn secrets_are_neither_printed_nor_readable_in_the_schema() {
        let config = parse(json!({
            "bot_token": "123456:hidden", "webhook_secret": "hidden", "proxy": "http://u:hidden@example.com",
        }))
        .unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
        let schema = schemars::schema_for!(TelegramConfig).to_value();
        for field in ["bot_token", "webhook_secret", "proxy"] {
            assert_eq!(schema["properties"][field]["writeOnly"], true, "{field}");
        }
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "every field is a form label");
    }
}
