//! What the simulated VK remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Refused;
use crate::sim::{Faults, Inbox};

/// Chats of several people are above this: `2000000000 + chat_id`.
pub(super) const FIRST_CHAT: i64 = 2_000_000_000;
const EVENTS_MAX: usize = 10_000;

/// The kinds of event that this simulator can make or be asked for.
pub(super) const KINDS: [&str; 9] = [
    "message_new",
    "message_reply",
    "message_edit",
    "message_event",
    "message_allow",
    "message_deny",
    "message_read",
    "message_typing_state",
    "lead_forms_new",
];

/// Shared by the router, the person's side and whoever posts events.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) token: String,
    pub(super) group_id: i64,
    pub(super) faults: Faults,
    pub(super) callback_faults: Faults,
    pub(super) inbox: Inbox,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    posting: AtomicBool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) peers: BTreeMap<i64, Peer>,
    pub(super) messages: BTreeMap<i64, Message>,
    /// Messages by peer and `random_id`.
    pub(super) by_random_id: BTreeMap<(i64, i64), i64>,
    pub(super) events: VecDeque<Event>,
    pub(super) servers: Vec<CallbackServer>,
    /// Beginnings of addresses, and what stands behind them on this machine.
    pub(super) fronts: Vec<(String, String)>,
    /// The confirmation string.
    pub(super) code: String,
    /// The secret of events that nobody posts.
    pub(super) secret: String,
    pub(super) bot_features: bool,
    pub(super) rights: BTreeSet<String>,
    /// Presses that wait for an answer: who pressed, and where.
    pub(super) presses: BTreeMap<String, (i64, i64)>,
    pub(super) answered: Vec<EventAnswer>,
    pub(super) requests: Vec<Value>,
    next_message: i64,
    next_event: u64,
    next_server: i64,
}

/// A person, a chat or another community.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) name: String,
    /// Whether the community may write there.
    pub(super) is_open: bool,
    last_cmid: i64,
}

/// A message that the community has sent.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: i64,
    /// The number within the conversation.
    pub(super) cmid: i64,
    pub(super) peer: i64,
    pub(super) text: String,
    pub(super) keyboard: Option<Value>,
    pub(super) random_id: i64,
    pub(super) date: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) object: Value,
    /// Servers that have answered `ok`.
    pub(super) taken_by: BTreeSet<i64>,
    /// How often it was posted in vain.
    pub(super) tries: u32,
}

/// An address that VK posts events to.
#[derive(Debug, Clone)]
pub(super) struct CallbackServer {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) url: String,
    pub(super) secret: String,
    /// `unconfigured`, `wait`, `failed` or `ok`.
    pub(super) status: &'static str,
    pub(super) api_version: String,
    pub(super) kinds: BTreeSet<String>,
}

/// A `messages.sendMessageEventAnswer` that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAnswer {
    /// The press that was answered.
    pub event_id: String,
    /// Who had pressed.
    pub user_id: i64,
    /// Where.
    pub peer_id: i64,
    /// What the person saw; empty where only the spinner stopped.
    pub text: String,
}

impl Shared {
    pub(super) fn new(token: &str, group_id: i64) -> Self {
        Self {
            token: token.to_owned(),
            group_id,
            faults: Faults::default(),
            callback_faults: Faults::default(),
            inbox: Inbox::default(),
            state: Mutex::new(State::new()),
            changes: watch::channel(0).0,
            posting: AtomicBool::new(false),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for events, presses or servers.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether nobody posts events yet; from now on somebody does.
    pub(super) fn begin_posting(&self) -> bool {
        !self.posting.swap(true, Ordering::AcqRel)
    }
}

impl State {
    fn new() -> Self {
        Self {
            peers: BTreeMap::new(),
            messages: BTreeMap::new(),
            by_random_id: BTreeMap::new(),
            events: VecDeque::new(),
            servers: Vec::new(),
            fronts: Vec::new(),
            code: "ab12cd34".to_owned(),
            secret: String::new(),
            bot_features: true,
            rights: ["manage", "messages"].map(str::to_owned).into(),
            presses: BTreeMap::new(),
            answered: Vec::new(),
            requests: Vec::new(),
            next_message: 300,
            next_event: 1,
            next_server: 1,
        }
    }

    pub(super) fn add_peer(&mut self, id: i64, name: &str) {
        self.peers.insert(id, Peer { name: name.to_owned(), is_open: true, last_cmid: 0 });
    }

    /// Lets the community write to somebody, who may be new.
    pub(super) fn open(&mut self, id: i64) {
        self.peers
            .entry(id)
            .or_insert_with(|| Peer { name: "Anna".to_owned(), is_open: true, last_cmid: 0 })
            .is_open = true;
    }

    /// The peer that the community may write to.
    ///
    /// # Errors
    /// VK's refusal.
    pub(super) fn writable(&self, peer: i64) -> Result<&Peer, Refused> {
        match self.peers.get(&peer) {
            Some(known) if known.is_open => Ok(known),
            Some(_) if peer > FIRST_CHAT => Err(Refused::new(917, "You don't have access to this chat")),
            None if peer > FIRST_CHAT => Err(Refused::new(927, "Chat does not exist")),
            _ => Err(Refused::new(901, "Can't send messages for users without permission")),
        }
    }

    /// The id of a message, and its number within the conversation.
    pub(super) fn take_message_ids(&mut self, peer: i64) -> (i64, i64) {
        let id = self.next_message;
        self.next_message += 1;
        let cmid = self.peers.get_mut(&peer).map_or(0, |peer| {
            peer.last_cmid += 1;
            peer.last_cmid
        });
        (id, cmid)
    }

    pub(super) fn take_event_id(&mut self) -> String {
        let id = format!("{:040x}", 0x7d5e_0000_0000_u64 + self.next_event);
        self.next_event += 1;
        id
    }

    /// Queues an event, and returns its id. Where servers are registered it is kept only if one of them wants it.
    pub(super) fn push_event(&mut self, kind: &str, object: Value) -> String {
        let id = self.take_event_id();
        if self.servers.is_empty() || self.servers.iter().any(|server| server.kinds.contains(kind)) {
            if self.events.len() >= EVENTS_MAX {
                self.events.pop_front();
            }
            let (kind, taken_by) = (kind.to_owned(), BTreeSet::new());
            self.events.push_back(Event { id: id.clone(), kind, object, taken_by, tries: 0 });
        }
        id
    }

    /// What the community writes comes back as `message_reply`, to servers that ask for it.
    pub(super) fn push_echo(&mut self, group_id: i64, message: &Message) {
        if self.servers.iter().any(|server| server.kinds.contains("message_reply")) {
            let object = message.to_json(group_id);
            self.push_event("message_reply", object);
        }
    }

    pub(super) fn add_server(&mut self, url: &str, title: &str, secret: &str) -> i64 {
        let id = self.next_server;
        self.next_server += 1;
        self.servers.push(CallbackServer {
            id,
            title: title.to_owned(),
            url: url.to_owned(),
            secret: secret.to_owned(),
            status: "unconfigured",
            api_version: "5.199".to_owned(),
            kinds: BTreeSet::new(),
        });
        id
    }
}

impl Message {
    pub(super) fn to_json(&self, group_id: i64) -> Value {
        json!({
            "date": self.date, "from_id": -group_id, "id": self.id, "out": 1, "peer_id": self.peer, "text": self.text,
            "conversation_message_id": self.cmid, "random_id": self.random_id, "important": false, "attachments": [],
            "fwd_messages": [], "is_hidden": false,
        })
    }
}

impl Event {
    /// The event as VK posts it.
    pub(super) fn body(&self, group_id: i64, secret: &str) -> Value {
        let mut body = json!({
            "type": self.kind, "object": self.object, "group_id": group_id, "event_id": self.id, "v": "5.199",
        });
        if !secret.is_empty() {
            body["secret"] = secret.into();
        }
        body
    }
}
