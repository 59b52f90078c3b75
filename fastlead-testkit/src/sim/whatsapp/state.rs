//! What the simulated WhatsApp remembers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::template::Approved;
use crate::sim::{Faults, Inbox};

const WAITING_MAX: usize = 10_000;
const MESSAGES_KEPT: usize = 10_000;
/// How long a person may be written to freely after their last message.
const WINDOW_SECONDS: i64 = 24 * 60 * 60;

/// Shared by the router, the people's side and whoever posts notifications.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) faults: Faults,
    pub(super) inbox: Inbox,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    posting: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By `wa_id`.
    pub(super) people: BTreeMap<String, Person>,
    /// What the number has sent, by wamid.
    pub(super) messages: BTreeMap<String, Message>,
    /// By name and language.
    pub(super) templates: BTreeMap<(String, String), Approved>,
    pub(super) waiting: VecDeque<News>,
    /// Address of the webhook.
    pub(super) callback: Option<String>,
    /// Beginnings of addresses, and what stands behind them on this machine.
    pub(super) fronts: Vec<(String, String)>,
    pub(super) refuses_at_once: bool,
    pub(super) requests: Vec<Value>,
    next_id: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: String,
    /// Business-scoped user id.
    pub(super) user_id: String,
    /// Seconds since the Unix epoch of their last message.
    pub(super) heard: i64,
    /// Shows a user name in place of the number.
    pub(super) is_hidden: bool,
}

impl Person {
    pub(super) fn may_be_written_to(&self, now: i64) -> bool {
        now - self.heard < WINDOW_SECONDS
    }
}

/// A message of the number.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// `wa_id` of the person.
    pub(super) to: String,
    /// `biz_opaque_callback_data`.
    pub(super) along: Option<Value>,
    /// Whether its buttons are the quick replies of a template.
    pub(super) is_template: bool,
}

/// One element of a notification's lists.
#[derive(Debug, Clone)]
pub(super) enum News {
    Message { message: Value, contact: Value },
    Status(Value),
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            inbox: Inbox::default(),
            state: Mutex::default(),
            changes: watch::channel(0).0,
            posting: AtomicBool::new(false),
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for news.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether nobody posts notifications yet; from now on somebody does.
    pub(super) fn begin_posting(&self) -> bool {
        !self.posting.swap(true, Ordering::AcqRel)
    }
}

impl State {
    pub(super) fn add_person(&mut self, wa_id: &str, name: &str, heard: i64) {
        let person =
            Person { name: name.to_owned(), user_id: format!("RU.{wa_id}0001"), heard, is_hidden: false };
        self.people.insert(wa_id.to_owned(), person);
    }

    /// The number of who has this number or user id.
    pub(super) fn named(&self, address: &str) -> Option<String> {
        let is_named = |(wa_id, person): &(&String, &Person)| *wa_id == address || person.user_id == address;
        self.people.iter().find(is_named).map(|(wa_id, _)| wa_id.clone())
    }

    pub(super) fn take_id(&mut self) -> String {
        self.next_id += 1;
        format!("wamid.HBgLNzkwMDAwMDAwMDAVAgARGBI{:08}AA==", self.next_id)
    }

    pub(super) fn keep(&mut self, id: &str, message: Message) {
        self.messages.insert(id.to_owned(), message);
        if self.messages.len() > MESSAGES_KEPT {
            self.messages.pop_first();
        }
    }

    pub(super) fn push(&mut self, news: News) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(news);
    }

    /// Queues a status of a message; `error` is the code of a failure.
    pub(super) fn push_status(
        &mut self,
        id: &str,
        to: &str,
        along: Option<&Value>,
        status: &str,
        error: Option<i64>,
    ) {
        let now = now();
        let mut told = json!({
            "id": id, "status": status, "timestamp": now.to_string(), "recipient_id": to,
            "conversation": {
                "id": "7270", "expiration_timestamp": (now + WINDOW_SECONDS).to_string(), "origin": { "type": "service" },
            },
            "pricing": { "billable": true, "pricing_model": "CBP", "category": "service" },
        });
        if let Some(along) = along {
            told["biz_opaque_callback_data"] = along.clone();
        }
        if let Some(code) = error {
            told["errors"] = json!([{
                "code": code, "title": "Message undeliverable", "message": "Message undeliverable",
                "error_data": { "details": "Simulated" },
                "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
            }]);
        }
        self.push(News::Status(told));
    }
}

/// Seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    chrono::Utc::now().timestamp()
}
