//! What would happen to a lead, without its happening.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fastlead_core::decide::{Event, Trace};
use fastlead_core::engine::DryRun;
use fastlead_core::id::ProjectId;
use fastlead_core::lead::{CaptureInput, ConsentDocument, Received};
use fastlead_core::message::Locale;
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{CaptureVerdict, Source};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::Operator;
use crate::operator::explain::{effects, sentences};
use crate::operator::input::{Body, Faults, Id};
use crate::operator::projects::own;
use crate::operator::views::LeadStateView;
use crate::policies;
use crate::problem::Problem;

/// A lead to try a policy on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PolicyDryRun")]
pub(crate) struct DryRunInput {
    /// The key of the source that it would come from. Default: the project's only one.
    #[serde(default)]
    source: Option<String>,
    /// What would be captured, as it is sent to `/v1/capture`. No consent is required here.
    capture: CaptureInput,
    /// The policy to try, which need not be published. Default: the current one.
    #[serde(default)]
    policy: Option<serde_json::Map<String, serde_json::Value>>,
    /// The moment to ask about. Caps, turns and dedupe stay those of now. Default: now.
    #[serde(default, deserialize_with = "crate::operator::input::optional_moment")]
    at: Option<Timestamp>,
    /// The language of the sentences. Default `en`.
    #[serde(default)]
    locale: Option<Locale>,
}

/// What would happen.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyDryRunOutcome")]
pub(crate) struct DryRunView {
    /// The policy that was asked; version 0 where it is not published.
    policy: PolicyRef,
    /// The moment it was asked about.
    at: Timestamp,
    /// What the caller would be told.
    #[serde(flatten)]
    verdict: CaptureVerdict,
    /// What would happen, in plain words.
    effects: Vec<String>,
    /// Why, in plain words.
    sentences: Vec<String>,
    /// Why, for programs.
    trace: Trace,
    /// Where the lead would stand.
    state: LeadStateView,
}

/// Try a policy on a lead. Nothing is stored, counted or sent, and no enricher is asked.
#[utoipa::path(
    post, path = "/v1/projects/{id}/policy/dry-run", tag = "policies",
    params(("id" = String, Path, description = "The project's id")),
    request_body = ref("#/components/schemas/PolicyDryRun"),
    responses((status = 200, description = "What would happen", body = ref("#/components/schemas/PolicyDryRunOutcome"))),
)]
pub(crate) async fn dry_run_policy(
    State(app): State<App>,
    operator: Operator,
    Id(project): Id<ProjectId>,
    Body(input): Body<DryRunInput>,
) -> Result<Json<DryRunView>, Problem> {
    own(&app, &operator, project)?;
    let source = source(&app, &operator, project, input.source.as_deref()).await?;
    let policy = match input.policy {
        None => None,
        Some(document) => {
            let policy = policies::read(&document.into())?;
            policies::check(&app, operator.workspace_id, &policy).map_err(Problem::policy)?;
            Some(Arc::new(policy))
        }
    };
    let at = input.at.unwrap_or_else(|| app.engine.clock().now());
    let documents: Vec<ConsentDocument> = source
        .consents
        .iter()
        .map(|document| ConsentDocument { required: false, ..document.clone() })
        .collect();
    let capture =
        input.capture.validate(&documents, source.locale, Received::at(at)).map_err(Problem::fields)?;
    let event = Event::Captured(Box::new(capture.clone()));
    let outcome =
        app.engine.dry_run(DryRun { source: Arc::new(source), capture, policy, at: Some(at) }).await?;
    let locale = input.locale.unwrap_or(Locale::En);
    let directory = app.engine.directory();
    let channel = |id| directory.channel(id).map(|channel| channel.name.clone()).unwrap_or_default();
    Ok(Json(DryRunView {
        policy: outcome.policy,
        at: outcome.at,
        verdict: outcome.verdict,
        effects: effects(&outcome.decision.effects, &channel, locale),
        sentences: sentences(&event, &outcome.decision.trace, locale),
        trace: outcome.decision.trace,
        state: outcome.state.into(),
    }))
}

async fn source(
    app: &App,
    operator: &Operator,
    project: ProjectId,
    key: Option<&str>,
) -> Result<Source, Problem> {
    let mine = |source: &Source| {
        source.workspace_id == operator.workspace_id
            && source.project_id == project
            && key.is_none_or(|key| source.key == key)
    };
    let mut found: Vec<Source> =
        app.store.load_workspace(operator.workspace_id).await?.sources.into_iter().filter(mine).collect();
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(Problem::not_found("this source of the project")),
        count => {
            let mut faults = Faults::default();
            let message = format!("the project has {count} sources; name one by its key");
            faults.add("source", "required", message);
            faults.finish()?;
            Err(Problem::not_found("this source of the project"))
        }
    }
}
