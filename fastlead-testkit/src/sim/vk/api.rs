//! The API over HTTP: `/method/<name>`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Refused, done};
use super::params::Params;
use super::state::Shared;
use super::{messages, servers};
use crate::sim::Fault;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/method/{method}", any(handle))
        .fallback(|| async { (StatusCode::NOT_FOUND, "<h1>404 Not Found</h1>") })
        .with_state(Arc::clone(shared))
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    Path(method): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = Params::read(&headers, query.as_deref(), &body);
    let is_callback = method.starts_with("groups.") && method.contains("Callback");
    let faults = if is_callback { &shared.callback_faults } else { &shared.faults };
    let repeated = params.all();
    let own = |fault: &Fault| scripted(fault).map(|refused| refused.answer(&method, repeated));
    let accept = || {
        shared.lock().requests.push(params.shown(&method));
        match call(&shared, &method, &params) {
            Ok(response) => done(response),
            Err(refused) => refused.answer(&method, params.all()),
        }
    };
    faults.http(own, accept).await.into_response()
}

/// VK's own words for a fault.
fn scripted(fault: &Fault) -> Option<Refused> {
    Some(match fault {
        Fault::RateLimited { .. } => Refused::new(6, "Too many requests per second"),
        Fault::BadRecipient => Refused::new(901, "Can't send messages for users without permission"),
        Fault::BadCredentials => Refused::new(5, "User authorization failed: invalid access_token (4)."),
        Fault::BadContent => Refused::new(914, "Message is too long"),
        Fault::ProviderCode { code, text } => Refused::new(*code, text.clone()),
        _ => return None,
    })
}

fn call(shared: &Arc<Shared>, method: &str, params: &Params) -> Result<Value, Refused> {
    match params.get("access_token") {
        Some(token) if token == shared.token => {}
        Some(_) => return Err(Refused::new(5, "User authorization failed: invalid access_token (4).")),
        None => return Err(Refused::new(5, "User authorization failed: no access_token passed.")),
    }
    if params.text("v").is_empty() {
        return Err(Refused::new(8, "Invalid request: v (version) is required"));
    }
    let right = match method.split_once('.') {
        Some(("messages", _)) => Some("messages"),
        Some(("groups", name)) if name.contains("Callback") => Some("manage"),
        _ => None,
    };
    if right.is_some_and(|right| !shared.lock().rights.contains(right)) {
        return Err(Refused::new(15, "Access denied: no access to call this method"));
    }
    match method {
        "messages.send" => messages::send(shared, params),
        "messages.edit" => messages::edit(shared, params),
        "messages.sendMessageEventAnswer" => messages::answer_press(shared, params),
        "groups.getTokenPermissions" => Ok(permissions(shared)),
        "groups.addCallbackServer" => servers::add(shared, params),
        "groups.editCallbackServer" => servers::edit(shared, params),
        "groups.deleteCallbackServer" => servers::delete(shared, params),
        "groups.getCallbackServers" => servers::list(shared, params),
        "groups.getCallbackConfirmationCode" => servers::confirmation_code(shared, params),
        "groups.getCallbackSettings" => servers::settings(shared, params),
        "groups.setCallbackSettings" => servers::set_settings(shared, params),
        _ => Err(Refused::new(3, "Unknown method passed")),
    }
}

fn permissions(shared: &Shared) -> Value {
    let bits = |right: &str| match right {
        "messages" => 4_096,
        "manage" => 262_144,
        _ => 0,
    };
    let rights = shared.lock().rights.clone();
    let permissions: Vec<Value> =
        rights.iter().map(|right| json!({ "name": right, "setting": bits(right) })).collect();
    json!({ "mask": rights.iter().map(|right| bits(right)).sum::<i64>(), "permissions": permissions })
}
