//! Deliveries: messages and what became of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::Error;
use fastlead_core::engine::RetryOutcome;
use fastlead_core::id::{DeliveryId, WorkspaceId};
use fastlead_core::port::DeliveryFilter;

use super::input::{Id, List, Query};
use super::unreadable;
use super::views::{AttemptView, DeliveryDetailsView, DeliveryView};
use crate::app::App;
use crate::auth::Operator;
use crate::problem::Problem;

const STATES: &str =
    "pending, sending, awaiting_receipt, delivered, sent, failed, expired, suppressed, cancelled, ambiguous";

/// Deliveries, newest first.
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "deliveries",
    params(
        ("lead_id" = Option<String>, Query, description = "Only about this lead"),
        ("channel_id" = Option<String>, Query, description = "Only over this channel"),
        ("state" = Option<String>, Query, description = "Only in this state, such as `failed`"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of deliveries", body = ref("#/components/schemas/DeliveryList"))),
)]
pub(crate) async fn list_deliveries(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<List<DeliveryView>>, Problem> {
    let page = query.take_page()?;
    let filter = DeliveryFilter {
        lead_id: query.take("lead_id")?,
        channel_id: query.take("channel_id")?,
        state: query.take_one_of("state", STATES)?,
    };
    query.finish()?;
    let page = app.store.deliveries(operator.workspace_id, filter, page).await?;
    Ok(Json(List::of(page, DeliveryView::from)))
}

/// One delivery with its attempts.
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery", body = ref("#/components/schemas/DeliveryDetails"))),
)]
pub(crate) async fn get_delivery(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryDetailsView>, Problem> {
    let details = details(&app, operator.workspace_id, id).await?;
    Ok(Json(details.ok_or_else(|| Problem::not_found("this delivery"))?))
}

/// Send again what has failed, has expired or is ambiguous. An ambiguous message may arrive twice then. What is not true any
/// more, such as the offer of a lead that somebody has, is not sent: `409` with the code `not_true_any_more` says why.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery, due again", body = ref("#/components/schemas/Delivery"))),
)]
pub(crate) async fn retry_delivery(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryView>, Problem> {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match operator.engine(&app).retry(operator.workspace_id, id).await? {
        RetryOutcome::Due(delivery) => {
            tracing::info!(delivery = %id, "delivery retried by an operator");
            Ok(Json((*delivery).into()))
        }
        RetryOutcome::Refused(reason) => {
            let why = serde_json::to_value(reason).ok();
            let why = why.as_ref().and_then(serde_json::Value::as_str);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            let detail = format!("what the message says is not true any more{why}; nothing was changed");
            Err(conflict("not_true_any_more", detail))
        }
        RetryOutcome::NotLost(state) => {
            let state = state.as_str();
            let detail =
                format!("only a failed, expired or ambiguous delivery is retried; this one is {state}");
            Err(conflict("conflict", detail))
        }
        _ => Err(Problem::not_found("this delivery")),
    }
}

/// A delivery with its attempts, where there is one.
pub(super) async fn details(
    app: &App,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> Result<Option<DeliveryDetailsView>, Error> {
    let Some(record) = app.store.delivery_record(workspace, id).await? else { return Ok(None) };
    let attempts = record.attempts.into_iter().map(AttemptView::from).collect();
    let unreadable = unreadable::named(app, workspace, "attempts", &id.to_string()).await?;
    Ok(Some(DeliveryDetailsView { delivery: record.delivery.into(), attempts, unreadable }))
}
