//! Sessions of people.

use fastlead_core::error::Result;
use fastlead_core::id::{SessionId, UserId, WorkspaceId};
use fastlead_core::port::SessionRecord;
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{blob, moment, optional_moment, optional_text, uuid};

const SESSION: &str =
    "id, user_id, workspace_id, created_at, expires_at, last_used_at, address, client, ended_at";

const FROM: Origin = Origin::new("sessions", 0);

fn session(row: &SqliteRow) -> Result<SessionRecord> {
    Ok(SessionRecord {
        id: SessionId::from_uuid(uuid(row, 0)?),
        user_id: UserId::from_uuid(uuid(row, 1)?),
        workspace_id: WorkspaceId::from_uuid(uuid(row, 2)?),
        created_at: moment(row, 3)?,
        expires_at: moment(row, 4)?,
        last_used_at: moment(row, 5)?,
        address: optional_text(row, 6)?.map(Pii::new),
        client: optional_text(row, 7)?.map(Pii::new),
        ended_at: optional_moment(row, 8)?,
    })
}

impl SqliteStore {
    pub(super) async fn insert_session(&self, session: SessionRecord) -> Result<()> {
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let fault = |error: sqlx::Error| failed("open session", &error);
                    sqlx::query("DELETE FROM sessions WHERE user_id = ?1 AND expires_at < ?2")
                        .bind(blob(session.user_id.as_uuid()))
                        .bind(session.created_at.timestamp_millis())
                        .execute(&mut *connection)
                        .await
                        .map_err(fault)?;
                    sqlx::query(
                        "INSERT INTO sessions
                           (id, user_id, workspace_id, created_at, expires_at, last_used_at, address, client, ended_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    )
                    .bind(blob(session.id.as_uuid()))
                    .bind(blob(session.user_id.as_uuid()))
                    .bind(blob(session.workspace_id.as_uuid()))
                    .bind(session.created_at.timestamp_millis())
                    .bind(session.expires_at.timestamp_millis())
                    .bind(session.last_used_at.timestamp_millis())
                    .bind(session.address.map(Pii::into_inner))
                    .bind(session.client.map(Pii::into_inner))
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
        let sql = format!("SELECT {SESSION} FROM sessions WHERE id = ?1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(blob(id.as_uuid()));
        let row =
            query.fetch_optional(&self.readers).await.map_err(|error| failed("read session", &error))?;
        row.map(|row| reading::one(&self.unreadable, FROM, &row, session)).transpose()
    }

    pub(super) async fn read_sessions(&self, user: UserId) -> Result<Vec<SessionRecord>> {
        let sql = format!(
            "SELECT {SESSION} FROM sessions WHERE user_id = ?1 AND ended_at IS NULL ORDER BY id DESC"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(blob(user.as_uuid()));
        let rows = query.fetch_all(&self.readers).await.map_err(|error| failed("read sessions", &error))?;
        Ok(reading::each(&self.unreadable, FROM, &rows, session))
    }

    pub(super) async fn note_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        self.change("UPDATE sessions SET last_used_at = ?2 WHERE id = ?1", blob(id.as_uuid()), None, at)
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
            "UPDATE sessions SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL AND workspace_id = ?3";
        let changed = self.change(sql, blob(id.as_uuid()), Some(blob(workspace.as_uuid())), at).await?;
        Ok(changed == 1)
    }

    pub(super) async fn finish_sessions(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<u64> {
        let sql =
            "UPDATE sessions SET ended_at = ?2 WHERE user_id = ?1 AND ended_at IS NULL AND id IS NOT ?3";
        self.change(sql, blob(user.as_uuid()), keep.map(|id| blob(id.as_uuid())), at).await
    }

    /// Runs a statement on an id, a moment and perhaps another id; returns how many rows it has changed.
    pub(super) async fn change(
        &self,
        sql: &'static str,
        id: Vec<u8>,
        other: Option<Vec<u8>>,
        at: Timestamp,
    ) -> Result<u64> {
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let mut query = sqlx::query(sql).bind(id).bind(at.timestamp_millis());
                    if sql.contains("?3") {
                        query = query.bind(other);
                    }
                    let done = query.execute(connection).await;
                    done.map(|done| done.rows_affected()).map_err(|error| failed("change session", &error))
                })
            })
            .await
    }
}
