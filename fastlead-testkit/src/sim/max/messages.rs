//! Requests that put something before a person: messages, their changes, and answers to pressed buttons.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::api::Request;
use super::html::visible;
use super::state::{CallbackAnswer, Message, Shared, State, mid, now};
use crate::sim::{Arrival, ArrivedButton};

const TEXT_MAX_CHARS: usize = 4_000;
const ROWS_MAX: usize = 30;
const BUTTONS_MAX: usize = 210;
const ROW_MAX: usize = 7;
/// In a row with a button of one of the kinds of [`WIDE`].
const WIDE_ROW_MAX: usize = 3;
const WIDE: [&str; 4] = ["link", "open_app", "request_geo_location", "request_contact"];
const BUTTON_TEXT_MAX: usize = 128;
const PAYLOAD_MAX: usize = 1_024;
const URL_MAX: usize = 2_048;
const MESSAGES_KEPT: usize = 10_000;
/// Added to the count of messages: as large as MAX's own.
const FIRST_SEQ: u64 = 116_328_147_937_082_782;

pub(super) fn send(shared: &Shared, request: &Request) -> Result<Answer, Answer> {
    let content = Content::read(request.body()?)?;
    if content.text.as_ref().is_none_or(|text| text.seen.is_empty())
        && content.attachments.as_ref().is_none_or(Vec::is_empty)
    {
        return Err(Answer::bad_request("text or attachments are required"));
    }
    let mut state = shared.lock();
    let place = state.writable(request.number("user_id")?, request.number("chat_id")?)?;
    let number = state.take_number();
    let Content { text, attachments } = content;
    let Text { seen, markup } = text.unwrap_or_default();
    let message = Message {
        mid: mid(place.chat_id(), number),
        place,
        at: now(),
        seq: FIRST_SEQ + number,
        text: seen,
        attachments: attachments.unwrap_or_default(),
    };
    let mut arrival =
        Arrival::new("max", place.number().to_string(), message.text.as_str(), message.mid.as_str());
    arrival.from = super::BOT_USERNAME.to_owned();
    arrival.markup = markup;
    arrival.buttons = buttons(&message.attachments);
    arrival.details = json!({ "request": request.to_json() });
    let answer = json!({ "message": message.to_json(&shared.bot()) });
    state.messages.insert(message.mid.clone(), message);
    if state.messages.len() > MESSAGES_KEPT {
        state.messages.pop_first();
    }
    drop(state);
    shared.inbox.push(arrival);
    shared.announce();
    Ok(Answer::Object(answer))
}

pub(super) fn edit(shared: &Shared, request: &Request) -> Result<Answer, Answer> {
    let content = Content::read(request.body()?)?;
    let id = request.query("message_id").ok_or_else(|| Answer::bad_request("message_id is required"))?;
    let changed = change(&mut shared.lock(), id, &content)?;
    show(shared, &changed, content.text);
    Ok(Answer::success())
}

pub(super) fn delete(shared: &Shared, request: &Request) -> Result<Answer, Answer> {
    let id = request.query("message_id").ok_or_else(|| Answer::bad_request("message_id is required"))?;
    shared.lock().messages.remove(id).ok_or_else(not_found)?;
    shared.announce();
    Ok(Answer::success())
}

pub(super) fn get(shared: &Shared, id: &str) -> Result<Answer, Answer> {
    let state = shared.lock();
    let message = state.messages.get(id).ok_or_else(not_found)?;
    Ok(Answer::Object(message.to_json(&shared.bot())))
}

/// A notice to who has pressed, a change of the message, or both.
pub(super) fn answer(shared: &Shared, request: &Request) -> Result<Answer, Answer> {
    let body = request.body()?;
    let callback_id =
        request.query("callback_id").ok_or_else(|| Answer::bad_request("callback_id is required"))?;
    let notification = optional_text(body, "notification")?;
    let content = match body.get("message") {
        None | Some(Value::Null) => None,
        Some(Value::Object(message)) => Some(Content::read(message)?),
        Some(_) => return Err(Answer::bad_request("message is not an object")),
    };
    if notification.is_none() && content.is_none() {
        return Err(Answer::bad_request("message or notification is required"));
    }
    let mut state = shared.lock();
    let under = state
        .presses
        .get(callback_id)
        .cloned()
        .ok_or_else(|| Answer::refused(404, "not.found", "Callback not found"))?;
    let changed = match &content {
        Some(content) => {
            // The message may be gone since.
            let gone = || Answer::bad_request("the message cannot be changed");
            let id = under.ok_or_else(gone)?;
            Some(change(&mut state, &id, content).map_err(|_| gone())?)
        }
        None => None,
    };
    state.answered.push(CallbackAnswer {
        callback_id: callback_id.to_owned(),
        notification,
        changed_message: changed.is_some(),
    });
    drop(state);
    if let Some(changed) = &changed {
        show(shared, changed, content.and_then(|content| content.text));
    }
    shared.announce();
    Ok(Answer::success())
}

fn not_found() -> Answer {
    Answer::refused(404, "not.found", "Message not found")
}

/// What is left out stays; an empty list takes all attachments away.
fn change(state: &mut State, id: &str, content: &Content) -> Result<Message, Answer> {
    let message = state.messages.get_mut(id).ok_or_else(not_found)?;
    if let Some(text) = &content.text {
        message.text.clone_from(&text.seen);
    }
    if let Some(attachments) = &content.attachments {
        message.attachments.clone_from(attachments);
    }
    Ok(message.clone())
}

/// Puts a changed message before its reader.
fn show(shared: &Shared, changed: &Message, text: Option<Text>) {
    shared.inbox.update(&changed.mid, |arrival| {
        arrival.text.clone_from(&changed.text);
        arrival.buttons = buttons(&changed.attachments);
        if let Some(text) = text {
            arrival.markup = text.markup;
        }
    });
    shared.announce();
}

/// The body of a message, as far as it is given.
struct Content {
    text: Option<Text>,
    attachments: Option<Vec<Value>>,
}

#[derive(Default)]
struct Text {
    seen: String,
    /// As it came, where that differs.
    markup: Option<String>,
}

impl Content {
    fn read(body: &Map<String, Value>) -> Result<Self, Answer> {
        let format = optional_text(body, "format")?;
        let text = match optional_text(body, "text")? {
            None => None,
            Some(text) if text.chars().count() > TEXT_MAX_CHARS => {
                return Err(Answer::bad_request("text: size must be between 0 and 4000"));
            }
            Some(text) => Some(match format.as_deref() {
                Some("html") => {
                    let seen = visible(&text);
                    Text { markup: (seen != text).then_some(text), seen }
                }
                // Markdown is not simulated: its signs stay visible.
                None | Some("markdown") => Text { seen: text, markup: None },
                Some(_) => return Err(Answer::bad_request("format: unknown value")),
            }),
        };
        let attachments = match body.get("attachments") {
            None | Some(Value::Null) => None,
            Some(Value::Array(attachments)) => Some(attachments.clone()),
            Some(_) => return Err(Answer::bad_request("attachments is not a list")),
        };
        for attachment in attachments.iter().flatten() {
            match attachment["type"].as_str() {
                Some("inline_keyboard") => check_keyboard(attachment)?,
                Some(_) => {}
                None => return Err(Answer::bad_request("an attachment has no type")),
            }
        }
        Ok(Self { text, attachments })
    }
}

fn optional_text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Answer> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Answer::bad_request(format!("{name} is not a string"))),
    }
}

fn check_keyboard(attachment: &Value) -> Result<(), Answer> {
    let refuse = |message: &str| Err(Answer::bad_request(message));
    let Some(rows) = attachment["payload"]["buttons"].as_array() else {
        return refuse("buttons is not a list");
    };
    let rows: Option<Vec<&Vec<Value>>> = rows.iter().map(Value::as_array).collect();
    let Some(rows) = rows else { return refuse("a row of buttons is not a list") };
    if rows.len() > ROWS_MAX || rows.iter().map(|row| row.len()).sum::<usize>() > BUTTONS_MAX {
        return refuse("too many buttons");
    }
    for row in rows {
        let kind = |button: &Value| button["type"].as_str().unwrap_or_default().to_owned();
        let is_wide = row.iter().any(|button| WIDE.contains(&kind(button).as_str()));
        if row.is_empty() || row.len() > if is_wide { WIDE_ROW_MAX } else { ROW_MAX } {
            return refuse("a row has too many buttons or none");
        }
        for button in row {
            let length = |name: &str| button[name].as_str().map_or(0, |text| text.chars().count());
            let fits = |name: &str, max: usize| (1..=max).contains(&length(name));
            let good = fits("text", BUTTON_TEXT_MAX)
                && match kind(button).as_str() {
                    "callback" => fits("payload", PAYLOAD_MAX),
                    "link" => fits("url", URL_MAX),
                    "request_contact"
                    | "request_geo_location"
                    | "open_app"
                    | "message"
                    | "clipboard"
                    | "chat" => true,
                    _ => false,
                };
            if !good {
                return refuse("a button cannot be read");
            }
        }
    }
    Ok(())
}

fn buttons(attachments: &[Value]) -> Vec<ArrivedButton> {
    let keyboards = attachments.iter().filter(|attachment| attachment["type"] == "inline_keyboard");
    let rows = keyboards.filter_map(|keyboard| keyboard["payload"]["buttons"].as_array()).flatten();
    rows.filter_map(Value::as_array)
        .flatten()
        .map(|button| {
            let field = |name: &str| button[name].as_str().unwrap_or_default().to_owned();
            let opens_url = button["type"] == "link";
            let data = field(if opens_url { "url" } else { "payload" });
            ArrivedButton { label: field("text"), data, opens_url }
        })
        .collect()
}
