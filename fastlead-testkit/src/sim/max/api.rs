//! The Bot API over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::state::Shared;
use super::{messages, updates};
use crate::sim::Fault;
use crate::sim::played::{after_accept, before_accept};

/// What a request says.
pub(super) struct Request {
    query: BTreeMap<String, String>,
    body: Option<Map<String, Value>>,
}

impl Request {
    fn read(query: Option<&str>, body: &[u8]) -> Result<Self, Answer> {
        let query = serde_urlencoded::from_str(query.unwrap_or_default())
            .map_err(|_| Answer::bad_request("the query cannot be read"))?;
        let body = match body {
            [] => None,
            body => Some(
                serde_json::from_slice(body)
                    .map_err(|_| Answer::bad_request("the body is not a JSON object"))?,
            ),
        };
        Ok(Self { query, body })
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A whole number of the query.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Answer> {
        let number = self.query(name).map(str::parse).transpose();
        number.map_err(|_| Answer::bad_request(format!("{name} is not a number")))
    }

    pub(super) fn body(&self) -> Result<&Map<String, Value>, Answer> {
        self.body.as_ref().ok_or_else(|| Answer::bad_request("a body is required"))
    }

    pub(super) fn to_json(&self) -> Value {
        serde_json::json!({ "query": self.query, "body": self.body })
    }
}

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let unknown = || async { Answer::refused(404, "not.found", "Unknown path") };
    Router::new()
        .route("/updates", any(poll))
        .route("/me", any(handle))
        .route("/messages", any(handle))
        .route("/answers", any(handle))
        .route("/subscriptions", any(handle))
        .route("/messages/{mid}", any(read_message))
        .fallback(unknown)
        .with_state(Arc::clone(shared))
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let accept = || {
        let answer = authorize(&shared, &headers)
            .and_then(|()| Request::read(uri.query(), &body))
            .and_then(|request| call(&shared, &method, uri.path(), &request));
        answer.unwrap_or_else(|refusal| refusal).into_response()
    };
    let own = |fault: &Fault| Answer::to_fault(fault).map(IntoResponse::into_response);
    shared.faults.http(own, accept).await
}

async fn read_message(
    State(shared): State<Arc<Shared>>,
    Path(mid): Path<String>,
    headers: HeaderMap,
) -> Answer {
    authorize(&shared, &headers).and_then(|()| messages::get(&shared, &mid)).unwrap_or_else(|refusal| refusal)
}

/// Its answer takes as long as there is no news, so that the faults are played around it.
async fn poll(
    State(shared): State<Arc<Shared>>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let fault = shared.update_faults.take();
    match &fault {
        None => {}
        Some(Fault::Delay { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(Fault::ServerError { status }) => {
            let status = axum::http::StatusCode::from_u16(*status).unwrap_or_default();
            return (status, "<h1>out of order</h1>").into_response();
        }
        Some(fault) => {
            if let Some(played) = before_accept(fault).await {
                return played;
            }
            if let Some(answer) = Answer::to_fault(fault) {
                return answer.into_response();
            }
        }
    }
    let answer = match authorize(&shared, &headers).and_then(|()| Request::read(query.as_deref(), b"")) {
        Ok(request) if method == Method::GET => updates::get(&shared, &request).await,
        Ok(_) => Err(not_allowed()),
        Err(refusal) => Err(refusal),
    };
    after_accept(fault, answer.unwrap_or_else(|refusal| refusal).into_response()).await
}

/// The token alone: with `Bearer` before it, and in the query, it is refused.
fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<(), Answer> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given == Some(shared.token.as_str()) { Ok(()) } else { Err(Answer::bad_token()) }
}

fn not_allowed() -> Answer {
    Answer::refused(405, "method.not.allowed", "Method not allowed")
}

fn call(shared: &Arc<Shared>, method: &Method, path: &str, request: &Request) -> Result<Answer, Answer> {
    let path = path.rsplit('/').next().unwrap_or_default();
    match (method.as_str(), path) {
        ("GET", "me") => Ok(Answer::Object(shared.bot())),
        ("POST", "messages") => messages::send(shared, request),
        ("PUT", "messages") => messages::edit(shared, request),
        ("DELETE", "messages") => messages::delete(shared, request),
        ("POST", "answers") => messages::answer(shared, request),
        ("GET", "subscriptions") => Ok(updates::subscriptions(shared)),
        ("POST", "subscriptions") => updates::subscribe(shared, request),
        ("DELETE", "subscriptions") => updates::unsubscribe(shared, request),
        _ => Err(not_allowed()),
    }
}
