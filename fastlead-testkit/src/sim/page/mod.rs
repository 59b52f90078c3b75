//! The page of a simulator: what arrived, the other person's part, and scripted trouble.
//!
//! All simulators share one frame without foreign files (`frame.html`, `frame.css`, `frame.js`). What
//! is on it comes as JSON from `page/state`, and what is done on it goes as JSON to `page/act` and
//! `page/fault`; `page/stream` says when to look again.

mod shown;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

pub(super) use shown::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Trouble, both};

use super::{Door, Fault, Faults};

/// What a simulator puts on its page and lets be done there.
pub(super) trait Stage: Clone + Send + Sync + 'static {
    /// What can be done.
    type Action: DeserializeOwned + Send;

    /// Everything that is on the page now.
    fn show(&self) -> Shown;

    /// Does what was asked for; the error is for the person at the page.
    fn act(&self, action: Self::Action) -> impl Future<Output = Result<(), String>> + Send;

    /// The trouble of a queue that [`Shown::queues`] names.
    fn faults(&self, queue: &str) -> Option<Faults>;

    /// The simulator's port.
    fn door(&self) -> &Door;

    /// Changes whenever something else is to be shown.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// The page at `/`, and what it needs below `/page`.
pub(super) fn routes<S: Stage>(stage: S) -> Router {
    Router::new().route("/", get(frame)).merge(parts(stage))
}

/// Everything but the page itself, for a simulator that takes other methods at `/`.
pub(super) fn parts<S: Stage>(stage: S) -> Router {
    Router::new()
        .route("/page/frame.css", get(|| async { asset("text/css", include_str!("frame.css")) }))
        .route("/page/frame.js", get(|| async { asset("text/javascript", include_str!("frame.js")) }))
        .route("/page/state", get(|State(stage): State<S>| async move { Json(shown(&stage)) }))
        .route("/page/stream", get(live::<S>))
        .route("/page/act", post(act::<S>))
        .route("/page/fault", post(script::<S>))
        .with_state(stage)
}

/// What every simulator can do beside its own: be down. The page is behind the same port, but for mail, so it is
/// down for a time and not until it is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefuseConnections {
    seconds: u64,
}

const REFUSE: &str = "refuse_connections";
/// Longer is of no use to anybody at a page.
const LONGEST_REFUSAL_SECS: u64 = 3_600;

fn shown<S: Stage>(stage: &S) -> Shown {
    let mut shown = stage.show();
    let title = both("Не принимать соединений", "Refuse connections");
    let seconds = Field::number("seconds", both("Секунд", "Seconds"), 10);
    shown.forms.push(Form::new(title, REFUSE, vec![seconds]));
    shown
}

fn refuse<S: Stage>(stage: &S, mut body: Value) -> Result<(), String> {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("action");
    }
    let RefuseConnections { seconds } = serde_json::from_value(body).map_err(|error| error.to_string())?;
    if !(1..=LONGEST_REFUSAL_SECS).contains(&seconds) {
        return Err(format!("seconds: use 1 to {LONGEST_REFUSAL_SECS}"));
    }
    stage.door().shut_for(Duration::from_secs(seconds));
    Ok(())
}

/// The page itself.
pub(super) async fn frame() -> Response {
    asset("text/html", include_str!("frame.html"))
}

fn asset(kind: &str, text: &'static str) -> Response {
    let policy =
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'";
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, text).into_response()
}

/// One event at once and one after each change. Several changes may become one event.
async fn live<S: Stage>(State(stage): State<S>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = stream::unfold((stage.changes(), true), |(mut changes, first)| async move {
        if !first {
            changes.changed().await.ok()?;
        }
        Some((Ok(Event::default().data("changed")), (changes, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// `body` is read only here, so that what is wrong with it is said in one line.
async fn act<S: Stage>(State(stage): State<S>, Json(body): Json<Value>) -> Response {
    if body.get("action").is_some_and(|action| action == REFUSE) {
        return answer(refuse(&stage, body));
    }
    match serde_json::from_value(body) {
        Ok(action) => answer(stage.act(action).await),
        Err(error) => answer(Err(error.to_string())),
    }
}

/// Trouble to come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    /// Which of the simulator's queues.
    queue: String,
    /// What; without it the queue is emptied.
    fault: Option<Fault>,
    /// For every request from now on, and not only for the next.
    #[serde(default)]
    always: bool,
}

async fn script<S: Stage>(State(stage): State<S>, Json(body): Json<Value>) -> Response {
    let script: Script = match serde_json::from_value(body) {
        Ok(script) => script,
        Err(error) => return answer(Err(error.to_string())),
    };
    let Some(faults) = stage.faults(&script.queue) else {
        return answer(Err(format!("there is no queue {}", script.queue)));
    };
    match (script.fault, script.always) {
        (None, _) => faults.clear(),
        (Some(fault), true) => faults.always(Some(fault)),
        (Some(fault), false) => faults.push(fault),
    }
    answer(Ok(()))
}

fn answer(done: Result<(), String>) -> Response {
    match done {
        Ok(()) => Json(json!({ "ok": true })).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": error }))).into_response(),
    }
}
