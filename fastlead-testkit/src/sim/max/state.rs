//! What the simulated MAX remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Answer;
use crate::sim::{Faults, Inbox};

const BOT_ID: i64 = 229_229_229;
/// Real MAX bounds updates by time; here their number is bounded.
const PENDING_UPDATES_MAX: usize = 10_000;
/// Between the number of an account and that of its dialog with the bot.
const DIALOG_OFFSET: i64 = 58_725_393;

/// Shared by the router, the people's side and the webhook pump.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) token: String,
    pub(super) faults: Faults,
    pub(super) update_faults: Faults,
    pub(super) inbox: Inbox,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) people: BTreeMap<i64, Person>,
    pub(super) groups: BTreeMap<i64, String>,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) updates: VecDeque<Update>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) is_local: bool,
    /// Beginnings of addresses, and what stands behind them on this machine.
    pub(super) fronts: Vec<(String, String)>,
    pub(super) is_pumping: bool,
    pub(super) failed_calls: u64,
    pub(super) polls: u64,
    pub(super) presses: BTreeMap<String, Option<String>>,
    pub(super) answered: Vec<CallbackAnswer>,
    last_number: u64,
    next_marker: i64,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The dialog with this person.
    Dialog(i64),
    Group(i64),
}

/// Whether the bot may write to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    /// They have stopped it, removed the dialog, or never started it.
    Closed,
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) user_id: i64,
    pub(super) name: String,
    pub(super) access: Access,
    pub(super) language: Option<String>,
}

impl Person {
    pub(super) fn new(user_id: i64, name: &str, access: Access) -> Self {
        Self { user_id, name: name.to_owned(), access, language: None }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "user_id": self.user_id,
            "first_name": self.name,
            "is_bot": false,
            "last_activity_time": now(),
            "name": self.name,
        })
    }
}

/// A message that the bot has sent.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) mid: String,
    pub(super) place: Place,
    pub(super) at: i64,
    pub(super) seq: u64,
    /// Without markup.
    pub(super) text: String,
    pub(super) attachments: Vec<Value>,
}

/// An address that MAX posts updates to.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) url: String,
    pub(super) time: i64,
    /// Empty: every kind.
    pub(super) update_types: BTreeSet<String>,
    pub(super) secret: String,
}

impl Subscription {
    pub(super) fn wants(&self, kind: &str) -> bool {
        self.update_types.is_empty() || self.update_types.contains(kind)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Update {
    pub(super) marker: i64,
    pub(super) kind: String,
    pub(super) body: Value,
    /// The addresses that have taken it.
    pub(super) taken_by: BTreeSet<String>,
}

/// A `POST /answers` that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// The press that was answered.
    pub callback_id: String,
    /// What the person saw as a short notice.
    pub notification: Option<String>,
    /// Whether the message under which the button was has been changed by it.
    pub changed_message: bool,
}

impl Shared {
    pub(super) fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            faults: Faults::default(),
            update_faults: Faults::default(),
            inbox: Inbox::default(),
            state: Mutex::default(),
            changes: watch::channel(0).0,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for updates, subscriptions or an answered press.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn bot(&self) -> Value {
        json!({
            "user_id": BOT_ID,
            "first_name": "FastLead simulator",
            "username": super::BOT_USERNAME,
            "is_bot": true,
            "last_activity_time": now(),
            "name": "FastLead simulator",
        })
    }
}

impl State {
    /// A number that nothing else has, and grows.
    pub(super) fn take_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The position after the last update.
    pub(super) const fn next_marker(&self) -> i64 {
        self.next_marker + 1
    }

    /// Queues an update. Returns `false` where every subscription leaves out such updates.
    pub(super) fn push_update(&mut self, body: Value) -> bool {
        let kind = body["update_type"].as_str().unwrap_or_default().to_owned();
        if !self.subscriptions.is_empty() && !self.subscriptions.iter().any(|one| one.wants(&kind)) {
            return false;
        }
        self.next_marker += 1;
        if self.updates.len() >= PENDING_UPDATES_MAX {
            self.updates.pop_front();
        }
        self.updates.push_back(Update { marker: self.next_marker, kind, body, taken_by: BTreeSet::new() });
        true
    }

    /// Where a request may write to: `user_id` or `chat_id`, exactly one.
    ///
    /// # Errors
    /// MAX's refusal.
    pub(super) fn writable(&self, user_id: Option<i64>, chat_id: Option<i64>) -> Result<Place, Answer> {
        let unknown = || Answer::refused(404, "chat.not.found", "Chat not found");
        let person = match (user_id, chat_id) {
            (Some(user_id), None) => self.people.get(&user_id),
            (None, Some(chat_id)) if self.groups.contains_key(&chat_id) => return Ok(Place::Group(chat_id)),
            (None, Some(chat_id)) => self.people.values().find(|person| dialog_of(person.user_id) == chat_id),
            _ => return Err(Answer::bad_request("exactly one of user_id and chat_id is required")),
        };
        let person = person.ok_or_else(unknown)?;
        match person.access {
            Access::Open => Ok(Place::Dialog(person.user_id)),
            Access::Closed => Err(Answer::suspended()),
        }
    }
}

impl Place {
    /// As the field `recipient` of a message from the bot.
    fn recipient(self) -> Value {
        match self {
            Self::Dialog(user_id) => {
                json!({ "chat_id": dialog_of(user_id), "chat_type": "dialog", "user_id": user_id })
            }
            Self::Group(chat_id) => json!({ "chat_id": chat_id, "chat_type": "chat" }),
        }
    }

    /// As the field `recipient` of a message to the bot.
    pub(super) fn recipient_at_bot(self) -> Value {
        let mut recipient = self.recipient();
        if let Self::Dialog(_) = self {
            recipient["user_id"] = BOT_ID.into();
        }
        recipient
    }

    /// The number that people know it by.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Dialog(id) | Self::Group(id) => id,
        }
    }

    pub(super) const fn chat_id(self) -> i64 {
        match self {
            Self::Dialog(user_id) => dialog_of(user_id),
            Self::Group(chat_id) => chat_id,
        }
    }
}

impl Message {
    pub(super) fn to_json(&self, bot: &Value) -> Value {
        json!({
            "sender": bot,
            "recipient": self.place.recipient(),
            "timestamp": self.at,
            "body": { "mid": self.mid, "seq": self.seq, "text": self.text, "attachments": self.attachments },
        })
    }
}

pub(super) const fn dialog_of(user_id: i64) -> i64 {
    user_id + DIALOG_OFFSET
}

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// The id of a message in a chat.
pub(super) fn mid(chat_id: i64, number: u64) -> String {
    format!("mid.{:016x}{number:016x}", chat_id.cast_unsigned())
}
