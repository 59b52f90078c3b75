//! What an owner of an SMSC account fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;

const DEFAULT_ENDPOINT: &str = "https://smsc.ru";
const LONGEST_SENDER: usize = 11;
const LONGEST_LIFETIME_HOURS: u32 = 24;

/// An SMSC account.
///
/// Either `login` and `password`, or `api_key`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmscConfig {
    /// Login of the SMSC account. Leave it empty where an API key is used.
    #[serde(default)]
    pub login: Option<String>,
    /// Password of the SMSC account (or the one set for the API). Leave it empty where an API key is used.
    #[serde(default)]
    pub password: Option<Secret<String>>,
    /// API key made in the SMSC cabinet, instead of login and password.
    #[serde(default)]
    pub api_key: Option<Secret<String>>,
    /// Sender name that people see: at most 11 Latin letters, digits, dots, hyphens and underscores. It must be
    /// registered with SMSC. Without it SMSC uses the account's own.
    #[serde(default)]
    pub sender: Option<String>,
    /// Base address of the API. Default: `https://smsc.ru`; `https://www2.smsc.ru` is the provider's reserve.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Secret that is set in the SMSC cabinet beside the callback URL. Without it, callbacks are not accepted
    /// and receipts are asked for instead.
    #[serde(default)]
    pub callback_secret: Option<Secret<String>>,
    /// How callbacks are signed. The callback URL must carry the parameter of the same name. Default: `sha1`.
    #[serde(default)]
    pub callback_signature: CallbackSignature,
    /// How long one request may take, in seconds, from 1 to 120. Default: 15.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// Lets SMSC write Cyrillic in Latin letters, so that more fits into one SMS. Default: no.
    #[serde(default)]
    pub translit: bool,
    /// Refuses texts that need more SMS parts than this, from 1. Default: no limit but the provider's 1000
    /// characters. Cannot be combined with `translit`, whose result only SMSC knows.
    #[serde(default)]
    pub max_segments: Option<u32>,
    /// How long an SMS may wait for a phone that is switched off, in hours from 1 to 24. A message that expires
    /// earlier is given up earlier. Default: what SMSC does by itself.
    #[serde(default)]
    pub valid_hours: Option<u32>,
}

const fn default_timeout_secs() -> u64 {
    15
}

/// How SMSC signs its callbacks. CRC32, which SMSC offers too, proves nothing and is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallbackSignature {
    /// MD5 over the fields and the secret.
    Md5,
    /// SHA-1 over the fields and the secret.
    #[default]
    Sha1,
}

impl CallbackSignature {
    /// The name of the parameter that carries the signature.
    pub(super) const fn parameter(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
        }
    }

    /// The lower-case hexadecimal digest of `data`.
    pub(super) fn hex_digest(self, data: &[u8]) -> String {
        match self {
            Self::Md5 => hex::encode(<md5::Md5 as md5::Digest>::digest(data)),
            Self::Sha1 => hex::encode(<sha1::Sha1 as sha1::Digest>::digest(data)),
        }
    }

    /// How many hexadecimal digits a signature has.
    pub(super) const fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
        }
    }
}

/// What every request carries to prove who we are.
#[derive(Debug, Clone)]
pub(super) enum Credentials {
    Password { login: String, password: Secret<String> },
    ApiKey(Secret<String>),
}

impl SmscConfig {
    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        self.credentials()?;
        self.base_url()?;
        if let Some(sender) = &self.sender {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if sender.is_empty() || sender.len() > LONGEST_SENDER || !sender.chars().all(allowed) {
                return Err(fault(
                    "sender: use 1 to 11 latin letters, digits, dots, hyphens and underscores, or leave it out",
                ));
            }
        }
        if self.callback_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            return Err(fault(
                "callback_secret: is empty; set the one from the SMSC cabinet, or leave it out",
            ));
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 120"));
        }
        if self.max_segments == Some(0) {
            return Err(fault("max_segments: use 1 or more, or leave it out"));
        }
        if self.max_segments.is_some() && self.translit {
            return Err(fault(
                "max_segments: cannot be checked together with translit; leave one of them out",
            ));
        }
        if self.valid_hours.is_some_and(|hours| !(1..=LONGEST_LIFETIME_HOURS).contains(&hours)) {
            return Err(fault("valid_hours: use 1 to 24, or leave it out"));
        }
        Ok(())
    }

    pub(super) fn credentials(&self) -> Result<Credentials> {
        match (&self.login, &self.password, &self.api_key) {
            (Some(login), Some(password), None) if !login.is_empty() && !password.expose().is_empty() => {
                Ok(Credentials::Password { login: login.clone(), password: password.clone() })
            }
            (None, None, Some(key)) if !key.expose().is_empty() => Ok(Credentials::ApiKey(key.clone())),
            _ => Err(fault("login, password, api_key: set either login and password, or api_key alone")),
        }
    }

    /// The endpoint, with a path that ends in a slash.
    pub(super) fn base_url(&self) -> Result<Url> {
        let text = self.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT);
        let refused =
            || fault("endpoint: expected an address such as https://smsc.ru, without query or password");
        let mut url = Url::parse(text).map_err(|_| refused())?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !plain || url.password().is_some() {
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

fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: serde_json::Value) -> Result<SmscConfig, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn either_login_and_password_or_a_key() {
        for (good, json) in [
            (true, serde_json::json!({"login": "demo", "password": "p"})),
            (true, serde_json::json!({"api_key": "k"})),
            (false, serde_json::json!({})),
            (false, serde_json::json!({"login": "demo"})),
            (false, serde_json::json!({"login": "demo", "password": ""})),
            (false, serde_json::json!({"password": "p", "api_key": "k"})),
            (false, serde_json::json!({"login": "demo", "password": "p", "api_key": "k"})),
            (false, serde_json::json!({"api_key": ""})),
        ] {
            assert_eq!(parse(json.clone()).unwrap().validate().is_ok(), good, "{json}");
        }
    }

    #[test]
    fn faults_name_the_field() {
        for (field, value) in [
            ("sender", serde_json::json!("Моя фирма")),
            ("sender", serde_json::json!("LongerThan11")),
            ("sender", serde_json::json!("")),
            ("endpoint", serde_json::json!("ftp://smsc.ru")),
            ("endpoint", serde_json::json!("https://user:secret@smsc.ru")),
            ("endpoint", serde_json::json!("https://smsc.ru/?psw=secret")),
            ("endpoint", serde_json::json!("smsc.ru")),
            ("callback_secret", serde_json::json!("")),
            ("timeout_secs", serde_json::json!(0)),
            ("timeout_secs", serde_json::json!(121)),
            ("max_segments", serde_json::json!(0)),
            ("valid_hours", serde_json::json!(25)),
        ] {
            let mut json = serde_json::json!({"api_key": "k"});
            json[field] = value.clone();
            let error = parse(json).unwrap().validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().starts_with(field), "{error}");
            assert!(
                !error.to_string().contains("secret@") && !error.to_string().contains("psw=secret"),
                "{error}"
            );
        }
        let both = serde_json::json!({"api_key": "k", "translit": true, "max_segments": 2});
        assert!(parse(both).unwrap().validate().unwrap_err().message().starts_with("max_segments"));
    }

    #[test]
    fn crc32_and_unknown_fields_are_refused() {
        assert!(parse(serde_json::json!({"api_key": "k", "callback_signature": "crc32"})).is_err());
        assert!(parse(serde_json::json!({"api_key": "k", "apikey": "k"})).is_err());
    }

    #[test]
    fn secrets_are_neither_printed_nor_readable_in_the_schema() {
        let config = parse(serde_json::json!({"api_key": "top", "callback_secret": "hush"})).unwrap();
        let shown = format!("{config:?} {:?}", config.credentials());
        assert!(!shown.contains("top") && !shown.contains("hush"), "{shown}");
        let schema = schemars::schema_for!(SmscConfig).to_value();
        for field in ["password", "api_key", "callback_secret"] {
            assert_eq!(schema["properties"][field]["writeOnly"], true, "{field}");
        }
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field["description"].is_string()), "every field is a form label");
    }

    #[test]
    fn a_base_path_is_kept() {
        let config =
            parse(serde_json::json!({"api_key": "k", "endpoint": "http://127.0.0.1:1/smsc"})).unwrap();
        assert_eq!(config.base_url().unwrap().join("sys/send.php").unwrap().path(), "/smsc/sys/send.php");
    }
}
