//! The page of the simulated WhatsApp.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::WhatsAppSim;
use super::state::now;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// What a person can do, and what becomes of messages.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Press { message: String, data: String, label: String },
    Tell { message: String, status: String },
    Fail { message: String, code: i64 },
    Write { person: String, text: String },
    ComeByAd { person: String, text: String, click: String },
    CloseWindow { person: String },
    AddPerson { number: String, name: String },
    AddTemplate { name: String, language: String, body: String, replies: String },
    Subscribe { url: String },
}

const UNKNOWN: &str = "the number has sent no such message";

impl Stage for WhatsAppSim {
    type Action = Action;

    fn show(&self) -> Shown {
        Shown {
            title: both("Симулятор WhatsApp", "WhatsApp simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), acts),
            forms: self.forms(),
            queues: vec![Queue::new("messages", both("Сообщения", "Messages"), Self::faults(self))],
            troubles: troubles(),
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        let known = match action {
            Action::Press { message, data, label } => self.press(&message, &data, &label).is_some(),
            Action::Tell { message, status } => self.tell(&message, &status),
            Action::Fail { message, code } => self.fail(&message, code),
            Action::Write { person, text } => !self.write(&person, &text).is_empty(),
            Action::ComeByAd { person, text, click } => {
                let referral = json!({
                    "source_url": "https://fb.me/simulated", "source_id": "120210000000000000", "source_type": "ad",
                    "headline": "Simulated", "ctwa_clid": click,
                });
                let fields = json!({ "type": "text", "text": { "body": text }, "referral": referral });
                !self.write_with(&person, fields).is_empty()
            }
            Action::CloseWindow { person } => {
                self.close_window(&person);
                true
            }
            Action::AddPerson { number, name } => {
                if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err("a number has digits only".to_owned());
                }
                self.add_person(&number, &name);
                true
            }
            Action::AddTemplate { name, language, body, replies } => {
                let replies: Vec<&str> =
                    replies.split(',').map(str::trim).filter(|reply| !reply.is_empty()).collect();
                self.add_template(&name, &language, &body, &replies);
                true
            }
            Action::Subscribe { url } => {
                if !self.subscribe(&url).await {
                    return Err(
                        "the address was not confirmed: nobody repeats the challenge there".to_owned()
                    );
                }
                true
            }
        };
        if known { Ok(()) } else { Err(UNKNOWN.to_owned()) }
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        (queue == "messages").then(|| Self::faults(self).clone())
    }

    fn door(&self) -> &Door {
        Self::door(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.subscribe()
    }
}

impl WhatsAppSim {
    fn facts(&self) -> Vec<Fact> {
        let same = |name: &str| Label::Same(name.to_owned());
        let state = self.shared.lock();
        let mut facts = vec![
            Fact::new(same("endpoint"), "{origin}"),
            Fact::new(same("access_token"), self.token()),
            Fact::new(same("phone_number_id"), self.phone_number_id()),
            Fact::new(same("app_secret"), self.app_secret()),
            Fact::new(same("verify_token"), self.verify_token()),
            Fact::new(both("Ждут отправки событий", "Events waiting"), state.waiting.len()),
        ];
        if let Some(url) = &state.callback {
            facts.push(Fact::new(both("Адрес вебхука", "Webhook address"), url));
        }
        for (name, language) in state.templates.keys() {
            facts.push(Fact::new(both("Шаблон", "Template"), format!("{name} ({language})")));
        }
        facts
    }

    fn forms(&self) -> Vec<Form> {
        let people: Vec<(Value, Label)> = {
            let (state, now) = (self.shared.lock(), now());
            let named = |(wa_id, person): (&String, &super::state::Person)| {
                let closed = if person.may_be_written_to(now) { "" } else { " (24h+)" };
                (Value::from(wa_id.clone()), Label::Same(format!("{} {wa_id}{closed}", person.name)))
            };
            state.people.iter().map(named).collect()
        };
        let person = || Field::select("person", both("Кто", "Who"), people.clone());
        let text = || Field::text("text", both("Текст", "Text"), "");
        vec![
            Form::new(both("Написать номеру", "Write to the number"), "write", vec![person(), text()]),
            Form::new(
                both("Написать из рекламы", "Write from an advertisement"),
                "come_by_ad",
                vec![
                    person(),
                    text(),
                    Field::text("click", both("Метка клика", "Id of the click"), "ARAkLk"),
                ],
            ),
            Form::new(both("Прошло больше суток", "More than a day passes"), "close_window", vec![person()]),
            Form::new(
                both("Новый человек", "New person"),
                "add_person",
                vec![
                    Field::text("number", both("Номер, только цифры", "Number, digits only"), "79000000001"),
                    Field::text("name", both("Имя", "Name"), "Anna"),
                ],
            ),
            Form::new(
                both("Одобрить шаблон", "Approve a template"),
                "add_template",
                vec![
                    Field::text("name", both("Имя", "Name"), "new_lead"),
                    Field::text("language", both("Язык", "Language"), "ru"),
                    Field::text("body", both("Текст", "Body"), "Новая заявка: {{1}}"),
                    Field::text(
                        "replies",
                        both("Кнопки через запятую", "Buttons, by commas"),
                        "Беру, Не беру",
                    ),
                ],
            ),
            Form::new(
                both("Указать адрес вебхука", "Enter the webhook's address"),
                "subscribe",
                vec![Field::text("url", both("Адрес", "Address"), "http://127.0.0.1:8080/webhooks/…")],
            ),
        ]
    }
}

/// The buttons, and what can become of the message.
fn acts(arrival: &Arrival) -> Vec<Act> {
    let message = &arrival.provider_message_id;
    let press = arrival.buttons.iter().map(|button| {
        let body =
            json!({ "action": "press", "message": message, "data": button.data, "label": button.label });
        Act::new(Label::Same(button.label.clone()), body)
    });
    let told = [(both("Доставлено", "Delivered"), "delivered"), (both("Прочитано", "Read"), "read")];
    let told = told.into_iter().map(|(label, status)| {
        Act::new(label, json!({ "action": "tell", "message": message, "status": status }))
    });
    let fail = json!({ "action": "fail", "message": message, "code": 131_026 });
    let fail = Act::new(both("Не доставлено (131026)", "Undeliverable (131026)"), fail);
    press.chain(told).chain([fail]).collect()
}

fn troubles() -> Vec<Trouble> {
    let own = both("Отказ Meta (код)", "Refusal of Meta (code)");
    let mut troubles = Trouble::common();
    troubles.push(Trouble::no_balance());
    troubles.push(Trouble::provider_code(own, 131_047, "Re-engagement message"));
    troubles
}
