//! Drafts of policies.

use fastlead_core::error::Result;
use fastlead_core::id::{ProjectId, WorkspaceId};
use fastlead_core::port::PolicyDraft;

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{json, to_json};

impl PostgresStore {
    pub(super) async fn write_draft(&self, draft: PolicyDraft) -> Result<()> {
        let doc = to_json(&draft, "a draft")?;
        self.run("put draft", move |connection| {
                Box::pin(async move {
                    // A project is of one workspace; a draft of another's stays out of its way.
                    sqlx::query(
                        "INSERT INTO policy_drafts (project_id, workspace_id, doc) VALUES ($1, $2, $3)
                         ON CONFLICT (project_id) DO UPDATE SET doc = excluded.doc WHERE policy_drafts.workspace_id = excluded.workspace_id",
                    )
                    .bind(draft.project_id.as_uuid())
                    .bind(draft.workspace_id.as_uuid())
                    .bind(doc)
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(|error| failed("put draft", &error))
                })
            })
            .await
    }

    pub(super) async fn read_draft(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
    ) -> Result<Option<PolicyDraft>> {
        let row = sqlx::query(
            "SELECT doc, project_id FROM policy_drafts WHERE project_id = $1 AND workspace_id = $2",
        )
        .bind(project.as_uuid())
        .bind(workspace.as_uuid())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| failed("read draft", &error))?;
        let from = Origin::new("policy_drafts", 1).of(workspace);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| json(row, 0))).transpose()
    }

    pub(super) async fn delete_draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<bool> {
        self.run("discard draft", move |connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM policy_drafts WHERE project_id = $1 AND workspace_id = $2")
                    .bind(project.as_uuid())
                    .bind(workspace.as_uuid())
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() > 0)
                    .map_err(|error| failed("discard draft", &error))
            })
        })
        .await
    }
}
