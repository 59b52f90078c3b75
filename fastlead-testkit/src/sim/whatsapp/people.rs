//! The other side of the conversation: what people do, and what becomes of messages, as events for the number.

use serde_json::{Value, json};

use super::WhatsAppSim;
use super::state::{News, State, now};

/// More than a day.
const LONG_AGO_SECONDS: i64 = 25 * 60 * 60;

impl WhatsAppSim {
    /// A person who has written a moment ago, so that they may be written to freely. `wa_id` is their number, digits only.
    pub fn add_person(&self, wa_id: &str, name: &str) {
        self.act(|state| state.add_person(wa_id, name, now()));
    }

    /// A person who has not written today: only templates reach them.
    pub fn add_stranger(&self, wa_id: &str, name: &str) {
        self.act(|state| state.add_person(wa_id, name, 0));
    }

    /// Lets a day pass since the last message of a person.
    pub fn close_window(&self, wa_id: &str) {
        self.act(|state| {
            if let Some(person) = state.people.get_mut(wa_id) {
                person.heard = now() - LONG_AGO_SECONDS;
            }
        });
    }

    /// Shows a user name in place of the number from now on: messages carry the business-scoped user id alone.
    pub fn hide_number(&self, wa_id: &str) {
        self.act(|state| {
            if let Some(person) = state.people.get_mut(wa_id) {
                person.is_hidden = true;
            }
        });
    }

    /// The business-scoped user id of a person; empty where nobody has this number.
    pub fn user_id(&self, wa_id: &str) -> String {
        self.shared.lock().people.get(wa_id).map(|person| person.user_id.clone()).unwrap_or_default()
    }

    /// A person writes, and may be written to freely for a day. Returns the id of the message.
    pub fn write(&self, wa_id: &str, text: &str) -> String {
        self.write_with(wa_id, json!({ "type": "text", "text": { "body": text } }))
    }

    /// The same with other fields of the message: `type`, `image`, `referral` and so on.
    pub fn write_with(&self, wa_id: &str, fields: Value) -> String {
        self.act(|state| said(state, wa_id, fields))
    }

    /// A person presses a reply button, or a quick reply of a template, of a message of the number. Returns the id of the
    /// press; `None` where the number has sent no such message.
    ///
    /// The message need not have such a button: a modified client can send anything.
    pub fn press(&self, message_id: &str, data: &str, label: &str) -> Option<String> {
        self.act(|state| {
            let message = state.messages.get(message_id)?.clone();
            let context = json!({ "from": super::PHONE_NUMBER_ID, "id": message_id });
            let fields = if message.is_template {
                json!({ "type": "button", "button": { "payload": data, "text": label }, "context": context })
            } else {
                let reply = json!({ "type": "button_reply", "button_reply": { "id": data, "title": label } });
                json!({ "type": "interactive", "interactive": reply, "context": context })
            };
            Some(said(state, &message.to, fields))
        })
    }

    /// Tells what has become of a message: `sent`, `delivered`, `read`. Returns whether the number has sent it.
    pub fn tell(&self, message_id: &str, status: &str) -> bool {
        self.told(message_id, status, None)
    }

    /// Tells that a message did not arrive, with Meta's code. Returns whether the number has sent it.
    pub fn fail(&self, message_id: &str, code: i64) -> bool {
        self.told(message_id, "failed", Some(code))
    }

    fn told(&self, message_id: &str, status: &str, error: Option<i64>) -> bool {
        self.act(|state| {
            let Some(message) = state.messages.get(message_id).cloned() else { return false };
            state.push_status(message_id, &message.to, message.along.as_ref(), status, error);
            true
        })
    }

    fn act<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let outcome = action(&mut self.shared.lock());
        self.shared.announce();
        outcome
    }
}

fn said(state: &mut State, wa_id: &str, fields: Value) -> String {
    let at = now();
    if !state.people.contains_key(wa_id) {
        state.add_person(wa_id, "Anna", at);
    }
    let id = state.take_id();
    let Some(person) = state.people.get_mut(wa_id) else { return id };
    person.heard = at;
    let mut message = json!({ "id": id, "timestamp": at.to_string(), "from_user_id": person.user_id });
    let mut contact = json!({ "profile": { "name": person.name }, "user_id": person.user_id });
    if !person.is_hidden {
        message["from"] = wa_id.into();
        contact["wa_id"] = wa_id.into();
    }
    if let (Value::Object(message), Value::Object(fields)) = (&mut message, fields) {
        message.extend(fields);
    }
    state.push(News::Message { message, contact });
    id
}
