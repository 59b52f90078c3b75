//! The gateway, played on a free port: it keeps what it accepts and makes trouble on request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fastlead_testkit::sim::{Arrival, Faults, Inbox, SimServer};
use serde::Deserialize;
use serde_json::json;

/// The number that the gateway does not know.
const UNKNOWN_PHONE: &str = "+79000000404";

/// A running gateway. The port closes when it is dropped.
#[derive(Debug)]
pub struct AcmeServer {
    shared: Arc<Shared>,
    server: SimServer,
}

#[derive(Debug)]
struct Shared {
    api_key: String,
    inbox: Inbox,
    faults: Faults,
    /// The answer that a key got: a repeated key gets the same one and sends nothing.
    accepted: Mutex<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Message {
    key: String,
    to: String,
    from: String,
    text: String,
}

impl AcmeServer {
    /// Starts a gateway that knows one account.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(api_key: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            api_key: format!("Bearer {api_key}"),
            inbox: Inbox::default(),
            faults: Faults::default(),
            accepted: Mutex::default(),
        });
        let router = Router::new()
            .route("/messages", post(take))
            .route("/account", get(account))
            .with_state(Arc::clone(&shared));
        Ok(Self { shared, server: SimServer::start(router).await? })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        self.server.base_url()
    }

    /// What was accepted.
    pub fn inbox(&self) -> Inbox {
        self.shared.inbox.clone()
    }

    /// Trouble for the next messages.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// A number that the gateway does not know.
    pub const fn unknown_phone() -> &'static str {
        UNKNOWN_PHONE
    }
}

impl Shared {
    fn knows(&self, headers: &HeaderMap) -> bool {
        headers.get("authorization").is_some_and(|value| value.as_bytes() == self.api_key.as_bytes())
    }

    fn accept(&self, message: Message) -> Response {
        if message.to == UNKNOWN_PHONE {
            return StatusCode::NOT_FOUND.into_response();
        }
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let next = format!("acme-{}", accepted.len() + 1);
        let mut is_new = false;
        let id = accepted.entry(message.key).or_insert_with(|| {
            is_new = true;
            next
        });
        if is_new {
            let arrival = Arrival::new("acme", message.to, message.text, id.clone());
            self.inbox.push(Arrival { from: message.from, ..arrival });
        }
        (StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response()
    }
}

async fn account(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> StatusCode {
    if shared.knows(&headers) { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(message): Json<Message>,
) -> Response {
    if !shared.knows(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // Acme answers trouble by bare statuses, as `Faults::http` plays them.
    shared.faults.http(|_| None, || shared.accept(message)).await
}
