//! Methods that put something before a person: `sendMessage`, the edits, `answerCallbackQuery`.

use serde_json::{Value, json};

use super::answer::Answer;
use super::html::{self, Entity, Visible};
use super::params::Params;
use super::state::{CallbackAnswer, Message, Shared, State};
use crate::sim::{Arrival, ArrivedButton};

/// <https://core.telegram.org/bots/api#sendmessage>, counted after entities parsing.
const TEXT_MAX_CHARS: usize = 4096;
/// The server refuses longer markup before it parses it (`Client::get_formatted_text`).
const MARKUP_MAX_BYTES: usize = 1 << 15;
const CALLBACK_ANSWER_MAX_CHARS: usize = 200;
const CALLBACK_DATA_MAX_BYTES: usize = 64;
const MESSAGES_KEPT: usize = 10_000;

pub(super) fn send(shared: &Shared, params: Params) -> Result<Answer, Answer> {
    let visible = visible_text(&params)?;
    let reply_markup = params.object("reply_markup")?;
    check_markup(reply_markup.as_ref())?;

    let mut state = shared.lock();
    let chat = state.writable_chat(&params.text("chat_id"))?.clone();
    if let Some(topic) = params.integer("message_thread_id") {
        let may_have_topics = chat.kind() == "private" || !chat.topics.is_empty();
        if may_have_topics && !chat.topics.contains(&topic) {
            return Err(Answer::refused(400, "Bad Request: message thread not found"));
        }
    }
    let now = chrono::Utc::now();
    let message = Message {
        id: state.take_message_id(),
        chat_id: chat.id,
        date: now.timestamp(),
        text: visible.text,
        entities: visible.entities.iter().map(Entity::to_json).collect(),
        reply_markup,
        frozen: false,
    };
    let answer = message.to_json(&shared.bot(), &chat);
    let raw = params.text("text");
    let arrival = Arrival {
        number: 0,
        simulator: "telegram".to_owned(),
        at_millis: now.timestamp_millis(),
        to: chat.id.to_string(),
        from: super::BOT_USERNAME.to_owned(),
        subject: None,
        text: message.text.clone(),
        markup: (raw != message.text).then_some(raw),
        buttons: buttons(message.reply_markup.as_ref()),
        provider_message_id: message.id.to_string(),
        details: json!({ "chat_title": chat.title, "request": params.into_value() }),
    };
    state.messages.insert(message.id, message);
    if state.messages.len() > MESSAGES_KEPT {
        state.messages.pop_first();
    }
    drop(state);
    shared.inbox.push(arrival);
    shared.announce();
    Ok(Answer::done(answer))
}

pub(super) fn edit_text(shared: &Shared, params: &Params) -> Result<Answer, Answer> {
    let visible = visible_text(params)?;
    let entities = visible.entities.iter().map(Entity::to_json).collect();
    let raw = params.text("text");
    let (answer, message) = edit(shared, params, |message| {
        message.text = visible.text;
        message.entities = entities;
    })?;
    shared.inbox.update(&message.id.to_string(), |arrival| {
        arrival.markup = (raw != message.text).then_some(raw);
        arrival.text.clone_from(&message.text);
        arrival.buttons = buttons(message.reply_markup.as_ref());
    });
    shared.announce();
    Ok(answer)
}

pub(super) fn edit_markup(shared: &Shared, params: &Params) -> Result<Answer, Answer> {
    let (answer, message) = edit(shared, params, |_| {})?;
    shared.inbox.update(&message.id.to_string(), |arrival| {
        arrival.buttons = buttons(message.reply_markup.as_ref());
    });
    shared.announce();
    Ok(answer)
}

/// Both edits replace the keyboard by the one given, or take it away.
fn edit(
    shared: &Shared,
    params: &Params,
    change: impl FnOnce(&mut Message),
) -> Result<(Answer, Message), Answer> {
    let reply_markup = params.object("reply_markup")?;
    check_markup(reply_markup.as_ref())?;
    let bot = shared.bot();
    let mut state = shared.lock();
    let chat = state.writable_chat(&params.text("chat_id"))?.clone();
    let message = params
        .integer("message_id")
        .ok_or_else(|| Answer::refused(400, "Bad Request: message identifier is not specified"))
        .and_then(|id| message_in(&mut state, chat.id, id))?;
    let mut changed = message.clone();
    change(&mut changed);
    changed.reply_markup = reply_markup;
    let same = changed.text == message.text
        && changed.entities == message.entities
        && changed.reply_markup == message.reply_markup;
    if same {
        return Err(Answer::refused(
            400,
            "Bad Request: message is not modified: specified new message content and reply markup are \
             exactly the same as a current content and reply markup of the message",
        ));
    }
    *message = changed.clone();
    Ok((Answer::done(changed.to_json(&bot, &chat)), changed))
}

fn message_in(state: &mut State, chat_id: i64, id: i64) -> Result<&mut Message, Answer> {
    match state.messages.get_mut(&id).filter(|message| message.chat_id == chat_id) {
        None => Err(Answer::refused(400, "Bad Request: message to edit not found")),
        Some(message) if message.frozen => Err(Answer::refused(400, "Bad Request: message can't be edited")),
        Some(message) => Ok(message),
    }
}

pub(super) fn answer_callback(shared: &Shared, params: &Params) -> Result<Answer, Answer> {
    let id = params.text("callback_query_id");
    let text = params.text("text");
    if text.chars().count() > CALLBACK_ANSWER_MAX_CHARS {
        return Err(Answer::refused(400, "Bad Request: MESSAGE_TOO_LONG"));
    }
    let mut state = shared.lock();
    if !state.presses.contains(&id) {
        return Err(Answer::refused(
            400,
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        ));
    }
    state.answered.push(CallbackAnswer {
        callback_query_id: id,
        text,
        show_alert: params.flag("show_alert"),
    });
    drop(state);
    shared.announce();
    Ok(Answer::done(true))
}

fn visible_text(params: &Params) -> Result<Visible, Answer> {
    let text = params.text("text");
    if text.len() > MARKUP_MAX_BYTES {
        return Err(Answer::refused(400, "Bad Request: text is too long"));
    }
    let visible = match params.text("parse_mode").to_ascii_lowercase().as_str() {
        "html" => html::parse(&text)
            .map_err(|words| Answer::refused(400, format!("Bad Request: can't parse entities: {words}")))?,
        // Markdown is not simulated: its signs stay visible.
        "" | "none" | "markdown" | "markdownv2" => Visible::literal(&text),
        _ => return Err(Answer::refused(400, "Bad Request: unsupported parse_mode")),
    };
    if visible.text.is_empty() {
        return Err(Answer::refused(400, "Bad Request: message text is empty"));
    }
    if visible.text.chars().count() > TEXT_MAX_CHARS {
        return Err(Answer::refused(400, "Bad Request: message is too long"));
    }
    Ok(visible)
}

fn inline_buttons(markup: &Value) -> impl Iterator<Item = &Value> {
    markup
        .get("inline_keyboard")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .flat_map(|row| row.as_array().into_iter().flatten())
}

fn check_markup(markup: Option<&Value>) -> Result<(), Answer> {
    for button in markup.into_iter().flat_map(inline_buttons) {
        let field = |name: &str| button.get(name).and_then(Value::as_str).unwrap_or_default();
        if !button.get("text").is_some_and(Value::is_string) {
            return Err(Answer::refused(
                400,
                "Bad Request: can't parse inline keyboard button: Field \"text\" must be of type String",
            ));
        }
        if field("text").is_empty() {
            return Err(Answer::refused(400, "Bad Request: inline keyboard button text must be non-empty"));
        }
        let (url, data) = (field("url"), field("callback_data"));
        if !url.is_empty() {
            if !html::is_link(url) {
                return Err(Answer::refused(
                    400,
                    format!("Bad Request: inline keyboard button URL '{url}' is invalid: Wrong HTTP URL"),
                ));
            }
        } else if data.is_empty() {
            return Err(Answer::refused(
                400,
                "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
            ));
        } else if data.len() > CALLBACK_DATA_MAX_BYTES {
            return Err(Answer::refused(400, "Bad Request: BUTTON_DATA_INVALID"));
        }
    }
    Ok(())
}

fn buttons(markup: Option<&Value>) -> Vec<ArrivedButton> {
    markup
        .into_iter()
        .flat_map(inline_buttons)
        .map(|button| {
            let field = |name: &str| button.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let url = field("url");
            let opens_url = !url.is_empty();
            let data = if opens_url { url } else { field("callback_data") };
            ArrivedButton { label: field("text"), data, opens_url }
        })
        .collect()
}
