//! Methods that put something before a person.

use serde_json::{Value, json};

use super::answer::Refused;
use super::keyboard;
use super::params::Params;
use super::state::{EventAnswer, FIRST_CHAT, Message, Shared, State};
use crate::sim::Arrival;

/// What clients name as the limit; the schema says 9000.
const TEXT_MAX_CHARS: usize = 4_096;
const EVENT_DATA_MAX_CHARS: usize = 1_000;
const PEERS_MAX: usize = 100;
const MESSAGES_KEPT: usize = 10_000;
const KINDS_OF_ANSWER: [&str; 3] = ["show_snackbar", "open_link", "open_app"];

pub(super) fn send(shared: &Shared, params: &Params) -> Result<Value, Refused> {
    let random_id = params.required("random_id")?;
    if i32::try_from(random_id).is_err() {
        return Err(Refused::parameter("random_id not integer"));
    }
    let (peers, is_several) = peers(params)?;
    let content = Content::read(shared, params)?;
    let mut state = shared.lock();
    let mut answers = Vec::new();
    let mut arrivals = Vec::new();
    for peer in peers {
        match deliver(shared, &mut state, peer, random_id, &content, params) {
            Ok((id, cmid, arrival)) => {
                arrivals.extend(arrival);
                answers.push(json!({ "peer_id": peer, "message_id": id, "conversation_message_id": cmid }));
            }
            Err(refused) if is_several => {
                let error = json!({ "code": refused.code, "description": refused.words });
                answers.push(json!({ "peer_id": peer, "message_id": 0, "error": error }));
            }
            Err(refused) => return Err(refused),
        }
    }
    drop(state);
    for arrival in arrivals {
        shared.inbox.push(arrival);
    }
    shared.announce();
    if is_several {
        return Ok(Value::Array(answers));
    }
    Ok(answers.first().map(|answer| answer["message_id"].clone()).unwrap_or_default())
}

/// Whom a request names, and whether it names several, which changes the shape of the answer.
fn peers(params: &Params) -> Result<(Vec<i64>, bool), Refused> {
    if let Some(list) = params.get("peer_ids") {
        let peers: Result<Vec<i64>, _> = list.split(',').map(|peer| peer.trim().parse()).collect();
        return match peers {
            Ok(peers) if (1..=PEERS_MAX).contains(&peers.len()) => Ok((peers, true)),
            _ => Err(Refused::parameter("peer_ids is invalid")),
        };
    }
    let chat = params.integer("chat_id")?.map(|chat| FIRST_CHAT + chat);
    let peer = params.integer("peer_id")?.or(params.integer("user_id")?).or(chat);
    peer.map(|peer| (vec![peer], false)).ok_or_else(|| {
        Refused::parameter("you should specify peer_id, user_id, domain, chat_id or user_ids param")
    })
}

struct Content {
    text: String,
    keyboard: Option<Value>,
}

impl Content {
    fn read(shared: &Shared, params: &Params) -> Result<Self, Refused> {
        let text = params.text("message").to_owned();
        if text.is_empty() && params.text("attachment").is_empty() {
            return Err(Refused::parameter("message is empty or invalid"));
        }
        if text.chars().count() > TEXT_MAX_CHARS {
            return Err(Refused::new(914, "Message is too long"));
        }
        let keyboard = params.json("keyboard", 911, "Keyboard format is invalid: not a json")?;
        if let Some(keyboard) = &keyboard {
            if let Some(fault) = keyboard::fault(keyboard) {
                return Err(Refused::new(911, format!("Keyboard format is invalid: {fault}")));
            }
            if !shared.lock().bot_features {
                return Err(Refused::new(912, "This is a chat bot feature, change this status in settings"));
            }
        }
        Ok(Self { text, keyboard })
    }
}

/// The ids of the message, and the message itself unless it repeats one.
fn deliver(
    shared: &Shared,
    state: &mut State,
    peer: i64,
    random_id: i64,
    content: &Content,
    params: &Params,
) -> Result<(i64, i64, Option<Arrival>), Refused> {
    let known = state.writable(peer)?.clone();
    let key = (peer, random_id);
    if random_id != 0
        && let Some(message) = state.by_random_id.get(&key).and_then(|id| state.messages.get(id))
    {
        return Ok((message.id, message.cmid, None));
    }
    let (id, cmid) = state.take_message_ids(peer);
    let message = Message {
        id,
        cmid,
        peer,
        text: content.text.clone(),
        keyboard: content.keyboard.clone(),
        random_id,
        date: chrono::Utc::now().timestamp(),
    };
    state.by_random_id.insert(key, id);
    let mut arrival = Arrival::new("vk", peer.to_string(), content.text.clone(), id.to_string());
    arrival.from = format!("-{}", shared.group_id);
    arrival.buttons = keyboard::buttons(content.keyboard.as_ref());
    arrival.details =
        json!({ "peer_name": known.name, "cmid": cmid, "request": params.shown("messages.send") });
    state.push_echo(shared.group_id, &message);
    state.messages.insert(id, message);
    if state.messages.len() > MESSAGES_KEPT {
        state.messages.pop_first();
    }
    Ok((id, cmid, Some(arrival)))
}

/// Everything is replaced; what is not sent along is gone.
pub(super) fn edit(shared: &Shared, params: &Params) -> Result<Value, Refused> {
    let peer = params.required("peer_id")?;
    let content = Content::read(shared, params)?;
    let (id, cmid) = (params.integer("message_id")?, params.integer("cmid")?);
    let mut state = shared.lock();
    state.writable(peer)?;
    let is_named = |message: &&mut Message| {
        message.peer == peer && (id == Some(message.id) || (id.is_none() && cmid == Some(message.cmid)))
    };
    let message = state.messages.values_mut().find(is_named);
    let message = message.ok_or_else(|| Refused::parameter("message_id is invalid"))?;
    message.text = content.text;
    message.keyboard = content.keyboard;
    let message = message.clone();
    drop(state);
    shared.inbox.update(&message.id.to_string(), |arrival| {
        arrival.text.clone_from(&message.text);
        arrival.buttons = keyboard::buttons(message.keyboard.as_ref());
    });
    shared.announce();
    Ok(json!(1))
}

/// A handle is good for one answer.
pub(super) fn answer_press(shared: &Shared, params: &Params) -> Result<Value, Refused> {
    let (user_id, peer_id) = (params.required("user_id")?, params.required("peer_id")?);
    let event_id = params.text("event_id").to_owned();
    if params.text("event_data").chars().count() > EVENT_DATA_MAX_CHARS {
        return Err(Refused::parameter("event_data is too long"));
    }
    let data = params.json(
        "event_data",
        100,
        "One of the parameters specified was missing or invalid: event_data",
    )?;
    if let Some(data) = &data {
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
        if !KINDS_OF_ANSWER.contains(&kind) {
            return Err(Refused::parameter("event_data type is invalid"));
        }
    }
    let mut state = shared.lock();
    if state.presses.get(&event_id) != Some(&(user_id, peer_id)) {
        return Err(Refused::parameter("event_id is invalid"));
    }
    state.presses.remove(&event_id);
    let text = data.as_ref().and_then(|data| data.get("text")).and_then(Value::as_str).unwrap_or_default();
    state.answered.push(EventAnswer { event_id, user_id, peer_id, text: text.to_owned() });
    drop(state);
    shared.announce();
    Ok(json!(1))
}
