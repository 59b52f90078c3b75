//! The page of the simulated SMSC.

use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::SmscSim;
use super::state::money;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// What the operator, the person and the owner of the account can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Status { id: u32, phone: String, status: i32, err: i32 },
    Inbound { phone: String, text: String, to: String },
    Callback { url: String, secret: String },
    Balance { kopecks: i64 },
    BlockIp { on: bool },
    Unreachable { phone: String },
}

impl Stage for SmscSim {
    type Action = Action;

    fn show(&self) -> Shown {
        let mut troubles = Trouble::common();
        troubles.push(Trouble::no_balance());
        let own = both("Ошибка SMSC внутри HTTP 200 (код)", "SMSC's error inside HTTP 200 (code)");
        troubles.push(Trouble::provider_code(own, 6, "message is denied"));
        Shown {
            title: both("Симулятор SMSC", "SMSC simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), fates),
            forms: forms(),
            queues: vec![
                Queue::new("messages", both("Отправка (send.php)", "Sending (send.php)"), self.faults()),
                Queue::new(
                    "questions",
                    both("Вопросы (status.php, balance.php)", "Questions (status.php, balance.php)"),
                    self.query_faults(),
                ),
            ],
            troubles,
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        match action {
            Action::Status { id, phone, status, err } => {
                if !self.set_status(id, &phone, status, err) {
                    return Err("there is no such message".to_owned());
                }
                if self.shared.lock().callback.is_some() {
                    called(self.send_callback(id, &phone).await)?;
                }
            }
            Action::Inbound { phone, text, to } => called(self.inbound(&phone, &text, &to).await)?,
            Action::Callback { url, secret } => self.set_callback(&url, &secret),
            Action::Balance { kopecks } => self.set_balance(kopecks),
            Action::BlockIp { on } => self.block_ip(on),
            Action::Unreachable { phone } => self.make_unreachable(&phone),
        }
        Ok(())
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        match queue {
            "messages" => Some(Self::faults(self).clone()),
            "questions" => Some(self.query_faults().clone()),
            _ => None,
        }
    }

    fn door(&self) -> &Door {
        Self::door(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inbox().subscribe()
    }
}

/// What the client made of a callback.
fn called(answer: std::io::Result<u16>) -> Result<(), String> {
    match answer {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("the client answered the callback with {status}")),
        Err(error) => Err(format!("the callback failed: {error}")),
    }
}

impl SmscSim {
    fn facts(&self) -> Vec<Fact> {
        let state = self.shared.lock();
        let callback = state.callback.as_ref().map_or("-", |callback| callback.url.as_str());
        let same = |name: &str| Label::Same(name.to_owned());
        let mut facts = vec![
            Fact::new(same("endpoint"), "{origin}"),
            Fact::new(same("login"), self.login()),
            Fact::new(same("password"), self.password()),
            Fact::new(both("Баланс, ₽", "Balance, ₽"), money(state.balance)),
            Fact::new(both("Обратные вызовы", "Callbacks"), callback),
        ];
        facts.extend(Fact::flag(both("Адрес заблокирован", "Address blocked"), state.blocked));
        facts
    }
}

/// What can become of an SMS.
fn fates(arrival: &Arrival) -> Vec<Act> {
    let Ok(id) = arrival.provider_message_id.parse::<u32>() else { return Vec::new() };
    let fate = |label, status: i32, err: i32| {
        let body = json!({ "action": "status", "id": id, "phone": arrival.to, "status": status, "err": err });
        Act::new(label, body)
    };
    vec![
        fate(both("Доставить", "Deliver"), 1, 0),
        fate(both("Прочитать", "Read"), 2, 0),
        fate(both("Не доставить", "Fail"), 20, 1),
        fate(both("Срок истёк", "Expire"), 3, 0),
    ]
}

fn forms() -> Vec<Form> {
    let phone = || Field::text("phone", both("Телефон", "Phone"), "+79000000000");
    vec![
        Form::new(
            both("Ответить по SMS", "Answer by SMS"),
            "inbound",
            vec![
                phone(),
                Field::text("text", both("Текст", "Text"), ""),
                Field::text("to", both("На наш номер", "To our number"), "79000000001"),
            ],
        ),
        Form::new(
            both("Сделать номер недоступным", "Make a phone unreachable"),
            "unreachable",
            vec![phone()],
        ),
        Form::new(
            both("Баланс", "Balance"),
            "balance",
            vec![Field::number("kopecks", both("Копеек", "Kopecks"), 0)],
        ),
        Form::new(
            both("Заблокировать адрес клиента", "Block the client's address"),
            "block_ip",
            vec![Field::check("on", both("Заблокировать", "Block"), true)],
        ),
        Form::new(
            both("Адрес обратных вызовов", "Callback address"),
            "callback",
            vec![
                Field::text(
                    "url",
                    both("Адрес", "Address"),
                    "http://127.0.0.1:8080/webhooks/...?charset=utf-8&sha1",
                ),
                Field::text("secret", both("Секрет", "Secret"), ""),
            ],
        ),
    ]
}
