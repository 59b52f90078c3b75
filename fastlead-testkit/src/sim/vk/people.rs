//! The other side of the conversation: what a person does in VK, as events for the community.

use serde_json::{Value, json};

use super::VkSim;
use super::state::{FIRST_CHAT, State};

/// A lead form as a person has filled it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilledForm {
    /// The number of the lead.
    pub lead_id: i64,
    /// What its owner has called the form.
    pub form_name: String,
    /// Key, question and answer, in order.
    pub answers: Vec<(String, String, String)>,
}

impl VkSim {
    /// A person whom the community may write to.
    pub fn add_person(&self, id: i64, name: &str) {
        self.shared.lock().add_peer(id, name);
        self.shared.announce();
    }

    /// A chat of several people with the community in it; returns its peer id, `2000000000 + number`.
    pub fn add_chat(&self, number: i64, title: &str) -> i64 {
        let peer = FIRST_CHAT + number;
        self.shared.lock().add_peer(peer, title);
        self.shared.announce();
        peer
    }

    /// A person writes to the community, which may write to them from then on.
    pub fn write(&self, user: i64, text: &str) -> String {
        self.write_with(user, json!({ "text": text }))
    }

    /// The same with other fields of the message: `ref`, `payload`, `attachments` and so on.
    pub fn write_with(&self, user: i64, fields: Value) -> String {
        self.message(user, user, fields)
    }

    /// A member of a chat writes there.
    pub fn write_in_chat(&self, chat: i64, user: i64, text: &str) -> String {
        self.message(chat, user, json!({ "text": text }))
    }

    /// A person opens the conversation, through a `vk.me` link where there is a payload, and presses Start.
    pub fn press_start(&self, user: i64, reference: Option<&str>) -> String {
        let mut fields = json!({ "text": "Начать", "payload": "{\"command\":\"start\"}" });
        if let Some(reference) = reference {
            fields["ref"] = reference.into();
            fields["ref_source"] = "site".into();
        }
        self.message(user, user, fields)
    }

    /// A person presses a callback button with this payload under a message of the community. Returns the id of the press;
    /// `None` where the community has sent no such message there.
    ///
    /// The message need not have such a button: a modified client can send anything.
    pub fn press_button(&self, peer: i64, message_id: i64, payload: &str) -> Option<String> {
        self.press_button_as(peer, message_id, payload, peer)
    }

    /// The same by a member of a chat.
    pub fn press_button_as(&self, peer: i64, message_id: i64, payload: &str, user: i64) -> Option<String> {
        self.act(|state| {
            let cmid = state.messages.get(&message_id).filter(|message| message.peer == peer)?.cmid;
            let press = state.take_event_id();
            state.presses.insert(press.clone(), (user, peer));
            let payload: Value = serde_json::from_str(payload).unwrap_or_else(|_| payload.into());
            let object = json!({
                "user_id": user, "peer_id": peer, "event_id": press, "payload": payload, "conversation_message_id": cmid,
            });
            state.push_event("message_event", object);
            Some(press)
        })
    }

    /// Lets a press grow older than VK remembers it.
    pub fn forget_press(&self, event_id: &str) {
        self.act(|state| state.presses.remove(event_id));
    }

    /// A person allows messages, on a page with the widget where there is a key.
    pub fn allow(&self, user: i64, key: &str) -> String {
        self.act(|state| {
            state.open(user);
            state.push_event("message_allow", json!({ "user_id": user, "key": key }))
        })
    }

    /// A person forbids messages.
    pub fn deny(&self, user: i64) -> String {
        self.act(|state| {
            state.open(user);
            if let Some(peer) = state.peers.get_mut(&user) {
                peer.is_open = false;
            }
            state.push_event("message_deny", json!({ "user_id": user }))
        })
    }

    /// A person has read everything up to this message.
    pub fn read(&self, user: i64, message_id: i64) -> String {
        let object = json!({
            "from_id": user, "peer_id": user, "read_message_id": message_id, "conversation_message_id": 1,
        });
        self.push_event("message_read", object)
    }

    /// A person fills in a lead form.
    pub fn fill_in(&self, user: i64, form: &FilledForm) -> String {
        let answers: Vec<Value> = form
            .answers
            .iter()
            .map(|(key, question, answer)| json!({ "key": key, "question": question, "answer": answer }))
            .collect();
        let object = json!({
            "lead_id": form.lead_id, "group_id": self.group_id(), "user_id": user, "form_id": 1, "form_name": form.form_name,
            "ad_id": 0, "answers": answers,
        });
        self.push_event("lead_forms_new", object)
    }

    /// An administrator answers by hand: the event that also comes for what the community sends over the API.
    pub fn reply_by_hand(&self, peer: i64, text: &str) -> String {
        let from = -self.group_id();
        self.act(|state| {
            let (id, cmid) = state.take_message_ids(peer);
            let object = json!({
                "date": chrono::Utc::now().timestamp(), "from_id": from, "id": id, "out": 1, "peer_id": peer, "text": text,
                "conversation_message_id": cmid, "random_id": 0, "admin_author_id": 1, "attachments": [], "fwd_messages": [],
            });
            state.push_event("message_reply", object)
        })
    }

    /// Queues an event of any kind, such as one that VK will only invent. Returns its id.
    pub fn push_event(&self, kind: &str, object: Value) -> String {
        self.act(|state| state.push_event(kind, object))
    }

    fn message(&self, peer: i64, user: i64, fields: Value) -> String {
        self.act(|state| {
            state.open(peer);
            let (id, cmid) = state.take_message_ids(peer);
            let mut message = json!({
                "date": chrono::Utc::now().timestamp(), "from_id": user, "id": id, "out": 0, "peer_id": peer, "text": "",
                "conversation_message_id": cmid, "important": false, "random_id": 0, "attachments": [], "fwd_messages": [],
                "is_hidden": false,
            });
            if let (Value::Object(message), Value::Object(fields)) = (&mut message, fields) {
                message.extend(fields);
            }
            let client = json!({
                "button_actions": ["text", "callback", "open_link"], "keyboard": true, "inline_keyboard": true,
                "carousel": true, "lang_id": 0,
            });
            state.push_event("message_new", json!({ "message": message, "client_info": client }))
        })
    }

    fn act<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let outcome = action(&mut self.shared.lock());
        self.shared.announce();
        outcome
    }
}
