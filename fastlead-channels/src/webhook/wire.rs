//! The body of a webhook.

use chrono::{DateTime, SecondsFormat};
use fastlead_core::message::{Content, OutboundMessage};
use fastlead_core::time::Timestamp;
use serde::Serialize;

/// What a text is called among the events.
const TEXT_EVENT: &str = "message.text";

/// `{"type", "timestamp", "data"}`, as Standard Webhooks recommends.
#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    /// RFC 3339 in UTC with milliseconds: when it happened, not when this attempt was made.
    timestamp: String,
    data: T,
}

#[derive(Serialize)]
struct TextData<'a> {
    subject: Option<&'a str>,
    text: &'a str,
}

/// The body for `message`, the same bytes on every attempt; `None` where a webhook cannot carry it.
///
/// # Errors
/// When the data cannot be written as JSON.
pub(super) fn body(message: &OutboundMessage) -> Option<serde_json::Result<Vec<u8>>> {
    match &message.content {
        Content::Event(event) => {
            let timestamp = show(event.occurred_at);
            Some(serde_json::to_vec(&Envelope { r#type: &event.event_type, timestamp, data: &event.data }))
        }
        Content::Text(text) => {
            let subject = text.subject.as_ref().map(|subject| subject.expose().as_str());
            let data = TextData { subject, text: text.plain.expose() };
            Some(serde_json::to_vec(&Envelope {
                r#type: TEXT_EVENT,
                timestamp: show(created_at(message)),
                data,
            }))
        }
        _ => None,
    }
}

/// When the delivery was created, which its id tells; a later attempt must not change the body.
fn created_at(message: &OutboundMessage) -> Timestamp {
    let stamp = message.delivery_id.as_uuid().get_timestamp().map(|stamp| stamp.to_unix());
    stamp
        .and_then(|(seconds, nanos)| DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos))
        .unwrap_or(message.attempted_at)
}

fn show(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}
