//! What a merchant fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;

const DEFAULT_ENDPOINT: &str = "https://api.yookassa.ru/v3/";
/// Where notifications come from (<https://yookassa.ru/developers/using-api/webhooks>).
const NETWORKS: [&str; 7] = [
    "185.71.76.0/27",
    "185.71.77.0/27",
    "77.75.153.0/25",
    "77.75.156.11/32",
    "77.75.156.35/32",
    "77.75.154.128/25",
    "2a02:5180::/32",
];

/// A shop of YooKassa.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct YooKassaConfig {
    /// What the owner calls the account. Default: empty.
    #[serde(default)]
    pub name: String,
    /// Id of the shop.
    pub shop_id: String,
    /// Secret key of the shop, such as `live_…` or `test_…`.
    pub secret_key: Secret<String>,
    /// Base address of the API. Default: `https://api.yookassa.ru/v3/`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Networks that notifications may come from, such as `185.71.76.0/27`. Default: YooKassa's published ones. An empty list
    /// lets every caller give hints.
    #[serde(default = "default_networks")]
    pub webhook_networks: Vec<String>,
    /// How long one request may take, in seconds, from 1 to 120. YooKassa itself gives up after 30. Default: 35.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
}

fn default_networks() -> Vec<String> {
    NETWORKS.map(str::to_owned).to_vec()
}

const fn default_timeout_secs() -> u64 {
    35
}

impl YooKassaConfig {
    /// A shop with the defaults for everything else.
    pub fn new(shop_id: impl Into<String>, secret_key: Secret<String>) -> Self {
        Self {
            name: String::new(),
            shop_id: shop_id.into(),
            secret_key,
            endpoint: None,
            webhook_networks: default_networks(),
            timeout_secs: default_timeout_secs(),
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        if self.shop_id.is_empty() || !self.shop_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault("shop_id: expected the number of the shop"));
        }
        let key = self.secret_key.expose();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fault("secret_key: expected the whole secret key of the shop"));
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: expected 1 to 120"));
        }
        self.networks()?;
        self.base_url().map(drop)
    }

    pub(super) fn networks(&self) -> Result<Vec<IpNet>> {
        let networks = self.webhook_networks.iter().map(|network| network.parse());
        networks
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| fault("webhook_networks: expected networks such as 185.71.76.0/27"))
    }

    pub(super) fn base_url(&self) -> Result<Url> {
        let mut text = self.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT).to_owned();
        if !text.ends_with('/') {
            text.push('/');
        }
        Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
            .ok_or_else(|| {
                fault("endpoint: expected an absolute address such as https://api.yookassa.ru/v3/")
            })
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

    #[test]
    fn faults_name_their_field() {
        let whole = YooKassaConfig::new("100500", "test_secret".into());
        assert!(whole.validate().is_ok());
        let with = |change: fn(&mut YooKassaConfig)| {
            let mut config = whole.clone();
            change(&mut config);
            config.validate().unwrap_err().message().split(':').next().unwrap().to_owned()
        };
        assert_eq!(with(|config| config.shop_id = "shop".into()), "shop_id");
        assert_eq!(with(|config| config.secret_key = "two words".into()), "secret_key");
        assert_eq!(with(|config| config.timeout_secs = 121), "timeout_secs");
        assert_eq!(with(|config| config.webhook_networks = vec!["yookassa.ru".into()]), "webhook_networks");
        assert_eq!(with(|config| config.endpoint = Some("v3".into())), "endpoint");
        assert!(!format!("{whole:?}").contains("test_secret"));
        assert_eq!(whole.networks().unwrap().len(), NETWORKS.len());
    }
}
