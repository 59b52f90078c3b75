//! Meta's JSON, as far as it is written and read. What is not listed is ignored, so that new fields and new kinds of events
//! do no harm. None of these types can be printed: they hold people.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The body of `POST /{phone_number_id}/messages`.
#[derive(Serialize)]
pub(super) struct NewMessage<'a> {
    pub(super) messaging_product: &'static str,
    pub(super) recipient_type: &'static str,
    /// Digits of a phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<&'a str>,
    /// Business-scoped user id, in place of `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recipient: Option<&'a str>,
    #[serde(flatten)]
    pub(super) content: NewContent<'a>,
    /// Comes back in every status.
    pub(super) biz_opaque_callback_data: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum NewContent<'a> {
    Text {
        #[serde(rename = "type")]
        kind: &'static str,
        text: TextBody<'a>,
    },
    Interactive {
        #[serde(rename = "type")]
        kind: &'static str,
        interactive: Interactive<'a>,
    },
    Template {
        #[serde(rename = "type")]
        kind: &'static str,
        template: Template<'a>,
    },
}

#[derive(Serialize)]
pub(super) struct TextBody<'a> {
    pub(super) preview_url: bool,
    pub(super) body: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct Interactive<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) body: InteractiveBody<'a>,
    pub(super) action: Action,
}

#[derive(Serialize)]
pub(super) struct InteractiveBody<'a> {
    pub(super) text: Cow<'a, str>,
}

#[derive(Serialize)]
pub(super) struct Action {
    pub(super) buttons: Vec<ReplyButton>,
}

#[derive(Serialize)]
pub(super) struct ReplyButton {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) reply: Reply,
}

#[derive(Serialize)]
pub(super) struct Reply {
    pub(super) id: String,
    pub(super) title: String,
}

#[derive(Serialize)]
pub(super) struct Template<'a> {
    pub(super) name: &'a str,
    pub(super) language: Language<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) components: Vec<Component<'a>>,
}

#[derive(Serialize)]
pub(super) struct Language<'a> {
    pub(super) code: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Component<'a> {
    Body { parameters: Vec<Parameter<'a>> },
    Button { sub_type: &'static str, index: String, parameters: [Parameter<'a>; 1] },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Parameter<'a> {
    Text {
        #[serde(skip_serializing_if = "Option::is_none")]
        parameter_name: Option<&'a str>,
        text: String,
    },
    Payload {
        payload: String,
    },
}

/// The answer to a message. 200 means that Meta has it, and nothing more.
#[derive(Deserialize)]
pub(super) struct Sent {
    pub(super) messages: Vec<SentMessage>,
}

#[derive(Deserialize)]
pub(super) struct SentMessage {
    pub(super) id: String,
}

/// The answer to a question about the number.
#[derive(Deserialize)]
pub(super) struct PhoneNumber {
    pub(super) id: String,
}

/// A refusal.
#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) error: GraphError,
}

#[derive(Deserialize)]
pub(super) struct GraphError {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) is_transient: bool,
}

/// What Meta posts. Each level is a list, and each element is read by itself.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) entry: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) changes: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) value: Messages,
}

/// `value` of a change whose field is `messages`.
#[derive(Deserialize)]
pub(super) struct Messages {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) contacts: Vec<Value>,
    #[serde(default)]
    pub(super) messages: Vec<Value>,
    #[serde(default)]
    pub(super) statuses: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) phone_number_id: String,
}

/// Who has written.
#[derive(Deserialize)]
pub(super) struct Contact {
    pub(super) profile: Option<Profile>,
    pub(super) wa_id: Option<String>,
    /// Business-scoped user id.
    pub(super) user_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Profile {
    pub(super) name: Option<String>,
}

/// A message from a person. What its kind brings is in `content`.
#[derive(Deserialize)]
pub(super) struct Message {
    /// Digits of a phone number; missing where the person shows a user name instead.
    pub(super) from: Option<String>,
    /// Business-scoped user id.
    pub(super) from_user_id: Option<String>,
    pub(super) id: String,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) timestamp: Option<i64>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(flatten)]
    pub(super) content: serde_json::Map<String, Value>,
}

/// What has become of a message.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) timestamp: Option<i64>,
    pub(super) recipient_id: Option<String>,
    pub(super) recipient_user_id: Option<String>,
    pub(super) biz_opaque_callback_data: Option<String>,
    /// Each is read by itself.
    #[serde(default)]
    pub(super) errors: Vec<Value>,
}

/// An error in a status.
#[derive(Deserialize)]
pub(super) struct StatusError {
    pub(super) code: i64,
}

/// Seconds since the Unix epoch, which come as a text or as a number; `None` where they are neither.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("expected a text or a number")),
    }
}
