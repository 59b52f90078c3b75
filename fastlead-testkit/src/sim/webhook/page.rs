//! The page of the simulated receiver.

use serde::Deserialize;
use tokio::sync::watch;

use super::{WebhookAnswer, WebhookSim};
use crate::sim::page::{Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Door, Faults};

/// What the owner of the receiver can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Answer { status: u16, body: String },
    UsualAnswer {},
    Dedupe { on: bool },
}

impl Stage for WebhookSim {
    type Action = Action;

    fn show(&self) -> Shown {
        let own = both("Свой статус", "A status of your own");
        let mut troubles = Trouble::common();
        troubles.push(Trouble::no_balance());
        troubles.push(Trouble::provider_code(own, 409, "no"));
        Shown {
            title: both("Приёмник вебхуков", "Webhook receiver"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), |_| Vec::new()),
            forms: forms(),
            queues: vec![Queue::new("messages", both("Запросы", "Requests"), self.faults())],
            troubles,
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        match action {
            Action::Answer { status, .. } if !(200..=599).contains(&status) => {
                return Err("an answer has a status from 200 to 599".to_owned());
            }
            Action::Answer { status, body } => {
                self.set_answer(Some(WebhookAnswer::status(status).with_body(body)));
            }
            Action::UsualAnswer {} => self.set_answer(None),
            Action::Dedupe { on } => self.set_dedupe(on),
        }
        Ok(())
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        (queue == "messages").then(|| Self::faults(self).clone())
    }

    fn door(&self) -> &Door {
        Self::door(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inbox().subscribe()
    }
}

impl WebhookSim {
    fn facts(&self) -> Vec<Fact> {
        let state = self.shared.lock();
        let answer = state.answer.as_ref().map_or(204, |answer| answer.status);
        let mut facts = vec![
            Fact::new(Label::Same("url".to_owned()), "{origin}/webhook"),
            Fact::new(both("Запросов было", "Requests so far"), state.requests.len()),
            Fact::new(both("Повторов", "Repetitions"), state.duplicates),
            Fact::new(both("Ответ", "Answer"), answer),
        ];
        facts.extend(Fact::flag(both("Повторы скрыты", "Repetitions are hidden"), state.dedupe));
        facts
    }
}

fn forms() -> Vec<Form> {
    vec![
        Form::new(
            both("Отвечать так", "Answer so"),
            "answer",
            vec![
                Field::number("status", both("Статус", "Status"), 500),
                Field::text("body", both("Тело", "Body"), ""),
            ],
        ),
        Form::new(both("Отвечать как обычно", "Answer as usual"), "usual_answer", Vec::new()),
        Form::new(
            both("Скрывать повторы", "Hide repetitions"),
            "dedupe",
            vec![Field::check("on", both("Скрывать", "Hide"), true)],
        ),
    ]
}
