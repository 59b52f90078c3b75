//! Which messenger account and which phone number are one person's, and how that is known.

use std::collections::HashMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Page, PageRequest};
use crate::contact::{Contact, Handle, Phone};
use crate::error::Result;
use crate::id::{ChannelId, IdentityId, ProjectId, WorkspaceId};
use crate::person::{Person, PersonKey};
use crate::secret::Pii;
use crate::time::Timestamp;

/// Of so many accounts of one phone number, the newest, a decision looks at the history.
const MOST_ACCOUNTS: usize = 16;

/// Keeps which accounts and phone numbers belong together: links that were made and undone, none of which is ever
/// forgotten.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::port::Identities;
///
/// async fn count(identities: &dyn Identities) -> Result<usize> {
///     Ok(identities.active_links().await?.len())
/// }
/// ```
#[async_trait]
pub trait Identities: Debug + Send + Sync + 'static {
    /// Every link that holds, of all workspaces.
    async fn active_links(&self) -> Result<Vec<IdentityLink>>;

    /// Says that an account is that of who has a phone number.
    ///
    /// # Behavior
    /// * Of the links of one account at most one holds. One to another phone number is undone with the reason
    ///   [`Undone::REPLACED`] at the moment of the new one, and stays in the log.
    /// * Where one to the same phone number holds, it goes on holding and nothing is added.
    /// * What the same event of a provider has said before ([`LinkedBy::same_event`]) is not said again, even where it was
    ///   undone since.
    /// * Answers the link that says so now: the new one, or the one that was there.
    async fn link(&self, link: IdentityLink) -> Result<IdentityLink>;

    /// Takes a link back. Answers the link; `None` where the workspace has no such link.
    ///
    /// # Behavior
    /// * One that was undone before stays as it is.
    async fn undo_link(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>>;

    /// A workspace's links, those that hold and those that were undone, newest first.
    async fn identity_links(
        &self,
        workspace: WorkspaceId,
        filter: IdentityFilter,
        page: PageRequest,
    ) -> Result<Page<IdentityLink>>;
}

/// That a messenger account is that of who has a phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityLink {
    /// Its id.
    pub id: IdentityId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The account: the kind of channel, and who it is there.
    pub handle: Handle,
    /// The phone number.
    pub phone: Phone,
    /// Who says so.
    pub by: LinkedBy,
    /// When it was said.
    pub at: Timestamp,
    /// When and why it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
}

/// Who says that an account and a phone number belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkedBy {
    /// The messenger, which attests that the number is that of the account.
    Attested {
        /// The channel over which it came.
        channel_id: ChannelId,
        /// The provider's id of the event.
        provider_event_id: String,
        /// The chat in which the person has shared the number.
        chat: Pii<String>,
    },
    /// An operator.
    Operator {
        /// The id of the user or of the API key.
        actor: String,
    },
}

impl LinkedBy {
    /// Whether both are what one event of a provider says.
    pub fn same_event(&self, other: &Self) -> bool {
        matches!(self, Self::Attested { .. }) && self == other
    }
}

/// That a link was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Undone {
    /// When.
    pub at: Timestamp,
    /// Why: a stable code, such as [`Undone::REPLACED`] or `operator`.
    pub reason: String,
    /// The id of the user or of the API key that has done it; `None` where a newer link has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Undone {
    /// The account has another phone number now.
    pub const REPLACED: &str = "replaced";
}

/// Which links are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityFilter {
    /// Those of this account.
    pub handle: Option<Handle>,
    /// Those to this phone number.
    pub phone: Option<Phone>,
}

/// An account or a phone number within a workspace: 16 bytes that tell nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey(pub [u8; 16]);

impl IdentityKey {
    /// The key of an account.
    pub fn of_account(workspace: WorkspaceId, handle: &Handle) -> Self {
        let parts: [&[u8]; 4] =
            [b"account:", handle.messenger.as_bytes(), b"\0", handle.id.expose().as_bytes()];
        Self::hash(workspace, &parts)
    }

    /// The key of a phone number.
    pub fn of_phone(workspace: WorkspaceId, phone: &Phone) -> Self {
        Self::hash(workspace, &[b"phone:", phone.expose().as_bytes()])
    }

    fn hash(workspace: WorkspaceId, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(workspace.as_uuid().as_bytes());
        for part in parts {
            hash.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

impl IdentityLink {
    /// The key of its account.
    pub fn account(&self) -> IdentityKey {
        IdentityKey::of_account(self.workspace_id, &self.handle)
    }

    /// The key of its phone number.
    pub fn number(&self) -> IdentityKey {
        IdentityKey::of_phone(self.workspace_id, &self.phone)
    }
}

/// What the engine keeps in memory of links: those that hold.
#[derive(Debug, Clone, Default)]
pub struct IdentityBook {
    /// The phone number of each account.
    phones: HashMap<IdentityKey, Phone>,
    /// The links of each phone number, oldest first.
    links: HashMap<IdentityKey, Vec<IdentityLink>>,
}

impl IdentityBook {
    /// Notes a link, which takes the place of another one of its account.
    pub fn link(&mut self, link: IdentityLink) {
        let account = link.account();
        self.forget(account, link.workspace_id);
        self.phones.insert(account, link.phone.clone());
        let links = self.links.entry(link.number()).or_default();
        let place = links.partition_point(|held| held.id < link.id);
        links.insert(place, link);
    }

    /// Forgets a link that is not in the store any more.
    pub fn remove(&mut self, id: IdentityId) {
        let removed = self.links.values().flatten().find(|held| held.id == id).cloned();
        if let Some(link) = removed {
            self.undo(&link);
        }
    }

    /// Takes a link back. One whose account has another link since changes nothing.
    pub fn undo(&mut self, link: &IdentityLink) {
        let held = self.links.get(&link.number());
        if held.is_some_and(|held| held.iter().any(|held| held.id == link.id)) {
            self.forget(link.account(), link.workspace_id);
        }
    }

    fn forget(&mut self, account: IdentityKey, workspace: WorkspaceId) {
        let Some(phone) = self.phones.remove(&account) else { return };
        let number = IdentityKey::of_phone(workspace, &phone);
        if let Some(links) = self.links.get_mut(&number) {
            links.retain(|link| link.account() != account);
            if links.is_empty() {
                self.links.remove(&number);
            }
        }
    }

    /// Whether it says nothing: then nothing has to be looked up.
    pub fn is_empty(&self) -> bool {
        self.phones.is_empty()
    }

    /// The phone number of who has an account.
    pub fn phone_of(&self, workspace: WorkspaceId, handle: &Handle) -> Option<&Phone> {
        self.phones.get(&IdentityKey::of_account(workspace, handle))
    }

    /// Returns every link, in no order.
    pub fn links(&self) -> impl Iterator<Item = &IdentityLink> {
        self.links.values().flatten()
    }

    /// The links to a phone number, newest first.
    pub fn links_to(&self, workspace: WorkspaceId, phone: &Phone) -> impl Iterator<Item = &IdentityLink> {
        let links = self.links.get(&IdentityKey::of_phone(workspace, phone));
        links.into_iter().flatten().rev()
    }

    /// Whom a contact stands for; `None` where it is nobody else than [`PersonKey::of`] says. By its phone number, or
    /// else by that of its first account that has one. An e-mail address links nobody: it changes hands.
    pub fn person(&self, workspace: WorkspaceId, project: ProjectId, contact: &Contact) -> Option<Person> {
        let phone = match &contact.phone {
            Some(phone) => phone,
            None => contact.handles.iter().find_map(|handle| self.phone_of(workspace, handle))?,
        };
        let accounts = self.links_to(workspace, phone).take(MOST_ACCOUNTS);
        let merged: Vec<_> = accounts.map(|link| PersonKey::of_handle(project, &link.handle)).collect();
        (!merged.is_empty()).then(|| Person { main: PersonKey::of_phone(project, phone), merged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::epoch;
    use uuid::Uuid;

    const WORKSPACE: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(1));
    const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(2));

    fn handle(id: &str) -> Handle {
        Handle { messenger: "telegram".to_owned(), id: id.into() }
    }

    fn phone(last: u32) -> Phone {
        Phone::parse(&format!("+7900000000{last}")).unwrap()
    }

    fn link(id: u128, account: &str, last: u32) -> IdentityLink {
        IdentityLink {
            id: IdentityId::from_uuid(Uuid::from_u128(id)),
            workspace_id: WORKSPACE,
            handle: handle(account),
            phone: phone(last),
            by: LinkedBy::Operator { actor: "usr_1".to_owned() },
            at: epoch(),
            undone: None,
        }
    }

    fn contact(last: Option<u32>, accounts: &[&str]) -> Contact {
        Contact {
            phone: last.map(phone),
            email: Some("anna@example.com".parse().unwrap()),
            handles: accounts.iter().copied().map(handle).collect(),
            ..Contact::default()
        }
    }

    #[test]
    fn a_phone_and_its_accounts_are_one_person_both_ways() {
        let mut book = IdentityBook::default();
        assert!(book.is_empty());
        book.link(link(1, "a", 1));
        book.link(link(2, "b", 1));
        let person = |book: &IdentityBook, contact: &Contact| book.person(WORKSPACE, PROJECT, contact);
        let by_phone = person(&book, &contact(Some(1), &[])).unwrap();
        assert_eq!(by_phone.main, PersonKey::of_phone(PROJECT, &phone(1)));
        assert_eq!(by_phone.merged, ["b", "a"].map(|id| PersonKey::of_handle(PROJECT, &handle(id))));
        assert_eq!(person(&book, &contact(None, &["x", "a"])), Some(by_phone));
        // Somebody else's phone is somebody else's, whatever accounts are named beside it; an e-mail address is nobody's.
        assert_eq!(person(&book, &contact(Some(2), &["a"])), None);
        assert_eq!(person(&book, &contact(None, &["x"])), None);
        assert_eq!(person(&book, &contact(None, &[])), None);
        let elsewhere = WorkspaceId::from_uuid(Uuid::from_u128(9));
        assert_eq!(book.person(elsewhere, PROJECT, &contact(Some(1), &[])), None);
    }

    #[test]
    fn an_account_moves_to_its_new_number_and_an_undone_link_is_gone() {
        let mut book = IdentityBook::default();
        book.link(link(1, "a", 1));
        book.link(link(2, "a", 2));
        assert_eq!(book.phone_of(WORKSPACE, &handle("a")), Some(&phone(2)));
        assert_eq!(book.links_to(WORKSPACE, &phone(1)).count(), 0);
        // What was replaced is undone once more, which changes nothing.
        book.undo(&link(1, "a", 1));
        assert_eq!(book.links_to(WORKSPACE, &phone(2)).count(), 1);
        book.undo(&link(2, "a", 2));
        assert!(book.is_empty());
    }
}
