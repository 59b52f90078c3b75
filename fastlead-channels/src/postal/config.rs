//! What the owner of a Postal mail server fills in.

use std::time::Duration;

use fastlead_core::contact::Email;
use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;
use super::signature::SigningKeys;

/// The place in `list_unsubscribe` that each delivery fills with its own digits.
pub(super) const DELIVERY_PLACEHOLDER: &str = "{delivery}";

/// A mail server inside a Postal installation, which sends mail over its HTTP API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PostalConfig {
    /// Address of the installation, such as `https://postal.example.com`. One that is not on the public internet must be
    /// allowed by whoever runs this program.
    pub endpoint: String,
    /// Key of a credential of the type API: Postal, the mail server, Credentials.
    pub api_key: Secret<String>,
    /// Who the mail is from. Its domain must be verified at Postal.
    pub from: PostalSender,
    /// Address that answers go to. Default: the `from` address.
    #[serde(default)]
    pub reply_to: Option<Email>,
    /// Public keys of the installation, with which it signs what it posts: the whole text of
    /// `https://<installation>/.well-known/jwks.json`. Without it the channel only sends: no receipts and no mail from people.
    #[serde(default)]
    pub signing_keys: Option<String>,
    /// Page that unsubscribes, added to advertising only; must start with `https://`. With `{delivery}` in it, which becomes the
    /// 32 digits of the delivery, mail programs may unsubscribe with one click. Default: none, a mail to the sender does it.
    #[serde(default)]
    pub list_unsubscribe: Option<String>,
    /// How long one request may take, in seconds, from 1 to 120. Default: 15.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
}

/// Who mail is from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostalSender {
    /// Name that people see, such as `Example Ltd`.
    #[serde(default)]
    pub name: Option<String>,
    /// Address.
    pub address: Email,
}

const fn default_timeout_secs() -> u64 {
    15
}

impl PostalConfig {
    /// A server that only sends, with the defaults for everything else.
    pub fn new(endpoint: impl Into<String>, api_key: Secret<String>, from: Email) -> Self {
        Self {
            endpoint: endpoint.into(),
            api_key,
            from: PostalSender { name: None, address: from },
            reply_to: None,
            signing_keys: None,
            list_unsubscribe: None,
            timeout_secs: default_timeout_secs(),
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        self.base_url()?;
        let key = self.api_key.expose();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fault("api_key: expected the whole key, without spaces"));
        }
        if !self.from.address.is_valid() || self.reply_to.as_ref().is_some_and(|email| !email.is_valid()) {
            return Err(fault("from, reply_to: expected an e-mail address"));
        }
        if self.from.name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            return Err(fault("from: a name is one line"));
        }
        if let Some(keys) = &self.signing_keys {
            SigningKeys::read(keys)?;
        }
        if let Some(page) = &self.list_unsubscribe {
            let filled = page.replace(DELIVERY_PLACEHOLDER, "0");
            if !Url::parse(&filled).is_ok_and(|url| url.scheme() == "https") || !page.is_ascii() {
                return Err(fault("list_unsubscribe: expected an address that starts with https://"));
            }
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: use 1 to 120"));
        }
        Ok(())
    }

    /// The installation's address, with a path that ends in a slash.
    pub(super) fn base_url(&self) -> Result<Url> {
        let refused = || {
            fault(
                "endpoint: expected an address such as https://postal.example.com, without query or password",
            )
        };
        let mut url = Url::parse(&self.endpoint).map_err(|_| refused())?;
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

pub(super) fn fault(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("configure")
}
