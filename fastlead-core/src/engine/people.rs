//! What people say for themselves: that they want no more advertising, and which phone number is theirs.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use super::Engine;
use super::directory::ActiveChannel;
use crate::channel::{Channel as _, Peer};
use crate::contact::{Contact, Email, Handle, Phone};
use crate::error::Result;
use crate::id::{ChannelId, IdentityId, ProjectId, SuppressionId, WorkspaceId};
use crate::message::{Recipient, RecipientKind};
use crate::person::Person;
use crate::port::{
    AddressKey, IdentityBook, IdentityLink, InboundRecord, LinkedBy, Suppression, SuppressionScope, Undone,
};
use crate::secret::Pii;
use crate::time::Timestamp;

/// An address and the channel over which it is written to.
type Place = (ChannelId, Recipient);

impl Engine {
    /// Says that a messenger account and a phone number are one person's, for all captures from now on. Answers the
    /// link that says so: this one, or one that was there.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn link_identity(&self, link: IdentityLink) -> Result<IdentityLink> {
        self.detached(move |engine| async move { engine.link(link).await }).await
    }

    async fn link(&self, link: IdentityLink) -> Result<IdentityLink> {
        let link = self.inner.identities.link(link).await?;
        if link.undone.is_some() {
            return Ok(link);
        }
        self.catch_up_later().await;
        // Who wants no advertising wants none at the addresses that become known later.
        let places = self.places_of(link.workspace_id, &link.phone);
        let key = |(channel, recipient): &Place| AddressKey::of(link.workspace_id, *channel, recipient);
        let unsubscribed = {
            let book = self.book();
            places.iter().any(|place| book.has_unsubscribed(key(place)))
        };
        if unsubscribed {
            self.unsubscribe(link.workspace_id, places, link.at).await?;
        }
        Ok(link)
    }

    /// Takes a link back, for all captures from now on. What was decided stays decided, and who has wanted no
    /// advertising is not written to. Answers the link; `None` where there is none.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn undo_identity(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>> {
        self.detached(move |engine| async move {
            let link = engine.inner.identities.undo_link(workspace, id, undone).await?;
            if link.is_some() {
                engine.catch_up_later().await;
            }
            Ok(link)
        })
        .await
    }

    /// Returns every link that holds, as far as this engine knows.
    pub fn links(&self) -> Vec<IdentityLink> {
        let book = self.inner.people.read().unwrap_or_else(PoisonError::into_inner);
        book.links().cloned().collect()
    }

    pub(super) async fn load_people(&self) -> Result<()> {
        let mut links = self.inner.identities.active_links().await?;
        links.sort_by_key(|link| link.id);
        let mut book = IdentityBook::default();
        links.into_iter().for_each(|link| book.link(link));
        self.change_people(|held| *held = book);
        Ok(())
    }

    pub(super) fn change_people(&self, change: impl FnOnce(&mut IdentityBook)) {
        change(&mut self.inner.people.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whom a contact stands for, where links say more than the contact. Looks nothing up where there are no links.
    pub(super) fn person(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        contact: &Contact,
    ) -> Option<Box<Person>> {
        let book = self.inner.people.read().unwrap_or_else(PoisonError::into_inner);
        if book.is_empty() {
            return None;
        }
        book.person(workspace, project, contact).map(Box::new)
    }

    /// A person has written. A stop word takes the consent to advertising back; nothing that a person writes gives
    /// it again, because a consent is evidence that a form or an operator must hold.
    pub(super) async fn wrote(&self, record: &InboundRecord, from: &Peer, text: &Pii<String>) -> Result<()> {
        if !self.inner.stop_words.hold(text.expose()) {
            return Ok(());
        }
        let directory = self.directory();
        let Some(channel) = directory.channel(record.channel_id) else { return Ok(()) };
        let address = address(channel, from);
        let known = match &address {
            Some(Recipient::Phone(phone)) => Some(phone.clone()),
            _ => self.phone_of(channel, from).or_else(|| number(channel, from)),
        };
        let mut places: Vec<Place> = address.map(|address| (channel.id, address)).into_iter().collect();
        if let Some(phone) = known {
            places.extend(self.places_of(channel.workspace_id, &phone));
        }
        if places.is_empty() {
            tracing::warn!(channel = %channel.id, "a person wants no advertising, and their address cannot be read");
        }
        self.unsubscribe(channel.workspace_id, places, record.event.occurred_at).await
    }

    /// A person has shared a phone number that the messenger attests as theirs.
    pub(super) async fn phone_shared(
        &self,
        record: &InboundRecord,
        from: &Peer,
        phone: &Pii<String>,
    ) -> Result<()> {
        let directory = self.directory();
        let Some(channel) = directory.channel(record.channel_id) else { return Ok(()) };
        // Providers leave the plus sign out.
        let Ok(phone) = Phone::parse(&format!("+{}", phone.expose().trim().trim_start_matches('+'))) else {
            tracing::warn!(channel = %channel.id, "a shared phone number cannot be read");
            return Ok(());
        };
        let link = IdentityLink {
            id: IdentityId::generate(&*self.inner.ids, self.now()),
            workspace_id: channel.workspace_id,
            handle: handle(channel, from),
            phone,
            by: LinkedBy::Attested {
                channel_id: channel.id,
                provider_event_id: record.event.provider_event_id.clone(),
                chat: from.chat.clone(),
            },
            at: record.event.occurred_at,
            undone: None,
        };
        let link = self.link_identity(link).await?;
        tracing::info!(identity = %link.id, channel = %channel.id, "an account and a phone number are one person's");
        Ok(())
    }

    fn phone_of(&self, channel: &ActiveChannel, from: &Peer) -> Option<Phone> {
        let book = self.inner.people.read().unwrap_or_else(PoisonError::into_inner);
        book.phone_of(channel.workspace_id, &handle(channel, from)).cloned()
    }

    /// Every address of who has a phone number: the number itself, and the chats of the accounts that are linked to it.
    fn places_of(&self, workspace: WorkspaceId, phone: &Phone) -> Vec<Place> {
        let directory = self.directory();
        let channels: Vec<_> = directory.channels_of(workspace).collect();
        let sends_to = |channel: &ActiveChannel, kind| channel.capabilities.recipients.contains(&kind);
        let book = self.inner.people.read().unwrap_or_else(PoisonError::into_inner);
        let mut places = Vec::new();
        // A number is the same on every channel, those that come later too, so that one is enough.
        let by_phone = channels.iter().find(|channel| sends_to(channel, RecipientKind::Phone));
        let by_phone = by_phone.or(channels.first());
        places.extend(by_phone.map(|channel| (channel.id, Recipient::Phone(phone.clone()))));
        for link in book.links_to(workspace, phone) {
            if let LinkedBy::Attested { channel_id, chat, .. } = &link.by {
                places.push((*channel_id, Recipient::Chat(chat.clone())));
            }
            let same = |channel: &&&std::sync::Arc<ActiveChannel>| {
                channel.channel.info().kind == link.handle.messenger && sends_to(channel, RecipientKind::Chat)
            };
            for channel in channels.iter().filter(same) {
                places.push((channel.id, Recipient::Chat(link.handle.id.clone())));
            }
        }
        places
    }

    /// Suppresses advertising at every place where it is not known already that the person wants none.
    async fn unsubscribe(
        &self,
        workspace_id: WorkspaceId,
        places: Vec<Place>,
        since: Timestamp,
    ) -> Result<()> {
        let mut done = BTreeSet::new();
        for (channel_id, recipient) in places {
            let key = AddressKey::of(workspace_id, channel_id, &recipient);
            if self.book().has_unsubscribed(key) || !done.insert(key) {
                continue;
            }
            let suppression = Suppression {
                id: SuppressionId::generate(&*self.inner.ids, self.now()),
                workspace_id,
                channel_id,
                recipient,
                scope: SuppressionScope::Advertising,
                reason: Suppression::UNSUBSCRIBED.to_owned(),
                since,
                advertising: None,
                erased: None,
            };
            let held = self.suppress(suppression).await?;
            tracing::info!(suppression = %held.id, channel = %channel_id, "a person wants no advertising");
        }
        Ok(())
    }
}

/// The account of who has written over a channel.
fn handle(channel: &ActiveChannel, from: &Peer) -> Handle {
    Handle { messenger: channel.channel.info().kind.to_owned(), id: from.user.clone() }
}

/// The phone number that a chat is called by, on a channel that writes to numbers and to chats (WhatsApp).
fn number(channel: &ActiveChannel, from: &Peer) -> Option<Phone> {
    let writes_to_numbers = channel.capabilities.recipients.contains(&RecipientKind::Phone);
    let chat = from.chat.expose();
    (writes_to_numbers && chat.starts_with('+')).then(|| Phone::parse(chat).ok()).flatten()
}

/// Where messages to a person who has written over this channel go.
fn address(channel: &ActiveChannel, from: &Peer) -> Option<Recipient> {
    let sends_to = |kind| channel.capabilities.recipients.contains(&kind);
    let text = from.chat.expose();
    if sends_to(RecipientKind::Chat) {
        Some(Recipient::Chat(from.chat.clone()))
    } else if sends_to(RecipientKind::Phone) {
        Phone::received(text).map(Recipient::Phone)
    } else if sends_to(RecipientKind::Email) {
        Email::parse(text).ok().map(Recipient::Email)
    } else {
        None
    }
}
