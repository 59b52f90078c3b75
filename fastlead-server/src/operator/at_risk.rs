//! Leads that nobody has accepted and whose deadline comes soon.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use fastlead_core::port::RiskFilter;

use super::input::{List, Query};
use super::views::LeadAtRiskView;
use crate::app::App;
use crate::auth::Operator;
use crate::health::AT_RISK;
use crate::problem::Problem;

/// Longest look ahead, in seconds.
pub(crate) const MAX_SECS: u32 = 86_400;

/// Leads that nobody has accepted and whose next deadline comes soon, soonest first: a step of the ladder or its end,
/// the time for an answer, the time for a review. What is overdue is among them.
#[utoipa::path(
    get, path = "/v1/leads/at-risk", tag = "leads",
    params(
        ("within_secs" = Option<u32>, Query, description = "How soon, in seconds, 0 to 86400; 300 unless said"),
        ("project_id" = Option<String>, Query, description = "Only of this project"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of leads", body = ref("#/components/schemas/LeadAtRiskList"))),
)]
pub(crate) async fn list_leads_at_risk(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<List<LeadAtRiskView>>, Problem> {
    let page = query.take_page()?;
    let project_id = query.take("project_id")?;
    let within: Option<u32> = query.take("within_secs")?;
    query.finish()?;
    if within.is_some_and(|seconds| seconds > MAX_SECS) {
        let detail = format!("within_secs: expected a number from 0 to {MAX_SECS}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail));
    }
    let within = within.map_or(AT_RISK, |seconds| TimeDelta::seconds(i64::from(seconds)));
    let filter = RiskFilter { project_id, until: app.engine.clock().now() + within };
    let found = app.store.at_risk(operator.workspace_id, filter, page).await?;
    Ok(Json(List::of(found, LeadAtRiskView::from)))
}
