//! People and keys.

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ApiKeyId, SessionId, UserId, WorkspaceId};
use fastlead_core::port::{Accounts, ApiKeyRecord, SessionRecord, UserRecord};
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

    async fn users(&self, workspace: WorkspaceId) -> Result<Vec<UserRecord>> {
        Ok(self.lock().users.values().filter(|user| user.workspace_id == workspace).cloned().collect())
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

    async fn touch_api_key(&self, key: ApiKeyId, at: Timestamp) -> Result<()> {
        if let Some(key) = self.lock().api_keys.get_mut(&key) {
            key.last_used_at = Some(at);
        }
        Ok(())
    }

    async fn open_session(&self, session: SessionRecord) -> Result<()> {
        let mut data = self.lock();
        let (user, now) = (session.user_id, session.created_at);
        data.sessions.retain(|_, other| other.user_id != user || other.expires_at >= now);
        data.sessions.insert(session.id, session);
        Ok(())
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionRecord>> {
        Ok(self.lock().sessions.get(&id).cloned())
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionRecord>> {
        let data = self.lock();
        let own = data.sessions.values().rev();
        Ok(own.filter(|session| session.user_id == user && session.ended_at.is_none()).cloned().collect())
    }

    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        if let Some(session) = self.lock().sessions.get_mut(&id) {
            session.last_used_at = at;
        }
        Ok(())
    }

    async fn end_session(&self, workspace: WorkspaceId, id: SessionId, at: Timestamp) -> Result<bool> {
        let mut data = self.lock();
        let session = data
            .sessions
            .get_mut(&id)
            .filter(|session| session.workspace_id == workspace && session.ended_at.is_none());
        Ok(session.map(|session| session.ended_at = Some(at)).is_some())
    }

    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>, at: Timestamp) -> Result<u64> {
        let mut ended = 0;
        for session in self.lock().sessions.values_mut() {
            if session.user_id == user && session.ended_at.is_none() && Some(session.id) != keep {
                session.ended_at = Some(at);
                ended += 1;
            }
        }
        Ok(ended)
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().settings.get(name).cloned())
    }

    async fn init_setting(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.lock().settings.entry(name.to_owned()).or_insert(value).clone())
    }

    async fn replace_setting(&self, name: &str, before: &[u8], after: Vec<u8>) -> Result<bool> {
        let mut data = self.lock();
        let value = data.settings.get_mut(name).filter(|value| *value == before);
        Ok(value.map(|value| *value = after).is_some())
    }
}
