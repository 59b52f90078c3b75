//! Where Telegram posts updates.

use fastlead_core::secret::Secret;
use fastlead_core::webhook::{RegistrationStatus, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use teloxide_core::payloads::{SetWebhook, SetWebhookSetters};
use url::Url;

use super::adapter::Telegram;
use super::error::{Operation, without_content};
use super::inbound::WANTED;
use super::wire::WebhookInfo;

/// A bot that polls needs no registration, but can be freed from an old one with
/// [`WebhookRegistration::unregister`].
#[async_trait]
impl WebhookRegistration for Telegram {
    /// # Errors
    /// [`ErrorKind::Config`] where `updates` is not `webhook`; [`ErrorKind::Invalid`] where `url` is
    /// not an address that Telegram calls (HTTPS on port 443, 80, 88 or 8443); else as for any request.
    async fn register(&self, url: &str) -> Result<()> {
        let refuse = |kind, message| Operation::SetUpWebhook.error(kind, RetryHint::Never, message);
        let webhook = self
            .webhook
            .as_ref()
            .ok_or_else(|| refuse(ErrorKind::Config, "updates: choose webhook before a webhook is set"))?;
        let url =
            Url::parse(url).map_err(|_| refuse(ErrorKind::Invalid, "the webhook address cannot be read"))?;
        // Only by the bot's name is it known whether a command in a group is for it.
        self.client.get_me().await?;
        let request =
            SetWebhook::new(url).allowed_updates(WANTED).secret_token(webhook.secret().expose().as_str());
        self.client.set_webhook(&request).await
    }

    async fn unregister(&self) -> Result<()> {
        self.client.delete_webhook().await
    }

    async fn status(&self) -> Result<RegistrationStatus> {
        let info = self.client.get_webhook_info().await?;
        let mut status = RegistrationStatus::default();
        status.complete = asks_for_everything(&info);
        status.waiting = info.pending_update_count;
        status.last_failure = info.last_error_message.as_deref().map(without_content);
        status.url = Some(info.url).filter(|url| !url.is_empty()).map(Secret::new);
        Ok(status)
    }
}

/// Without a list Telegram brings its own choice, which holds all that we read.
fn asks_for_everything(info: &WebhookInfo) -> bool {
    let Some(allowed) = &info.allowed_updates else { return true };
    WANTED.iter().all(|kind| {
        serde_json::to_value(kind).is_ok_and(|name| allowed.iter().any(|allowed| name == allowed.as_str()))
    })
}
