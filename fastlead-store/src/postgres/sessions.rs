//! Sessions of people.

use fastlead_core::error::Result;
use fastlead_core::id::{SessionId, UserId, WorkspaceId};
use fastlead_core::port::SessionRecord;
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{clean, get, moment, optional_moment, uuid};

const SESSION: &str =
    "id, user_id, workspace_id, created_at, expires_at, last_used_at, address, client, ended_at";

const FROM: Origin = Origin::new("sessions", 0);

fn session(row: &PgRow) -> Result<SessionRecord> {
    Ok(SessionRecord {
        id: SessionId::from_uuid(uuid(row, 0)?),
        user_id: UserId::from_uuid(uuid(row, 1)?),
        workspace_id: WorkspaceId::from_uuid(uuid(row, 2)?),
        created_at: moment(row, 3)?,
        expires_at: moment(row, 4)?,
        last_used_at: moment(row, 5)?,
        address: get::<Option<String>>(row, 6)?.map(Pii::new),
        client: get::<Option<String>>(row, 7)?.map(Pii::new),
        ended_at: optional_moment(row, 8)?,
    })
}

impl PostgresStore {
    pub(super) async fn insert_session(&self, session: SessionRecord) -> Result<()> {
        self.run("open session", move |connection| {
                Box::pin(async move {
                    let fault = |error: sqlx::Error| failed("open session", &error);
                    sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND expires_at < $2")
                        .bind(session.user_id.as_uuid())
                        .bind(session.created_at.timestamp_millis())
                        .execute(&mut *connection)
                        .await
                        .map_err(fault)?;
                    sqlx::query(
                        "INSERT INTO sessions
                           (id, user_id, workspace_id, created_at, expires_at, last_used_at, address, client, ended_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    )
                    .bind(session.id.as_uuid())
                    .bind(session.user_id.as_uuid())
                    .bind(session.workspace_id.as_uuid())
                    .bind(session.created_at.timestamp_millis())
                    .bind(session.expires_at.timestamp_millis())
                    .bind(session.last_used_at.timestamp_millis())
                    .bind(session.address.map(|address| clean(&address.into_inner()).into_owned()))
                    .bind(session.client.map(|client| clean(&client.into_inner()).into_owned()))
                    .bind(session.ended_at.map(|at| at.timestamp_millis()))
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(fault)
                })
            })
            .await
    }

    pub(super) async fn read_session(&self, id: SessionId) -> Result<Option<SessionRecord>> {
        let sql = format!("SELECT {SESSION} FROM sessions WHERE id = $1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(id.as_uuid());
        let row = query.fetch_optional(&self.pool).await.map_err(|error| failed("read session", &error))?;
        row.map(|row| reading::one(&self.unreadable, FROM, &row, session)).transpose()
    }

    pub(super) async fn read_sessions(&self, user: UserId) -> Result<Vec<SessionRecord>> {
        let sql = format!(
            "SELECT {SESSION} FROM sessions WHERE user_id = $1 AND ended_at IS NULL ORDER BY id DESC"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(user.as_uuid());
        let rows = query.fetch_all(&self.pool).await.map_err(|error| failed("read sessions", &error))?;
        Ok(reading::each(&self.unreadable, FROM, &rows, session))
    }

    pub(super) async fn note_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        self.touch("UPDATE sessions SET last_used_at = $2 WHERE id = $1", id.as_uuid(), None, at)
            .await
            .map(drop)
    }

    pub(super) async fn finish_session(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        at: Timestamp,
    ) -> Result<bool> {
        let sql =
            "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND workspace_id = $3";
        let changed = self.touch(sql, id.as_uuid(), Some(workspace.as_uuid()), at).await?;
        Ok(changed == 1)
    }

    pub(super) async fn finish_sessions(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<u64> {
        let sql = "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3";
        self.touch(sql, user.as_uuid(), keep.map(|id| id.as_uuid()), at).await
    }

    /// Runs a statement on an id, a moment and perhaps another id; returns how many rows it has changed.
    pub(super) async fn touch(
        &self,
        sql: &'static str,
        id: Uuid,
        other: Option<Uuid>,
        at: Timestamp,
    ) -> Result<u64> {
        let mut query = sqlx::query(sql).bind(id).bind(at.timestamp_millis());
        if sql.contains("$3") {
            query = query.bind(other);
        }
        let done = query.execute(&self.pool).await;
        done.map(|done| done.rows_affected()).map_err(|error| failed("change session", &error))
    }
}
