//! Where MAX posts updates.

use fastlead_core::secret::Secret;
use fastlead_core::webhook::{RegistrationStatus, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use url::Url;

use super::adapter::Max;
use super::error::Operation;
use super::inbound::WANTED;
use super::wire::{NewSubscription, Subscription};

/// The only port that MAX calls.
const PORT: u16 = 443;

/// MAX forgets an address that has not answered with 200 for eight hours: whoever keeps a channel looks at
/// [`WebhookRegistration::status`] now and then and registers again.
///
/// A bot that polls needs no registration, but can be freed from an old one with [`WebhookRegistration::unregister`].
#[async_trait]
impl WebhookRegistration for Max {
    /// # Errors
    /// [`ErrorKind::Config`] where `updates` is not `webhook`; [`ErrorKind::Invalid`] where `url` is
    /// not an address that MAX calls (HTTPS on port 443); else as for any request.
    async fn register(&self, url: &str) -> Result<()> {
        let refuse = |kind, message| Err(Operation::SetUpWebhook.error(kind, RetryHint::Never, message));
        let Some(webhook) = &self.webhook else {
            return refuse(ErrorKind::Config, "updates: choose webhook before a webhook is set");
        };
        if !is_called(url) {
            return refuse(ErrorKind::Invalid, "max calls addresses with https:// on port 443 only");
        }
        let others = self.client.subscriptions(Operation::SetUpWebhook).await?;
        let secret = webhook.secret().expose();
        self.client.subscribe(&NewSubscription { url, update_types: &WANTED, secret }).await?;
        // A bot may have several addresses, each of which gets everything.
        for other in others.iter().filter(|other| other.url != url) {
            self.client.unsubscribe(&other.url).await?;
        }
        Ok(())
    }

    async fn unregister(&self) -> Result<()> {
        for subscription in self.client.subscriptions(Operation::SetUpWebhook).await? {
            self.client.unsubscribe(&subscription.url).await?;
        }
        Ok(())
    }

    /// MAX says neither how many events wait nor why a call failed. Of several addresses the newest is told.
    async fn status(&self) -> Result<RegistrationStatus> {
        let subscriptions = self.client.subscriptions(Operation::SetUpWebhook).await?;
        let newest = subscriptions.into_iter().max_by_key(|subscription| subscription.time);
        let mut status = RegistrationStatus::default();
        status.complete = newest.as_ref().is_none_or(brings_everything);
        status.url = newest.map(|subscription| Secret::new(subscription.url));
        Ok(status)
    }
}

fn is_called(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        url.scheme() == "https" && url.port_or_known_default() == Some(PORT) && url.host().is_some()
    })
}

/// Without a list MAX brings every kind.
fn brings_everything(subscription: &Subscription) -> bool {
    let Some(types) = &subscription.update_types else { return true };
    WANTED.iter().all(|kind| types.iter().any(|brought| brought == kind))
}
