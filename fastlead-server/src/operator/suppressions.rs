//! Addresses to which nothing more may be sent.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::id::{ChannelId, SuppressionId};
use fastlead_core::message::Recipient;
use fastlead_core::port::{NoAdvertising, Suppression, SuppressionScope};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Body, Faults, Id, List, Query};
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::problem::Problem;

/// An address to which nothing more may be sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Suppression")]
pub(crate) struct SuppressionView {
    /// Its id.
    id: SuppressionId,
    /// The channel that it is about. A chat is suppressed on this channel only, a phone number or an e-mail address
    /// on every channel of the workspace.
    channel_id: ChannelId,
    /// The address.
    recipient: Recipient,
    /// What may not be sent there.
    scope: SuppressionScope,
    /// Why: `blocked` where the person has blocked the sender, `unsubscribed` where they have written a stop word, else
    /// what the operator said.
    reason: String,
    /// Since when.
    since: Timestamp,
    /// What stays of it where everything is suppressed and the person lets the sender in again.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_advertising: Option<NoAdvertising>,
}

impl From<Suppression> for SuppressionView {
    fn from(held: Suppression) -> Self {
        let Suppression { id, channel_id, recipient, scope, reason, since, advertising, .. } = held;
        Self { id, channel_id, recipient, scope, reason, since, no_advertising: advertising }
    }
}

/// An address to be left alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSuppression")]
pub(crate) struct SuppressionInput {
    /// A channel of the workspace that sends to such addresses.
    channel_id: ChannelId,
    /// The address.
    recipient: Recipient,
    /// What may not be sent there. Default `all`.
    #[serde(default = "everything")]
    scope: SuppressionScope,
    /// Why: 1 to 64 of `a-z`, `0-9` and `_`. Default `operator`.
    #[serde(default = "by_hand")]
    reason: String,
}

const fn everything() -> SuppressionScope {
    SuppressionScope::All
}

fn by_hand() -> String {
    "operator".to_owned()
}

/// Suppressed addresses, newest first.
#[utoipa::path(
    get, path = "/v1/suppressions", tag = "suppressions",
    params(
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
    ),
    responses((status = 200, description = "The addresses", body = ref("#/components/schemas/SuppressionList"))),
)]
pub(crate) async fn list_suppressions(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<List<SuppressionView>>, Problem> {
    let page = query.take_page()?;
    query.finish()?;
    let found = app.store.suppressions(operator.workspace_id, page).await?;
    Ok(Json(List::of(found, SuppressionView::from)))
}

/// Suppress an address: nothing more is sent there from now on.
#[utoipa::path(
    post, path = "/v1/suppressions", tag = "suppressions",
    request_body = ref("#/components/schemas/NewSuppression"),
    responses((status = 201, description = "What holds now", body = ref("#/components/schemas/Suppression"))),
)]
pub(crate) async fn create_suppression(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<SuppressionInput>,
) -> Result<(StatusCode, Json<SuppressionView>), Problem> {
    let directory = app.engine.directory();
    let channel = directory.channel(input.channel_id);
    let channel = channel.filter(|channel| channel.workspace_id == operator.workspace_id);
    let mut faults = Faults::default();
    match channel {
        None => faults.add("channel_id", "unknown_channel", "there is no such channel in this workspace"),
        Some(channel) if !channel.capabilities.recipients.contains(&input.recipient.kind()) => {
            faults.add("recipient", "wrong_recipient", "the channel does not send to addresses of this kind");
        }
        Some(_) if input.recipient == Recipient::Endpoint => {
            faults.add("recipient", "wrong_recipient", "pause the channel instead");
        }
        Some(_) => {}
    }
    faults.recipient("recipient", &input.recipient);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if input.reason.is_empty() || input.reason.len() > 64 || !input.reason.chars().all(good) {
        faults.add("reason", "invalid_reason", "expected 1 to 64 of a-z, 0-9 and _");
    }
    faults.finish()?;
    let now = app.engine.clock().now();
    let held = app
        .engine
        .suppress(Suppression {
            id: SuppressionId::generate(&**app.engine.ids(), now),
            workspace_id: operator.workspace_id,
            channel_id: input.channel_id,
            recipient: input.recipient,
            scope: input.scope,
            reason: input.reason,
            since: now,
            advertising: None,
            erased: None,
        })
        .await?;
    tracing::info!(suppression = %held.id, reason = held.reason, "address suppressed");
    Ok((StatusCode::CREATED, Json(held.into())))
}

/// Lift a suppression.
#[utoipa::path(
    delete, path = "/v1/suppressions/{id}", tag = "suppressions",
    params(("id" = String, Path, description = "The suppression's id")),
    responses((status = 204, description = "Lifted")),
)]
pub(crate) async fn lift_suppression(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<SuppressionId>,
) -> Result<StatusCode, Problem> {
    let held = app.store.suppression(operator.workspace_id, id).await?;
    let held = held.ok_or_else(|| Problem::not_found("this suppression"))?;
    app.engine.lift(operator.workspace_id, held.key()).await?;
    tracing::info!(suppression = %id, "suppression lifted");
    Ok(StatusCode::NO_CONTENT)
}
