//! What an owner of a WhatsApp Business number fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;
use super::template::TemplateConfig;

const DEFAULT_ENDPOINT: &str = "https://graph.facebook.com";
/// Longest `text.body`. From memory of Meta's pages.
const LONGEST_TEXT: u32 = 4_096;
/// The highest throughput of one number, after Meta has raised it.
const HIGHEST_RATE: u32 = 1_000;
/// Longest identifier of Meta's that is taken; they have 15 to 17 digits today.
const LONGEST_ID: usize = 32;

/// A WhatsApp Business number that sends over Meta's Cloud API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WhatsAppConfig {
    /// Permanent token of a system user with the right `whatsapp_business_messaging`.
    pub access_token: Secret<String>,
    /// Id of the phone number, such as `106540352242922`: WhatsApp Manager, API setup. It is not the phone number itself.
    pub phone_number_id: String,
    /// Base address of the Graph API. Default: `https://graph.facebook.com`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Version of the Graph API. Default: `v25.0`.
    #[serde(default = "default_api_version")]
    pub api_version: String,
    /// App secret (App dashboard, Settings, Basic), with which Meta signs what it posts. Without it the channel only sends:
    /// no receipts, no messages from people, and no buttons that answer.
    #[serde(default)]
    pub app_secret: Option<Secret<String>>,
    /// Word of your own that you also enter in the App dashboard as "Verify token" of the webhook. Needed with `app_secret`.
    #[serde(default)]
    pub verify_token: Option<Secret<String>>,
    /// Approved template that takes the place of a free text where WhatsApp allows none. Default: none, such a message fails.
    #[serde(default)]
    pub template: Option<TemplateConfig>,
    /// How long one request may take, in seconds, from 1 to 120. Default: 15.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// How many messages the number may send each second, from 1 to 1000. Default: 80, Meta's limit for new numbers, in which
    /// messages from people count too. 20 for a number that the WhatsApp Business app uses as well.
    #[serde(default = "default_messages_per_second")]
    pub messages_per_second: u32,
    /// Longest text of one message, in UTF-16 units from 1 to 4096. Default: 1024, which is what a message with buttons
    /// carries. Longer texts are cut or split as the policy says. Up to 4096 where no offers go over this channel.
    #[serde(default = "default_text_max")]
    pub text_max: u32,
}

fn default_api_version() -> String {
    "v25.0".to_owned()
}

const fn default_timeout_secs() -> u64 {
    15
}

const fn default_messages_per_second() -> u32 {
    80
}

const fn default_text_max() -> u32 {
    1_024
}

impl WhatsAppConfig {
    /// A number that only sends, with the defaults for everything else.
    pub fn new(access_token: Secret<String>, phone_number_id: impl Into<String>) -> Self {
        Self {
            access_token,
            phone_number_id: phone_number_id.into(),
            endpoint: None,
            api_version: default_api_version(),
            app_secret: None,
            verify_token: None,
            template: None,
            timeout_secs: default_timeout_secs(),
            messages_per_second: default_messages_per_second(),
            text_max: default_text_max(),
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        if !is_written(self.access_token.expose()) {
            return Err(fault("access_token: expected the whole token, without spaces"));
        }
        let id = &self.phone_number_id;
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault("phone_number_id: expected the id of the number, digits only"));
        }
        self.base_url()?;
        if !is_version(&self.api_version) {
            return Err(fault("api_version: expected a version such as v25.0"));
        }
        match (&self.app_secret, &self.verify_token) {
            (Some(secret), _) if !is_written(secret.expose()) => {
                return Err(fault("app_secret: expected the whole secret, without spaces"));
            }
            (_, Some(token)) if !is_written(token.expose()) => {
                return Err(fault("verify_token: use Latin letters, digits and signs, without spaces"));
            }
            (Some(_), None) => {
                return Err(fault("verify_token: needed with app_secret, to confirm the webhook's address"));
            }
            (None, Some(_)) => {
                return Err(fault(
                    "app_secret: needed with verify_token; without it anybody could pretend to be Meta",
                ));
            }
            _ => {}
        }
        if let Some(template) = &self.template {
            template.validate()?;
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 120"));
        }
        if !(1..=HIGHEST_RATE).contains(&self.messages_per_second) {
            return Err(fault("messages_per_second: use 1 to 1000"));
        }
        if !(1..=LONGEST_TEXT).contains(&self.text_max) {
            return Err(fault("text_max: use 1 to 4096"));
        }
        Ok(())
    }

    /// The endpoint, with a path that ends in a slash.
    pub(super) fn base_url(&self) -> Result<Url> {
        let refused = || {
            fault(
                "endpoint: expected an address such as https://graph.facebook.com, without query or password",
            )
        };
        let mut url =
            Url::parse(self.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT)).map_err(|_| refused())?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !bare || url.password().is_some() {
            return Err(refused());
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }

    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_secs)
    }
}

/// Whether a secret is there and has nothing that nobody sees.
fn is_written(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `v`, digits, a dot, digits.
fn is_version(text: &str) -> bool {
    let digits = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| digits(major) && digits(minor))
}

pub(super) fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(json: serde_json::Value) -> Result<WhatsAppConfig, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn a_token_and_a_number_are_enough() {
        let config = parse(json!({"access_token": "EAAB", "phone_number_id": "1122334455667"})).unwrap();
        config.validate().unwrap();
        assert_eq!(config.base_url().unwrap().as_str(), "https://graph.facebook.com/");
        assert_eq!((config.timeout_secs, config.messages_per_second, config.text_max), (15, 80, 1_024));
        assert_eq!(config.api_version, "v25.0");
        let built = WhatsAppConfig::new("EAAB".into(), "1122334455667");
        built.validate().unwrap();
        assert_eq!(built.text_max, config.text_max);
    }

    #[test]
    fn faults_name_the_field_and_not_the_value() {
        for (field, value) in [
            ("access_token", json!("")),
            ("access_token", json!("hidden token")),
            ("phone_number_id", json!("")),
            ("phone_number_id", json!("+79000000000")),
            ("phone_number_id", json!("1/../hidden")),
            ("phone_number_id", json!("1".repeat(33))),
            ("endpoint", json!("ftp://example.com")),
            ("endpoint", json!("example.com")),
            ("endpoint", json!("https://user:hidden@example.com")),
            ("endpoint", json!("https://example.com/?hidden=1")),
            ("api_version", json!("25.0")),
            ("api_version", json!("v25")),
            ("api_version", json!("v25.0/hidden")),
            ("api_version", json!("v.0")),
            ("app_secret", json!("")),
            ("app_secret", json!("hidden secret")),
            ("app_secret", json!(null)),
            ("verify_token", json!("")),
            ("verify_token", json!("hidden token")),
            ("verify_token", json!(null)),
            ("template", json!({"name": "Hidden", "language": "ru"})),
            ("timeout_secs", json!(0)),
            ("timeout_secs", json!(121)),
            ("messages_per_second", json!(0)),
            ("messages_per_second", json!(1_001)),
            ("text_max", json!(0)),
            ("text_max", json!(4_097)),
        ] {
            let mut json = json!({"access_token": "EAAB", "phone_number_id": "1", "app_secret": "s", "verify_token": "v"});
            json[field] = value.clone();
            let error = parse(json).unwrap().validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{field} {value}");
            assert!(error.message().starts_with(field), "{field} {value}: {error}");
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(parse(json!({"access_token": "EAAB", "phone_number_id": "1", "token": "x"})).is_err());
        assert!(parse(json!({"access_token": "EAAB"})).is_err());
    }

    #[test]
    fn secrets_are_neither_printed_nor_readable_in_the_schema() {
        let config = json!({"access_token": "hidden-a", "phone_number_id": "1", "app_secret": "hidden-b",
            "verify_token": "hidden-c"});
        assert!(!format!("{:?}", parse(config).unwrap()).contains("hidden"));
        let schema = schemars::schema_for!(WhatsAppConfig).to_value();
        for field in ["access_token", "app_secret", "verify_token"] {
            assert_eq!(schema["properties"][field]["writeOnly"], true, "{field}");
        }
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "every field is a form label");
    }
}
