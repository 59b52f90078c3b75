//! Who may use the operator API.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::{ApiKeyId, UserId, WorkspaceId};
use crate::secret::Pii;
use crate::time::Timestamp;

/// Keeps people and keys. Only hashes of passwords and keys ever come here.
#[async_trait]
pub trait Accounts: Debug + Send + Sync + 'static {
    /// Creates or replaces a user.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] where another user has the same login.
    async fn put_user(&self, user: UserRecord) -> Result<()>;

    /// The user with this login.
    async fn user_by_login(&self, login: &str) -> Result<Option<UserRecord>>;

    /// The user with this id.
    async fn user(&self, id: UserId) -> Result<Option<UserRecord>>;

    /// How many users there are: none at the first start.
    async fn count_users(&self) -> Result<u64>;

    /// Creates an API key.
    async fn put_api_key(&self, key: ApiKeyRecord) -> Result<()>;

    /// The API key whose SHA-256 this is, unless revoked.
    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKeyRecord>>;

    /// The keys of a workspace, newest first.
    async fn api_keys(&self, workspace: WorkspaceId) -> Result<Vec<ApiKeyRecord>>;

    /// Revokes a key. Answers whether it existed and was not revoked before.
    async fn revoke_api_key(&self, workspace: WorkspaceId, key: ApiKeyId, at: Timestamp) -> Result<bool>;

    /// A value that belongs to the whole installation, such as the id of the signing key.
    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Stores such a value unless there is one; answers the value that is stored then.
    async fn init_setting(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>>;
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The person's id.
    pub id: UserId,
    /// The workspace that the person works in.
    pub workspace_id: WorkspaceId,
    /// The name to sign in with.
    pub login: Pii<String>,
    /// The password's hash in PHC string format.
    pub password_hash: crate::secret::Secret<String>,
    /// What the person may do.
    pub role: Role,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Tokens issued before this moment are refused.
    pub tokens_valid_from: Timestamp,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything, and works on leads and deliveries.
    Operator,
}

/// A key for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: ApiKeyId,
    /// The workspace that it opens.
    pub workspace_id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// The first characters, to tell keys apart.
    pub hint: String,
    /// What it may do.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
