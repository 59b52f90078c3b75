//! Suppressions and moved addresses.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{SuppressionId, WorkspaceId};
use fastlead_core::port::{AddressBook, AddressKey, AddressMove, Addresses, Page, PageRequest, Suppression};

use super::MemoryStore;
use super::changes::Logged;
use super::journal::page;

#[async_trait]
impl Addresses for MemoryStore {
    async fn address_book(&self) -> Result<AddressBook> {
        let data = self.lock();
        let mut book = AddressBook::default();
        data.suppressions.values().for_each(|suppression| book.suppress(suppression));
        data.moved.values().for_each(|moved| book.moved(moved));
        Ok(book)
    }

    async fn suppress(&self, suppression: Suppression) -> Result<Suppression> {
        let mut data = self.lock();
        let key = suppression.key();
        let held = match data.suppressions.remove(&key) {
            Some(old) => old.followed_by(suppression),
            None => suppression,
        };
        data.suppressions.insert(key, held.clone());
        data.log.note(Logged::Suppression(key));
        Ok(held)
    }

    async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool> {
        let mut data = self.lock();
        let mine = data.suppressions.get(&address).is_some_and(|held| held.workspace_id == workspace);
        if mine {
            data.suppressions.remove(&address);
            data.log.note(Logged::Suppression(address));
        }
        Ok(mine)
    }

    async fn narrow(&self, workspace: WorkspaceId, address: AddressKey) -> Result<Option<Suppression>> {
        let mut data = self.lock();
        let held = data.suppressions.get(&address).filter(|held| held.workspace_id == workspace).cloned();
        let Some(held) = held else { return Ok(None) };
        let left = held.narrowed();
        match &left {
            Some(left) => drop(data.suppressions.insert(address, left.clone())),
            None => drop(data.suppressions.remove(&address)),
        }
        data.log.note(Logged::Suppression(address));
        Ok(left)
    }

    async fn suppression(&self, workspace: WorkspaceId, id: SuppressionId) -> Result<Option<Suppression>> {
        let data = self.lock();
        let held = data.suppressions.values().find(|held| held.id == id && held.workspace_id == workspace);
        Ok(held.cloned())
    }

    async fn suppressions(&self, workspace: WorkspaceId, request: PageRequest) -> Result<Page<Suppression>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0);
        let mut mine: Vec<&Suppression> = data
            .suppressions
            .values()
            .filter(|held| held.workspace_id == workspace)
            .filter(|held| after.is_none_or(|after| held.id.as_uuid() < after))
            .collect();
        mine.sort_by_key(|held| std::cmp::Reverse(held.id));
        Ok(page(mine.into_iter().cloned(), &request, |held| held.id.as_uuid()))
    }

    async fn move_address(&self, moved: AddressMove) -> Result<()> {
        let key = AddressKey::of(moved.workspace_id, moved.channel_id, &moved.from);
        let mut data = self.lock();
        data.log.note(Logged::Moved(key));
        data.moved.insert(key, moved);
        Ok(())
    }
}
