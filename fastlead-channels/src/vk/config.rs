//! What an owner of a community fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;

const DEFAULT_ENDPOINT: &str = "https://api.vk.ru";
/// `secret_key` and `title` of `groups.addCallbackServer`.
const LONGEST_CALLBACK_SECRET: usize = 50;
const LONGEST_TITLE: usize = 14;
const LONGEST_CONFIRMATION: usize = 64;
/// `message` of `messages.send`, by the schema.
const LONGEST_TEXT: u32 = 9_000;
/// The limit of a community's token.
const HIGHEST_RATE: u32 = 20;

/// A VK community that writes messages.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VkConfig {
    /// Access key of the community with the right `messages` (Management, Working with API), such as `vk1.a.…`. Where the
    /// program registers the callback server by itself it needs the right `manage` as well.
    pub access_token: Secret<String>,
    /// Number of the community, without a minus sign. Events of other communities are refused.
    pub group_id: u64,
    /// Base address of the API. Default: `https://api.vk.ru`. `https://api.vk.com` is the older one.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Secret key of the callback server, which VK repeats in every event: 1 to 50 Latin letters, digits and signs. Without
    /// it the community only sends, and without buttons that answer.
    #[serde(default)]
    pub callback_secret: Option<Secret<String>>,
    /// String that VK wants to read when it confirms the address, where the callback server is entered by hand in the
    /// community's settings. Default: none, the program registers the server and fetches the string by itself.
    #[serde(default)]
    pub confirmation_code: Option<String>,
    /// Title of the callback server that the program registers, 1 to 14 characters. Default: `FastLead`. Give each
    /// installation its own where several of them serve one community.
    #[serde(default = "default_server_title")]
    pub server_title: String,
    /// How long one request may take, in seconds, from 1 to 120. Default: 15.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// How many requests the community may make each second, from 1 to 20. Default: 20, which is VK's limit for all programs
    /// that use the same key.
    #[serde(default = "default_requests_per_second")]
    pub requests_per_second: u32,
    /// Longest text of one message, in UTF-16 units from 1 to 9000. Default: 4096. Longer texts are cut or split as the policy
    /// says.
    #[serde(default = "default_text_max")]
    pub text_max: u32,
}

fn default_server_title() -> String {
    "FastLead".to_owned()
}

const fn default_timeout_secs() -> u64 {
    15
}

const fn default_requests_per_second() -> u32 {
    HIGHEST_RATE
}

const fn default_text_max() -> u32 {
    4_096
}

impl VkConfig {
    /// A community that only sends, with the defaults for everything else.
    pub fn new(access_token: Secret<String>, group_id: u64) -> Self {
        Self {
            access_token,
            group_id,
            endpoint: None,
            callback_secret: None,
            confirmation_code: None,
            server_title: default_server_title(),
            timeout_secs: default_timeout_secs(),
            requests_per_second: default_requests_per_second(),
            text_max: default_text_max(),
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        if !is_written(self.access_token.expose(), usize::MAX) {
            return Err(fault("access_token: expected the whole access key of the community"));
        }
        if self.group_id == 0 || i64::try_from(self.group_id).is_err() {
            return Err(fault("group_id: use the number of the community, without a minus sign"));
        }
        self.base_url()?;
        if let Some(secret) = &self.callback_secret
            && !is_written(secret.expose(), LONGEST_CALLBACK_SECRET)
        {
            return Err(fault(
                "callback_secret: use 1 to 50 latin letters, digits and signs, without spaces",
            ));
        }
        if let Some(code) = &self.confirmation_code {
            if !is_written(code, LONGEST_CONFIRMATION) {
                return Err(fault(
                    "confirmation_code: expected the string that VK shows beside the callback server",
                ));
            }
            if self.callback_secret.is_none() {
                return Err(fault(
                    "confirmation_code: needs callback_secret; without it anybody could pretend to be VK",
                ));
            }
        }
        if self.server_title.trim().is_empty() || self.server_title.chars().count() > LONGEST_TITLE {
            return Err(fault("server_title: use 1 to 14 characters"));
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 120"));
        }
        if !(1..=HIGHEST_RATE).contains(&self.requests_per_second) {
            return Err(fault("requests_per_second: use 1 to 20"));
        }
        if !(1..=LONGEST_TEXT).contains(&self.text_max) {
            return Err(fault("text_max: use 1 to 9000"));
        }
        Ok(())
    }

    /// The endpoint, with a path that ends in a slash.
    pub(super) fn base_url(&self) -> Result<Url> {
        let refused =
            || fault("endpoint: expected an address such as https://api.vk.ru, without query or password");
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

/// Whether a text is there, is not longer than this, and has nothing that nobody sees.
fn is_written(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(json: serde_json::Value) -> Result<VkConfig, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn a_token_and_a_community_are_enough() {
        let config = parse(json!({"access_token": "vk1.a.ABC-def_9", "group_id": 202_308_925})).unwrap();
        config.validate().unwrap();
        assert_eq!(config.base_url().unwrap().as_str(), "https://api.vk.ru/");
        assert_eq!((config.timeout_secs, config.requests_per_second, config.text_max), (15, 20, 4_096));
        assert_eq!(config.server_title, "FastLead");
        let built = VkConfig::new("vk1.a.ABC".into(), 1);
        built.validate().unwrap();
        assert_eq!(built.text_max, config.text_max);
    }

    #[test]
    fn faults_name_the_field_and_not_the_value() {
        for (field, value) in [
            ("access_token", json!("")),
            ("access_token", json!("hidden token")),
            ("access_token", json!("hidden\n")),
            ("group_id", json!(0)),
            ("group_id", json!(u64::MAX)),
            ("endpoint", json!("ftp://example.com")),
            ("endpoint", json!("example.com")),
            ("endpoint", json!("https://user:hidden@example.com")),
            ("endpoint", json!("https://example.com/?hidden=1")),
            ("endpoint", json!("https://example.com/#hidden")),
            ("callback_secret", json!("")),
            ("callback_secret", json!("hidden secret")),
            ("callback_secret", json!("x".repeat(51))),
            ("confirmation_code", json!("")),
            ("confirmation_code", json!("hidden code")),
            ("confirmation_code", json!("x".repeat(65))),
            ("server_title", json!(" ")),
            ("server_title", json!("x".repeat(15))),
            ("timeout_secs", json!(0)),
            ("timeout_secs", json!(121)),
            ("requests_per_second", json!(0)),
            ("requests_per_second", json!(21)),
            ("text_max", json!(0)),
            ("text_max", json!(9_001)),
        ] {
            let mut json = json!({"access_token": "vk1.a.ABC", "group_id": 1, "callback_secret": "s-1"});
            json[field] = value.clone();
            let error = parse(json).unwrap().validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{field} {value}");
            assert!(error.message().starts_with(field), "{field} {value}: {error}");
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        }
    }

    #[test]
    fn a_confirmation_without_a_secret_is_refused() {
        let open = json!({"access_token": "vk1.a.ABC", "group_id": 1, "confirmation_code": "ab12cd34"});
        assert!(parse(open).unwrap().validate().unwrap_err().message().starts_with("confirmation_code"));
    }

    #[test]
    fn unknown_fields_and_negative_communities_are_refused() {
        assert!(parse(json!({"access_token": "vk1.a.ABC", "group_id": 1, "token": "x"})).is_err());
        assert!(parse(json!({"access_token": "vk1.a.ABC", "group_id": -1})).is_err());
        assert!(parse(json!({"access_token": "vk1.a.ABC"})).is_err());
    }

    #[test]
    fn secrets_are_neither_printed_nor_readable_in_the_schema() {
        let config =
            parse(json!({"access_token": "vk1.a.hidden", "group_id": 1, "callback_secret": "hidden"}));
        assert!(!format!("{:?}", config.unwrap()).contains("hidden"));
        let schema = schemars::schema_for!(VkConfig).to_value();
        for field in ["access_token", "callback_secret"] {
            assert_eq!(schema["properties"][field]["writeOnly"], true, "{field}");
        }
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "every field is a form label");
    }

    #[test]
    fn a_base_path_is_kept() {
        let mut config = VkConfig::new("vk1.a.ABC".into(), 1);
        config.endpoint = Some("http://127.0.0.1:1/vk".to_owned());
        assert_eq!(
            config.base_url().unwrap().join("method/messages.send").unwrap().path(),
            "/vk/method/messages.send"
        );
    }
}
