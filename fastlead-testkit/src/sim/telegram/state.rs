//! What the simulated Telegram remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Answer;
use crate::sim::{Faults, Inbox};

/// Telegram keeps updates for a day; here the number is bounded instead.
const PENDING_UPDATES_MAX: usize = 10_000;
/// The person who acts in group chats.
const GROUP_PERSON_ID: i64 = 555_000_001;

/// Shared by the router, the person's side and the webhook pump.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) token: String,
    pub(super) faults: Faults,
    pub(super) update_faults: Faults,
    pub(super) inbox: Inbox,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) chats: BTreeMap<i64, Chat>,
    pub(super) messages: BTreeMap<i64, Message>,
    pub(super) updates: VecDeque<Update>,
    pub(super) webhook: Option<Webhook>,
    /// Whether it runs like a server of one's own with `--local`.
    pub(super) is_local: bool,
    /// Beginnings of addresses, and what stands behind them on this machine.
    pub(super) fronts: Vec<(String, String)>,
    /// `None`: Telegram's default, which is everything this simulator can make.
    pub(super) allowed_updates: Option<BTreeSet<String>>,
    /// Counts `getUpdates` calls, so that a newer one ends an older one.
    pub(super) poll_turn: u64,
    /// Counts `setWebhook` calls, so that a newer pump ends an older one.
    pub(super) webhook_turn: u64,
    pub(super) presses: BTreeSet<String>,
    pub(super) answered: Vec<CallbackAnswer>,
    next_message: i64,
    next_update: i64,
    next_press: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Update {
    pub(super) id: i64,
    pub(super) body: Value,
}

#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret: String,
    pub(super) max_connections: i64,
    pub(super) last_error: Option<(i64, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    /// The person has blocked the bot, or the group has thrown it out.
    Closed,
    /// The group has become a supergroup with this id.
    MovedTo(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Chat {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) access: Access,
    /// Empty where the chat is not a forum.
    pub(super) topics: BTreeSet<i64>,
    pub(super) language: Option<String>,
}

impl Chat {
    pub(super) const fn kind(&self) -> &'static str {
        if self.id > 0 {
            "private"
        } else if self.id <= -1_000_000_000_000 {
            "supergroup"
        } else {
            "group"
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let name = if self.id > 0 { "first_name" } else { "title" };
        json!({ "id": self.id, "type": self.kind(), name: self.title })
    }

    /// Who acts in this chat.
    pub(super) fn person(&self) -> Value {
        let (id, name) = if self.id > 0 { (self.id, self.title.as_str()) } else { (GROUP_PERSON_ID, "Anna") };
        let mut person = json!({ "id": id, "is_bot": false, "first_name": name });
        if let Some(language) = &self.language {
            person["language_code"] = language.as_str().into();
        }
        person
    }
}

/// A message that the bot has sent.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) chat_id: i64,
    pub(super) date: i64,
    pub(super) text: String,
    pub(super) entities: Vec<Value>,
    pub(super) reply_markup: Option<Value>,
    /// Whether Telegram lets the bot change it no more.
    pub(super) frozen: bool,
}

/// An `answerCallbackQuery` that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// The press that was answered.
    pub callback_query_id: String,
    /// What the person saw; empty where only the spinner stopped.
    pub text: String,
    /// Whether it was shown as a dialog and not as a short notice.
    pub show_alert: bool,
}

impl Shared {
    pub(super) fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            faults: Faults::default(),
            update_faults: Faults::default(),
            inbox: Inbox::default(),
            state: Mutex::new(State::new()),
            changes: watch::channel(0).0,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for updates, for a newer turn or for an answered press.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn bot_id(&self) -> i64 {
        self.token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or_default()
    }

    pub(super) fn bot(&self) -> Value {
        json!({
            "id": self.bot_id(),
            "is_bot": true,
            "first_name": "FastLead simulator",
            "username": super::BOT_USERNAME,
        })
    }
}

impl State {
    const fn new() -> Self {
        Self {
            chats: BTreeMap::new(),
            messages: BTreeMap::new(),
            updates: VecDeque::new(),
            webhook: None,
            is_local: false,
            fronts: Vec::new(),
            allowed_updates: None,
            poll_turn: 0,
            webhook_turn: 0,
            presses: BTreeSet::new(),
            answered: Vec::new(),
            next_message: 1,
            next_update: 10_000,
            next_press: 1,
        }
    }

    pub(super) fn take_message_id(&mut self) -> i64 {
        let id = self.next_message;
        self.next_message += 1;
        id
    }

    pub(super) fn take_press_id(&mut self) -> String {
        let id = format!("43825350{:011}", self.next_press);
        self.next_press += 1;
        self.presses.insert(id.clone());
        id
    }

    /// Queues an update and returns its id; `None` where the bot has not asked for this kind.
    pub(super) fn push_update(&mut self, kind: &str, payload: Value) -> Option<i64> {
        if self.allowed_updates.as_ref().is_some_and(|allowed| !allowed.contains(kind)) {
            return None;
        }
        let id = self.next_update;
        self.next_update += 1;
        if self.updates.len() >= PENDING_UPDATES_MAX {
            self.updates.pop_front();
        }
        self.updates.push_back(Update { id, body: json!({ "update_id": id, kind: payload }) });
        Some(id)
    }

    /// The chat that a request may write to.
    ///
    /// # Errors
    /// Telegram's refusal.
    pub(super) fn writable_chat(&self, address: &str) -> Result<&Chat, Answer> {
        if address.is_empty() {
            return Err(Answer::refused(400, "Bad Request: chat_id is empty"));
        }
        let chat = match address.strip_prefix('@') {
            Some(username) => self.chats.values().find(|chat| chat.id < 0 && chat.title == username),
            None => address.parse().ok().and_then(|id: i64| self.chats.get(&id)),
        };
        let chat = chat.ok_or_else(|| Answer::refused(400, "Bad Request: chat not found"))?;
        match chat.access {
            Access::Open => Ok(chat),
            Access::MovedTo(id) => Err(Answer::moved(id)),
            Access::Closed => Err(Answer::refused(
                403,
                match chat.kind() {
                    "private" => "Forbidden: bot was blocked by the user",
                    "supergroup" => "Forbidden: bot was kicked from the supergroup chat",
                    _ => "Forbidden: bot was kicked from the group chat",
                },
            )),
        }
    }
}

impl Message {
    pub(super) fn to_json(&self, bot: &Value, chat: &Chat) -> Value {
        let mut message = json!({
            "message_id": self.id,
            "from": bot,
            "chat": chat.to_json(),
            "date": self.date,
            "text": self.text,
        });
        if !self.entities.is_empty() {
            message["entities"] = Value::Array(self.entities.clone());
        }
        if let Some(markup) = &self.reply_markup {
            message["reply_markup"] = markup.clone();
        }
        message
    }
}
