//! What people say for themselves: that they want no more advertising.

use super::Engine;
use super::directory::ActiveChannel;
use crate::channel::Peer;
use crate::contact::{Email, Phone};
use crate::error::Result;
use crate::id::SuppressionId;
use crate::message::{Recipient, RecipientKind};
use crate::port::{InboundRecord, Suppression, SuppressionScope};
use crate::secret::Pii;

/// Why advertising is suppressed where a person has written a stop word.
const UNSUBSCRIBED: &str = "unsubscribed";

impl Engine {
    /// A person has written. A stop word takes the consent to advertising back; nothing that a person writes gives
    /// it again, because a consent is evidence that a form or an operator must hold.
    pub(super) async fn wrote(&self, record: &InboundRecord, from: &Peer, text: &Pii<String>) -> Result<()> {
        if !self.inner.stop_words.hold(text.expose()) {
            return Ok(());
        }
        let directory = self.directory();
        let Some(channel) = directory.channel(record.channel_id) else { return Ok(()) };
        let Some(address) = address(channel, from) else {
            tracing::warn!(channel = %channel.id, "a person wants no advertising, and their address cannot be read");
            return Ok(());
        };
        let suppression = Suppression {
            id: SuppressionId::generate(&*self.inner.ids, self.now()),
            workspace_id: channel.workspace_id,
            channel_id: channel.id,
            recipient: address,
            scope: SuppressionScope::Advertising,
            reason: UNSUBSCRIBED.to_owned(),
            since: record.event.occurred_at,
            advertising: None,
        };
        let held = self.suppress(suppression).await?;
        tracing::info!(suppression = %held.id, channel = %channel.id, "a person wants no advertising");
        Ok(())
    }
}

/// Where messages to a person who has written over this channel go.
fn address(channel: &ActiveChannel, from: &Peer) -> Option<Recipient> {
    let sends_to = |kind| channel.capabilities.recipients.contains(&kind);
    let text = from.chat.expose();
    if sends_to(RecipientKind::Chat) {
        Some(Recipient::Chat(from.chat.clone()))
    } else if sends_to(RecipientKind::Phone) {
        Phone::parse(text).ok().map(Recipient::Phone)
    } else if sends_to(RecipientKind::Email) {
        Email::parse(text).ok().map(Recipient::Email)
    } else {
        None
    }
}
