//! The page of the simulated MAX.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::MaxSim;
use super::state::Access;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// What people can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Press { person: i64, message: String, payload: String },
    Write { person: i64, text: String },
    Start { person: i64, payload: String },
    ShareContact { person: i64, phone: String },
    Stop { person: i64 },
    RemoveDialog { person: i64 },
    AddPerson { person: i64, name: String },
    ForgetSubscriptions {},
}

impl Stage for MaxSim {
    type Action = Action;

    fn show(&self) -> Shown {
        Shown {
            title: both("Симулятор MAX", "MAX simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), buttons),
            forms: self.forms(),
            queues: vec![
                Queue::new("messages", both("Сообщения", "Messages"), self.faults()),
                Queue::new(
                    "updates",
                    both("События (GET /updates)", "Updates (GET /updates)"),
                    self.update_faults(),
                ),
            ],
            troubles: troubles(),
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        match action {
            Action::Press { person, message, payload } => {
                let pressed = self.press_button(person, &message, &payload);
                return pressed.map(drop).ok_or_else(|| "the bot has sent no such message there".to_owned());
            }
            Action::Write { person, text } => self.write(person, &text),
            Action::Start { person, payload } => {
                self.start_bot(person, Some(payload.as_str()).filter(|payload| !payload.is_empty()));
            }
            Action::ShareContact { person, phone } => self.share_contact(person, &phone),
            Action::Stop { person } => self.stop_bot(person),
            Action::RemoveDialog { person } => self.remove_dialog(person),
            Action::AddPerson { person, name } => {
                self.add_person(person, &name);
                self.shared.announce();
            }
            Action::ForgetSubscriptions {} => self.forget_subscriptions(),
        }
        Ok(())
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        match queue {
            "messages" => Some(Self::faults(self).clone()),
            "updates" => Some(self.update_faults().clone()),
            _ => None,
        }
    }

    fn door(&self) -> &Door {
        Self::door(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.subscribe()
    }
}

impl MaxSim {
    fn facts(&self) -> Vec<Fact> {
        let state = self.shared.lock();
        let addresses: Vec<&str> = state.subscriptions.iter().map(|one| one.url.as_str()).collect();
        let updates = if addresses.is_empty() { "GET /updates".to_owned() } else { addresses.join(", ") };
        let mut facts = vec![
            Fact::new(Label::Same("endpoint".to_owned()), "{origin}"),
            Fact::new(Label::Same("bot_token".to_owned()), self.token()),
            Fact::new(both("События", "Updates"), updates),
            Fact::new(both("Ждут бота", "Waiting for the bot"), state.updates.len()),
        ];
        if state.failed_calls > 0 {
            facts.push(Fact::new(both("Сбоев вебхука", "Failures of the webhook"), state.failed_calls));
        }
        for answer in state.answered.iter().rev().take(3) {
            let text = answer.notification.as_deref().unwrap_or("✓");
            facts.push(Fact::new(both("Ответ на кнопку", "Answer to a button"), text));
        }
        facts
    }

    fn forms(&self) -> Vec<Form> {
        let people: Vec<(Value, Label)> = {
            let state = self.shared.lock();
            let named = |access: Access| if access == Access::Closed { " (stopped)" } else { "" };
            let people = state.people.values();
            people
                .map(|person| {
                    let name = format!("{} {}{}", person.name, person.user_id, named(person.access));
                    (person.user_id.into(), Label::Same(name))
                })
                .collect()
        };
        let person = || Field::select("person", both("Кто", "Who"), people.clone());
        vec![
            Form::new(
                both("Написать боту", "Write to the bot"),
                "write",
                vec![person(), Field::text("text", both("Текст", "Text"), "")],
            ),
            Form::new(
                both("Нажать «Начать»", "Press Start"),
                "start",
                vec![person(), Field::text("payload", both("Метка ссылки", "Payload of the link"), "")],
            ),
            Form::new(
                both("Поделиться номером", "Share the phone number"),
                "share_contact",
                vec![person(), Field::text("phone", both("Телефон", "Phone"), "79000000000")],
            ),
            Form::new(both("Остановить бота", "Stop the bot"), "stop", vec![person()]),
            Form::new(both("Удалить диалог", "Remove the dialog"), "remove_dialog", vec![person()]),
            Form::new(
                both("Новый человек", "New person"),
                "add_person",
                vec![
                    Field::number("person", both("Номер", "Id"), 1_100),
                    Field::text("name", both("Имя", "Name"), "Anna"),
                ],
            ),
            Form::new(
                both(
                    "Забыть подписки (8 часов без ответа)",
                    "Forget the subscriptions (8 hours without an answer)",
                ),
                "forget_subscriptions",
                Vec::new(),
            ),
        ]
    }
}

/// The buttons that respond; those that open a page are only shown. In a group anybody could press, so nobody does here.
fn buttons(arrival: &Arrival) -> Vec<Act> {
    let Some(person) = arrival.to.parse::<i64>().ok().filter(|id| *id > 0) else { return Vec::new() };
    let responding = arrival.buttons.iter().filter(|button| !button.opens_url);
    responding
        .map(|button| {
            let message = &arrival.provider_message_id;
            let body =
                json!({ "action": "press", "person": person, "message": message, "payload": button.data });
            Act::new(Label::Same(button.label.clone()), body)
        })
        .collect()
}

fn troubles() -> Vec<Trouble> {
    let own = both("Отказ MAX (код HTTP)", "Refusal of MAX (HTTP status)");
    let mut troubles = Trouble::common();
    troubles.push(Trouble::provider_code(own, 404, "chat.not.found Chat not found"));
    troubles
}
