//! The other side of the conversation: what a person does in Telegram, as updates for the bot.

use serde_json::{Value, json};

use super::TelegramSim;
use super::state::{Access, Chat, State};

impl TelegramSim {
    /// The person of the chat presses a button that carries `data` under a message of the bot.
    /// Returns the id of the press; `None` where the bot has not sent such a message there.
    ///
    /// The message need not have such a button: a modified client can send anything.
    pub fn press_button(&self, chat_id: i64, message_id: i64, data: &str) -> Option<String> {
        self.press(chat_id, message_id, data, None)
    }

    /// The same by a member of a group who is called so there.
    pub fn press_button_as(&self, chat_id: i64, message_id: i64, data: &str, name: &str) -> Option<String> {
        self.press(chat_id, message_id, data, Some(name))
    }

    fn press(&self, chat_id: i64, message_id: i64, data: &str, name: Option<&str>) -> Option<String> {
        let bot = self.shared.bot();
        self.act(|state| {
            let chat = state.chats.get(&chat_id)?.clone();
            let message = state.messages.get(&message_id).filter(|message| message.chat_id == chat_id)?;
            let message = message.to_json(&bot, &chat);
            let press = state.take_press_id();
            let mut person = chat.person();
            if let Some(name) = name {
                person["first_name"] = name.into();
            }
            let query = json!({
                "id": press,
                "from": person,
                "message": message,
                "chat_instance": "-3141592653589793238",
                "data": data,
            });
            state.push_update("callback_query", query);
            Some(press)
        })
    }

    /// The person writes. The chat appears if it is new.
    pub fn write(&self, chat_id: i64, text: &str) {
        self.message(chat_id, json!({ "text": text }));
    }

    /// The person opens the bot, through a deep link where there is a payload, and presses Start.
    /// The chat appears if it is new, and is unblocked if it was blocked.
    pub fn press_start(&self, chat_id: i64, payload: Option<&str>) {
        self.unblock(chat_id);
        let command =
            if chat_id > 0 { "/start".to_owned() } else { format!("/start@{}", super::BOT_USERNAME) };
        let entity = json!([{ "type": "bot_command", "offset": 0, "length": command.len() }]);
        let text = payload.map_or_else(|| command.clone(), |payload| format!("{command} {payload}"));
        self.message(chat_id, json!({ "text": text, "entities": entity }));
    }

    /// The person sends a photo, with a caption or without.
    pub fn send_photo(&self, chat_id: i64, caption: Option<&str>) {
        let mut content = json!({
            "photo": [{ "file_id": "AgACAgIAAxkBAAM", "file_unique_id": "AQADAgAT", "width": 90, "height": 67 }],
        });
        if let Some(caption) = caption {
            content["caption"] = caption.into();
        }
        self.message(chat_id, content);
    }

    /// The person shares their own number with the button that asks for it. Telegram may write it
    /// with or without the plus sign.
    pub fn share_contact(&self, chat_id: i64, phone: &str) {
        self.contact(chat_id, phone, None);
    }

    /// The person forwards the contact card of somebody else, whose account is `user_id`.
    pub fn share_contact_of(&self, chat_id: i64, user_id: i64, phone: &str) {
        self.contact(chat_id, phone, Some(user_id));
    }

    /// The person blocks the bot, or the group throws it out.
    pub fn block(&self, chat_id: i64) {
        self.set_access(chat_id, Access::Closed);
    }

    /// The person lets the bot in again. Nothing happens where it was not blocked.
    pub fn unblock(&self, chat_id: i64) {
        self.set_access(chat_id, Access::Open);
    }

    /// The group becomes a supergroup: the old id stops working, and the bot is told so.
    pub fn upgrade_group(&self, from_chat: i64, to_chat: i64) {
        self.act(|state| {
            let Some(old) = state.chats.get_mut(&from_chat) else { return };
            old.access = Access::MovedTo(to_chat);
            let old = old.clone();
            let new = Chat { id: to_chat, access: Access::Open, ..old.clone() };
            state.chats.insert(to_chat, new.clone());
            push_message(state, &old, json!({ "migrate_to_chat_id": to_chat }));
            push_message(state, &new, json!({ "migrate_from_chat_id": from_chat }));
        });
    }

    /// The person deletes a message of the bot, which is told nothing of it. It stays in the inbox. Answers whether
    /// there was such a message.
    pub fn delete_message(&self, chat_id: i64, message_id: i64) -> bool {
        self.act(|state| {
            let is_there = state.messages.get(&message_id).is_some_and(|message| message.chat_id == chat_id);
            is_there && state.messages.remove(&message_id).is_some()
        })
    }

    /// Lets Telegram refuse every further change of a message with "message can't be edited", as it does where it
    /// does not count the message among the bot's own to change. Age alone is no reason: the 48 hours that the
    /// Bot API names are about business messages. Answers whether there was such a message.
    pub fn freeze_message(&self, chat_id: i64, message_id: i64) -> bool {
        self.act(|state| {
            let message = state.messages.get_mut(&message_id).filter(|message| message.chat_id == chat_id);
            message.map(|message| message.frozen = true).is_some()
        })
    }

    /// Queues an update of any kind, such as one that Telegram will only invent. Returns its
    /// `update_id`; `None` where the bot has not asked for this kind.
    pub fn push_update(&self, kind: &str, payload: Value) -> Option<i64> {
        self.act(|state| state.push_update(kind, payload))
    }

    fn contact(&self, chat_id: i64, phone: &str, user_id: Option<i64>) {
        let own = self.act(|state| chat_or_new(state, chat_id).person());
        let (id, name) = match user_id {
            Some(id) => (Value::from(id), Value::from("Somebody")),
            None => (own["id"].clone(), own["first_name"].clone()),
        };
        let contact = json!({ "phone_number": phone, "first_name": name, "user_id": id });
        self.message(chat_id, json!({ "contact": contact }));
    }

    fn message(&self, chat_id: i64, content: Value) {
        self.act(|state| {
            let chat = chat_or_new(state, chat_id);
            push_message(state, &chat, content);
        });
    }

    fn set_access(&self, chat_id: i64, access: Access) {
        let bot = self.shared.bot();
        self.act(|state| {
            let Some(chat) = state.chats.get_mut(&chat_id) else { return };
            if chat.access == access || matches!(chat.access, Access::MovedTo(_)) {
                return;
            }
            chat.access = access;
            let (old, new) = if access == Access::Open { ("kicked", "member") } else { ("member", "kicked") };
            let member = json!({
                "chat": chat.to_json(),
                "from": chat.person(),
                "date": chrono::Utc::now().timestamp(),
                "old_chat_member": { "user": bot, "status": old, "until_date": 0 },
                "new_chat_member": { "user": bot, "status": new, "until_date": 0 },
            });
            state.push_update("my_chat_member", member);
        });
    }

    fn act<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let outcome = action(&mut self.shared.lock());
        self.shared.announce();
        outcome
    }
}

fn chat_or_new(state: &mut State, chat_id: i64) -> Chat {
    state.chats.entry(chat_id).or_insert_with(|| Chat::new(chat_id, "Anna")).clone()
}

fn push_message(state: &mut State, chat: &Chat, content: Value) {
    let mut message = json!({
        "message_id": state.take_message_id(),
        "from": chat.person(),
        "chat": chat.to_json(),
        "date": chrono::Utc::now().timestamp(),
    });
    if let (Value::Object(message), Value::Object(content)) = (&mut message, content) {
        message.extend(content);
    }
    state.push_update("message", message);
}
