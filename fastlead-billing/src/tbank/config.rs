//! What a merchant fills in.

use std::time::Duration;

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use url::Url;

use super::adapter::KIND;

const DEFAULT_ENDPOINT: &str = "https://securepay.tinkoff.ru";
/// `TerminalKey`, by the current pages; the older specification says 20.
const LONGEST_TERMINAL_KEY: usize = 64;

/// A terminal of T-Bank's internet acquiring.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TBankConfig {
    /// What the owner calls the account. Default: empty.
    #[serde(default)]
    pub name: String,
    /// Key of the terminal, such as `1234567890DEMO`.
    pub terminal_key: String,
    /// Password of the terminal.
    pub password: Secret<String>,
    /// Base address of the API. Default: `https://securepay.tinkoff.ru`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Address that the bank notifies of payments. Default: the one in the settings of the terminal.
    #[serde(default)]
    pub notification_url: Option<String>,
    /// Mark of charges without the payer (`OperationInitiatorType`): `R` unscheduled, `I` scheduled; which one a terminal
    /// takes is the bank's setting. Default: `R`.
    #[serde(default = "default_initiator")]
    pub charge_initiator: String,
    /// How long one request may take, in seconds, from 1 to 120. Default: 30.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u64,
}

fn default_initiator() -> String {
    "R".to_owned()
}

const fn default_timeout_secs() -> u64 {
    30
}

impl TBankConfig {
    /// A terminal with the defaults for everything else.
    pub fn new(terminal_key: impl Into<String>, password: Secret<String>) -> Self {
        Self {
            name: String::new(),
            terminal_key: terminal_key.into(),
            password,
            endpoint: None,
            notification_url: None,
            charge_initiator: default_initiator(),
            timeout_secs: default_timeout_secs(),
        }
    }

    /// Checks what the types cannot. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn validate(&self) -> Result<()> {
        let key = &self.terminal_key;
        if key.is_empty()
            || key.len() > LONGEST_TERMINAL_KEY
            || !key.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(fault("terminal_key: expected 1 to 64 letters, digits and signs"));
        }
        if self.password.expose().is_empty() {
            return Err(fault("password: expected the password of the terminal"));
        }
        if !matches!(self.charge_initiator.as_str(), "R" | "I") {
            return Err(fault("charge_initiator: expected R or I"));
        }
        if !(1..=120).contains(&self.timeout_secs) {
            return Err(fault("timeout_secs: expected 1 to 120"));
        }
        if let Some(url) = &self.notification_url
            && Url::parse(url).is_err()
        {
            return Err(fault("notification_url: expected an absolute address"));
        }
        self.base_url().map(drop)
    }

    pub(super) fn base_url(&self) -> Result<Url> {
        let text = self.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT);
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
            .ok_or_else(|| {
                fault("endpoint: expected an absolute address such as https://securepay.tinkoff.ru")
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
        let whole = TBankConfig::new("1234567890DEMO", "secret".into());
        assert!(whole.validate().is_ok());
        let with = |change: fn(&mut TBankConfig)| {
            let mut config = whole.clone();
            change(&mut config);
            config.validate().unwrap_err().message().split(':').next().unwrap().to_owned()
        };
        assert_eq!(with(|config| config.terminal_key.clear()), "terminal_key");
        assert_eq!(with(|config| config.password = "".into()), "password");
        assert_eq!(with(|config| config.charge_initiator = "2".into()), "charge_initiator");
        assert_eq!(with(|config| config.timeout_secs = 0), "timeout_secs");
        assert_eq!(with(|config| config.notification_url = Some("leads".into())), "notification_url");
        assert_eq!(with(|config| config.endpoint = Some("ftp://example.com".into())), "endpoint");
        assert!(!format!("{whole:?}").contains("secret"));
        let typo = serde_json::from_str::<TBankConfig>(r#"{"terminal_key":"a","password":"b","timeout":1}"#);
        assert!(typo.is_err());
    }
}
