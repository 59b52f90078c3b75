//! Who may use the operator API.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::{ApiKeyId, SessionId, UserId, WorkspaceId};
use crate::secret::Pii;
use crate::time::Timestamp;

/// Keeps people and keys. Only hashes of passwords and keys ever come here.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::port::Accounts;
///
/// async fn is_first_start(accounts: &dyn Accounts) -> Result<bool> {
///     Ok(accounts.count_users().await? == 0)
/// }
/// ```
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

    /// Users of a workspace, oldest first.
    async fn users(&self, workspace: WorkspaceId) -> Result<Vec<UserRecord>>;

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

    /// Notes that a key was used. A key that does not exist is no fault.
    async fn touch_api_key(&self, key: ApiKeyId, at: Timestamp) -> Result<()>;

    /// Opens a session. Forgets the sessions of the same user that expired before `session.created_at`.
    async fn open_session(&self, session: SessionRecord) -> Result<()>;

    /// The session with this id, ended and expired ones included.
    async fn session(&self, id: SessionId) -> Result<Option<SessionRecord>>;

    /// Sessions of a user that were not ended, newest first; expired ones included.
    async fn sessions(&self, user: UserId) -> Result<Vec<SessionRecord>>;

    /// Notes that a session was used. A session that does not exist is no fault.
    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()>;

    /// Ends a session of a workspace. Returns whether it existed and was not ended before.
    async fn end_session(&self, workspace: WorkspaceId, id: SessionId, at: Timestamp) -> Result<bool>;

    /// Ends all sessions of a user but `keep`. Returns how many were ended.
    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>, at: Timestamp) -> Result<u64>;

    /// A value that belongs to the whole installation, such as the id of the signing key.
    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Stores such a value unless there is one; answers the value that is stored then.
    async fn init_setting(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>>;

    /// Replaces such a value where it still is `before`. Returns whether it was.
    async fn replace_setting(&self, name: &str, before: &[u8], after: Vec<u8>) -> Result<bool>;
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
    /// Since when the person may not sign in; `None` for whoever may.
    pub disabled_at: Option<Timestamp>,
}

/// Session of a person: from signing in to signing out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// The person.
    pub user_id: UserId,
    /// The person's workspace.
    pub workspace_id: WorkspaceId,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// Last moment of the session, however often its token is renewed.
    pub expires_at: Timestamp,
    /// Last use that was noted.
    pub last_used_at: Timestamp,
    /// Address that the person signed in from.
    pub address: Option<Pii<String>>,
    /// Name of the program that the person signed in with (`User-Agent`).
    pub client: Option<Pii<String>>,
    /// When it was ended before its time.
    pub ended_at: Option<Timestamp>,
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
    /// Parts of the API that it may use, such as `leads:read`; empty for all that its role may.
    pub scopes: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Moment from which on it is refused; `None` for a key without an end.
    pub expires_at: Option<Timestamp>,
    /// Last use that was noted.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
