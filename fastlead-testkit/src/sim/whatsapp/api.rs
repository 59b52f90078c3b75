//! The Graph API over HTTP: `/{version}/{id}` and `/{version}/{id}/messages`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::Refused;
use super::state::Shared;
use super::{PHONE_NUMBER_ID, TOKEN, messages};
use crate::sim::Fault;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/{version}/{id}", get(number))
        .route("/{version}/{id}/messages", post(send))
        .fallback(|| async { (StatusCode::NOT_FOUND, "<h1>404 Not Found</h1>") })
        .with_state(Arc::clone(shared))
}

async fn number(
    State(shared): State<Arc<Shared>>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let accept = || match check(&version, &id, &headers) {
        Ok(()) => Json(json!({ "id": id })).into_response(),
        Err(refused) => refused.answer(),
    };
    shared.faults.http(scripted, accept).await
}

async fn send(
    State(shared): State<Arc<Shared>>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let accept = || match check(&version, &id, &headers).and_then(|()| read(&body)) {
        Ok(request) => match messages::send(&shared, &request) {
            Ok(answer) => Json(answer).into_response(),
            Err(refused) => refused.answer(),
        },
        Err(refused) => refused.answer(),
    };
    shared.faults.http(scripted, accept).await
}

fn check(version: &str, id: &str, headers: &HeaderMap) -> Result<(), Refused> {
    let is_version = version.strip_prefix('v').is_some_and(|rest| rest.contains('.'));
    if !is_version {
        return Err(Refused::new(2_500, "Unknown path components").with_status(400));
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")) != Some(TOKEN) {
        let words = "Invalid OAuth access token - Cannot parse access token";
        return Err(Refused::new(190, words).with_status(401));
    }
    if id != PHONE_NUMBER_ID {
        return Err(Refused::parameter("Unsupported request. Object with this ID does not exist"));
    }
    Ok(())
}

fn read(body: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Refused::parameter("The request is not a JSON object"))
}

/// Meta's own words for a fault.
fn scripted(fault: &Fault) -> Option<Response> {
    let refused = match fault {
        Fault::RateLimited { .. } => Refused::new(130_429, "Rate limit hit").with_status(429),
        Fault::BadRecipient => Refused::new(131_026, "Message undeliverable"),
        Fault::BadCredentials => {
            Refused::new(190, "Error validating access token: Session has expired").with_status(401)
        }
        Fault::BadContent => Refused::new(131_009, "Parameter value is not valid"),
        Fault::NoBalance => Refused::new(131_042, "Business eligibility payment issue").with_status(402),
        Fault::ProviderCode { code, text } => Refused::new(*code, text.clone()),
        _ => return None,
    };
    Some(refused.answer())
}
