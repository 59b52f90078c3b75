//! Policies: what happens to a project's leads.

pub(super) mod backtest;
pub(super) mod drafts;
pub(super) mod dry_run;
pub(super) mod versions;

use axum::Json;
use axum::extract::State;
use fastlead_core::id::{PolicyId, ProjectId};
use fastlead_core::policy::{Policy, PolicyFault};
use fastlead_core::port::PolicyRecord;
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::input::{Document, Id, List, Query};
use super::projects::own;
use super::unreadable;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::policies;
use crate::problem::Problem;

/// A published version of a policy.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyVersion")]
pub(crate) struct PolicyView {
    /// The policy; all its versions share this.
    id: PolicyId,
    /// Counted from 1.
    version: u32,
    /// Its project.
    project_id: ProjectId,
    /// When it was published.
    published_at: Timestamp,
    /// The policy itself.
    policy: Policy,
}

impl From<PolicyRecord> for PolicyView {
    fn from(record: PolicyRecord) -> Self {
        Self {
            id: record.reference.id,
            version: record.reference.version,
            project_id: record.project_id,
            published_at: record.published_at,
            policy: Policy::clone(&record.policy),
        }
    }
}

/// The current policy of a project.
#[utoipa::path(
    get, path = "/v1/projects/{id}/policy", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    responses((status = 200, description = "The current version", body = ref("#/components/schemas/PolicyVersion"))),
)]
pub(crate) async fn get_policy(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
) -> Result<Json<PolicyView>, Problem> {
    own(&app, &operator, project)?;
    let current = policies::current(&app, operator.workspace_id, project).await?;
    current.map(|record| Json(record.into())).ok_or_else(|| Problem::not_found("a policy of this project"))
}

/// Publish a policy. It decides on new leads from now on; older leads keep their version.
#[utoipa::path(
    put, path = "/v1/projects/{id}/policy", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    request_body = ref("#/components/schemas/Policy"),
    responses((status = 200, description = "The published version", body = ref("#/components/schemas/PolicyVersion"))),
)]
pub(crate) async fn publish_policy(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(project): Id<ProjectId>,
    Document(policy): Document,
) -> Result<Json<PolicyView>, Problem> {
    own(&app, &operator, project)?;
    let policy = policy.map_err(Problem::policy)?;
    let record = policies::publish(&app, operator.workspace_id, project, policy).await?;
    Ok(Json(record.into()))
}

/// What a validation found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyValidation")]
pub(crate) struct ValidationView {
    /// Whether the policy could be published.
    valid: bool,
    /// Every fault, with its path.
    errors: Vec<PolicyFault>,
    /// What the policy can work with but probably does not mean, with its path.
    warnings: Vec<PolicyFault>,
}

/// Check a policy against the workspace's channels without publishing it.
#[utoipa::path(
    post, path = "/v1/projects/{id}/policy/validate", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    request_body = ref("#/components/schemas/Policy"),
    responses((status = 200, description = "What was found", body = ref("#/components/schemas/PolicyValidation"))),
)]
pub(crate) async fn validate_policy(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
    Document(policy): Document,
) -> Result<Json<ValidationView>, Problem> {
    own(&app, &operator, project)?;
    let now = app.engine.clock().now();
    let (errors, warnings) = match policy {
        Ok(policy) => {
            let found = policies::check(&app, operator.workspace_id, &policy);
            (found.err().unwrap_or_default(), policy.warnings(now))
        }
        Err(errors) => (errors, Vec::new()),
    };
    Ok(Json(ValidationView { valid: errors.is_empty(), errors, warnings }))
}

/// The published versions of a project's policy, newest first.
#[utoipa::path(
    get, path = "/v1/projects/{id}/policies", tag = "policies",
    params(
        ("id" = String, Path, description = "The project's id"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
    ),
    responses((status = 200, description = "The versions", body = ref("#/components/schemas/PolicyVersionList"))),
)]
pub(crate) async fn list_policies(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
    mut query: Query,
) -> Result<Json<List<PolicyView>>, Problem> {
    let page = query.take_page()?;
    query.finish()?;
    own(&app, &operator, project)?;
    let versions = app.store.policies(operator.workspace_id, project, page.limit).await?;
    let unreadable = unreadable::policies(&app, operator.workspace_id, project).await?;
    Ok(Json(List { unreadable, ..List::whole(versions.into_iter().map(PolicyView::from).collect()) }))
}
