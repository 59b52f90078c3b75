//! Projects.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::id::ProjectId;
use fastlead_core::port::Project;
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CATALOG;
use super::input::{Body, Faults, List};
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::problem::Problem;

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(crate) struct ProjectView {
    /// Its id.
    id: ProjectId,
    /// What people call it.
    name: String,
    /// When it was created.
    created_at: Timestamp,
    /// The version of its current policy; `null` where none was published, and no lead is taken then.
    policy_version: Option<u32>,
    /// The time zone of that policy, such as `Europe/Moscow`; `null` where there is none.
    zone: Option<&'static str>,
}

fn view(app: &App, project: Project) -> ProjectView {
    let directory = app.engine.directory();
    let policy = directory.current_policy(project.id);
    ProjectView {
        id: project.id,
        name: project.name,
        created_at: project.created_at,
        policy_version: policy.map(|policy| policy.reference.version),
        zone: policy.map(|policy| policy.policy.timezone.name()),
    }
}

/// A project to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewProject")]
pub(crate) struct ProjectInput {
    /// What people call it. Up to 100 characters.
    name: String,
}

/// All projects.
#[utoipa::path(
    get, path = "/v1/projects", tag = "installation",
    responses((status = 200, description = "The projects", body = ref("#/components/schemas/ProjectList"))),
)]
pub(crate) async fn list_projects(
    State(app): State<App>,
    operator: Operator,
) -> Result<Json<List<ProjectView>>, Problem> {
    let projects = app.store.load_workspace(operator.workspace_id).await?.projects;
    let mine = projects.into_iter().filter(|project| project.workspace_id == operator.workspace_id);
    Ok(Json(List::whole(mine.map(|project| view(&app, project)).collect())))
}

/// Make a project.
#[utoipa::path(
    post, path = "/v1/projects", tag = "installation",
    request_body = ref("#/components/schemas/NewProject"),
    responses((status = 201, description = "The project", body = ref("#/components/schemas/Project"))),
)]
pub(crate) async fn create_project(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<ProjectInput>,
) -> Result<(StatusCode, Json<ProjectView>), Problem> {
    let mut faults = Faults::default();
    faults.text("name", &input.name, 100);
    faults.finish()?;
    let now = app.engine.clock().now();
    let project = Project {
        id: ProjectId::generate(&**app.engine.ids(), now),
        workspace_id: operator.workspace_id,
        name: input.name,
        created_at: now,
    };
    let _order = CATALOG.lock().await;
    app.store.put_project(project.clone()).await?;
    app.engine.catch_up().await?;
    Ok((StatusCode::CREATED, Json(view(&app, project))))
}

/// Whether the project is one of the caller's.
pub(super) fn own(app: &App, operator: &Operator, id: ProjectId) -> Result<(), Problem> {
    let directory = app.engine.directory();
    match directory.project(id) {
        Some(project) if project.workspace_id == operator.workspace_id => Ok(()),
        _ => Err(Problem::not_found("this project")),
    }
}
