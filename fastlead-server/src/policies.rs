//! What people do with a project's policy: the same for the operator API and the command line.

use fastlead_core::id::{PolicyId, ProjectId, WorkspaceId};
use fastlead_core::policy::{Policy, PolicyFault, PolicyRef};
use fastlead_core::port::{PolicyDraft, PolicyRecord};
use fastlead_core::time::Timestamp;

use crate::app::App;
use crate::operator::CATALOG;
use crate::problem::Problem;

/// Everything that is wrong with a policy in a workspace today.
///
/// # Errors
/// The faults.
pub(crate) fn check(app: &App, workspace: WorkspaceId, policy: &Policy) -> Result<(), Vec<PolicyFault>> {
    policy.validate(&app.engine.directory().capabilities(workspace), app.engine.clock().now())
}

/// Publishes a policy as the next version. It decides on new leads from now on; older leads keep theirs.
/// What is current already makes no version.
///
/// # Errors
/// A 422 problem with the faults of the policy; those of the store.
pub(crate) async fn publish(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
    policy: Policy,
) -> Result<PolicyRecord, Problem> {
    let _order = CATALOG.lock().await;
    publish_in_order(app, workspace, project, policy).await
}

async fn publish_in_order(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
    policy: Policy,
) -> Result<PolicyRecord, Problem> {
    check(app, workspace, &policy).map_err(Problem::policy)?;
    let now = app.engine.clock().now();
    let new_id = PolicyId::generate(&**app.engine.ids(), now);
    let record = app.store.publish_policy(workspace, project, new_id, policy, now).await?;
    app.engine.activate_policy(&record)?;
    tracing::info!(%project, version = record.reference.version, "policy published");
    Ok(record)
}

/// The current version of a project's policy.
///
/// # Errors
/// Those of the store.
pub(crate) async fn current(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
) -> Result<Option<PolicyRecord>, fastlead_core::Error> {
    Ok(app.store.policies(workspace, project, 1).await?.into_iter().next())
}

/// A version of a project's policy.
///
/// # Errors
/// A 404 problem where it was never published; those of the store.
pub(crate) async fn version(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
    version: u32,
) -> Result<PolicyRecord, Problem> {
    let missing = || Problem::not_found(&format!("version {version} of the policy of this project"));
    let current = current(app, workspace, project).await?.ok_or_else(missing)?;
    let reference = PolicyRef { version, ..current.reference };
    app.store.policy(reference).await?.ok_or_else(missing)
}

/// Publishes what a version said as a new version. Leads stay with the versions that decided on them.
///
/// # Errors
/// A 404 problem where there is no such version; a 422 problem where it cannot work any more, because a
/// channel is gone; those of the store.
pub(crate) async fn roll_back(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
    to: u32,
) -> Result<PolicyRecord, Problem> {
    let old = version(app, workspace, project, to).await?;
    publish(app, workspace, project, Policy::clone(&old.policy)).await
}

/// Saves a draft, instead of an older one. It may have faults.
///
/// # Errors
/// Those of the store.
pub(crate) async fn save_draft(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
    document: serde_json::Value,
) -> Result<PolicyDraft, Problem> {
    let _order = CATALOG.lock().await;
    let based_on = current(app, workspace, project).await?.map(|record| record.reference.version);
    let draft = PolicyDraft {
        workspace_id: workspace,
        project_id: project,
        document,
        based_on,
        saved_at: millis(app.engine.clock().now()),
    };
    app.store.put_draft(draft.clone()).await?;
    Ok(draft)
}

/// As stores keep moments.
fn millis(at: Timestamp) -> Timestamp {
    fastlead_core::time::from_millis(at.timestamp_millis())
}

/// The draft of a project's policy.
///
/// # Errors
/// A 404 problem where there is none; those of the store.
pub(crate) async fn draft(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
) -> Result<PolicyDraft, Problem> {
    let found = app.store.draft(workspace, project).await?;
    found.ok_or_else(|| Problem::not_found("a draft of the policy of this project"))
}

/// Reads a document as a policy.
///
/// # Errors
/// A 422 problem with what cannot be read.
pub(crate) fn read(document: &serde_json::Value) -> Result<Policy, Problem> {
    Policy::from_json(document.to_string().as_bytes()).map_err(Problem::policy)
}

/// Publishes the draft and discards it.
///
/// # Errors
/// A 404 problem where there is none; a 422 problem with its faults; a 409 problem where another version was
/// published after it was saved; those of the store.
pub(crate) async fn publish_draft(
    app: &App,
    workspace: WorkspaceId,
    project: ProjectId,
) -> Result<PolicyRecord, Problem> {
    let _order = CATALOG.lock().await;
    let draft = draft(app, workspace, project).await?;
    let now_current = current(app, workspace, project).await?.map(|record| record.reference.version);
    if now_current != draft.based_on {
        let detail = format!(
            "version {} was published after the draft was saved; look at the difference and save the draft again",
            now_current.unwrap_or(0)
        );
        return Err(Problem::new(axum::http::StatusCode::CONFLICT, "policy_moved", detail));
    }
    let record = publish_in_order(app, workspace, project, read(&draft.document)?).await?;
    app.store.discard_draft(workspace, project).await?;
    Ok(record)
}
