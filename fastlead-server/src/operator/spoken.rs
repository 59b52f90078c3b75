//! What people have said over a channel.

use axum::Json;
use axum::extract::State;
use fastlead_core::channel::{InboundKind, Peer};
use fastlead_core::id::ChannelId;
use fastlead_core::port::InboundRecord;
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::channels::stored;
use super::input::{Id, List, Query};
use crate::app::App;
use crate::auth::Admin;
use crate::problem::Problem;

/// What a person has said over a channel.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Inbound")]
pub(crate) struct InboundView {
    /// `message`, `started` or `phone_shared`.
    kind: &'static str,
    /// The chat that messages to them go to: what a policy names as `recipient.chat`.
    chat: Pii<String>,
    /// The account.
    user: Pii<String>,
    /// What they are called there.
    display_name: Option<Pii<String>>,
    /// Their language as the provider says it, as a BCP 47 tag.
    language: Option<String>,
    /// What they have written; empty where only media came.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Pii<String>>,
    /// What the link carried through which they have come.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// The phone number that they have shared, as the provider wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<Pii<String>>,
    /// When, by the provider's account.
    occurred_at: Timestamp,
    /// When it came here.
    received_at: Timestamp,
}

impl InboundView {
    fn of(record: InboundRecord) -> Option<Self> {
        let (occurred_at, received_at) = (record.event.occurred_at, record.received_at);
        let (kind, from, text, payload, phone) = match record.event.kind {
            InboundKind::Message { from, text } => ("message", from, Some(text), None, None),
            InboundKind::Started { from, payload } => ("started", from, None, payload, None),
            InboundKind::PhoneShared { from, phone } => ("phone_shared", from, None, None, Some(phone)),
            _ => return None,
        };
        let Peer { chat, user, display_name, language } = from;
        Some(Self {
            kind,
            chat,
            user,
            display_name,
            language,
            text,
            payload,
            phone,
            occurred_at,
            received_at,
        })
    }
}

/// What people have said over a channel, newest first: who has written, come through a link or shared a phone number, and in
/// which chat they are reached.
#[utoipa::path(
    get, path = "/v1/channels/{id}/inbound", tag = "channels",
    params(
        ("id" = String, Path, description = "The channel's id"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
    ),
    responses((status = 200, description = "What was said", body = ref("#/components/schemas/InboundList"))),
)]
pub(crate) async fn list_inbound(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<ChannelId>,
    mut query: Query,
) -> Result<Json<List<InboundView>>, Problem> {
    let page = query.take_page()?;
    query.finish()?;
    stored(&app, &operator, id).await?;
    let found = app.store.spoken(operator.workspace_id, id, page).await?;
    let List { items, next_cursor, unreadable } = List::of(found, InboundView::of);
    Ok(Json(List { items: items.into_iter().flatten().collect(), next_cursor, unreadable }))
}
