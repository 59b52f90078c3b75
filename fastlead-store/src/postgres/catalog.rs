//! Settings of the installation.

use std::sync::Arc;

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, PolicyId, ProjectId, WorkspaceId};
use fastlead_core::lead::ConsentDocument;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    Catalog, CatalogSnapshot, ChannelRecord, ChannelStatus, PolicyDraft, PolicyRecord, Project, Resealed,
    SealedConfig, Source, UnreadableRow, UnreadableRows, Workspace,
};
use fastlead_core::time::{Timestamp, epoch};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::documents;
use super::fault::failed;
use super::journal::SNAPSHOT;
use super::reading::{self, Origin};
use super::rows::{clean, count, get, json, moment, to_json, uuid};

const POLICY: &str = "id, version, workspace_id, project_id, doc, published_at";

/// Where channels come from.
pub(super) const CHANNELS: Origin = Origin::new("channels", 0);
/// Where policies come from.
pub(super) const POLICIES: Origin = Origin::new("policies", 0);

fn policy(row: &PgRow) -> Result<PolicyRecord> {
    Ok(PolicyRecord {
        reference: PolicyRef { id: PolicyId::from_uuid(uuid(row, 0)?), version: count(row, 1)? },
        workspace_id: WorkspaceId::from_uuid(uuid(row, 2)?),
        project_id: ProjectId::from_uuid(uuid(row, 3)?),
        policy: Arc::new(json(row, 4)?),
        published_at: moment(row, 5)?,
    })
}

pub(super) fn channel(row: &PgRow) -> Result<ChannelRecord> {
    Ok(ChannelRecord {
        id: ChannelId::from_uuid(uuid(row, 0)?),
        workspace_id: WorkspaceId::from_uuid(uuid(row, 1)?),
        kind: get::<String>(row, 2)?,
        name: get::<String>(row, 3)?,
        config: SealedConfig(get(row, 4)?),
        webhook_token: get::<String>(row, 5)?,
        status: json(row, 6)
            .unwrap_or(ChannelStatus::Paused { reason: UNREADABLE.to_owned(), since: epoch() }),
        created_at: moment(row, 7)?,
    })
}

const CHANNEL: &str = "id, workspace_id, kind, name, config, webhook_token, status, created_at";

/// Reads one channel by its id.
pub(super) fn channel_statement() -> String {
    format!("SELECT {CHANNEL} FROM channels WHERE id = $1")
}

/// Reads the policy of a project, all versions, newest first.
pub(super) fn versions_of_policy() -> String {
    format!("SELECT {POLICY} FROM policies WHERE project_id = $1 ORDER BY version DESC")
}

/// Returns the newest version of a project's policy that can be read.
pub(super) async fn newest_readable(
    reader: &mut PgConnection,
    project: Uuid,
) -> Result<Option<PolicyRecord>> {
    let rows = sqlx::query(AssertSqlSafe(versions_of_policy())).bind(project).fetch_all(reader).await;
    Ok(rows.map_err(|error| failed("load", &error))?.iter().find_map(|row| policy(row).ok()))
}

/// `taken` is said where a unique column refuses.
fn conflict(operation: &'static str, taken: &'static str, error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::new(ErrorKind::Conflict, taken).with_operation(operation)
        }
        _ => failed(operation, error),
    }
}

/// Why a channel is paused whose status cannot be read: nobody knows whether something may be sent over it.
const UNREADABLE: &str = "unreadable";

/// The documents of a table that can be read; the others are noted and added to `lost`.
async fn docs<T: serde::de::DeserializeOwned>(
    connection: &mut PgConnection,
    from: Origin,
    statement: String,
    workspace: Option<Uuid>,
    met: &UnreadableRows,
    lost: &mut Vec<UnreadableRow>,
) -> Result<Vec<T>> {
    let query = sqlx::query(AssertSqlSafe(statement)).bind(workspace);
    let rows = query.fetch_all(connection).await.map_err(|error| failed("load", &error))?;
    Ok(reading::known(met, from, &rows, lost, |row| json(row, 1)))
}

/// The five statements of a load, of one workspace (`$1`) or of all of them.
pub(super) fn load_statements(of_one: bool) -> [String; 5] {
    let mine = |column: &str| {
        if of_one { format!("WHERE {column} = $1") } else { "WHERE $1::uuid IS NULL".to_owned() }
    };
    let (own, theirs) = (mine("id"), mine("workspace_id"));
    [
        format!("SELECT id, doc FROM workspaces {own} ORDER BY id"),
        format!("SELECT id, doc, workspace_id FROM projects {theirs} ORDER BY id"),
        format!("SELECT id, doc, workspace_id FROM sources {theirs} ORDER BY id"),
        format!("SELECT {CHANNEL} FROM channels {theirs} ORDER BY id"),
        format!(
            "SELECT {POLICY} FROM policies p {theirs}
             AND version = (SELECT max(q.version) FROM policies q WHERE q.project_id = p.project_id)"
        ),
    ]
}

impl PostgresStore {
    async fn load_catalog(&self, workspace: Option<WorkspaceId>) -> Result<CatalogSnapshot> {
        let fault = |error: sqlx::Error| failed("load", &error);
        let met = &self.unreadable;
        let mut loaded = CatalogSnapshot::default();
        let lost = &mut loaded.unreadable;
        let [workspaces, projects, sources, channels, policies] = load_statements(workspace.is_some());
        let id = workspace.map(|id| id.as_uuid());
        // One transaction, so that everything is of the same moment.
        let mut reader = self.pool.begin_with(SNAPSHOT).await.map_err(fault)?;
        loaded.workspaces =
            docs(&mut reader, Origin::new("workspaces", 0), workspaces, id, met, lost).await?;
        loaded.projects = docs(&mut reader, Origin::new("projects", 0), projects, id, met, lost).await?;
        loaded.sources = docs(&mut reader, Origin::new("sources", 0), sources, id, met, lost).await?;
        let rows =
            sqlx::query(AssertSqlSafe(channels)).bind(id).fetch_all(&mut *reader).await.map_err(fault)?;
        loaded.channels = reading::known(met, CHANNELS, &rows, lost, channel);
        // A status alone that cannot be read leaves the channel paused, and is told all the same.
        reading::known(met, CHANNELS, &rows, lost, |row| json::<ChannelStatus>(row, 6));
        lost.dedup();
        let rows =
            sqlx::query(AssertSqlSafe(policies)).bind(id).fetch_all(&mut *reader).await.map_err(fault)?;
        loaded.policies = reading::known(met, POLICIES, &rows, lost, policy);
        for row in rows.iter().filter(|row| policy(row).is_err()) {
            let project = uuid(row, 3)?;
            loaded.policies.extend(newest_readable(&mut reader, project).await?);
        }
        reader.commit().await.map_err(fault)?;
        Ok(loaded)
    }
}

#[async_trait]
impl Catalog for PostgresStore {
    async fn load(&self) -> Result<CatalogSnapshot> {
        self.load_catalog(None).await
    }

    async fn load_workspace(&self, workspace: WorkspaceId) -> Result<CatalogSnapshot> {
        self.load_catalog(Some(workspace)).await
    }

    async fn put_workspace(&self, workspace: Workspace) -> Result<()> {
        let doc = to_json(&workspace, "a workspace")?;
        self.run("put workspace", move |connection| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO workspaces (id, doc) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc")
                        .bind(workspace.id.as_uuid())
                        .bind(doc)
                        .execute(connection)
                        .await
                        .map(drop)
                        .map_err(|error| failed("put workspace", &error))
                })
            })
            .await
    }

    async fn put_project(&self, project: Project) -> Result<()> {
        let doc = to_json(&project, "a project")?;
        self.change("put project", move |connection| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO projects (id, workspace_id, doc) VALUES ($1, $2, $3)
                         ON CONFLICT (id) DO UPDATE SET workspace_id = excluded.workspace_id, doc = excluded.doc")
                        .bind(project.id.as_uuid())
                        .bind(project.workspace_id.as_uuid())
                        .bind(doc)
                        .execute(connection)
                        .await
                        .map(drop)
                        .map_err(|error| failed("put project", &error))
                })
            })
            .await
    }

    async fn put_source(&self, source: Source) -> Result<()> {
        let doc = to_json(&source, "a source")?;
        self.change("put source", move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO sources (id, workspace_id, key, doc) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (id) DO UPDATE SET key = excluded.key, doc = excluded.doc",
                )
                .bind(source.id.as_uuid())
                .bind(source.workspace_id.as_uuid())
                .bind(clean(&source.key))
                .bind(doc.as_str())
                .execute(&mut *connection)
                .await
                .map_err(|error| conflict("put source", "key: another source has this key", &error))?;
                documents::keep(connection, source.workspace_id, &source.consents).await
            })
        })
        .await
    }

    async fn consent_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>> {
        self.read_documents(workspace, document_id, version).await
    }

    async fn put_channel(&self, channel: ChannelRecord) -> Result<()> {
        let status = to_json(&channel.status, "a channel's status")?;
        self.change("put channel", move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO channels (id, workspace_id, kind, name, config, webhook_token, status, created_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                         ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, config = excluded.config,
                           webhook_token = excluded.webhook_token",
                    )
                    .bind(channel.id.as_uuid())
                    .bind(channel.workspace_id.as_uuid())
                    .bind(clean(&channel.kind))
                    .bind(clean(&channel.name))
                    .bind(channel.config.0)
                    .bind(clean(&channel.webhook_token))
                    .bind(status)
                    .bind(channel.created_at.timestamp_millis())
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(|error| conflict("put channel", "name: another channel has this name", &error))
                })
            })
            .await
    }

    async fn reseal_channel(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        before: &SealedConfig,
        after: Resealed,
    ) -> Result<bool> {
        let before = before.0.clone();
        self.change("reseal channel", move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE channels SET config = $4, webhook_token = $5 WHERE id = $1 AND workspace_id = $2 AND config = $3",
                    )
                    .bind(channel.as_uuid())
                    .bind(workspace.as_uuid())
                    .bind(before)
                    .bind(after.config.0)
                    .bind(clean(&after.webhook_token))
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() == 1)
                    .map_err(|error| failed("reseal channel", &error))
                })
            })
            .await
    }

    async fn set_channel_status(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        status: ChannelStatus,
    ) -> Result<bool> {
        let doc = to_json(&status, "a channel's status")?;
        self.change("set channel status", move |connection| {
            Box::pin(async move {
                let fault = |error: sqlx::Error| failed("set channel status", &error);
                let row = sqlx::query("SELECT status FROM channels WHERE id = $1 AND workspace_id = $2")
                    .bind(channel.as_uuid())
                    .bind(workspace.as_uuid())
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(fault)?;
                let row = row.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such channel"))?;
                // One that cannot be read is mended by the new one.
                let before = json::<ChannelStatus>(&row, 0).ok();
                if before.is_some_and(|before| before.is_paused() == status.is_paused()) {
                    return Ok(false);
                }
                sqlx::query("UPDATE channels SET status = $2 WHERE id = $1")
                    .bind(channel.as_uuid())
                    .bind(doc)
                    .execute(connection)
                    .await
                    .map_err(fault)?;
                Ok(true)
            })
        })
        .await
    }

    async fn publish_policy(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        new_id: PolicyId,
        new: Policy,
        at: Timestamp,
    ) -> Result<PolicyRecord> {
        let doc = to_json(&new, "a policy")?;
        self.change("publish policy", move |connection| {
                Box::pin(async move {
                    let fault = |error: sqlx::Error| failed("publish policy", &error);
                    let sql = format!(
                        "SELECT {POLICY} FROM policies WHERE project_id = $1 AND workspace_id = $2 ORDER BY version DESC LIMIT 1"
                    );
                    let row = sqlx::query(AssertSqlSafe(sql))
                        .bind(project.as_uuid())
                        .bind(workspace.as_uuid())
                        .fetch_optional(&mut *connection)
                        .await
                        .map_err(fault)?;
                    // A version that cannot be read is followed by the new one like any other.
                    if let Some(Ok(current)) = row.as_ref().map(policy)
                        && *current.policy == new
                    {
                        return Ok(current);
                    }
                    let reference = match &row {
                        Some(row) => PolicyRef {
                            id: PolicyId::from_uuid(uuid(row, 0)?),
                            version: count(row, 1)?.saturating_add(1),
                        },
                        None => PolicyRef { id: new_id, version: 1 },
                    };
                    sqlx::query(
                        "INSERT INTO policies (id, version, workspace_id, project_id, doc, published_at) VALUES ($1, $2, $3, $4, $5, $6)",
                    )
                    .bind(reference.id.as_uuid())
                    .bind(i32::try_from(reference.version).unwrap_or(i32::MAX))
                    .bind(workspace.as_uuid())
                    .bind(project.as_uuid())
                    .bind(doc)
                    .bind(at.timestamp_millis())
                    .execute(connection)
                    .await
                    .map_err(fault)?;
                    Ok(PolicyRecord {
                        reference,
                        workspace_id: workspace,
                        project_id: project,
                        policy: Arc::new(new),
                        published_at: at,
                    })
                })
            })
            .await
    }

    async fn policy(&self, reference: PolicyRef) -> Result<Option<PolicyRecord>> {
        let sql = format!("SELECT {POLICY} FROM policies WHERE id = $1 AND version = $2");
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(reference.id.as_uuid())
            .bind(i32::try_from(reference.version).unwrap_or(i32::MAX));
        let row = query.fetch_optional(&self.pool).await.map_err(|error| failed("read policy", &error))?;
        row.map(|row| reading::one(&self.unreadable, POLICIES, &row, policy)).transpose()
    }

    async fn policies(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<PolicyRecord>> {
        let sql = format!(
            "SELECT {POLICY} FROM policies WHERE project_id = $1 AND workspace_id = $2 ORDER BY version DESC LIMIT $3"
        );
        let mut wanted = i64::from(limit);
        loop {
            let query = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(project.as_uuid())
                .bind(workspace.as_uuid())
                .bind(wanted);
            let rows = query.fetch_all(&self.pool).await.map_err(|error| failed("read policies", &error))?;
            let found = reading::each(&self.unreadable, POLICIES.of(workspace), &rows, policy);
            let lost = rows.len() - found.len();
            // Those that cannot be read take nobody's place.
            if lost == 0 || i64::try_from(rows.len()).unwrap_or(i64::MAX) < wanted {
                return Ok(found.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect());
            }
            let more = i64::from(limit) + i64::try_from(lost).unwrap_or(i64::MAX);
            if more <= wanted {
                return Ok(found.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect());
            }
            wanted = more;
        }
    }

    async fn put_draft(&self, draft: PolicyDraft) -> Result<()> {
        self.write_draft(draft).await
    }

    async fn draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<Option<PolicyDraft>> {
        self.read_draft(workspace, project).await
    }

    async fn discard_draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<bool> {
        self.delete_draft(workspace, project).await
    }
}
