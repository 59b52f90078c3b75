//! Versions: one of them, what two differ in, and back to an older one.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use fastlead_core::id::ProjectId;
use fastlead_core::policy::{Policy, PolicyChange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PolicyView;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::operator::input::{Body, Id, Query};
use crate::operator::projects::own;
use crate::policies;
use crate::problem::Problem;

/// A project and a version in the path.
#[derive(Debug)]
pub(crate) struct InProject(ProjectId, u32);

impl FromRequestParts<App> for InProject {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let fault = |message: String| Problem::new(StatusCode::BAD_REQUEST, "invalid_id", message);
        let Path((project, version)) = Path::<(String, String)>::from_request_parts(parts, app)
            .await
            .map_err(|_| fault("the path is not UTF-8".to_owned()))?;
        let project = project.parse().map_err(|error| fault(format!("id: {error}")))?;
        let version =
            version.parse().map_err(|_| fault("version: expected a number, counted from 1".to_owned()))?;
        Ok(Self(project, version))
    }
}

/// One published version of a project's policy.
#[utoipa::path(
    get, path = "/v1/projects/{id}/policies/{version}", tag = "policies",
    params(
        ("id" = String, Path, description = "The project's id"),
        ("version" = u32, Path, description = "The version, counted from 1"),
    ),
    responses((status = 200, description = "The version", body = ref("#/components/schemas/PolicyVersion"))),
)]
pub(crate) async fn get_policy_version(
    State(app): State<App>,
    operator: Operator,
    InProject(project, version): InProject,
) -> Result<Json<PolicyView>, Problem> {
    own(&app, &operator, project)?;
    Ok(Json(policies::version(&app, operator.workspace_id, project, version).await?.into()))
}

/// What two versions differ in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyComparison")]
pub(crate) struct ComparisonView {
    /// The first: a version or `draft`.
    from: String,
    /// The second.
    to: String,
    /// What changes from the first to the second; empty where they say the same.
    changes: Vec<PolicyChange>,
}

/// What two versions of a policy differ in, or a version and the draft.
#[utoipa::path(
    get, path = "/v1/projects/{id}/policy/diff", tag = "policies",
    params(
        ("id" = String, Path, description = "The project's id"),
        ("from" = Option<String>, Query, description = "A version, `current` or `draft`; `current` unless said"),
        ("to" = Option<String>, Query, description = "A version, `current` or `draft`; `draft` unless said"),
    ),
    responses((status = 200, description = "The differences", body = ref("#/components/schemas/PolicyComparison"))),
)]
pub(crate) async fn compare_policies(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
    mut query: Query,
) -> Result<Json<ComparisonView>, Problem> {
    let from: Option<String> = query.take("from")?;
    let to: Option<String> = query.take("to")?;
    query.finish()?;
    own(&app, &operator, project)?;
    let (from, old) = named(&app, &operator, project, from.as_deref().unwrap_or("current")).await?;
    let (to, new) = named(&app, &operator, project, to.as_deref().unwrap_or("draft")).await?;
    Ok(Json(ComparisonView { from, to, changes: old.changes_to(&new)? }))
}

/// A policy by its name: a version, `current` or `draft`, and that name as a version where it is one.
///
/// # Errors
/// A 400 problem where it is no such name; a 404 problem where there is none; those of the store.
pub(super) async fn named(
    app: &App,
    operator: &Operator,
    project: ProjectId,
    name: &str,
) -> Result<(String, Policy), Problem> {
    let workspace = operator.workspace_id;
    let record = match name {
        "draft" => {
            let draft = policies::draft(app, workspace, project).await?;
            return Ok(("draft".to_owned(), policies::read(&draft.document)?));
        }
        "current" => policies::current(app, workspace, project)
            .await?
            .ok_or_else(|| Problem::not_found("a policy of this project"))?,
        number => {
            let wrong = "expected a version, `current` or `draft`";
            let number = number
                .parse()
                .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", wrong))?;
            policies::version(app, workspace, project, number).await?
        }
    };
    Ok((record.reference.version.to_string(), Policy::clone(&record.policy)))
}

/// Back to an older version.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PolicyRollback")]
pub(crate) struct RollbackInput {
    /// The version whose words are published again.
    version: u32,
}

/// Publish what an older version said as a new version. Leads stay with the versions that decided on them.
#[utoipa::path(
    post, path = "/v1/projects/{id}/policy/rollback", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    request_body = ref("#/components/schemas/PolicyRollback"),
    responses((status = 200, description = "The published version", body = ref("#/components/schemas/PolicyVersion"))),
)]
pub(crate) async fn roll_back_policy(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(project): Id<ProjectId>,
    Body(input): Body<RollbackInput>,
) -> Result<Json<PolicyView>, Problem> {
    own(&app, &operator, project)?;
    let record = policies::roll_back(&app, operator.workspace_id, project, input.version).await?;
    Ok(Json(record.into()))
}
