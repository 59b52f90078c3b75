//! The page of the simulated Postal.

use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::PostalSim;
use crate::sim::page::{Act, Fact, Field, Form, Label, Queue, Shown, ShownArrival, Stage, Trouble, both};
use crate::sim::{Arrival, Door, Faults};

/// What a person can do, and what becomes of mail.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::sim) enum Action {
    Tell { mail: i64, event: String, output: String },
    Write { from: String, subject: String, text: String },
    Suppress { address: String },
    Subscribe { url: String },
}

impl Stage for PostalSim {
    type Action = Action;

    fn show(&self) -> Shown {
        Shown {
            title: both("Симулятор Postal", "Postal simulator"),
            facts: self.facts(),
            arrivals: ShownArrival::newest_first(self.inbox(), acts),
            forms: forms(),
            queues: vec![Queue::new("requests", both("Запросы", "Requests"), Self::faults(self))],
            troubles: troubles(),
        }
    }

    async fn act(&self, action: Action) -> Result<(), String> {
        match action {
            Action::Tell { mail, event, output } => {
                if !self.tell(mail, &event, "told on the page", &output) {
                    return Err("there is no such mail".to_owned());
                }
            }
            Action::Write { from, subject, text } => self.write(&from, &subject, &text),
            Action::Suppress { address } => self.suppress(&address),
            Action::Subscribe { url } => self.subscribe(&url),
        }
        Ok(())
    }

    fn faults(&self, queue: &str) -> Option<Faults> {
        (queue == "requests").then(|| Self::faults(self).clone())
    }

    fn door(&self) -> &Door {
        Self::door(self)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.subscribe()
    }
}

impl PostalSim {
    fn facts(&self) -> Vec<Fact> {
        let same = |name: &str| Label::Same(name.to_owned());
        let state = self.shared.lock();
        let mut facts = vec![
            Fact::new(same("endpoint"), "{origin}"),
            Fact::new(same("api_key"), self.api_key()),
            Fact::new(same("signing_keys"), "{origin}/.well-known/jwks.json"),
            Fact::new(both("Домен отправителя", "Domain of the sender"), "example.com"),
            Fact::new(both("Ждут отправки", "Waiting to be posted"), state.waiting.len()),
        ];
        if let Some(url) = &state.callback {
            facts.push(Fact::new(both("Адрес вебхука", "Webhook address"), url));
        }
        for address in &state.suppressed {
            facts.push(Fact::new(both("В списке запрета", "On the suppression list"), address));
        }
        facts
    }
}

fn forms() -> Vec<Form> {
    vec![
        Form::new(
            both("Написать письмо", "Write a mail"),
            "write",
            vec![
                Field::text("from", both("От кого", "From"), "Anna <anna@example.net>"),
                Field::text("subject", both("Тема", "Subject"), "Вопрос"),
                Field::text("text", both("Текст", "Text"), ""),
            ],
        ),
        Form::new(
            both("Внести в список запрета", "Put on the suppression list"),
            "suppress",
            vec![Field::text("address", both("Адрес", "Address"), "anna@example.net")],
        ),
        Form::new(
            both("Указать адрес вебхука", "Enter the webhook's address"),
            "subscribe",
            vec![Field::text("url", both("Адрес", "Address"), "http://127.0.0.1:8080/webhooks/…")],
        ),
    ]
}

/// What can become of a mail.
fn acts(arrival: &Arrival) -> Vec<Act> {
    let Ok(mail) = arrival.provider_message_id.parse::<i64>() else { return Vec::new() };
    let told = [
        (
            both("Принято сервером получателя", "Taken by the recipient's server"),
            "MessageSent",
            "250 2.0.0 OK",
        ),
        (both("Отложено", "Delayed"), "MessageDelayed", "451 4.7.1 try later"),
        (both("Нет такого ящика", "No such mailbox"), "MessageDeliveryFailed", "550 5.1.1 no such user"),
        (both("Удержано", "Held"), "MessageHeld", ""),
        (both("Вернулось", "Bounced"), "MessageBounced", ""),
        (both("Открыто", "Opened"), "MessageLoaded", ""),
    ];
    let act = |(label, event, output)| {
        Act::new(label, json!({ "action": "tell", "mail": mail, "event": event, "output": output }))
    };
    told.into_iter().map(act).collect()
}

fn troubles() -> Vec<Trouble> {
    let own = both("Отказ Postal", "Refusal of Postal");
    let mut troubles = Trouble::common();
    troubles.push(Trouble::provider_code(own, 1, "invented tomorrow"));
    troubles
}
