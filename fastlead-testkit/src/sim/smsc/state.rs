//! The account behind the simulator: money, messages, and who asked what within the last minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use fastlead_core::time::{Clock, SystemClock, Timestamp, plus};

use super::params::Params;
use crate::sim::{Faults, Inbox};

/// How long an identical request counts as a repetition.
const WINDOW: TimeDelta = TimeDelta::seconds(60);

pub(super) struct Shared {
    pub(super) login: String,
    pub(super) password: String,
    pub(super) api_key: String,
    pub(super) faults: Faults,
    pub(super) query_faults: Faults,
    pub(super) inbox: Inbox,
    state: Mutex<State>,
}

pub(super) struct State {
    /// In kopecks.
    pub(super) balance: i64,
    /// In kopecks, for one part.
    pub(super) price: i64,
    pub(super) blocked: bool,
    pub(super) notices_repetitions: bool,
    /// `None`: every name of the right form may be used.
    pub(super) senders: Option<BTreeSet<String>>,
    pub(super) unreachable: BTreeSet<String>,
    pub(super) messages: BTreeMap<MessageKey, Message>,
    pub(super) callback: Option<Callback>,
    pub(super) last_id: u32,
    pub(super) last_inbound: u32,
    clock_ahead: Duration,
    recent: Vec<(Timestamp, Endpoint, Request)>,
}

/// A request's parameters in one order.
type Request = Vec<(String, Vec<u8>)>;

/// SMSC tells messages apart by id and phone (digits).
pub(super) type MessageKey = (u32, String);

/// What happened to one SMS to one phone.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) sender: String,
    pub(super) cost: i64,
    pub(super) parts: u32,
    pub(super) sent_at: Timestamp,
    pub(super) changed_at: Timestamp,
    pub(super) status: i32,
    pub(super) err: i32,
}

/// Where the cabinet says that callbacks go.
#[derive(Debug, Clone)]
pub(super) struct Callback {
    pub(super) url: String,
    pub(super) secret: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Send,
    /// `send.php` with `cost=1`.
    Price,
    Status,
    Balance,
}

impl Endpoint {
    /// How many identical requests a minute may have.
    const fn allowed(self) -> Option<usize> {
        match self {
            Self::Send => Some(1),
            Self::Price | Self::Status => Some(5),
            Self::Balance => None,
        }
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            login: "demo".to_owned(),
            password: "demo-password".to_owned(),
            api_key: "simulated-smsc-api-key".to_owned(),
            faults: Faults::default(),
            query_faults: Faults::default(),
            inbox: Inbox::default(),
            state: Mutex::new(State {
                balance: 100_000,
                price: 380,
                blocked: false,
                notices_repetitions: true,
                senders: None,
                unreachable: BTreeSet::new(),
                messages: BTreeMap::new(),
                callback: None,
                last_id: 0,
                last_inbound: 0,
                clock_ahead: Duration::ZERO,
                recent: Vec::new(),
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn now(&self) -> Timestamp {
        plus(SystemClock.now(), self.clock_ahead)
    }

    pub(super) const fn advance(&mut self, by: Duration) {
        self.clock_ahead = self.clock_ahead.saturating_add(by);
    }

    /// Notes a request and says whether there were too many of its kind within a minute.
    pub(super) fn repeats(&mut self, endpoint: Endpoint, params: &Params) -> bool {
        let Some(allowed) = endpoint.allowed().filter(|_| self.notices_repetitions) else {
            return false;
        };
        let now = self.now();
        self.recent.retain(|(at, ..)| now - *at < WINDOW);
        let request = params.canonical();
        let before = self.recent.iter().filter(|(_, e, r)| *e == endpoint && *r == request).count();
        if before >= allowed {
            return true;
        }
        self.recent.push((now, endpoint, request));
        false
    }
}

/// A phone as SMSC stores it: digits. Without `+` it "corrects" Russian numbers that begin with 8.
///
/// `None` for what is not a number.
pub(super) fn stored_phone(text: &str) -> Option<String> {
    let text = text.trim();
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')')) {
        return None;
    }
    let mut digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    if !plus && digits.len() == 11 && digits.starts_with('8') {
        digits.replace_range(..1, "7");
    }
    (10..=15).contains(&digits.len()).then_some(digits)
}

/// Kopecks as SMSC writes money: `286.55`, `3.8`.
pub(super) fn money(kopecks: i64) -> String {
    let sign = if kopecks < 0 { "-" } else { "" };
    let kopecks = kopecks.unsigned_abs();
    let text = format!("{sign}{}.{:02}", kopecks / 100, kopecks % 100);
    text.strip_suffix('0').filter(|short| !short.ends_with('.')).map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_corrected_only_without_a_plus() {
        for (text, stored) in [
            ("+79000000000", Some("79000000000")),
            ("8 900 000-00-00", Some("79000000000")),
            ("+84912345678", Some("84912345678")),
            ("84912345678", Some("74912345678")),
            ("12345", None),
            ("G1", None),
            ("", None),
        ] {
            assert_eq!(stored_phone(text).as_deref(), stored, "{text}");
        }
    }

    #[test]
    fn money_as_smsc_writes_it() {
        for (kopecks, text) in
            [(28_655, "286.55"), (380, "3.8"), (100_000, "1000.0"), (5, "0.05"), (-10, "-0.1")]
        {
            assert_eq!(money(kopecks), text);
        }
    }

    #[test]
    fn a_second_send_and_a_sixth_question_within_a_minute_are_too_many() {
        let shared = Shared::new();
        let params = |text| Params::read(None, text);
        let mut state = shared.lock();
        assert!(!state.repeats(Endpoint::Send, &params(b"mes=a&phones=1")));
        assert!(state.repeats(Endpoint::Send, &params(b"phones=1&mes=a")));
        assert!(!state.repeats(Endpoint::Send, &params(b"phones=1&mes=b")));
        for _ in 0..5 {
            assert!(!state.repeats(Endpoint::Status, &params(b"id=1")));
        }
        assert!(state.repeats(Endpoint::Status, &params(b"id=1")));
        state.advance(Duration::from_secs(61));
        assert!(!state.repeats(Endpoint::Send, &params(b"mes=a&phones=1")));
        assert!(!state.repeats(Endpoint::Status, &params(b"id=1")));
    }
}
