//! What the simulated Postal remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::sim::{Faults, Inbox};

const WAITING_MAX: usize = 10_000;

/// Shared by the router, the people's side and whoever posts.
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
    pub(super) mails: BTreeMap<i64, Mail>,
    pub(super) suppressed: BTreeSet<String>,
    /// Bodies that wait to be posted.
    pub(super) waiting: VecDeque<Value>,
    pub(super) callback: Option<String>,
    pub(super) requests: Vec<Value>,
    next: i64,
}

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    pub(super) token: String,
    to: String,
    from: String,
    subject: Option<String>,
    tag: Option<String>,
}

impl Mail {
    pub(super) fn new(to: &str, from: &str, subject: Option<String>, tag: Option<String>) -> Self {
        Self { token: String::new(), to: to.to_owned(), from: from.to_owned(), subject, tag }
    }

    fn to_json(&self, id: i64) -> Value {
        json!({
            "id": id, "token": self.token, "direction": "outgoing", "message_id": format!("{id}@rp.postal.example.com"),
            "to": self.to, "from": self.from, "subject": self.subject, "timestamp": seconds(), "spam_status": "NotSpam",
            "tag": self.tag,
        })
    }
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

    /// Whether nobody posts yet; from now on somebody does.
    pub(super) fn begin_posting(&self) -> bool {
        !self.posting.swap(true, Ordering::AcqRel)
    }
}

impl State {
    /// Takes a mail: its number, its token, and whether it is held.
    pub(super) fn take(&mut self, mail: Mail) -> (i64, String, bool) {
        let id = self.number();
        let token = format!("a4udnay{id}");
        let held = self.suppressed.contains(&mail.to.to_lowercase());
        self.mails.insert(id, Mail { token: token.clone(), ..mail });
        if held {
            let details = "Recipient is on the suppression list (reason: too many hard fails)";
            self.tell(id, "MessageHeld", details, "");
        }
        (id, token, held)
    }

    pub(super) fn tell(&mut self, id: i64, event: &str, details: &str, output: &str) -> bool {
        let Some(mail) = self.mails.get(&id).map(|mail| mail.to_json(id)) else { return false };
        let status = match event {
            "MessageSent" => "Sent",
            "MessageDelayed" => "SoftFail",
            "MessageDeliveryFailed" => "HardFail",
            "MessageHeld" => "Held",
            _ => "",
        };
        let payload = match event {
            "MessageBounced" => {
                json!({ "original_message": mail, "bounce": { "id": id + 1_000_000, "direction": "incoming" } })
            }
            "MessageLoaded" | "MessageLinkClicked" => {
                json!({ "message": mail, "ip_address": "192.0.2.1", "user_agent": "Simulated", "url": "https://example.com" })
            }
            _ => json!({
                "message": mail, "status": status, "details": details, "output": output, "sent_with_ssl": true,
                "timestamp": seconds(), "time": 0.22,
            }),
        };
        self.push_event(event, payload);
        true
    }

    pub(super) fn push_event(&mut self, event: &str, payload: Value) {
        let uuid = format!("0adb2ef0-0000-4000-8000-{:012x}", self.number());
        self.push(json!({ "event": event, "timestamp": seconds(), "uuid": uuid, "payload": payload }));
    }

    pub(super) fn push_mail(&mut self, fields: Value) {
        let id = self.number();
        let mut mail = json!({
            "id": id, "rcpt_to": "sales@example.com", "mail_from": "anna@example.net", "token": format!("in{id}"),
            "subject": "", "message_id": format!("{id}@example.net"), "timestamp": seconds(), "size": 1_024,
            "spam_status": "NotSpam", "bounce": false, "received_with_ssl": true, "to": "sales@example.com", "cc": null,
            "from": "Anna <anna@example.net>", "date": "Mon, 30 Nov 2026 12:00:00 +0300", "in_reply_to": null,
            "references": null, "html_body": null, "attachment_quantity": 0, "auto_submitted": null, "reply_to": null,
            "plain_body": "",
        });
        if let (Value::Object(mail), Value::Object(fields)) = (&mut mail, fields) {
            mail.extend(fields);
        }
        self.push(mail);
    }

    fn push(&mut self, body: Value) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(body);
    }

    fn number(&mut self) -> i64 {
        self.next += 1;
        37_000 + self.next
    }
}

/// Seconds with a fraction since the Unix epoch, as a JSON number.
fn seconds() -> Value {
    let text = format!("{}", chrono::Utc::now().format("%s.%6f"));
    serde_json::from_str(&text).unwrap_or_default()
}
