//! What an owner of a bot fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use reqwest::Certificate;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;

/// The address since July 2026; `platform-api.max.ru` and `botapi.max.ru` were before it.
const DEFAULT_ENDPOINT: &str = "https://platform-api2.max.ru";

/// A bot in the messenger MAX.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MaxConfig {
    /// Token of the bot, from business.max.ru: the bot's page, Integration.
    pub bot_token: Secret<String>,
    /// Base address of the Bot API. Default: `https://platform-api2.max.ru`. One that is not on the public internet must
    /// be allowed by whoever runs the installation.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Certificates in PEM form that are trusted beside the public ones. MAX's own certificate is issued by the Russian
    /// Trusted Sub CA: paste Russian Trusted Root CA and Russian Trusted Sub CA from gosuslugi.ru/crt. Default: none.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// How presses of buttons and messages from people come back. Default: `off`, the bot only sends, and
    /// without buttons. MAX wants `webhook` for anything but development.
    #[serde(default)]
    pub updates: Updates,
    /// Secret that MAX repeats with every webhook request: 5 to 256 Latin letters, digits and hyphens. Needed where
    /// `updates` is `webhook`.
    #[serde(default)]
    pub webhook_secret: Option<Secret<String>>,
    /// Whether bold text, links and other markup are sent to MAX. Default: true. `false` sends the plain text.
    #[serde(default = "default_formatting")]
    pub formatting: bool,
    /// How long one request may take, in seconds, from 1 to 120. Default: 15. Long polling waits longer by
    /// itself.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// How many messages the bot may send each second, from 1 to 1000. Default: 30, which is MAX's limit.
    #[serde(default = "default_messages_per_second")]
    pub messages_per_second: u32,
}

const fn default_formatting() -> bool {
    true
}

const fn default_timeout_secs() -> u64 {
    15
}

const fn default_messages_per_second() -> u32 {
    30
}

/// How updates come from MAX. A bot can use only one way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// The bot only sends.
    #[default]
    Off,
    /// We ask MAX again and again. Needs no public address; for development only.
    Polling,
    /// MAX calls us at a public HTTPS address.
    Webhook,
}

impl MaxConfig {
    /// A bot that only sends, with the defaults for everything else.
    pub const fn new(bot_token: Secret<String>) -> Self {
        Self {
            bot_token,
            endpoint: None,
            ca_pem: None,
            updates: Updates::Off,
            webhook_secret: None,
            formatting: default_formatting(),
            timeout_secs: default_timeout_secs(),
            messages_per_second: default_messages_per_second(),
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        self.authorization()?;
        self.base_url()?;
        self.authorities()?;
        match (&self.webhook_secret, self.updates) {
            (None, Updates::Webhook) => {
                return Err(fault(
                    "webhook_secret: set one, or choose polling; without it anybody could pretend to be MAX",
                ));
            }
            (Some(secret), _) if !is_webhook_secret(secret.expose()) => {
                return Err(fault("webhook_secret: use 5 to 256 latin letters, digits and hyphens"));
            }
            _ => {}
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 120"));
        }
        if !(1..=1000).contains(&self.messages_per_second) {
            return Err(fault("messages_per_second: use 1 to 1000"));
        }
        Ok(())
    }

    /// The value of the header `Authorization`: the token alone. With `Bearer` before it MAX refuses it.
    pub(super) fn authorization(&self) -> Result<HeaderValue> {
        let token = self.bot_token.expose();
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = HeaderValue::try_from(token.as_str()).ok().filter(|_| is_token);
        let mut value = value.ok_or_else(|| {
            fault("bot_token: expected the token as MAX shows it, without spaces and without Bearer")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn base_url(&self) -> Result<Url> {
        let refused = || {
            fault(
                "endpoint: expected an address such as https://platform-api2.max.ru, without query or password",
            )
        };
        let url = Url::parse(self.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT)).map_err(|_| refused())?;
        let is_bare = matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if is_bare { Ok(url) } else { Err(refused()) }
    }

    /// The certificates of `ca_pem`.
    pub(super) fn authorities(&self) -> Result<Vec<Certificate>> {
        let Some(pem) = &self.ca_pem else { return Ok(Vec::new()) };
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
        if certificates.is_empty() {
            return Err(fault(
                "ca_pem: holds no readable certificate; it starts with -----BEGIN CERTIFICATE-----",
            ));
        }
        Ok(certificates)
    }

    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_secs)
    }
}

/// MAX's schema also allows `_`, its prose does not.
fn is_webhook_secret(text: &str) -> bool {
    (5..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(json: serde_json::Value) -> Result<MaxConfig, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn a_token_is_enough() {
        let config = parse(json!({"bot_token": "f9LHodD0c-_="})).unwrap();
        config.validate().unwrap();
        assert_eq!(config.updates, Updates::Off);
        assert_eq!(config.base_url().unwrap().as_str(), "https://platform-api2.max.ru/");
        assert_eq!((config.timeout_secs, config.messages_per_second, config.formatting), (15, 30, true));
        assert_eq!(config.authorization().unwrap(), "f9LHodD0c-_=", "the token alone, without Bearer");
    }

    #[test]
    fn faults_name_the_field_and_not_the_value() {
        for (field, value) in [
            ("bot_token", json!("")),
            ("bot_token", json!("Bearer hidden")),
            ("bot_token", json!("hidden\n")),
            ("bot_token", json!("скрыто")),
            ("endpoint", json!("ftp://example.com")),
            ("endpoint", json!("example.com")),
            ("endpoint", json!("https://user:hidden@example.com")),
            ("endpoint", json!("https://example.com/?hidden=1")),
            ("endpoint", json!("https://example.com/#hidden")),
            ("ca_pem", json!("")),
            ("ca_pem", json!("-----BEGIN CERTIFICATE-----\nhidden\n-----END CERTIFICATE-----\n")),
            ("webhook_secret", json!("")),
            ("webhook_secret", json!("four")),
            ("webhook_secret", json!("hidden secret")),
            ("webhook_secret", json!("hidden_secret")),
            ("webhook_secret", json!("x".repeat(257))),
            ("timeout_secs", json!(0)),
            ("timeout_secs", json!(121)),
            ("messages_per_second", json!(0)),
            ("messages_per_second", json!(1001)),
        ] {
            let mut json = json!({"bot_token": "f9LHodD0c"});
            json[field] = value.clone();
            // A certificate is judged when the client is built.
            let info = fastlead_core::channel::ChannelInfo::embedded(KIND, "sales-bot");
            let error = super::super::Max::new(info, parse(json).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{field} {value}");
            assert!(error.message().starts_with(field), "{field} {value}: {error}");
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        }
    }

    #[test]
    fn a_webhook_needs_a_secret() {
        let open = parse(json!({"bot_token": "f9LHodD0c", "updates": "webhook"})).unwrap();
        assert!(open.validate().unwrap_err().message().starts_with("webhook_secret"));
        let closed =
            parse(json!({"bot_token": "f9LHodD0c", "updates": "webhook", "webhook_secret": "long-1"}))
                .unwrap();
        closed.validate().unwrap();
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(parse(json!({"bot_token": "f9LHodD0c", "token": "x"})).is_err());
        assert!(parse(json!({"bot_token": "f9LHodD0c", "updates": "push"})).is_err());
    }

    #[test]
    fn secrets_are_neither_printed_nor_readable_in_the_schema() {
        let config = parse(json!({"bot_token": "hidden", "webhook_secret": "hidden"})).unwrap();
        let shown = format!("{config:?} {:?}", config.authorization().unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
        let schema = schemars::schema_for!(MaxConfig).to_value();
        for field in ["bot_token", "webhook_secret"] {
            assert_eq!(schema["properties"][field]["writeOnly"], true, "{field}");
        }
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "every field is a form label");
    }
}
