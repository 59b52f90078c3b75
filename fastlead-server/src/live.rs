//! `GET /v1/events`: what has just happened, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use fastlead_core::engine::Change;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, WorkspaceId};
use futures_util::stream::{self, Stream};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Operator;

/// How often a quiet connection is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this long, so that whoever may not listen any more stops listening.
const LONGEST: Duration = Duration::from_secs(900);

/// The route.
pub(crate) fn routes() -> Router<App> {
    documented().into()
}

/// The route with its description.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(events))
}

/// Adds the types that the description names.
pub(crate) fn schemas(generator: &mut SchemaGenerator) {
    generator.subschema_for::<LiveEvent>();
}

/// Something that has just become durable. Its `type` is also the name of the server-sent event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum LiveEvent {
    /// Something was decided about a lead.
    Lead {
        /// Which one.
        lead_id: LeadId,
        /// The entry of its history.
        event_id: EventId,
        /// `captured`, `delivery_ended`, `timer_fired` or `responded`.
        kind: String,
    },
    /// A delivery has moved on.
    Delivery {
        /// Which one.
        delivery_id: DeliveryId,
        /// The lead it is about.
        lead_id: Option<LeadId>,
        /// What was decided, such as `sent`, `delivered`, `retry` or `failed`.
        verdict: String,
    },
    /// A channel was paused or resumed.
    Channel {
        /// Which one.
        channel_id: ChannelId,
        /// Whether it is paused now.
        paused: bool,
    },
    /// The listener was too slow and has missed some: read the lists again.
    Lagged {
        /// How many changes were missed, those of other workspaces included.
        missed: u64,
    },
}

impl LiveEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Lead { .. } => "lead",
            Self::Delivery { .. } => "delivery",
            Self::Channel { .. } => "channel",
            Self::Lagged { .. } => "lagged",
        }
    }

    /// What a listener of `workspace` hears of a change.
    fn of(change: Change, workspace: WorkspaceId) -> Option<Self> {
        match change {
            Change::Lead { workspace_id, lead_id, event_id, kind } if workspace_id == workspace => {
                Some(Self::Lead { lead_id, event_id, kind: kind.to_owned() })
            }
            Change::Delivery { workspace_id, delivery_id, lead_id, verdict } if workspace_id == workspace => {
                Some(Self::Delivery { delivery_id, lead_id, verdict: verdict.to_owned() })
            }
            Change::Channel { workspace_id, channel_id, paused } if workspace_id == workspace => {
                Some(Self::Channel { channel_id, paused })
            }
            _ => None,
        }
    }
}

/// What has just happened, as server-sent events named `lead`, `delivery`, `channel` and `lagged`. Nothing is
/// repeated after a break: read the lists, or `/v1/history` after the last position, again then. The stream ends after 15 minutes and when the server stops; connect anew.
#[utoipa::path(
    get, path = "/v1/events", tag = "live",
    responses((
        status = 200,
        description = "The stream; the data of each event",
        content_type = "text/event-stream",
        body = ref("#/components/schemas/LiveEvent"),
    )),
)]
pub(crate) async fn events(State(app): State<App>, operator: Operator) -> Response {
    let until = Instant::now() + LONGEST;
    let events = listen(app.engine.changes(), operator.workspace_id, until, app.stopping);
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}

fn listen(
    changes: Receiver<Change>,
    workspace: WorkspaceId,
    until: Instant,
    stopping: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold((changes, stopping), move |(mut changes, stopping)| async move {
        let event = tokio::select! {
            () = stopping.cancelled() => return None,
            event = tokio::time::timeout_at(until, next(&mut changes, workspace)) => event.ok()??,
        };
        let event =
            Event::default().event(event.name()).json_data(event).unwrap_or_else(|_| Event::default());
        Some((Ok(event), (changes, stopping)))
    })
}

/// The next change that concerns `workspace`; `None` where the engine is gone.
async fn next(changes: &mut Receiver<Change>, workspace: WorkspaceId) -> Option<LiveEvent> {
    loop {
        match changes.recv().await {
            Ok(change) => {
                if let Some(event) = LiveEvent::of(change, workspace) {
                    return Some(event);
                }
            }
            Err(RecvError::Lagged(missed)) => return Some(LiveEvent::Lagged { missed }),
            Err(RecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(number: u128) -> WorkspaceId {
        WorkspaceId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn change(of: u128, paused: bool) -> Change {
        let channel_id = ChannelId::from_uuid(uuid::Uuid::from_u128(9));
        Change::Channel { workspace_id: workspace(of), channel_id, paused }
    }

    #[tokio::test]
    async fn a_listener_hears_its_own_workspace_and_of_what_it_missed() {
        let (sender, mut changes) = tokio::sync::broadcast::channel(2);
        sender.send(change(2, true)).unwrap();
        sender.send(change(1, true)).unwrap();
        assert!(matches!(
            next(&mut changes, workspace(1)).await,
            Some(LiveEvent::Channel { paused: true, .. })
        ));
        for _ in 0..5 {
            sender.send(change(1, false)).unwrap();
        }
        assert_eq!(next(&mut changes, workspace(1)).await, Some(LiveEvent::Lagged { missed: 3 }));
        drop(sender);
        assert!(next(&mut changes, workspace(1)).await.is_some());
        assert!(next(&mut changes, workspace(1)).await.is_some());
        assert_eq!(next(&mut changes, workspace(1)).await, None);
    }
}
