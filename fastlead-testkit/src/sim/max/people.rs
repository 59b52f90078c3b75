//! The other side of the conversation: what people do in MAX, as updates for the bot.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::MaxSim;
use super::state::{Access, Person, Place, State, dialog_of, mid, now};

impl MaxSim {
    /// A person presses a button that carries `payload` under a message of the bot, in their dialog or in a group.
    /// Returns the id of the press; `None` where the bot has no such message there.
    ///
    /// The message need not have such a button: a modified client can send anything.
    pub fn press_button(&self, user_id: i64, message_id: &str, payload: &str) -> Option<String> {
        let bot = self.shared.bot();
        self.act(|state| {
            let person = person_or_new(state, user_id);
            let message = state.messages.get(message_id).filter(|message| match message.place {
                Place::Dialog(owner) => owner == user_id,
                Place::Group(_) => true,
            })?;
            let message = message.to_json(&bot);
            Some(push_press(state, &person, payload, Some(message_id), message))
        })
    }

    /// A person presses a button under a message that is deleted before MAX tells the bot.
    pub fn press_button_of_deleted_message(&self, user_id: i64, payload: &str) -> String {
        self.act(|state| {
            let person = person_or_new(state, user_id);
            push_press(state, &person, payload, None, Value::Null)
        })
    }

    /// A person writes to the bot. They appear if they are new.
    pub fn write(&self, user_id: i64, text: &str) {
        self.message(user_id, Place::Dialog(user_id), json!({ "text": text, "attachments": [] }));
    }

    /// A person writes in a group.
    pub fn write_in_group(&self, chat_id: i64, user_id: i64, text: &str) {
        self.message(user_id, Place::Group(chat_id), json!({ "text": text, "attachments": [] }));
    }

    /// A person sends a picture without words.
    pub fn send_photo(&self, user_id: i64) {
        let photo = json!({ "type": "image", "payload": { "photo_id": 1, "token": "t", "url": "https://i.example.com/1" } });
        self.message(user_id, Place::Dialog(user_id), json!({ "text": null, "attachments": [photo] }));
    }

    /// A person opens the bot, through a link where there is a payload, and presses Start. They appear if they are new,
    /// and let the bot in if they had stopped it.
    pub fn start_bot(&self, user_id: i64, payload: Option<&str>) {
        self.dialog_changed(user_id, Access::Open, |state, person| {
            let mut update = dialog_update("bot_started", &person);
            update["user_id"] = user_id.into();
            update["payload"] = payload.into();
            state.push_update(update);
        });
    }

    /// A person stops the bot: it may not write to them any more.
    pub fn stop_bot(&self, user_id: i64) {
        self.dialog_changed(user_id, Access::Closed, |state, person| {
            state.push_update(dialog_update("bot_stopped", &person));
        });
    }

    /// A person removes the dialog with the bot, which may not write to them any more.
    pub fn remove_dialog(&self, user_id: i64) {
        self.dialog_changed(user_id, Access::Closed, |state, person| {
            state.push_update(dialog_update("dialog_removed", &person));
        });
    }

    /// A person shares their own number with the button that asks for it.
    pub fn share_contact(&self, user_id: i64, phone: &str) {
        let card = card(phone);
        let hash = self.hash(&card);
        self.contact(user_id, user_id, &card, &hash);
    }

    /// A person forwards the card of somebody else, whose account is `owner_id`, with that card's own hash.
    pub fn share_contact_of(&self, user_id: i64, owner_id: i64, phone: &str) {
        let card = card(phone);
        let hash = self.hash(&card);
        self.contact(user_id, owner_id, &card, &hash);
    }

    /// A person sends a card with their account and any number, as a modified client can: MAX's hash is not with it.
    pub fn share_forged_contact(&self, user_id: i64, phone: &str) {
        self.contact(user_id, user_id, &card(phone), &"0".repeat(64));
    }

    /// The language that MAX reports for a person, such as `ru`.
    pub fn set_language(&self, user_id: i64, language: &str) {
        if let Some(person) = self.shared.lock().people.get_mut(&user_id) {
            person.language = Some(language.to_owned());
        }
    }

    /// A message of the bot is deleted, which it is told nothing of. It stays in the inbox. Returns whether there was such a
    /// message.
    pub fn delete_message(&self, message_id: &str) -> bool {
        self.act(|state| state.messages.remove(message_id).is_some())
    }

    /// Queues an update of any kind, such as one that MAX will only invent. Returns `false` where the bot has not asked
    /// for such.
    pub fn push_update(&self, update: Value) -> bool {
        self.act(|state| state.push_update(update))
    }

    /// `HMAC-SHA256` of the card with the token as the key, in hexadecimal digits.
    fn hash(&self, card: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.token().as_bytes());
        mac.map(|mac| hex::encode(mac.chain_update(card).finalize().into_bytes())).unwrap_or_default()
    }

    fn contact(&self, user_id: i64, owner_id: i64, card: &str, hash: &str) {
        let owner = self.act(|state| person_or_new(state, owner_id).to_json());
        let payload = json!({ "vcf_info": card, "max_info": owner, "hash": hash });
        let contact = json!({ "type": "contact", "payload": payload });
        self.message(user_id, Place::Dialog(user_id), json!({ "text": null, "attachments": [contact] }));
    }

    fn message(&self, user_id: i64, place: Place, body: Value) {
        self.act(|state| {
            let person = person_or_new(state, user_id);
            let number = state.take_number();
            let at = now();
            let mut whole = json!({ "mid": mid(place.chat_id(), number), "seq": number });
            if let (Value::Object(whole), Value::Object(body)) = (&mut whole, body) {
                whole.extend(body);
            }
            let mut update = json!({
                "update_type": "message_created",
                "timestamp": at,
                "message": {
                    "sender": person.to_json(),
                    "recipient": place.recipient_at_bot(),
                    "timestamp": at,
                    "body": whole,
                },
            });
            if matches!(place, Place::Dialog(_)) {
                update["user_locale"] = person.language.into();
            }
            state.push_update(update);
        });
    }

    fn dialog_changed(&self, user_id: i64, access: Access, tell: impl FnOnce(&mut State, Person)) {
        self.act(|state| {
            let person = person_or_new(state, user_id);
            if let Some(person) = state.people.get_mut(&user_id) {
                person.access = access;
            }
            tell(state, person);
        });
    }

    fn act<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let outcome = action(&mut self.shared.lock());
        self.shared.announce();
        outcome
    }
}

fn card(phone: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nTEL;TYPE=cell:{phone}\r\nFN:Anna\r\nEND:VCARD\r\n")
}

fn dialog_update(kind: &str, person: &Person) -> Value {
    json!({
        "update_type": kind,
        "timestamp": now(),
        "chat_id": dialog_of(person.user_id),
        "user_locale": person.language,
        "user": person.to_json(),
    })
}

fn push_press(
    state: &mut State,
    person: &Person,
    payload: &str,
    message_id: Option<&str>,
    message: Value,
) -> String {
    let id = format!("f9LHodD0cOJf4_{:016}", state.take_number());
    state.presses.insert(id.clone(), message_id.map(str::to_owned));
    state.push_update(json!({
        "update_type": "message_callback",
        "timestamp": now(),
        "user_locale": person.language,
        "callback": { "timestamp": now(), "callback_id": id, "payload": payload, "user": person.to_json() },
        "message": message,
    }));
    id
}

fn person_or_new(state: &mut State, user_id: i64) -> Person {
    state.people.entry(user_id).or_insert_with(|| Person::new(user_id, "Anna", Access::Open)).clone()
}
