//! What puts a message before a person.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::Refused;
use super::state::{Message, Shared, State, now};
use crate::sim::{Arrival, ArrivedButton};

const TEXT_MAX: usize = 4_096;
const OFFER_MAX: usize = 1_024;
const BUTTONS_MAX: usize = 3;
const TITLE_MAX: usize = 20;
const BUTTON_ID_MAX: usize = 256;
/// Bytes of `biz_opaque_callback_data`.
const ALONG_MAX: usize = 512;

/// What a person sees.
struct Content {
    text: String,
    buttons: Vec<ArrivedButton>,
    is_template: bool,
}

impl Content {
    const fn free(text: String, buttons: Vec<ArrivedButton>) -> Self {
        Self { text, buttons, is_template: false }
    }
}

pub(super) fn send(shared: &Shared, request: &Value) -> Result<Value, Refused> {
    let mut state = shared.lock();
    state.requests.push(request.clone());
    if request["messaging_product"] != "whatsapp" {
        return Err(Refused::parameter("The parameter messaging_product is required."));
    }
    let address = address(request)?;
    let content = content(&state, request)?;
    let along = request.get("biz_opaque_callback_data").cloned();
    if along.as_ref().is_some_and(|along| along.as_str().is_none_or(|along| along.len() > ALONG_MAX)) {
        return Err(Refused::parameter("Invalid parameter biz_opaque_callback_data"));
    }
    let known = state.named(&address);
    let person = known.as_ref().and_then(|wa_id| state.people.get(wa_id));
    let closed = !content.is_template && person.is_some_and(|person| !person.may_be_written_to(now()));
    if closed && state.refuses_at_once {
        return Err(Refused::new(131_047, "Re-engagement message"));
    }
    let name = person.map(|person| person.name.clone());
    let id = state.take_id();
    let to = known.unwrap_or_else(|| address.clone());
    let message = Message { to: to.clone(), along: along.clone(), is_template: content.is_template };
    state.keep(&id, message);
    let failure = if name.is_none() { Some(131_026) } else { closed.then_some(131_047) };
    if let Some(code) = failure {
        state.push_status(&id, &to, along.as_ref(), "failed", Some(code));
    }
    drop(state);
    if failure.is_none() {
        let mut arrival = Arrival::new("whatsapp", to, content.text, id.clone());
        arrival.from = super::PHONE_NUMBER_ID.to_owned();
        arrival.buttons = content.buttons;
        arrival.details = json!({ "name": name, "request": request });
        shared.inbox.push(arrival);
    }
    shared.announce();
    let contact = if request.get("recipient").is_some() {
        json!({ "input": address, "user_id": address })
    } else {
        json!({ "input": request["to"], "wa_id": address })
    };
    let sent = json!({ "id": id, "message_status": "accepted" });
    Ok(json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [sent] }))
}

/// A number without its plus sign and blanks, or a business-scoped user id.
fn address(request: &Value) -> Result<String, Refused> {
    if let Some(user_id) = request["recipient"].as_str() {
        let is_one =
            user_id.split_once('.').is_some_and(|(country, id)| country.len() == 2 && !id.is_empty());
        return is_one
            .then(|| user_id.to_owned())
            .ok_or_else(|| Refused::parameter("Invalid parameter recipient"));
    }
    let written = request["to"].as_str().unwrap_or_default();
    let digits: String =
        written.chars().filter(|char| !matches!(char, '+' | ' ' | '-' | '(' | ')')).collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refused::parameter("The parameter to is required."));
    }
    Ok(digits)
}

fn content(state: &State, request: &Value) -> Result<Content, Refused> {
    match request["type"].as_str().unwrap_or("text") {
        "text" => {
            let body = request["text"]["body"].as_str().unwrap_or_default();
            if body.is_empty() || body.chars().count() > TEXT_MAX {
                return Err(Refused::parameter(
                    "Param text['body'] must be between 1 and 4096 characters long.",
                ));
            }
            Ok(Content::free(body.to_owned(), Vec::new()))
        }
        "interactive" => interactive(&request["interactive"]),
        "template" => {
            let template = &request["template"];
            let name = template["name"].as_str().unwrap_or_default().to_owned();
            let language = template["language"]["code"].as_str().unwrap_or_default().to_owned();
            let approved = state.templates.get(&(name, language));
            let words = "Template name does not exist in the translation";
            let approved = approved.ok_or_else(|| Refused::new(132_001, words).with_status(404))?;
            let components = template["components"].as_array().map(Vec::as_slice).unwrap_or_default();
            let filled = approved.fill(components)?;
            Ok(Content { text: filled.text, buttons: filled.buttons, is_template: true })
        }
        _ => Err(Refused::new(131_051, "Unsupported message type")),
    }
}

fn interactive(interactive: &Value) -> Result<Content, Refused> {
    let refused = |words: &str| Err(Refused::new(131_009, words));
    if interactive["type"] != "button" {
        return refused("Only reply buttons are simulated");
    }
    let body = interactive["body"]["text"].as_str().unwrap_or_default();
    if body.is_empty() || body.chars().count() > OFFER_MAX {
        return refused("Body text length invalid. Min length: 1, Max length: 1024");
    }
    let buttons = interactive["action"]["buttons"].as_array().map(Vec::as_slice).unwrap_or_default();
    if buttons.is_empty() || buttons.len() > BUTTONS_MAX {
        return refused("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3");
    }
    let mut seen = BTreeSet::new();
    let mut shown = Vec::new();
    for button in buttons {
        let (id, title) = (button["reply"]["id"].as_str(), button["reply"]["title"].as_str());
        let (Some(id), Some(title)) = (id, title) else { return refused("A button has no reply") };
        if button["type"] != "reply" || title.is_empty() || title.chars().count() > TITLE_MAX {
            return refused("Button title length invalid. Min length: 1, Max length: 20");
        }
        if id.is_empty() || id.len() > BUTTON_ID_MAX || id.trim() != id {
            return refused("Button id is invalid");
        }
        if !seen.insert(id) || !seen.insert(title) {
            return refused("Duplicated buttons");
        }
        shown.push(ArrivedButton { label: title.to_owned(), data: id.to_owned(), opens_url: false });
    }
    Ok(Content::free(body.to_owned(), shown))
}
