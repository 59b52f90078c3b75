//! What an owner of a webhook endpoint fills in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use reqwest::Certificate;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;
use super::sign::SigningKeys;

/// An endpoint that takes signed webhooks.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to post: an `https://` address on the public internet, or what whoever runs the installation allows beside it. It must not carry a user name or password; put those into `headers`.
    pub url: String,
    /// Signing secrets, each `whsec_` followed by base64 of 24 to 64 random bytes, or `whsk_` followed by base64 of a private ed25519 key, whose receiver needs the public half only. Every webhook is signed with all of them: to change a secret, add the new one, let the receiver switch, and remove the old one.
    pub secrets: Vec<Secret<String>>,
    /// How long one request may take, in seconds, from 1 to 60. Default: 15.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
    /// Headers that go with every request, such as `Authorization`. The values are kept as secrets. Default: none.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret<String>>,
    /// Certificates in PEM form that are trusted beside the public ones, for a receiver with a private authority. Default: none.
    #[serde(default)]
    pub ca_pem: Option<String>,
}

const fn default_timeout_secs() -> u64 {
    15
}

/// Headers that the adapter or the connection sets.
const RESERVED_HEADERS: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl WebhookConfig {
    /// Checks what the types cannot. Makes no network call, so the addresses behind a host name are
    /// not known here; they are checked at every connection.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        self.target()?;
        self.signing_keys()?;
        self.header_map()?;
        self.authorities()?;
        if !(1..=60).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 60"));
        }
        Ok(())
    }

    /// The URL, as far as it can be judged without knowing where channels may connect to.
    pub(super) fn target(&self) -> Result<Url> {
        let url = Url::parse(&self.url)
            .map_err(|_| fault("url: expected an address such as https://example.com/hook"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(fault("url: use https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("url: must not carry a user name or password; use headers"));
        }
        if url.host().is_none() {
            return Err(fault("url: names no host"));
        }
        Ok(url)
    }

    pub(super) fn signing_keys(&self) -> Result<SigningKeys> {
        SigningKeys::parse(&self.secrets).ok_or_else(|| {
            fault(
                "secrets: expected at least one, each whsec_ followed by base64 of 24 to 64 bytes, or whsk_ followed \
                 by base64 of an ed25519 key",
            )
        })
    }

    pub(super) fn header_map(&self) -> Result<HeaderMap> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name =
                HeaderName::try_from(name).map_err(|_| fault("headers: a name is not a header name"))?;
            if RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
                return Err(fault("headers: must not set webhook-*, host, content or connection headers"));
            }
            let mut value = HeaderValue::try_from(value.expose())
                .map_err(|_| fault("headers: a value has characters that a header cannot carry"))?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        Ok(map)
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

/// Without the URL, whose path or query is a credential at many receivers.
impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("url", &"[redacted]")
            .field("secrets", &self.secrets)
            .field("timeout_secs", &self.timeout_secs)
            .field("headers", &self.headers)
            .field("ca_pem", &self.ca_pem.is_some())
            .finish()
    }
}

fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(change: Value) -> WebhookConfig {
        let mut config = json!({
            "url": "https://example.com/hook?key=confidential",
            "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        });
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn good_settings() {
        for change in [
            json!({}),
            json!({ "url": "https://8.8.8.8:8443/" }),
            json!({ "headers": { "Authorization": "Bearer abc", "X-Key": "1" }, "timeout_secs": 60 }),
        ] {
            config(change.clone()).validate().unwrap_or_else(|error| panic!("{change}: {error}"));
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (change, field) in [
            (json!({ "url": "" }), "url"),
            (json!({ "url": "example.com" }), "url"),
            (json!({ "url": "ftp://example.com" }), "url"),
            (json!({ "url": "file:///etc/passwd" }), "url"),
            (json!({ "url": "https://10.1.2.3/" }), "url"),
            (json!({ "url": "http://example.com" }), "url"),
            (json!({ "url": "https://user:pw@example.com" }), "url"),
            (json!({ "url": "https://user@example.com" }), "url"),
            (json!({ "secrets": [] }), "secrets"),
            (json!({ "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "short"] }), "secrets"),
            (json!({ "timeout_secs": 0 }), "timeout_secs"),
            (json!({ "timeout_secs": 61 }), "timeout_secs"),
            (json!({ "headers": { "webhook-id": "1" } }), "headers"),
            (json!({ "headers": { "Host": "internal" } }), "headers"),
            (json!({ "headers": { "Content-Length": "0" } }), "headers"),
            (json!({ "headers": { "X Y": "1" } }), "headers"),
            (json!({ "headers": { "X-Key": "a\r\nX-Evil: 1" } }), "headers"),
            (json!({ "ca_pem": "" }), "ca_pem"),
            (json!({ "ca_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }), "ca_pem"),
        ] {
            let error = super::super::Webhook::new(info(), config(change.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{change}");
            assert!(error.message().starts_with(field), "{change}: {error}");
        }
    }

    fn info() -> fastlead_core::channel::ChannelInfo {
        let id = fastlead_core::id::ChannelId::from_uuid(uuid::Uuid::nil());
        fastlead_core::channel::ChannelInfo { kind: KIND, id, name: "crm".to_owned() }
    }

    #[test]
    fn unknown_fields_are_refused_and_nothing_confidential_is_printed() {
        assert!(
            serde_json::from_value::<WebhookConfig>(json!({ "url": "", "secrets": [], "secret": "" }))
                .is_err()
        );
        let printed = format!("{:?}", config(json!({ "headers": { "X-Key": "confidential" } })));
        assert!(!printed.contains("confidential") && !printed.contains("whsec_"), "{printed}");
    }
}
