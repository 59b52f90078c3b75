//! The page of the simulated VK.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::VkSim;
use super::people::FilledForm;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// What a person can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Press { peer: i64, message: i64, data: String },
    Write { peer: i64, text: String },
    Start { peer: i64, payload: String },
    Allow { peer: i64, key: String },
    Deny { peer: i64 },
    FillIn { peer: i64, name: String, phone: String },
    AddPerson { peer: i64, name: String },
}

impl Stage for VkSim {
    type Action = Action;

    fn show(&self) -> Shown {
        Shown {
            title: both("Симулятор VK", "VK simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), buttons),
            forms: self.forms(),
            queues: vec![
                Queue::new("messages", both("Сообщения", "Messages"), Self::faults(self)),
                Queue::new(
                    "callbacks",
                    both("Серверы Callback API", "Callback servers"),
                    self.callback_faults(),
                ),
            ],
            troubles: troubles(),
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        match action {
            Action::Press { peer, message, data } => {
                let pressed = self.press_button(peer, message, &data);
                return pressed
                    .map(drop)
                    .ok_or_else(|| "the community has sent no such message there".to_owned());
            }
            Action::Write { peer, text } => self.write(peer, &text),
            Action::Start { peer, payload } => {
                self.press_start(peer, Some(payload.as_str()).filter(|payload| !payload.is_empty()))
            }
            Action::Allow { peer, key } => self.allow(peer, &key),
            Action::Deny { peer } => self.deny(peer),
            Action::FillIn { peer, name, phone } => self.fill_in_next(peer, &name, &phone),
            Action::AddPerson { peer, name } => {
                self.add_person(peer, &name);
                return Ok(());
            }
        };
        Ok(())
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        match queue {
            "messages" => Some(Self::faults(self).clone()),
            "callbacks" => Some(self.callback_faults().clone()),
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

impl VkSim {
    fn fill_in_next(&self, user: i64, name: &str, phone: &str) -> String {
        let lead_id = self.act_lead_id();
        let answer = |key: &str, question: &str, answer: &str| {
            (key.to_owned(), question.to_owned(), answer.to_owned())
        };
        let answers =
            vec![answer("first_name", "Имя", name), answer("phone_number", "Номер телефона", phone)];
        self.fill_in(user, &FilledForm { lead_id, form_name: "Заявка".to_owned(), answers })
    }

    fn act_lead_id(&self) -> i64 {
        self.shared.lock().take_message_ids(0).0
    }

    fn facts(&self) -> Vec<Fact> {
        let state = self.shared.lock();
        let mut facts = vec![
            Fact::new(Label::Same("endpoint".to_owned()), "{origin}"),
            Fact::new(Label::Same("access_token".to_owned()), self.token()),
            Fact::new(Label::Same("group_id".to_owned()), self.group_id()),
            Fact::new(both("Ждут отправки событий", "Events waiting"), state.events.len()),
        ];
        for server in &state.servers {
            let value = format!("{} {} {}", server.title, server.status, server.url);
            facts.push(Fact::new(both("Сервер Callback API", "Callback server"), value));
        }
        for answer in state.answered.iter().rev().take(3) {
            facts.push(Fact::new(both("Ответ на кнопку", "Answer to a button"), &answer.text));
        }
        facts
    }

    fn forms(&self) -> Vec<Form> {
        let peers: Vec<(Value, Label)> = {
            let state = self.shared.lock();
            let named = |(id, peer): (&i64, &super::state::Peer)| {
                let closed = if peer.is_open { "" } else { " (denied)" };
                (Value::from(*id), Label::Same(format!("{} {id}{closed}", peer.name)))
            };
            state.peers.iter().map(named).collect()
        };
        let peer = || Field::select("peer", both("Кто", "Who"), peers.clone());
        vec![
            Form::new(
                both("Написать сообществу", "Write to the community"),
                "write",
                vec![peer(), Field::text("text", both("Текст", "Text"), "")],
            ),
            Form::new(
                both("Нажать «Начать»", "Press Start"),
                "start",
                vec![
                    peer(),
                    Field::text("payload", both("Метка ссылки (ref)", "Payload of the link (ref)"), ""),
                ],
            ),
            Form::new(
                both("Заполнить форму заявки", "Fill in the lead form"),
                "fill_in",
                vec![
                    peer(),
                    Field::text("name", both("Имя", "Name"), "Анна"),
                    Field::text("phone", both("Телефон", "Phone"), "+7 900 000-00-00"),
                ],
            ),
            Form::new(
                both("Разрешить сообщения", "Allow messages"),
                "allow",
                vec![peer(), Field::text("key", both("Ключ виджета", "Key of the widget"), "")],
            ),
            Form::new(both("Запретить сообщения", "Deny messages"), "deny", vec![peer()]),
            Form::new(
                both("Новый человек", "New person"),
                "add_person",
                vec![
                    Field::number(
                        "peer",
                        both("Номер (у бесед от 2000000001)", "Id (of a chat: from 2000000001)"),
                        790_000_001,
                    ),
                    Field::text("name", both("Имя", "Name"), "Anna"),
                ],
            ),
        ]
    }
}

/// The buttons that respond; those that open a page are only shown.
fn buttons(arrival: &Arrival) -> Vec<Act> {
    let (Ok(peer), Ok(message)) = (arrival.to.parse::<i64>(), arrival.provider_message_id.parse::<i64>())
    else {
        return Vec::new();
    };
    let responding = arrival.buttons.iter().filter(|button| !button.opens_url);
    responding
        .map(|button| {
            let body = json!({ "action": "press", "peer": peer, "message": message, "data": button.data });
            Act::new(Label::Same(button.label.clone()), body)
        })
        .collect()
}

fn troubles() -> Vec<Trouble> {
    let own = both("Отказ VK (код)", "Refusal of VK (code)");
    let mut troubles = Trouble::common();
    troubles.push(Trouble::provider_code(own, 901, "Can't send messages for users without permission"));
    troubles
}
