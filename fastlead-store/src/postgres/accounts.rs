//! People and keys.

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ApiKeyId, SessionId, UserId, WorkspaceId};
use fastlead_core::port::{Accounts, ApiKeyRecord, Role, SessionRecord, UserRecord};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{clean, get, moment, optional_moment, unread, uuid};

const USER: &str = "id, workspace_id, login, password_hash, role, created_at, tokens_valid_from, disabled_at";
const KEY: &str =
    "id, workspace_id, name, hash, hint, role, created_at, revoked_at, scopes, expires_at, last_used_at";

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Operator => "operator",
    }
}

fn role(row: &PgRow, index: usize) -> Result<Role> {
    match get::<String>(row, index)?.as_str() {
        "admin" => Ok(Role::Admin),
        "operator" => Ok(Role::Operator),
        _ => Err(unread(row, index)),
    }
}

fn user(row: &PgRow) -> Result<UserRecord> {
    Ok(UserRecord {
        id: UserId::from_uuid(uuid(row, 0)?),
        workspace_id: WorkspaceId::from_uuid(uuid(row, 1)?),
        login: Pii::new(get::<String>(row, 2)?),
        password_hash: Secret::new(get::<String>(row, 3)?),
        role: role(row, 4)?,
        created_at: moment(row, 5)?,
        tokens_valid_from: moment(row, 6)?,
        disabled_at: optional_moment(row, 7)?,
    })
}

fn key(row: &PgRow) -> Result<ApiKeyRecord> {
    Ok(ApiKeyRecord {
        id: ApiKeyId::from_uuid(uuid(row, 0)?),
        workspace_id: WorkspaceId::from_uuid(uuid(row, 1)?),
        name: get::<String>(row, 2)?,
        hash: get::<&[u8]>(row, 3)?.try_into().map_err(|_| unread(row, 3))?,
        hint: get::<String>(row, 4)?,
        role: role(row, 5)?,
        created_at: moment(row, 6)?,
        revoked_at: optional_moment(row, 7)?,
        scopes: get::<String>(row, 8)?.split_whitespace().map(str::to_owned).collect(),
        expires_at: optional_moment(row, 9)?,
        last_used_at: optional_moment(row, 10)?,
    })
}

impl PostgresStore {
    async fn one_user(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Option<UserRecord>> {
        let row = query.fetch_optional(&self.pool).await.map_err(|error| failed("read user", &error))?;
        row.map(|row| reading::one(&self.unreadable, Origin::new("users", 0), &row, user)).transpose()
    }
}

#[async_trait]
impl Accounts for PostgresStore {
    async fn put_user(&self, user: UserRecord) -> Result<()> {
        self.run("put user", move |connection| {
                Box::pin(async move {
                    let done = sqlx::query(
                        "INSERT INTO users (id, workspace_id, login, password_hash, role, created_at, tokens_valid_from, disabled_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                         ON CONFLICT (id) DO UPDATE SET workspace_id = excluded.workspace_id, login = excluded.login,
                           password_hash = excluded.password_hash, role = excluded.role, tokens_valid_from = excluded.tokens_valid_from,
                           disabled_at = excluded.disabled_at",
                    )
                    .bind(user.id.as_uuid())
                    .bind(user.workspace_id.as_uuid())
                    .bind(clean(&user.login.into_inner()).into_owned())
                    .bind(user.password_hash.expose().clone())
                    .bind(role_name(user.role))
                    .bind(user.created_at.timestamp_millis())
                    .bind(user.tokens_valid_from.timestamp_millis())
                    .bind(user.disabled_at.map(|at| at.timestamp_millis()))
                    .execute(connection)
                    .await;
                    done.map(drop).map_err(|error| match &error {
                        sqlx::Error::Database(database) if database.is_unique_violation() => {
                            Error::new(ErrorKind::Conflict, "login: another user has this login").with_operation("put user")
                        }
                        _ => failed("put user", &error),
                    })
                })
            })
            .await
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<UserRecord>> {
        let sql = format!("SELECT {USER} FROM users WHERE login = $1");
        self.one_user(sqlx::query(AssertSqlSafe(sql)).bind(clean(login))).await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>> {
        let sql = format!("SELECT {USER} FROM users WHERE id = $1");
        self.one_user(sqlx::query(AssertSqlSafe(sql)).bind(id.as_uuid())).await
    }

    async fn users(&self, workspace: WorkspaceId) -> Result<Vec<UserRecord>> {
        let sql = format!("SELECT {USER} FROM users WHERE workspace_id = $1 ORDER BY id");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_uuid()).fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| failed("read users", &error))?;
        Ok(reading::each(&self.unreadable, Origin::new("users", 0).of(workspace), &rows, user))
    }

    async fn count_users(&self) -> Result<u64> {
        let row = sqlx::query("SELECT count(*) FROM users").fetch_one(&self.pool).await;
        let row = row.map_err(|error| failed("count users", &error))?;
        Ok(u64::try_from(get::<i64>(&row, 0)?).unwrap_or(0))
    }

    async fn put_api_key(&self, key: ApiKeyRecord) -> Result<()> {
        self.run("put key", move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO api_keys
                           (id, workspace_id, name, hash, hint, role, created_at, revoked_at, scopes, expires_at, last_used_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                         ON CONFLICT (id) DO UPDATE SET workspace_id = excluded.workspace_id, name = excluded.name, hash = excluded.hash,
                           hint = excluded.hint, role = excluded.role, created_at = excluded.created_at, revoked_at = excluded.revoked_at,
                           scopes = excluded.scopes, expires_at = excluded.expires_at, last_used_at = excluded.last_used_at",
                    )
                    .bind(key.id.as_uuid())
                    .bind(key.workspace_id.as_uuid())
                    .bind(clean(&key.name).into_owned())
                    .bind(key.hash.to_vec())
                    .bind(key.hint)
                    .bind(role_name(key.role))
                    .bind(key.created_at.timestamp_millis())
                    .bind(key.revoked_at.map(|at| at.timestamp_millis()))
                    .bind(key.scopes.join(" "))
                    .bind(key.expires_at.map(|at| at.timestamp_millis()))
                    .bind(key.last_used_at.map(|at| at.timestamp_millis()))
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(|error| failed("put key", &error))
                })
            })
            .await
    }

    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKeyRecord>> {
        let sql = format!("SELECT {KEY} FROM api_keys WHERE hash = $1 AND revoked_at IS NULL");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_vec()).fetch_optional(&self.pool).await;
        let row = row.map_err(|error| failed("read key", &error))?;
        row.map(|row| reading::one(&self.unreadable, Origin::new("api_keys", 0), &row, key)).transpose()
    }

    async fn api_keys(&self, workspace: WorkspaceId) -> Result<Vec<ApiKeyRecord>> {
        let sql = format!("SELECT {KEY} FROM api_keys WHERE workspace_id = $1 ORDER BY id DESC");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_uuid()).fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| failed("read keys", &error))?;
        let from = Origin::new("api_keys", 0).of(workspace);
        Ok(reading::each(&self.unreadable, from, &rows, key))
    }

    async fn revoke_api_key(&self, workspace: WorkspaceId, key: ApiKeyId, at: Timestamp) -> Result<bool> {
        self.run("revoke key", move |connection| {
                Box::pin(async move {
                    let sql = "UPDATE api_keys SET revoked_at = $3 WHERE id = $1 AND workspace_id = $2 AND revoked_at IS NULL";
                    let done = sqlx::query(sql)
                        .bind(key.as_uuid())
                        .bind(workspace.as_uuid())
                        .bind(at.timestamp_millis())
                        .execute(connection)
                        .await
                        .map_err(|error| failed("revoke key", &error))?;
                    Ok(done.rows_affected() == 1)
                })
            })
            .await
    }

    async fn touch_api_key(&self, key: ApiKeyId, at: Timestamp) -> Result<()> {
        let sql = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1";
        self.touch(sql, key.as_uuid(), None, at).await.map(drop)
    }

    async fn open_session(&self, session: SessionRecord) -> Result<()> {
        self.insert_session(session).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionRecord>> {
        self.read_session(id).await
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionRecord>> {
        self.read_sessions(user).await
    }

    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        self.note_session(id, at).await
    }

    async fn end_session(&self, workspace: WorkspaceId, id: SessionId, at: Timestamp) -> Result<bool> {
        self.finish_session(workspace, id, at).await
    }

    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>, at: Timestamp) -> Result<u64> {
        self.finish_sessions(user, keep, at).await
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let query = sqlx::query("SELECT name, value FROM settings WHERE name = $1").bind(name.to_owned());
        let row = query.fetch_optional(&self.pool).await.map_err(|error| failed("read setting", &error))?;
        let from = Origin::new("settings", 0);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| get::<Vec<u8>>(row, 1))).transpose()
    }

    async fn init_setting(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        let fault = |error: sqlx::Error| failed("init setting", &error);
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&self.pool)
            .await
            .map_err(fault)?;
        // No setting is ever deleted.
        let query = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name);
        get(&query.fetch_one(&self.pool).await.map_err(fault)?, 0)
    }

    async fn replace_setting(&self, name: &str, before: &[u8], after: Vec<u8>) -> Result<bool> {
        let query = sqlx::query("UPDATE settings SET value = $3 WHERE name = $1 AND value = $2");
        let done = query.bind(name).bind(before).bind(after).execute(&self.pool).await;
        done.map(|done| done.rows_affected() == 1).map_err(|error| failed("replace setting", &error))
    }
}
