//! What is known of addresses beyond what a policy says: where nothing may be sent, and what has moved.

use std::collections::HashMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Page, PageRequest};
use crate::error::Result;
use crate::id::{ChannelId, SuppressionId, WorkspaceId};
use crate::message::{MessageClass, Recipient};
use crate::time::Timestamp;

/// Keeps suppressions and moved addresses.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::id::WorkspaceId;
/// use fastlead_core::port::{Addresses, PageRequest, Suppression};
///
/// async fn suppressed(addresses: &dyn Addresses, workspace: WorkspaceId) -> Result<Vec<Suppression>> {
///     Ok(addresses.suppressions(workspace, PageRequest::default()).await?.items)
/// }
/// ```
#[async_trait]
pub trait Addresses: Debug + Send + Sync + 'static {
    /// Everything that the engine has to know before it sends.
    async fn address_book(&self) -> Result<AddressBook>;

    /// Says that nothing more may be sent to an address.
    ///
    /// # Behavior
    /// * One address has one suppression. A new one takes the place of an old one, except that one of everything
    ///   is not narrowed to advertising.
    /// * One of advertising beside one of everything is kept beneath it ([`Suppression::followed_by`]), whichever comes
    ///   first, so that it is there when the other is narrowed.
    /// * Answers the suppression that holds afterwards.
    async fn suppress(&self, suppression: Suppression) -> Result<Suppression>;

    /// Takes the suppression of an address back. Answers whether there was one.
    async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool>;

    /// Takes the suppression of everything back and leaves that of advertising, where there is one. Answers what holds
    /// afterwards.
    async fn narrow(&self, workspace: WorkspaceId, address: AddressKey) -> Result<Option<Suppression>>;

    /// One suppression.
    async fn suppression(&self, workspace: WorkspaceId, id: SuppressionId) -> Result<Option<Suppression>>;

    /// A workspace's suppressions, newest first.
    async fn suppressions(&self, workspace: WorkspaceId, page: PageRequest) -> Result<Page<Suppression>>;

    /// Says that whoever was reached at `from` is reached at `to` from now on. The last word holds.
    async fn move_address(&self, moved: AddressMove) -> Result<()>;
}

/// An address within a workspace, or within one of its channels: 16 bytes that tell nothing of it. As JSON, hexadecimal
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(pub [u8; 16]);

impl Serialize for AddressKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for AddressKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut key = [0; 16];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut key)
            .map_err(serde::de::Error::custom)?;
        Ok(Self(key))
    }
}

impl AddressKey {
    /// The key of `recipient`. A chat means something on its own channel only; a phone number or an e-mail
    /// address is the same person's on every channel of the workspace.
    pub fn of(workspace: WorkspaceId, channel: ChannelId, recipient: &Recipient) -> Self {
        let mut hash = Sha256::new();
        hash.update(workspace.as_uuid().as_bytes());
        match recipient {
            Recipient::Phone(phone) => {
                hash.update(b"phone:");
                hash.update(phone.expose());
            }
            Recipient::Email(email) => {
                hash.update(b"email:");
                hash.update(email.dedupe_key());
            }
            Recipient::Chat(chat) => {
                hash.update(b"chat:");
                hash.update(channel.as_uuid().as_bytes());
                hash.update(chat.expose());
            }
            Recipient::Endpoint => {
                hash.update(b"endpoint:");
                hash.update(channel.as_uuid().as_bytes());
            }
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

/// What may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionScope {
    /// Advertising only: the person has taken their consent to it back (38-FZ art. 18).
    Advertising,
    /// Everything.
    All,
}

impl SuppressionScope {
    /// Whether a message of `class` may not be sent.
    pub const fn covers(self, class: MessageClass) -> bool {
        match self {
            Self::All => true,
            Self::Advertising => matches!(class, MessageClass::Advertising),
        }
    }
}

/// An address to which nothing more may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Its id.
    pub id: SuppressionId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The channel that it is about; a chat means something on its own channel only.
    pub channel_id: ChannelId,
    /// The address.
    pub recipient: Recipient,
    /// What may not be sent there.
    pub scope: SuppressionScope,
    /// Why: a stable code such as `blocked`, `operator` or `unsubscribed`.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// That advertising may not be sent there either, beneath a suppression of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertising: Option<NoAdvertising>,
    /// What is left of an address that was erased: by it the address is known again. [`Self::recipient`] is blank then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<AddressKey>,
}

/// Why and since when advertising may not be sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NoAdvertising {
    /// Why: a stable code such as `unsubscribed`.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Suppression {
    /// The reason where a person has said themselves that they want no more advertising.
    pub const UNSUBSCRIBED: &str = "unsubscribed";

    /// The reason where a suppression is stored and cannot be read: everything is forbidden then.
    pub const UNREADABLE: &str = "unreadable";

    /// The key of its address.
    pub fn key(&self) -> AddressKey {
        self.erased.unwrap_or_else(|| self.key_of_recipient())
    }

    /// Takes the address out; what must not be sent there is still not sent.
    pub fn erase(&mut self) {
        self.erased = Some(self.key());
        self.recipient = crate::erasure::erased(&self.recipient);
    }

    fn key_of_recipient(&self) -> AddressKey {
        AddressKey::of(self.workspace_id, self.channel_id, &self.recipient)
    }

    /// What holds where this one was there before and `newer` is said.
    #[must_use]
    pub fn followed_by(self, newer: Self) -> Self {
        use SuppressionScope::{Advertising, All};
        let said = |of: &Self| Some(NoAdvertising { reason: of.reason.clone(), since: of.since });
        match (self.scope, newer.scope) {
            (All, Advertising) => Self { advertising: said(&newer), ..self },
            (Advertising, All) => Self { advertising: said(&self), ..newer },
            (All, All) => {
                let advertising = newer.advertising.clone().or(self.advertising);
                Self { advertising, ..newer }
            }
            (Advertising, Advertising) => newer,
        }
    }

    /// What is left of it when the sender is let in again: what is said of advertising.
    #[must_use]
    pub fn narrowed(mut self) -> Option<Self> {
        if self.scope == SuppressionScope::All {
            let NoAdvertising { reason, since } = self.advertising.take()?;
            (self.scope, self.reason, self.since) = (SuppressionScope::Advertising, reason, since);
        }
        Some(self)
    }
}

/// An address that has another one now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressMove {
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The channel on which it has moved.
    pub channel_id: ChannelId,
    /// The old address.
    pub from: Recipient,
    /// The new one.
    pub to: Recipient,
}

/// What the engine keeps in memory of addresses.
#[derive(Debug, Clone, Default)]
pub struct AddressBook {
    suppressed: HashMap<AddressKey, Known>,
    moved: HashMap<AddressKey, Recipient>,
}

/// What the engine has to know of a suppression.
#[derive(Debug, Clone)]
struct Known {
    scope: SuppressionScope,
    reason: String,
    unsubscribed: bool,
}

impl AddressBook {
    /// Notes a suppression.
    pub fn suppress(&mut self, suppression: &Suppression) {
        let Suppression { scope, reason, advertising, .. } = suppression;
        let beneath = advertising.as_ref().map(|advertising| advertising.reason.as_str());
        let unsubscribed = [Some(reason.as_str()), beneath].contains(&Some(Suppression::UNSUBSCRIBED));
        let known = Known { scope: *scope, reason: reason.clone(), unsubscribed };
        self.suppressed.insert(suppression.key(), known);
    }

    /// Notes a suppression that is stored and cannot be read: until somebody says more, nothing is sent there.
    pub fn suppress_unread(&mut self, address: AddressKey) {
        let known = Known {
            scope: SuppressionScope::All,
            reason: Suppression::UNREADABLE.to_owned(),
            unsubscribed: false,
        };
        self.suppressed.insert(address, known);
    }

    /// Takes a suppression back.
    pub fn lift(&mut self, address: AddressKey) {
        self.suppressed.remove(&address);
    }

    /// Notes a moved address.
    pub fn moved(&mut self, moved: &AddressMove) {
        let from = AddressKey::of(moved.workspace_id, moved.channel_id, &moved.from);
        self.moved.insert(from, moved.to.clone());
    }

    /// Forgets where an address has moved to.
    pub fn forget_move(&mut self, from: AddressKey) {
        self.moved.remove(&from);
    }

    /// Whether it says anything at all: where it does not, nothing has to be looked up.
    pub fn is_empty(&self) -> bool {
        self.suppressed.is_empty() && self.moved.is_empty()
    }

    /// Why a message of `class` may not be sent to the address.
    pub fn suppression(&self, address: AddressKey, class: MessageClass) -> Option<&str> {
        let known = self.suppressed.get(&address)?;
        known.scope.covers(class).then_some(known.reason.as_str())
    }

    /// Whether the person at the address has said that they want no more advertising.
    pub fn has_unsubscribed(&self, address: AddressKey) -> bool {
        self.suppressed.get(&address).is_some_and(|known| known.unsubscribed)
    }

    /// Where the address has moved to.
    pub fn destination(&self, address: AddressKey) -> Option<&Recipient> {
        self.moved.get(&address)
    }
}
