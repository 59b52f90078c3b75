//! The page of the simulated Telegram.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::TelegramSim;
use super::state::Access;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// What a person can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Press { chat: i64, message: i64, data: String },
    Write { chat: i64, text: String },
    Start { chat: i64, payload: String },
    ShareContact { chat: i64, phone: String },
    Block { chat: i64 },
    Unblock { chat: i64 },
    AddChat { chat: i64, title: String },
}

impl Stage for TelegramSim {
    type Action = Action;

    fn show(&self) -> Shown {
        Shown {
            title: both("Симулятор Telegram", "Telegram simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), buttons),
            forms: self.forms(),
            queues: vec![
                Queue::new("messages", both("Сообщения", "Messages"), self.faults()),
                Queue::new(
                    "updates",
                    both("Обновления (getUpdates)", "Updates (getUpdates)"),
                    self.update_faults(),
                ),
            ],
            troubles: troubles(),
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        match action {
            Action::Press { chat, message, data } => {
                let pressed = self.press_button(chat, message, &data);
                return pressed.map(drop).ok_or_else(|| "the bot has sent no such message there".to_owned());
            }
            Action::Write { chat, text } => self.write(chat, &text),
            Action::Start { chat, payload } => {
                self.press_start(chat, Some(payload.as_str()).filter(|payload| !payload.is_empty()));
            }
            Action::ShareContact { chat, phone } => self.share_contact(chat, &phone),
            Action::Block { chat } => self.block(chat),
            Action::Unblock { chat } => self.unblock(chat),
            Action::AddChat { chat, title } => {
                self.add_chat(chat, &title);
                self.shared.announce();
            }
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

impl TelegramSim {
    fn facts(&self) -> Vec<Fact> {
        let state = self.shared.lock();
        let updates = match &state.webhook {
            Some(webhook) => webhook.url.clone(),
            None => "getUpdates".to_owned(),
        };
        let mut facts = vec![
            Fact::new(Label::Same("endpoint".to_owned()), "{origin}"),
            Fact::new(Label::Same("bot_token".to_owned()), self.token()),
            Fact::new(both("Обновления", "Updates"), updates),
            Fact::new(both("Ждут бота", "Waiting for the bot"), state.updates.len()),
        ];
        if let Some(failure) = state.webhook.as_ref().and_then(|webhook| webhook.last_error.as_ref()) {
            facts.push(Fact::new(both("Последний сбой вебхука", "Last failure of the webhook"), &failure.1));
        }
        for answer in state.answered.iter().rev().take(3) {
            facts.push(Fact::new(both("Ответ на кнопку", "Answer to a button"), &answer.text));
        }
        facts
    }

    fn forms(&self) -> Vec<Form> {
        let chats: Vec<(Value, Label)> = {
            let state = self.shared.lock();
            let open = state.chats.values().filter(|chat| !matches!(chat.access, Access::MovedTo(_)));
            let named = |blocked: bool| if blocked { " (blocked)" } else { "" };
            open.map(|chat| {
                let name = format!("{} {}{}", chat.title, chat.id, named(chat.access == Access::Closed));
                (chat.id.into(), Label::Same(name))
            })
            .collect()
        };
        let chat = || Field::select("chat", both("Чат", "Chat"), chats.clone());
        vec![
            Form::new(
                both("Написать боту", "Write to the bot"),
                "write",
                vec![chat(), Field::text("text", both("Текст", "Text"), "")],
            ),
            Form::new(
                both("Нажать «Старт»", "Press Start"),
                "start",
                vec![chat(), Field::text("payload", both("Метка ссылки", "Payload of the link"), "")],
            ),
            Form::new(
                both("Поделиться номером", "Share the phone number"),
                "share_contact",
                vec![chat(), Field::text("phone", both("Телефон", "Phone"), "79000000000")],
            ),
            Form::new(both("Заблокировать бота", "Block the bot"), "block", vec![chat()]),
            Form::new(both("Разблокировать бота", "Unblock the bot"), "unblock", vec![chat()]),
            Form::new(
                both("Новый чат", "New chat"),
                "add_chat",
                vec![
                    Field::number(
                        "chat",
                        both("Номер (у групп отрицательный)", "Id (of a group: negative)"),
                        1_100,
                    ),
                    Field::text("title", both("Название", "Title"), "Anna"),
                ],
            ),
        ]
    }
}

/// The buttons that respond; those that open a page are only shown.
fn buttons(arrival: &Arrival) -> Vec<Act> {
    let (Ok(chat), Ok(message)) = (arrival.to.parse::<i64>(), arrival.provider_message_id.parse::<i64>())
    else {
        return Vec::new();
    };
    let responding = arrival.buttons.iter().filter(|button| !button.opens_url);
    responding
        .map(|button| {
            let body = json!({ "action": "press", "chat": chat, "message": message, "data": button.data });
            Act::new(Label::Same(button.label.clone()), body)
        })
        .collect()
}

fn troubles() -> Vec<Trouble> {
    let own = both("Отказ Telegram (код)", "Refusal of Telegram (code)");
    let mut troubles = Trouble::common();
    troubles.push(Trouble::provider_code(own, 400, "Bad Request: chat not found"));
    troubles
}
