//! What happened in a workspace, in the order in which it was committed: for programs that follow.

use axum::Json;
use axum::extract::State;
use fastlead_core::id::LeadId;
use fastlead_core::message::Locale;
use fastlead_core::port::UnreadableRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::input::{Query, parameter};
use super::leads::{EventView, event_view};
use crate::app::App;
use crate::auth::Operator;
use crate::problem::Problem;

/// Something that happened to a lead of the workspace.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkspaceEvent")]
struct WorkspaceEventView {
    /// The lead.
    lead_id: LeadId,
    #[serde(flatten)]
    event: EventView,
}

/// What happened after a position.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventBatch")]
pub(crate) struct EventBatchView {
    /// The events, in the order in which they were committed.
    items: Vec<WorkspaceEventView>,
    /// Ask for what comes after this position next.
    position: u64,
    /// Whether there is more at this moment.
    more: bool,
    /// Those among them that cannot be read; absent where all can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    unreadable: Vec<UnreadableRow>,
}

/// What happened to the leads of the workspace after a position, oldest first. Whoever goes on after `position` of the last
/// answer misses nothing and gets nothing twice.
#[utoipa::path(
    get, path = "/v1/history", tag = "leads",
    params(
        ("after" = Option<u64>, Query, description = "The `position` of the answer before; 0, before the first event, unless said"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
        ("locale" = Option<String>, Query, description = "The language of the sentences, `ru` or `en`; `en` unless said"),
    ),
    responses((status = 200, description = "The events", body = ref("#/components/schemas/EventBatch"))),
)]
pub(crate) async fn list_history(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<EventBatchView>, Problem> {
    let limit = query.take_limit()?;
    let after = query.take("after")?.unwrap_or(0);
    // No store counts further.
    if i64::try_from(after).is_err() {
        return Err(parameter("after", "invalid_parameter", format!("expected a number up to {}", i64::MAX)));
    }
    let locale: Option<Locale> = query.take_one_of("locale", "ru, en")?;
    query.finish()?;
    let batch = app.store.events_since(operator.workspace_id, after, limit).await?;
    let view = |stored: fastlead_core::port::StoredEvent| {
        let lead_id = stored.lead_id;
        let event = event_view(stored, locale.unwrap_or(Locale::En))?;
        Ok::<_, fastlead_core::Error>(WorkspaceEventView { lead_id, event })
    };
    Ok(Json(EventBatchView {
        items: batch.events.into_iter().map(view).collect::<Result<_, _>>()?,
        position: batch.position,
        more: batch.more,
        unreadable: batch.unreadable,
    }))
}
