//! What is stored and cannot be read, and policies that do not compile any more.

use axum::Json;
use axum::extract::State;
use fastlead_core::Result;
use fastlead_core::id::{ProjectId, WorkspaceId};
use fastlead_core::port::UnreadableRow;

use super::input::{List, Query};
use crate::app::App;
use crate::auth::Operator;
use crate::problem::Problem;

/// Rows of the workspace that this server has met since its start and could not read, and policies that do not compile
/// any more. Nothing else waits for them. What needs one of them is set aside, and tried again at the next start.
#[utoipa::path(
    get, path = "/v1/unreadable", tag = "installation",
    responses((status = 200, description = "The rows", body = ref("#/components/schemas/UnreadableRowList"))),
)]
pub(crate) async fn list_unreadable(
    State(app): State<App>,
    operator: Operator,
    query: Query,
) -> Result<Json<List<UnreadableRow>>, Problem> {
    query.finish()?;
    Ok(Json(List::whole(rows(&app, operator.workspace_id).await?)))
}

/// Everything of a workspace that cannot be read or used.
pub(super) async fn rows(app: &App, workspace: WorkspaceId) -> Result<Vec<UnreadableRow>> {
    let mut rows = app.store.unreadable(Some(workspace)).await?;
    let directory = app.engine.directory();
    let troubles = directory.policy_troubles().filter(|(_, trouble)| trouble.workspace_id == workspace);
    rows.extend(troubles.map(|(project, trouble)| {
        let id = format!("{project} version {}", trouble.broken.version);
        UnreadableRow::new("policies", id, trouble.reason.clone()).of(Some(workspace))
    }));
    Ok(rows)
}

/// The versions of a project's policy that cannot be read or used.
pub(super) async fn policies(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
) -> Result<Vec<UnreadableRow>> {
    let mut rows = rows(app, workspace).await?;
    let project = project.to_string();
    rows.retain(|row| row.table == "policies" && row.id.starts_with(&project));
    Ok(rows)
}

/// The row of this name, where it cannot be read.
pub(super) async fn named(
    app: &App,
    workspace: WorkspaceId,
    table: &str,
    id: &str,
) -> Result<Vec<UnreadableRow>> {
    let mut rows = app.store.unreadable(Some(workspace)).await?;
    rows.retain(|row| row.table == table && row.id == id);
    Ok(rows)
}
