//! The legacy API over HTTP: 200 for success and errors alike.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use super::state::{Mail, Shared};
use super::{API_KEY, key};
use crate::sim::{Arrival, Fault};

const ADDRESSES_MAX: usize = 50;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/{controller}/{action}", post(handle))
        .route("/.well-known/jwks.json", get(|| async { Json(key::key_set()) }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "<h1>404 Not Found</h1>") })
        .with_state(Arc::clone(shared))
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    Path((controller, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let accept = || match call(&shared, &controller, &action, &headers, &body) {
        Ok(data) => {
            Json(json!({ "status": "success", "time": 0.02, "flags": {}, "data": data })).into_response()
        }
        Err(refused) => refused,
    };
    shared.faults.http(scripted, accept).await
}

fn refused(code: &str, words: &str) -> Response {
    let data = json!({ "code": code, "message": words });
    Json(json!({ "status": "error", "time": 0.0, "flags": {}, "data": data })).into_response()
}

fn parameter_error(words: &str) -> Response {
    Json(json!({ "status": "parameter-error", "time": 0.0, "flags": {}, "data": { "message": words } }))
        .into_response()
}

/// Postal's own words for a fault.
fn scripted(fault: &Fault) -> Option<Response> {
    Some(match fault {
        Fault::BadCredentials => refused("InvalidServerAPIKey", "The API token provided was not valid."),
        Fault::BadContent => refused("NoContent", "There is no content for this e-mail"),
        Fault::ProviderCode { text, .. } => refused("InventedTomorrow", text),
        _ => return None,
    })
}

fn call(
    shared: &Shared,
    controller: &str,
    action: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Response> {
    match headers.get("x-server-api-key").map(|value| value.as_bytes()) {
        Some(key) if key == API_KEY.as_bytes() => {}
        Some(_) => {
            let data = json!({ "code": "InvalidServerAPIKey", "message": "Not valid.", "token": "repeated by Postal" });
            return Err(Json(json!({ "status": "error", "data": data })).into_response());
        }
        None => return Err(refused("AccessDenied", "Must be authenticated as a server.")),
    }
    let request: Value = serde_json::from_slice(body).map_err(|_| parameter_error("the body is not JSON"))?;
    match (controller, action) {
        ("send", "message") => send(shared, &request),
        ("messages", "message") => {
            let id = request["id"]
                .as_i64()
                .ok_or_else(|| parameter_error("`id` parameter is required but is missing"))?;
            let state = shared.lock();
            let mail = state.mails.get(&id);
            let mail =
                mail.ok_or_else(|| refused("MessageNotFound", "No message found matching provided ID"))?;
            Ok(json!({ "id": id, "token": mail.token }))
        }
        _ => Err((StatusCode::NOT_FOUND, "").into_response()),
    }
}

fn send(shared: &Shared, request: &Value) -> Result<Value, Response> {
    shared.lock().requests.push(request.clone());
    let to: Vec<&str> = request["to"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if to.is_empty() {
        return Err(refused("NoRecipients", "There are no recipients defined to receive this message"));
    }
    if to.len() > ADDRESSES_MAX {
        return Err(refused("TooManyToAddresses", "The maximum number of To addresses has been reached"));
    }
    let from = request["from"].as_str().unwrap_or_default();
    if from.is_empty() {
        return Err(refused("FromAddressMissing", "The From address is missing and is required"));
    }
    if !from.trim_end_matches('>').ends_with("@example.com") {
        return Err(refused("UnauthenticatedFromAddress", "The From address is not authorised to send mail"));
    }
    let text = |name: &str| request[name].as_str().map(str::to_owned).filter(|text| !text.is_empty());
    let (plain, html) = (text("plain_body"), text("html_body"));
    if plain.is_none() && html.is_none() {
        return Err(refused("NoContent", "There is no content for this e-mail"));
    }
    let mut answers = serde_json::Map::new();
    let mut arrivals = Vec::new();
    {
        let mut state = shared.lock();
        for address in to {
            let mail = Mail::new(address, from, text("subject"), text("tag"));
            let (id, token, held) = state.take(mail);
            answers.insert(address.to_owned(), json!({ "id": id, "token": token }));
            if !held {
                let mut arrival =
                    Arrival::new("postal", address, plain.clone().unwrap_or_default(), id.to_string());
                arrival.from = from.to_owned();
                arrival.subject = text("subject");
                arrival.markup = html.clone();
                arrival.details = json!({ "request": request });
                arrivals.push(arrival);
            }
        }
    }
    for arrival in arrivals {
        shared.inbox.push(arrival);
    }
    shared.announce();
    Ok(json!({ "message_id": "0190b6f4-5d3c@rp.postal.example.com", "messages": answers }))
}
