//! What the receiver remembers.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use fastlead_core::time::{Clock, SystemClock};
use serde_json::{Map, Value, json};

use crate::sim::{Arrival, Faults, Inbox};

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// `POST`, `HEAD` …
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Every header; names are in lower case.
    pub headers: HeaderMap,
    /// The raw body.
    pub body: Bytes,
}

impl ReceivedRequest {
    /// The value of a header, where it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer that a test has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

impl WebhookAnswer {
    /// This status, without headers or body.
    pub const fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A redirect to `location`.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).with_header("location", location)
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) faults: Faults,
    pub(super) inbox: Inbox,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) requests: Vec<ReceivedRequest>,
    pub(super) duplicates: u64,
    pub(super) dedupe: bool,
    pub(super) answer: Option<WebhookAnswer>,
    known: HashSet<String>,
}

impl Shared {
    pub(super) fn new() -> Self {
        let state =
            State { requests: Vec::new(), duplicates: 0, dedupe: true, answer: None, known: HashSet::new() };
        Self { faults: Faults::default(), inbox: Inbox::default(), state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the request in, once for each id.
    pub(super) fn accept(&self, request: &ReceivedRequest) {
        let id = request.header("webhook-id").map(str::to_owned);
        let mut state = self.lock();
        let repeated = id.as_ref().is_some_and(|id| !state.known.insert(id.clone()));
        state.duplicates += u64::from(repeated);
        if !(repeated && state.dedupe) {
            // Still under the lock, so that the inbox has the order of arrival.
            self.inbox.push(arrival(request, id.unwrap_or_default()));
        }
    }
}

fn arrival(request: &ReceivedRequest, id: String) -> Arrival {
    let headers: Map<String, Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    Arrival {
        number: 0,
        simulator: "webhook".to_owned(),
        at_millis: SystemClock.now().timestamp_millis(),
        to: request.uri.path().to_owned(),
        from: request.header("user-agent").unwrap_or_default().to_owned(),
        subject: None,
        text: String::from_utf8_lossy(&request.body).into_owned(),
        markup: None,
        buttons: Vec::new(),
        provider_message_id: id,
        details: json!({ "headers": headers }),
    }
}
