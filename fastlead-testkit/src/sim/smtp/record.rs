//! An accepted message becomes an arrival per recipient.

use fastlead_core::time::{Clock, SystemClock};
use serde_json::json;

use super::mime::{self, DecodedMail};
use crate::sim::{Arrival, Inbox};

/// Who a message was for, by the envelope.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) smtp_utf8: bool,
    pub(super) eight_bit: bool,
}

/// Puts the message before each of its recipients.
pub(super) fn record(inbox: &Inbox, envelope: &Envelope, queue_id: &str, source: &[u8], login: Option<&str>) {
    let mail = mime::decode(source);
    let message_id = mail.header("Message-ID").map(str::to_owned);
    let details = json!({
        "message_id": message_id,
        "queue_id": queue_id,
        "envelope_from": envelope.from,
        "login": login,
        "size": source.len(),
        "headers": headers(&mail),
        "source": String::from_utf8_lossy(source),
    });
    let text = match (&mail.text, &mail.html) {
        (Some(text), _) => text.trim_end_matches('\n').to_owned(),
        (None, Some(html)) => mime::strip_tags(html),
        (None, None) => String::new(),
    };
    for to in &envelope.to {
        inbox.push(Arrival {
            number: 0,
            simulator: "smtp".to_owned(),
            at_millis: SystemClock.now().timestamp_millis(),
            to: to.clone(),
            from: mail.header("From").map(mime::mailbox_for_people).unwrap_or_default(),
            subject: mail.header("Subject").map(str::to_owned),
            text: text.clone(),
            markup: mail.html.clone(),
            buttons: Vec::new(),
            provider_message_id: message_id.clone().unwrap_or_else(|| queue_id.to_owned()),
            details: details.clone(),
        });
    }
}

/// Name to decoded value; a repeated name has its values on lines of their own.
fn headers(mail: &DecodedMail) -> serde_json::Map<String, serde_json::Value> {
    let mut map = serde_json::Map::new();
    for (name, value) in &mail.headers {
        let joined = match map.get(name).and_then(serde_json::Value::as_str) {
            Some(before) => format!("{before}\n{value}"),
            None => value.clone(),
        };
        map.insert(name.clone(), joined.into());
    }
    map
}
