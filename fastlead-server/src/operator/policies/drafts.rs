//! Drafts: a policy that somebody works on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::id::ProjectId;
use fastlead_core::policy::PolicyFault;
use fastlead_core::port::PolicyDraft;
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::PolicyView;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::operator::input::{Body, Id};
use crate::operator::projects::own;
use crate::policies;
use crate::problem::Problem;

/// A policy that somebody works on. It decides nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyDraft")]
pub(crate) struct DraftView {
    /// Its project.
    project_id: ProjectId,
    /// The version that was current when it was saved; `null` where there was none.
    based_on: Option<u32>,
    /// When it was saved.
    saved_at: Timestamp,
    /// The document as it was saved.
    document: serde_json::Value,
    /// What is wrong with it; empty where it can be published.
    errors: Vec<PolicyFault>,
}

fn view(app: &App, draft: PolicyDraft) -> DraftView {
    let read = fastlead_core::policy::Policy::from_json(draft.document.to_string().as_bytes());
    let checked = read.and_then(|policy| policies::check(app, draft.workspace_id, &policy));
    DraftView {
        project_id: draft.project_id,
        based_on: draft.based_on,
        saved_at: draft.saved_at,
        document: draft.document,
        errors: checked.err().unwrap_or_default(),
    }
}

/// The draft of a project's policy, with what is wrong with it.
#[utoipa::path(
    get, path = "/v1/projects/{id}/policy/draft", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    responses((status = 200, description = "The draft", body = ref("#/components/schemas/PolicyDraft"))),
)]
pub(crate) async fn get_draft(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
) -> Result<Json<DraftView>, Problem> {
    own(&app, &operator, project)?;
    let draft = policies::draft(&app, operator.workspace_id, project).await?;
    Ok(Json(view(&app, draft)))
}

/// Save a draft, instead of an older one. It may have faults, and decides nothing.
#[utoipa::path(
    put, path = "/v1/projects/{id}/policy/draft", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    request_body = ref("#/components/schemas/Policy"),
    responses((status = 200, description = "The draft", body = ref("#/components/schemas/PolicyDraft"))),
)]
pub(crate) async fn save_draft(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(project): Id<ProjectId>,
    Body(document): Body<serde_json::Map<String, serde_json::Value>>,
) -> Result<Json<DraftView>, Problem> {
    own(&app, &operator, project)?;
    let draft = policies::save_draft(&app, operator.workspace_id, project, document.into()).await?;
    Ok(Json(view(&app, draft)))
}

/// Throw the draft away.
#[utoipa::path(
    delete, path = "/v1/projects/{id}/policy/draft", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    responses((status = 204, description = "It is gone")),
)]
pub(crate) async fn discard_draft(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(project): Id<ProjectId>,
) -> Result<StatusCode, Problem> {
    own(&app, &operator, project)?;
    if app.store.discard_draft(operator.workspace_id, project).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("a draft of the policy of this project"))
    }
}

/// Publish the draft. Refused where another version was published after it was saved.
#[utoipa::path(
    post, path = "/v1/projects/{id}/policy/draft/publish", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    responses((status = 200, description = "The published version", body = ref("#/components/schemas/PolicyVersion"))),
)]
pub(crate) async fn publish_draft(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(project): Id<ProjectId>,
) -> Result<Json<PolicyView>, Problem> {
    own(&app, &operator, project)?;
    Ok(Json(policies::publish_draft(&app, operator.workspace_id, project).await?.into()))
}
