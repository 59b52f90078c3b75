//! Links of identities.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{IdentityId, WorkspaceId};
use fastlead_core::port::{Identities, IdentityFilter, IdentityKey, IdentityLink, Page, PageRequest, Undone};

use super::MemoryStore;
use super::changes::Logged;
use super::journal::page;

#[async_trait]
impl Identities for MemoryStore {
    async fn active_links(&self) -> Result<Vec<IdentityLink>> {
        Ok(self.lock().links.values().filter(|link| link.undone.is_none()).cloned().collect())
    }

    async fn link(&self, link: IdentityLink) -> Result<IdentityLink> {
        let mut data = self.lock();
        let account = link.account();
        let known = |known: &&IdentityLink| {
            known.account() == account
                && (known.by.same_event(&link.by) || (known.undone.is_none() && known.phone == link.phone))
        };
        if let Some(known) = data.links.values().find(known) {
            return Ok(known.clone());
        }
        let held = |held: &&mut IdentityLink| held.account() == account && held.undone.is_none();
        if let Some(held) = data.links.values_mut().find(held) {
            held.undone = Some(Undone { at: link.at, reason: Undone::REPLACED.to_owned(), by: None });
            let replaced = held.id;
            data.log.note(Logged::Link(replaced));
        }
        data.log.note(Logged::Link(link.id));
        data.links.insert(link.id, link.clone());
        Ok(link)
    }

    async fn undo_link(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>> {
        let mut data = self.lock();
        let link = data.links.get_mut(&id).filter(|link| link.workspace_id == workspace);
        let link = link.map(|link| {
            link.undone.get_or_insert(undone);
            link.clone()
        });
        if link.is_some() {
            data.log.note(Logged::Link(id));
        }
        Ok(link)
    }

    async fn identity_links(
        &self,
        workspace: WorkspaceId,
        filter: IdentityFilter,
        request: PageRequest,
    ) -> Result<Page<IdentityLink>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0);
        let account = filter.handle.map(|handle| IdentityKey::of_account(workspace, &handle));
        let wanted = |link: &&IdentityLink| {
            link.workspace_id == workspace
                && after.is_none_or(|after| link.id.as_uuid() < after)
                && account.is_none_or(|account| link.account() == account)
                && filter.phone.as_ref().is_none_or(|phone| link.phone == *phone)
        };
        let found = data.links.values().rev().filter(wanted).cloned();
        Ok(page(found, &request, |link| link.id.as_uuid()))
    }
}
