//! `GET /v1/events`: what has just happened, as server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use fastlead_core::engine::Change;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, WorkspaceId};
use fastlead_core::time::Timestamp;
use futures_util::stream::{self, Stream, StreamExt as _};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Operator;
use crate::console;
use crate::operator::names;
use crate::problem::Problem;

/// How often a quiet connection is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is asked whether somebody may still listen: a key is revoked, a user disabled, a session ended.
const ASKED_EVERY: Duration = Duration::from_secs(5);
/// A stream ends after this long.
const LONGEST: Duration = Duration::from_secs(900);

/// What keeps a reverse proxy from collecting an answer before it passes it on
/// ([nginx](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)).
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Of how many connections one may be a stream: the others take leads in.
const SHARE: usize = 8;
/// How many streams one person or program may have.
const EACH: usize = 64;
/// When somebody who was refused may come again, in seconds.
const COME_AGAIN: u64 = 60;

/// Who listens, and how many streams each has.
static LISTENERS: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// A stream, counted until it ends.
#[derive(Debug)]
struct Listener(String);

impl Listener {
    /// # Errors
    /// Where there are too many streams, of this listener or in all.
    fn begin(who: &str, most: usize) -> Result<Self, Problem> {
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.values().sum::<usize>() >= most || listeners.get(who).is_some_and(|own| *own >= EACH) {
            let detail = "too many streams of events are open; close some, or come back later";
            return Err(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(COME_AGAIN)
            );
        }
        *listeners.entry(who.to_owned()).or_default() += 1;
        Ok(Self(who.to_owned()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = listeners.get_mut(&self.0) {
            *own -= 1;
            if *own == 0 {
                listeners.remove(&self.0);
            }
        }
    }
}

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
    /// The stream is open: from now on nothing is missed. It comes first, and at once.
    Hello {
        /// Version of the server.
        server: &'static str,
        /// The build of its console: an open page of another build loads itself anew.
        console: &'static str,
        /// What the server's clock says.
        now: Timestamp,
    },
    /// Something was decided about a lead.
    Lead {
        /// Which one.
        lead_id: LeadId,
        /// The entry of its history.
        event_id: EventId,
        /// What happened.
        #[schemars(extend("enum" = names::EVENTS))]
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
            Self::Hello { .. } => "hello",
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

/// What has just happened, as server-sent events named `hello`, `lead`, `delivery`, `channel` and `lagged`. Nothing is
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
pub(crate) async fn events(
    State(app): State<App>,
    operator: Operator,
    request: Request,
) -> Result<Response, Problem> {
    let most = (app.settings.http.max_connections / SHARE).max(1);
    let listener = Listener::begin(&operator.actor.to_string(), most)?;
    let until = Instant::now() + LONGEST;
    // Before the first word, so that nothing is missed after it.
    let (changes, stopping) = (app.engine.changes(), app.stopping.clone());
    let hello = LiveEvent::Hello {
        server: env!("CARGO_PKG_VERSION"),
        console: console::build(),
        now: app.engine.clock().now(),
    };
    let (parts, _) = request.into_parts();
    let over: Over = Box::pin(async move {
        let asked = tokio::time::timeout_at(until, may_not_listen_any_more(&app, parts, operator));
        tokio::select! {
            _ = asked => {}
            () = stopping.cancelled() => {}
        }
    });
    let hello = stream::once(std::future::ready(Ok(said(&hello))));
    let events = hello.chain(listen(changes, operator.workspace_id, over, listener));
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // nginx would keep the first words back otherwise.
    let headers = [(header::CACHE_CONTROL, "no-store"), (ACCEL_BUFFERING, "no")];
    Ok((headers, events).into_response())
}

/// Ready when a stream is over.
type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Asks again and again whether the credential of a request is still that of the same operator, until it is not.
async fn may_not_listen_any_more(app: &App, mut parts: Parts, operator: Operator) {
    let mut asked = tokio::time::interval(ASKED_EVERY);
    asked.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Operator::from_request_parts(&mut parts, app).await.is_ok_and(|now| now == operator) {
        asked.tick().await;
    }
}

fn listen(
    changes: Receiver<Change>,
    workspace: WorkspaceId,
    over: Over,
    listener: Listener,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold((changes, over, listener), move |(mut changes, mut over, listener)| async move {
        let event = tokio::select! {
            biased;
            () = &mut over => return None,
            event = next(&mut changes, workspace) => event?,
        };
        Some((Ok(said(&event)), (changes, over, listener)))
    })
}

fn said(event: &LiveEvent) -> Event {
    Event::default().event(event.name()).json_data(event).unwrap_or_else(|_| Event::default())
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

    #[test]
    fn streams_are_counted_until_they_end() {
        let begin = |who: &str| Listener::begin(who, 2 * EACH + 8);
        let mut one: Vec<Listener> = (0..EACH).map(|_| begin("test one").unwrap()).collect();
        assert_eq!(begin("test one").unwrap_err().status, 429);
        let two: Vec<Listener> = (0..EACH).map(|_| begin("test two").unwrap()).collect();
        let three: Vec<Listener> = (0..8).map(|_| begin("test three").unwrap()).collect();
        assert_eq!(begin("test three").unwrap_err().status, 429);
        one.pop();
        drop(begin("test three").unwrap());
        drop((one, two, three));
        assert!(LISTENERS.lock().unwrap().keys().all(|who| !who.starts_with("test")));
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
