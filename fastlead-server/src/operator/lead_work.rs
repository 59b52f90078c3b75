//! What people do with a lead: look at it, finish it, give it back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::decide::{LeadState, LeadStatus};
use fastlead_core::engine::ResponseOutcome;
use fastlead_core::id::LeadId;
use fastlead_core::port::Erased;
use schemars::JsonSchema;
use serde::Deserialize;

use super::input::{Body, Id};
use super::views::LeadStateView;
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::problem::Problem;

/// What a person thinks of a lead that was kept for review.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeadReview")]
pub(crate) struct ReviewInput {
    /// Whether it is handed out.
    approved: bool,
}

/// A lead that a target gives back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeadReturn")]
pub(crate) struct ReturnInput {
    /// The target's name in the policy that decides on the lead.
    target: String,
    /// One of the policy's reasons, such as `wrong_number`.
    reason: String,
}

/// Say what you think of a lead that was kept for review.
#[utoipa::path(
    post, path = "/v1/leads/{id}/review", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    request_body = ref("#/components/schemas/LeadReview"),
    responses((status = 200, description = "Where the lead stands then", body = ref("#/components/schemas/LeadState"))),
)]
pub(crate) async fn review_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
    Body(input): Body<ReviewInput>,
) -> Result<Json<LeadStateView>, Problem> {
    let lead = app.store.lead(operator.workspace_id, id).await?;
    let lead = lead.ok_or_else(|| Problem::not_found("this lead"))?;
    if lead.state.status != LeadStatus::Review {
        let detail = format!("the lead is {} and waits for no review", lead.state.status.as_str());
        return Err(Problem::new(StatusCode::CONFLICT, "not_in_review", detail));
    }
    let state = decided(operator.engine(&app).review(operator.workspace_id, id, input.approved).await?)?;
    Ok(Json(state.into()))
}

/// Say that the visitor has confirmed the lead, in your own words or on a page of your own.
#[utoipa::path(
    post, path = "/v1/leads/{id}/confirm", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "Where the lead stands then", body = ref("#/components/schemas/LeadState"))),
)]
pub(crate) async fn confirm_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
) -> Result<Json<LeadStateView>, Problem> {
    let state = decided(operator.engine(&app).confirm(operator.workspace_id, id, None, None).await?)?;
    let problem = |detail: &str| Problem::new(StatusCode::CONFLICT, "not_confirmed", detail.to_owned());
    match state.confirmation {
        Some(confirmation) if confirmation.at.is_some() => Ok(Json(state.into())),
        Some(_) => Err(problem("the time in which the visitor could confirm is over")),
        None => Err(problem("the visitor was not asked to confirm this lead")),
    }
}

/// Say that the work on a lead is done: whoever has it has room for another.
#[utoipa::path(
    post, path = "/v1/leads/{id}/close", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "Where the lead stands then", body = ref("#/components/schemas/LeadState"))),
)]
pub(crate) async fn close_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
) -> Result<Json<LeadStateView>, Problem> {
    let state = decided(operator.engine(&app).close(operator.workspace_id, id).await?)?;
    if state.status != LeadStatus::Closed {
        let detail = format!("the lead is {} and cannot be closed", state.status.as_str());
        return Err(Problem::new(StatusCode::CONFLICT, "not_closed", detail));
    }
    Ok(Json(state.into()))
}

/// Give a lead back for a target. Its limits and its price are given back too, once.
#[utoipa::path(
    post, path = "/v1/leads/{id}/return", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    request_body = ref("#/components/schemas/LeadReturn"),
    responses((status = 200, description = "Where the lead stands then", body = ref("#/components/schemas/LeadState"))),
)]
pub(crate) async fn return_lead(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<LeadId>,
    Body(input): Body<ReturnInput>,
) -> Result<Json<LeadStateView>, Problem> {
    let ReturnInput { target, reason } = input;
    let state = decided(operator.engine(&app).give_back(operator.workspace_id, id, &target, &reason).await?)?;
    let theirs = state.owners().any(|owner| owner == target);
    let given_back = state.sales.iter().any(|sale| sale.target == target && sale.returned.is_some());
    if theirs || !given_back {
        let detail = "the policy takes no return of this lead by this target for this reason, or not any more; its explanation says which";
        return Err(Problem::new(StatusCode::CONFLICT, "not_returned", detail));
    }
    Ok(Json(state.into()))
}

fn decided(outcome: ResponseOutcome) -> Result<LeadState, Problem> {
    match outcome {
        ResponseOutcome::Decided(state) => Ok(*state),
        ResponseOutcome::NotFound => Err(Problem::not_found("this lead")),
    }
}

/// Erase the person whose lead this is (152-FZ art. 21): every lead of the workspace with the same phone number, e-mail address
/// or messenger account, what was sent to them and what they have written. The leads are closed, webhooks that subscribe to
/// `lead.erased` hear of it, and who has it done stands in the history. What was decided, counts, and which consents were asked
/// for and given stay. It cannot be undone; copies made by `backup` keep what they have. Administrators only.
#[utoipa::path(
    delete, path = "/v1/leads/{id}/person", tag = "leads",
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "What was erased", body = ref("#/components/schemas/Erased"))),
)]
pub(crate) async fn erase_person(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<LeadId>,
) -> Result<Json<Erased>, Problem> {
    let erased = operator.engine(&app).erase(operator.workspace_id, id).await?;
    erased.map(Json).ok_or_else(|| Problem::not_found("this lead"))
}
