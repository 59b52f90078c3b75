//! Postal's JSON, as far as it is written and read. None of these types can be printed: they hold people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of `send/message`.
#[derive(Serialize)]
pub(super) struct NewMail<'a> {
    pub(super) to: [&'a str; 1],
    pub(super) from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_to: Option<&'a str>,
    pub(super) subject: &'a str,
    pub(super) plain_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) html_body: Option<&'a str>,
    /// Comes back in every event.
    pub(super) tag: &'a str,
    pub(super) headers: BTreeMap<&'static str, String>,
}

/// Every answer: HTTP 200, and the truth in `status`.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) status: String,
    #[serde(default)]
    pub(super) data: Value,
}

/// `data` of a success of `send/message`.
#[derive(Deserialize)]
pub(super) struct Sent {
    /// By the recipient's address.
    pub(super) messages: BTreeMap<String, SentMessage>,
}

#[derive(Deserialize)]
pub(super) struct SentMessage {
    pub(super) id: i64,
}

/// `data` of an error.
#[derive(Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) code: String,
}

/// An event.
#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) event: String,
    pub(super) timestamp: Option<f64>,
    pub(super) uuid: String,
    #[serde(default)]
    pub(super) payload: Value,
}

/// The part of an event's payload that says what has become of a message.
#[derive(Deserialize)]
pub(super) struct Told {
    /// Of a bounce it is `original_message`.
    #[serde(alias = "original_message")]
    pub(super) message: ToldMessage,
    #[serde(default)]
    pub(super) details: Option<String>,
    #[serde(default)]
    pub(super) output: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ToldMessage {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) tag: Option<String>,
}

/// A mail from a person, which a route has posted to an HTTP endpoint.
#[derive(Deserialize)]
pub(super) struct RoutedMail {
    pub(super) id: i64,
    pub(super) token: Option<String>,
    pub(super) mail_from: Option<String>,
    pub(super) from: Option<String>,
    pub(super) timestamp: Option<f64>,
    pub(super) plain_body: Option<String>,
    pub(super) auto_submitted: Option<String>,
    #[serde(default)]
    pub(super) bounce: bool,
}
