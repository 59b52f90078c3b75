//! The gateway, played on a free port: it keeps what it accepts and makes trouble on request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use fastlead_testkit::sim::{Arrival, Fault, Faults, Inbox, SimServer};
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
            self.inbox.push(Arrival {
                number: 0,
                simulator: "acme".to_owned(),
                at_millis: 0,
                to: message.to,
                from: message.from,
                subject: None,
                text: message.text,
                markup: None,
                buttons: Vec::new(),
                provider_message_id: id.clone(),
                details: serde_json::Value::Null,
            });
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
    match shared.faults.take() {
        None => shared.accept(message),
        Some(Fault::Delay { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            shared.accept(message)
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::DropBeforeAccept) => hang_up(),
        Some(Fault::DropAfterAccept) => {
            shared.accept(message);
            hang_up()
        }
        Some(Fault::RateLimited { after_secs }) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", after_secs.to_string())]).into_response()
        }
        Some(Fault::ServerError { status }) => status_of(i64::from(status)).into_response(),
        Some(Fault::BadRecipient) => StatusCode::NOT_FOUND.into_response(),
        Some(Fault::BadCredentials) => StatusCode::UNAUTHORIZED.into_response(),
        Some(Fault::NoBalance) => StatusCode::PAYMENT_REQUIRED.into_response(),
        Some(Fault::BadContent) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        Some(Fault::ProviderCode { code, text }) => (status_of(code), text).into_response(),
        Some(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn status_of(code: i64) -> StatusCode {
    u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Closes the connection instead of answering: a body that fails before its first byte makes the
/// server hang up without sending the head.
fn hang_up() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "scripted hang-up"))
    });
    Response::new(Body::from_stream(broken))
}
