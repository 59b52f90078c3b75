//! The page of the simulated mail server. It has a port of its own, because the other one speaks SMTP.

use std::net::SocketAddr;
use std::sync::Arc;

use fastlead_core::time::{Clock, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::SmtpSecurity;
use super::fault::{SmtpFault, SmtpPhase};
use super::server::Shared;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// The mail server as its page sees it.
#[derive(Debug, Clone)]
pub(super) struct MailPage {
    pub(super) shared: Arc<Shared>,
    pub(super) address: SocketAddr,
}

/// What a recipient and the owner of the server can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Bounce { number: u64 },
    Unknown { address: String },
    Full { address: String },
    Greylist { on: bool },
    Login { user: String, password: String },
    Script { at: SmtpPhase, code: u16, text: String },
}

impl Stage for MailPage {
    type Action = Action;

    fn show(&self) -> Shown {
        let own = both("Ответ сервера (код)", "Reply of the server (code)");
        let mut troubles = Trouble::common();
        troubles.push(Trouble::no_balance());
        troubles.push(Trouble::provider_code(own, 550, "5.7.1 refused by policy"));
        Shown {
            title: both("Симулятор почты", "Mail simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(&self.shared.inbox, bounce),
            forms: forms(),
            queues: vec![Queue::new("messages", both("Письма", "Mails"), &self.shared.faults)],
            troubles,
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        let shared = &self.shared;
        match action {
            Action::Bounce { number } => return self.bounce(number),
            Action::Unknown { address } => {
                shared.lock().unknown.insert(address.to_lowercase());
            }
            Action::Full { address } => {
                shared.lock().full.insert(address.to_lowercase());
            }
            Action::Greylist { on } => shared.lock().greylist = on,
            Action::Login { user, password } => {
                let wanted = !user.is_empty();
                shared.lock().account = wanted.then_some((user, password));
            }
            Action::Script { at, code, text } => {
                if !(400..=599).contains(&code) {
                    return Err("a refusal has a code from 400 to 599".to_owned());
                }
                shared.lock().script.push_back(SmtpFault::reply(at, code, text));
            }
        }
        Ok(())
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        (queue == "messages").then(|| self.shared.faults.clone())
    }

    fn door(&self) -> &Door {
        &self.shared.door
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.inbox.subscribe()
    }
}

impl MailPage {
    /// The mailbox turns out not to exist: a notification goes to the envelope sender (RFC 3464), and
    /// the next mail is refused at once.
    fn bounce(&self, number: u64) -> Result<(), String> {
        let inbox = &self.shared.inbox;
        let bounced = inbox.all().into_iter().find(|arrival| arrival.number == number);
        let bounced = bounced.ok_or_else(|| "there is no such mail".to_owned())?;
        let sender = bounced.details.get("envelope_from").and_then(Value::as_str).unwrap_or_default();
        if sender.is_empty() {
            return Err("this mail has no envelope sender, so nobody is told".to_owned());
        }
        self.shared.lock().unknown.insert(bounced.to.to_lowercase());
        inbox.push(Arrival {
            number: 0,
            simulator: "smtp".to_owned(),
            at_millis: SystemClock.now().timestamp_millis(),
            to: sender.to_owned(),
            from: "MAILER-DAEMON@mail.example.test".to_owned(),
            subject: Some("Undelivered Mail Returned to Sender".to_owned()),
            text: format!("<{}>: 550 5.1.1 User unknown", bounced.to),
            markup: None,
            buttons: Vec::new(),
            provider_message_id: format!("bounce-{number}"),
            details: json!({ "envelope_from": "", "original_message_id": bounced.provider_message_id }),
        });
        Ok(())
    }

    fn facts(&self) -> Vec<Fact> {
        let state = self.shared.lock();
        let tls = match &self.shared.tls {
            None => "none",
            Some((SmtpSecurity::Wrapper, _)) => "wrapper",
            Some((SmtpSecurity::StartTls, _)) => "required",
        };
        let mut facts = vec![
            Fact::new(Label::Same("host".to_owned()), self.address.ip()),
            Fact::new(Label::Same("port".to_owned()), self.address.port()),
            Fact::new(Label::Same("tls".to_owned()), tls),
            Fact::new(both("Соединений было", "Connections so far"), state.connections),
        ];
        facts.extend(Fact::flag(both("Серый список", "Greylisting"), state.greylist));
        if let Some((user, _)) = &state.account {
            facts.push(Fact::new(both("Нужен логин", "Login needed"), user));
        }
        let unknown = state.unknown.iter().map(|address| (both("Нет ящика", "No mailbox"), address));
        let full = state.full.iter().map(|address| (both("Полон ящик", "Full mailbox"), address));
        facts.extend(unknown.chain(full).map(|(label, address)| Fact::new(label, address)));
        facts
    }
}

fn bounce(arrival: &Arrival) -> Vec<Act> {
    let label = both("Вернуть отправителю", "Bounce");
    vec![Act::new(label, json!({ "action": "bounce", "number": arrival.number }))]
}

fn forms() -> Vec<Form> {
    let address = || Field::text("address", both("Адрес", "Address"), "anna@example.com");
    let phases = ["mail", "rcpt", "data", "end_of_data", "auth", "ehlo", "connect"];
    let phases = phases.iter().map(|name| (Value::from(*name), Label::Same((*name).to_owned()))).collect();
    vec![
        Form::new(both("Такого ящика нет", "The mailbox does not exist"), "unknown", vec![address()]),
        Form::new(both("Ящик полон", "The mailbox is full"), "full", vec![address()]),
        Form::new(
            both("Серый список", "Greylisting"),
            "greylist",
            vec![Field::check("on", both("Включить", "Switch on"), true)],
        ),
        Form::new(
            both("Требовать логин (пустой: любой)", "Ask for a login (empty: any)"),
            "login",
            vec![
                Field::text("user", both("Логин", "Login"), ""),
                Field::text("password", both("Пароль", "Password"), ""),
            ],
        ),
        Form::new(
            both("Отказать на шаге диалога", "Refuse at a step of the dialogue"),
            "script",
            vec![
                Field::select("at", both("Шаг", "Step"), phases),
                Field::number("code", both("Код", "Code"), 451),
                Field::text("text", both("Текст", "Text"), "4.3.0 queue file write error"),
            ],
        ),
    ]
}
