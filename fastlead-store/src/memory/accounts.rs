//! People and keys.

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ApiKeyId, UserId, WorkspaceId};
use fastlead_core::port::{Accounts, ApiKeyRecord, UserRecord};
use fastlead_core::time::Timestamp;

use super::MemoryStore;

#[async_trait]
impl Accounts for MemoryStore {
    async fn put_user(&self, user: UserRecord) -> Result<()> {
        let mut data = self.lock();
        if data.users.values().any(|other| other.login == user.login && other.id != user.id) {
            return Err(Error::new(ErrorKind::Conflict, "login: another user has this login")
                .with_operation("put user"));
        }
        data.users.insert(user.id, user);
        Ok(())
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<UserRecord>> {
        Ok(self.lock().users.values().find(|user| user.login.expose() == login).cloned())
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>> {
        Ok(self.lock().users.get(&id).cloned())
    }

    async fn count_users(&self) -> Result<u64> {
        Ok(self.lock().users.len() as u64)
    }

    async fn put_api_key(&self, key: ApiKeyRecord) -> Result<()> {
        self.lock().api_keys.insert(key.id, key);
        Ok(())
    }

    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKeyRecord>> {
        let data = self.lock();
        Ok(data.api_keys.values().find(|key| key.hash == hash && key.revoked_at.is_none()).cloned())
    }

    async fn api_keys(&self, workspace: WorkspaceId) -> Result<Vec<ApiKeyRecord>> {
        let data = self.lock();
        Ok(data.api_keys.values().rev().filter(|key| key.workspace_id == workspace).cloned().collect())
    }

    async fn revoke_api_key(&self, workspace: WorkspaceId, key: ApiKeyId, at: Timestamp) -> Result<bool> {
        let mut data = self.lock();
        let record = data
            .api_keys
            .get_mut(&key)
            .filter(|key| key.workspace_id == workspace && key.revoked_at.is_none());
        Ok(record.map(|record| record.revoked_at = Some(at)).is_some())
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().settings.get(name).cloned())
    }

    async fn init_setting(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.lock().settings.entry(name.to_owned()).or_insert(value).clone())
    }
}
