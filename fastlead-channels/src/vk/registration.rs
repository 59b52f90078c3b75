//! Where VK posts events.

use fastlead_core::secret::Secret;
use fastlead_core::webhook::{RegistrationStatus, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use serde_json::Value;
use url::Url;

use super::adapter::Vk;
use super::client::{API_VERSION, WantedServer};
use super::error::Operation;
use super::inbound::WANTED;
use super::webhook::VkWebhook;
use super::wire::{CallbackServer, CallbackSettings};

/// Statuses of a callback server that VK posts to, or is about to.
const CALLED: [&str; 2] = ["ok", "wait"];

/// A community may have ten callback servers; ours is the one with the title of the configuration. Those of other programs are
/// left alone.
#[async_trait]
impl WebhookRegistration for Vk {
    /// # Errors
    /// [`ErrorKind::Config`] where `callback_secret` is not set; [`ErrorKind::Invalid`] where `url` is no address;
    /// [`ErrorKind::Unavailable`] where VK could not confirm the address; else as for any request.
    async fn register(&self, url: &str) -> Result<()> {
        let refuse = |kind, message| Operation::SetUpCallbacks.refuse(kind, message);
        let webhook = self.receiver()?;
        if !Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(refuse(ErrorKind::Invalid, "the webhook address cannot be read"));
        }
        let wanted = WantedServer { url, title: &self.config.server_title, secret: webhook.secret() };
        webhook.confirm_with(self.client.confirmation_code().await?);
        let ours = self.ours().await?;
        let id = match ours.first() {
            Some(server) if wanted.is(server) && CALLED.contains(&server.status.as_str()) => server.id,
            Some(server) => {
                self.client.edit_server(server.id, &wanted).await?;
                self.after_a_change(webhook).await?;
                server.id
            }
            None => {
                let id = self.client.add_server(&wanted).await?;
                self.after_a_change(webhook).await?;
                id
            }
        };
        // An older registration under the same title would bring everything twice.
        for server in ours.iter().skip(1) {
            self.client.delete_server(server.id).await?;
        }
        self.client.set_settings(id, &WANTED).await?;
        if ours.first().is_none_or(|server| server.status != "ok") {
            let servers = self.client.servers().await?;
            if servers.iter().any(|server| server.id == id && server.status == "failed") {
                let message = "vk could not confirm the address; it asks for the string again";
                return Err(Operation::SetUpCallbacks.error(
                    ErrorKind::Unavailable,
                    RetryHint::SAFE,
                    message,
                ));
            }
        }
        Ok(())
    }

    async fn unregister(&self) -> Result<()> {
        for server in self.ours().await? {
            self.client.delete_server(server.id).await?;
        }
        Ok(())
    }

    /// VK does not tell how many events wait.
    async fn status(&self) -> Result<RegistrationStatus> {
        let mut status = RegistrationStatus::default();
        let Some(server) = self.ours().await?.into_iter().next() else { return Ok(status) };
        status.complete = brings_everything(&self.client.settings(server.id).await?);
        if !CALLED.contains(&server.status.as_str()) {
            status.last_failure =
                Some("vk could not confirm the address, or has stopped calling it".to_owned());
            return Ok(status);
        }
        status.url = Some(Secret::new(server.url)).filter(|url| !url.expose().is_empty());
        Ok(status)
    }
}

impl Vk {
    fn receiver(&self) -> Result<&VkWebhook> {
        self.webhook.as_ref().ok_or_else(|| {
            Operation::SetUpCallbacks
                .refuse(ErrorKind::Config, "callback_secret: set it before the callback server is registered")
        })
    }

    /// The string may be another one after a change of the servers.
    async fn after_a_change(&self, webhook: &VkWebhook) -> Result<()> {
        webhook.confirm_with(self.client.confirmation_code().await?);
        Ok(())
    }

    /// Our callback server; more than one where an earlier registration was broken off.
    async fn ours(&self) -> Result<Vec<CallbackServer>> {
        let mut servers = self.client.servers().await?;
        servers.retain(|server| server.title == self.config.server_title);
        Ok(servers)
    }
}

/// A kind that VK does not list in its answer cannot be missed; one that it lists is on or off.
fn brings_everything(settings: &CallbackSettings) -> bool {
    let is_off = |kind: &&str| matches!(settings.events.get(*kind), Some(value) if !is_on(value));
    settings.api_version.as_deref().is_none_or(|version| version == API_VERSION) && !WANTED.iter().any(is_off)
}

fn is_on(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_i64() == Some(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_switched_off_is_missed() {
        for (settings, complete) in [
            (
                json!({"api_version": "5.199", "events": {"message_new": 1, "message_event": 1, "lead_forms_new": true}}),
                true,
            ),
            (json!({"events": {}}), true),
            (json!({"api_version": "5.80", "events": {"message_new": 1}}), false),
            (json!({"api_version": "5.199", "events": {"message_new": 0}}), false),
            (json!({"api_version": "5.199", "events": {"lead_forms_new": false}}), false),
            (json!({"api_version": "5.199", "events": {"message_read": 0}}), true),
        ] {
            let read: CallbackSettings = serde_json::from_value(settings.clone()).unwrap();
            assert_eq!(brings_everything(&read), complete, "{settings}");
        }
    }
}
