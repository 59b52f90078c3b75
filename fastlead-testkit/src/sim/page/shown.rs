//! What is on a simulator's page.

use serde::Serialize;
use serde_json::{Value, json};

use crate::sim::{Arrival, Fault, Faults, Inbox};

/// How many of the newest arrivals are shown.
const ARRIVALS_SHOWN: usize = 100;

/// Words in both languages, or words that are the same in all.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(in crate::sim) enum Label {
    Both { ru: &'static str, en: &'static str },
    Same(String),
}

pub(in crate::sim) const fn both(ru: &'static str, en: &'static str) -> Label {
    Label::Both { ru, en }
}

/// A page.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Shown {
    pub(in crate::sim) title: Label,
    pub(in crate::sim) facts: Vec<Fact>,
    pub(in crate::sim) arrivals: Vec<ShownArrival>,
    pub(in crate::sim) forms: Vec<Form>,
    pub(in crate::sim) queues: Vec<Queue>,
    pub(in crate::sim) troubles: Vec<Trouble>,
}

/// Something worth knowing. `{origin}` in the value is the page's own address.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Fact {
    label: Label,
    value: String,
}

impl Fact {
    pub(in crate::sim) fn new(label: Label, value: impl ToString) -> Self {
        Self { label, value: value.to_string() }
    }

    /// Shown only where it holds.
    pub(in crate::sim) fn flag(label: Label, holds: bool) -> Option<Self> {
        holds.then(|| Self::new(label, "✓"))
    }
}

/// An arrival, and what the person it went to can do with it.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct ShownArrival {
    #[serde(flatten)]
    arrival: Arrival,
    acts: Vec<Act>,
}

impl ShownArrival {
    /// The newest arrivals first, each with what `acts` says.
    pub(in crate::sim) fn newest_first(inbox: &Inbox, acts: impl Fn(&Arrival) -> Vec<Act>) -> Vec<Self> {
        let newest = inbox.all().into_iter().rev().take(ARRIVALS_SHOWN);
        newest.map(|arrival| Self { acts: acts(&arrival), arrival }).collect()
    }
}

/// A button that sends `body` to `page/act`.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Act {
    label: Label,
    body: Value,
}

impl Act {
    pub(in crate::sim) const fn new(label: Label, body: Value) -> Self {
        Self { label, body }
    }
}

/// Something to fill in; sent to `page/act` with `action` and one value per field.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Form {
    title: Label,
    action: &'static str,
    fields: Vec<Field>,
}

impl Form {
    pub(in crate::sim) const fn new(title: Label, action: &'static str, fields: Vec<Field>) -> Self {
        Self { title, action, fields }
    }
}

/// A field of a form.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Field {
    name: &'static str,
    label: Label,
    kind: &'static str,
    value: Value,
    options: Vec<(Value, Label)>,
}

impl Field {
    pub(in crate::sim) fn text(name: &'static str, label: Label, value: &str) -> Self {
        Self { name, label, kind: "text", value: value.into(), options: Vec::new() }
    }

    pub(in crate::sim) fn number(name: &'static str, label: Label, value: i64) -> Self {
        Self { name, label, kind: "number", value: value.into(), options: Vec::new() }
    }

    pub(in crate::sim) fn check(name: &'static str, label: Label, value: bool) -> Self {
        Self { name, label, kind: "check", value: value.into(), options: Vec::new() }
    }

    pub(in crate::sim) fn select(name: &'static str, label: Label, options: Vec<(Value, Label)>) -> Self {
        let value = options.first().map(|(value, _)| value.clone()).unwrap_or_default();
        Self { name, label, kind: "select", value, options }
    }
}

/// Where trouble waits.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Queue {
    name: &'static str,
    label: Label,
    waiting: Vec<Fault>,
    always: Option<Fault>,
}

impl Queue {
    pub(in crate::sim) fn new(name: &'static str, label: Label, faults: &Faults) -> Self {
        Self { name, label, waiting: faults.waiting(), always: faults.lasting() }
    }
}

/// Trouble to choose. `number` names the field of the fault that a number goes into.
#[derive(Debug, Serialize)]
pub(in crate::sim) struct Trouble {
    label: Label,
    fault: Value,
    number: Option<&'static str>,
}

impl Trouble {
    /// What every provider can do.
    pub(in crate::sim) fn common() -> Vec<Self> {
        let plain = |label, fault| Self { label, fault, number: None };
        let numbered = |label, fault, number| Self { label, fault, number: Some(number) };
        vec![
            numbered(
                both("Слишком много запросов, с задержкой (с)", "Too many requests, with a delay (s)"),
                json!({ "rate_limited": { "after_secs": 5 } }),
                "after_secs",
            ),
            numbered(
                both("Ошибка сервера (код)", "Server error (code)"),
                json!({ "server_error": { "status": 500 } }),
                "status",
            ),
            plain(both("Зависнуть", "Hang"), json!("hang")),
            plain(both("Оборвать, не приняв", "Drop before accepting"), json!("drop_before_accept")),
            plain(both("Принять и оборвать", "Drop after accepting"), json!("drop_after_accept")),
            plain(both("Принять и замолчать", "Hang after accepting"), json!("hang_after_accept")),
            numbered(
                both("Ответить позже (мс)", "Answer later (ms)"),
                json!({ "delay": { "millis": 3000 } }),
                "millis",
            ),
            plain(both("Получатель недоступен", "Bad recipient"), json!("bad_recipient")),
            plain(both("Неверные учётные данные", "Wrong credentials"), json!("bad_credentials")),
            plain(both("Текст отклонён", "Content refused"), json!("bad_content")),
        ]
    }

    /// An account without money.
    pub(in crate::sim) fn no_balance() -> Self {
        let label = both("На счёте нет денег", "The account is out of money");
        Self { label, fault: json!("no_balance"), number: None }
    }

    /// An error of the provider's own.
    pub(in crate::sim) fn provider_code(label: Label, code: i64, text: &str) -> Self {
        Self {
            label,
            fault: json!({ "provider_code": { "code": code, "text": text } }),
            number: Some("code"),
        }
    }
}
