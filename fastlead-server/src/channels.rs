//! Builds channel instances from what a tenant has filled in and what the installation adds.

use std::sync::Arc;

use fastlead_channels::webhook::validate_private_hosts;
use fastlead_core::channel::Channel;
use fastlead_core::engine::ChannelOpener;
use fastlead_core::id::ChannelId;
use fastlead_core::port::ChannelRecord;
use fastlead_core::registry::Registry;
use fastlead_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::seal::Keyring;
use crate::settings::ChannelSettings;

/// Builds and opens channel instances.
#[derive(Debug)]
pub struct Channels {
    registry: Arc<Registry>,
    keyring: Arc<Keyring>,
    /// By kind: the fields that belong to the installation, with their values.
    installation: Map<String, Value>,
}

impl Channels {
    /// Takes the installation's part from the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting.
    pub fn new(registry: Arc<Registry>, keyring: Arc<Keyring>, settings: &ChannelSettings) -> Result<Self> {
        let hosts = settings.webhook.allowed_private_hosts.iter().map(|host| host.trim());
        let hosts: Vec<String> = hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect();
        validate_private_hosts(&hosts).map_err(|error| {
            Error::new(ErrorKind::Config, format!("channels.webhook.{}", error.message()))
                .with_operation("settings")
        })?;
        let webhook = json!({"allowed_private_hosts": hosts, "allow_http": settings.webhook.allow_http});
        let installation = Map::from_iter([("webhook".to_owned(), webhook)]);
        Ok(Self { registry, keyring, installation })
    }

    /// Builds an instance from a tenant's configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it sets what belongs to the installation; those of [`Registry::build`].
    pub fn build(&self, kind: &str, id: ChannelId, name: &str, config: Value) -> Result<Arc<dyn Channel>> {
        let fields = self.installation.get(kind).and_then(Value::as_object).into_iter().flatten();
        if let Some((field, _)) = fields.into_iter().find(|(field, _)| config.get(field.as_str()).is_some()) {
            let message = format!(
                "{field}: belongs to the installation and not to a channel; take it out here, and set \
                 channels.{kind}.{field} in the server's settings"
            );
            return Err(Error::new(ErrorKind::Config, message).with_operation("configure"));
        }
        self.complete(kind, id, name, config)
    }

    /// Puts the installation's part in, instead of whatever stood there.
    fn complete(&self, kind: &str, id: ChannelId, name: &str, mut config: Value) -> Result<Arc<dyn Channel>> {
        let installation = self.installation.get(kind).and_then(Value::as_object);
        if let (Some(installation), Some(config)) = (installation, config.as_object_mut()) {
            for (field, value) in installation {
                let before = config.insert(field.clone(), value.clone());
                if before.is_some_and(|before| before != *value) {
                    tracing::warn!(
                        channel = %id, kind, field,
                        "this field belongs to the installation now; the channel's own value is not used"
                    );
                }
            }
        }
        self.registry.build(kind, id, name, config)
    }
}

impl ChannelOpener for Channels {
    fn open(&self, record: &ChannelRecord) -> Result<Arc<dyn Channel>> {
        let plain = self.keyring.open(record.workspace_id, record.id, &record.config)?;
        let config = serde_json::from_slice(&plain)
            .map_err(|_| Error::new(ErrorKind::Config, "a channel's stored configuration is not JSON"))?;
        // Configurations of earlier versions may hold what belongs to the installation now.
        self.complete(&record.kind, record.id, &record.name, config)
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::id::WorkspaceId;
    use fastlead_core::port::ChannelStatus;
    use fastlead_core::time::epoch;

    use super::*;
    use crate::settings::WebhookSettings;

    fn channels(hosts: &[&str], allow_http: bool) -> Result<Channels> {
        let registry = Registry::builder().apply(fastlead_channels::register).build().unwrap();
        let keyring = Keyring::parse("1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
        let allowed_private_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let settings = ChannelSettings { webhook: WebhookSettings { allowed_private_hosts, allow_http } };
        Channels::new(Arc::new(registry), Arc::new(keyring), &settings)
    }

    fn id() -> ChannelId {
        ChannelId::from_uuid(uuid::Uuid::from_u128(1))
    }

    fn config(url: &str) -> Value {
        json!({"url": url, "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]})
    }

    #[test]
    fn a_tenant_cannot_reach_into_the_network_of_the_installation() {
        let (strict, open) = (channels(&[], false).unwrap(), channels(&[" 10.1.0.0/16", ""], true).unwrap());
        let inside = "http://10.1.2.3/hook";
        assert!(strict.build("webhook", id(), "crm", config(inside)).is_err());
        assert!(open.build("webhook", id(), "crm", config(inside)).is_ok());
        for (field, value) in [("allowed_private_hosts", json!(["10.0.0.0/8"])), ("allow_http", json!(false))]
        {
            let mut config = config("https://example.com");
            config[field] = value;
            for channels in [&strict, &open] {
                let error = channels.build("webhook", id(), "crm", config.clone()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.message().contains(&format!("channels.webhook.{field}")), "{error}");
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
        assert!(open(&channels(&[], false).unwrap()).is_err());
        assert!(open(&channels(&["10.1.2.3"], false).unwrap()).is_ok());
    }

    #[test]
    fn a_wrong_host_in_the_settings_is_named() {
        let error = channels(&["10.0.0.0/99"], false).unwrap_err();
        assert!(error.message().starts_with("channels.webhook.allowed_private_hosts: "), "{error}");
    }
}
