//! Builds channel instances from what a tenant has filled in and what the installation adds.

use std::sync::Arc;

use fastlead_channels::egress::Egress;
use fastlead_core::channel::Channel;
use fastlead_core::engine::ChannelOpener;
use fastlead_core::id::ChannelId;
use fastlead_core::port::ChannelRecord;
use fastlead_core::registry::Registry;
use fastlead_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::seal::Keyring;
use crate::settings::ChannelSettings;

/// Fields that were a webhook's own once, with the settings that they have become.
const MOVED: [(&str, &str); 2] =
    [("allowed_private_hosts", "channels.allowed_private_hosts"), ("allow_http", "channels.allow_plaintext")];

/// Where the channels of this installation may connect to.
///
/// # Errors
/// [`ErrorKind::Config`] that names the setting.
pub(crate) fn egress(settings: &ChannelSettings) -> Result<Egress> {
    let hosts = settings.allowed_private_hosts.iter().map(|host| host.trim());
    let hosts: Vec<String> = hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect();
    let egress = Egress::public().with_private_hosts(&hosts).map_err(|error| {
        Error::new(ErrorKind::Config, format!("channels.{}", error.message())).with_operation("settings")
    })?;
    Ok(if settings.allow_plaintext { egress.with_plaintext() } else { egress })
}

/// Builds and opens channel instances.
#[derive(Debug)]
pub struct Channels {
    registry: Arc<Registry>,
    keyring: Arc<Keyring>,
}

impl Channels {
    /// Builds with what this registry knows, and opens with these keys.
    pub const fn new(registry: Arc<Registry>, keyring: Arc<Keyring>) -> Self {
        Self { registry, keyring }
    }

    /// Builds an instance from a tenant's configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it sets what belongs to the installation; those of [`Registry::build`].
    pub fn build(&self, kind: &str, id: ChannelId, name: &str, config: Value) -> Result<Arc<dyn Channel>> {
        let moved = MOVED.iter().find(|(field, _)| kind == "webhook" && config.get(*field).is_some());
        if let Some((field, setting)) = moved {
            let message = format!(
                "{field}: belongs to the installation and not to a channel; take it out here, and set {setting} in \
                 the server's settings"
            );
            return Err(Error::new(ErrorKind::Config, message).with_operation("configure"));
        }
        self.registry.build(kind, id, name, config)
    }
}

impl ChannelOpener for Channels {
    fn open(&self, record: &ChannelRecord) -> Result<Arc<dyn Channel>> {
        let plain = self.keyring.open(record.workspace_id, record.id, &record.config)?;
        let mut config: Value = serde_json::from_slice(&plain)
            .map_err(|_| Error::new(ErrorKind::Config, "a channel's stored configuration is not JSON"))?;
        // Configurations of earlier versions may hold what belongs to the installation now.
        if let (true, Some(fields)) = (record.kind == "webhook", config.as_object_mut()) {
            for (field, setting) in MOVED {
                if fields.remove(field).is_some() {
                    tracing::warn!(
                        channel = %record.id, field, setting,
                        "this field belongs to the installation now; the channel's own value is not used"
                    );
                }
            }
        }
        self.registry.build(&record.kind, record.id, &record.name, config)
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::id::WorkspaceId;
    use fastlead_core::port::ChannelStatus;
    use fastlead_core::time::epoch;

    use serde_json::json;

    use super::*;
    use crate::settings::Settings;

    fn settings(hosts: &[&str], allow_plaintext: bool) -> ChannelSettings {
        let mut settings = Settings::defaults().unwrap().channels;
        settings.allowed_private_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        settings.allow_plaintext = allow_plaintext;
        settings
    }

    fn channels(hosts: &[&str], allow_plaintext: bool) -> Channels {
        let egress = egress(&settings(hosts, allow_plaintext)).unwrap();
        let registry = Registry::builder().apply(fastlead_channels::register_with(egress)).build().unwrap();
        let keyring = Keyring::parse("1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
        Channels::new(Arc::new(registry), Arc::new(keyring))
    }

    fn id() -> ChannelId {
        ChannelId::from_uuid(uuid::Uuid::from_u128(1))
    }

    fn config(url: &str) -> Value {
        json!({"url": url, "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]})
    }

    #[test]
    fn a_tenant_cannot_reach_into_the_network_of_the_installation() {
        let (strict, open) = (channels(&[], false), channels(&[" 10.1.0.0/16", ""], false));
        for (kind, inside) in [
            ("webhook", config("http://10.1.2.3/hook")),
            ("telegram", json!({"bot_token": "123456:ABC", "endpoint": "https://10.1.2.3"})),
            ("telegram", json!({"bot_token": "123456:ABC", "proxy": "http://10.1.2.3:3128"})),
            ("max", json!({"bot_token": "some-token", "endpoint": "https://10.1.2.3"})),
            ("smsc", json!({"api_key": "some-key", "endpoint": "http://10.1.2.3"})),
            ("vk", json!({"access_token": "some-key", "group_id": 1, "endpoint": "http://10.1.2.3"})),
            ("smtp", json!({"host": "10.1.2.3", "from": {"address": "leads@example.com"}})),
        ] {
            let error = strict.build(kind, id(), "some", inside.clone()).unwrap_err();
            assert!(error.message().contains("channels.allowed_private_hosts"), "{error}");
            assert!(open.build(kind, id(), "some", inside).is_ok(), "{kind}");
        }
        let clear = config("http://example.com/hook");
        assert!(strict.build("webhook", id(), "crm", clear.clone()).is_err());
        assert!(channels(&[], true).build("webhook", id(), "crm", clear).is_ok());
        for (field, setting) in MOVED {
            let mut config = config("https://example.com");
            config[field] = json!(true);
            for channels in [&strict, &open] {
                let error = channels.build("webhook", id(), "crm", config.clone()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.message().contains(setting), "{error}");
            }
        }
    }

    #[test]
    fn what_an_earlier_version_stored_opens_with_the_values_of_the_installation() {
        let workspace_id = WorkspaceId::from_uuid(uuid::Uuid::from_u128(2));
        let mut old = config("https://10.1.2.3/hook");
        old["allowed_private_hosts"] = json!(["10.0.0.0/8"]);
        let open = |channels: &Channels| {
            let record = ChannelRecord {
                id: id(),
                workspace_id,
                kind: "webhook".to_owned(),
                name: "crm".to_owned(),
                config: channels.keyring.seal(workspace_id, id(), old.to_string().as_bytes()).unwrap(),
                webhook_token: String::new(),
                status: ChannelStatus::Active,
                created_at: epoch(),
            };
            channels.open(&record)
        };
        assert!(open(&channels(&[], false)).is_err());
        assert!(open(&channels(&["10.1.2.3"], false)).is_ok());
    }

    #[test]
    fn a_wrong_host_in_the_settings_is_named() {
        let error = egress(&settings(&["10.0.0.0/99"], false)).unwrap_err();
        assert!(error.message().starts_with("channels.allowed_private_hosts: "), "{error}");
    }
}
