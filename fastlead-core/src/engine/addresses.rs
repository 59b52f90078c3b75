//! Where nothing may be sent, and who has moved: known in memory, kept in the store.

use std::sync::{PoisonError, RwLockReadGuard};

use super::Engine;
use super::directory::ActiveChannel;
use crate::channel::Peer;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::id::{SuppressionId, WorkspaceId};
use crate::message::{MessageClass, Recipient};
use crate::port::{AddressBook, AddressKey, AddressMove, Suppression, SuppressionScope};
use crate::secret::Pii;

impl Engine {
    /// Says that nothing more may be sent to an address, from the next send on. Answers what holds now.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn suppress(&self, suppression: Suppression) -> Result<Suppression> {
        self.detached(move |engine| async move {
            let held = engine.inner.addresses.suppress(suppression).await?;
            engine.catch_up_later().await;
            Ok(held)
        })
        .await
    }

    /// Returns why a message of `class` may not be sent to an address, as far as this engine knows.
    pub fn suppression(&self, address: AddressKey, class: MessageClass) -> Option<String> {
        self.book().suppression(address, class).map(str::to_owned)
    }

    /// Takes the suppression of an address back. Answers whether there was one.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool> {
        self.detached(move |engine| async move {
            let lifted = engine.inner.addresses.lift(workspace, address).await?;
            if lifted {
                engine.catch_up_later().await;
            }
            Ok(lifted)
        })
        .await
    }

    pub(super) async fn load_book(&self) -> Result<()> {
        let book = self.inner.addresses.address_book().await?;
        self.change_book(|held| *held = book);
        Ok(())
    }

    pub(super) fn change_book(&self, change: impl FnOnce(&mut AddressBook)) {
        let mut book = self.inner.book.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut book);
    }

    /// Reads what is known of addresses. Whoever holds the answer keeps changes waiting, so nobody keeps it.
    pub(super) fn book(&self) -> RwLockReadGuard<'_, AddressBook> {
        self.inner.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a delivery goes, or why it may not be sent.
    pub(super) fn destination(&self, delivery: &Delivery) -> std::result::Result<Recipient, String> {
        let book = self.book();
        let recipient = &delivery.spec.recipient;
        if book.is_empty() || *recipient == Recipient::Endpoint {
            return Ok(recipient.clone());
        }
        let key = |recipient| AddressKey::of(delivery.scope.workspace_id, delivery.channel_id, recipient);
        let recipient = book.destination(key(recipient)).unwrap_or(recipient);
        match book.suppression(key(recipient), delivery.spec.class) {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(recipient.clone()),
        }
    }

    /// A person has blocked the sender.
    pub(super) async fn blocked(&self, channel: &ActiveChannel, from: &Peer) -> Result<()> {
        let now = self.now();
        let suppression = Suppression {
            id: SuppressionId::generate(&*self.inner.ids, now),
            workspace_id: channel.workspace_id,
            channel_id: channel.id,
            recipient: Recipient::Chat(from.chat.clone()),
            scope: SuppressionScope::All,
            reason: "blocked".to_owned(),
            since: now,
            advertising: None,
            erased: None,
        };
        self.suppress(suppression).await.map(drop)
    }

    /// A person has let the sender in again. What an operator has suppressed stays so, and so does that they want no
    /// advertising.
    pub(super) async fn unblocked(&self, channel: &ActiveChannel, from: &Peer) -> Result<()> {
        let recipient = Recipient::Chat(from.chat.clone());
        let key = AddressKey::of(channel.workspace_id, channel.id, &recipient);
        let blocked =
            self.book().suppression(key, crate::message::MessageClass::Advertising) == Some("blocked");
        if !blocked {
            return Ok(());
        }
        self.inner.addresses.narrow(channel.workspace_id, key).await?;
        self.catch_up_later().await;
        Ok(())
    }

    /// A chat has another id now.
    pub(super) async fn chat_moved(
        &self,
        channel: &ActiveChannel,
        from: &Pii<String>,
        to: &Pii<String>,
    ) -> Result<()> {
        let moved = AddressMove {
            workspace_id: channel.workspace_id,
            channel_id: channel.id,
            from: Recipient::Chat(from.clone()),
            to: Recipient::Chat(to.clone()),
        };
        self.inner.addresses.move_address(moved).await?;
        self.catch_up_later().await;
        Ok(())
    }
}
