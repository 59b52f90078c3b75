//! Trouble of every kind on every channel, against the running program: where each delivery ends, who hears of
//! it, and that what was missed comes back.

mod provider;
mod table;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastlead_testkit::sim::telegram::TelegramSim;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};
use provider::{Provider, Via};
use table::{Row, Then, Trouble};

/// Each row has two chats of its own here: the owner's, and that of the people who get the offers of webhook rows.
const OWNERS: i64 = 50_000;
const CREWS: i64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trouble_ends_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("FASTLEAD__LOG__FILTER", "off")]).await;
    let desk = Arc::new(Desk::sign_in(&program.url, PASSWORD).await);
    let alarm = TelegramSim::start().await.unwrap();
    let config = json!({
        "bot_token": alarm.token(), "endpoint": alarm.base_url(), "messages_per_second": 1000,
    });
    desk.channel("telegram", "alarm", config).await;
    let rows = table::rows();
    let count = rows.len();
    let mut cases = JoinSet::new();
    for (index, row) in rows.into_iter().enumerate() {
        let case =
            Case { index: i64::try_from(index).unwrap(), row, desk: Arc::clone(&desk), alarm: alarm.clone() };
        cases.spawn(case.play());
    }
    let mut faults = Vec::new();
    while let Some(ended) = cases.join_next().await {
        match ended {
            Ok(found) => faults.extend(found),
            Err(error) => faults.push(error.to_string()),
        }
    }
    assert!(faults.is_empty(), "{} of {count} rows:\n{}", faults.len(), faults.join("\n"));
    println!("trouble: {count} rows, each ended as it is written");
}

struct Case {
    index: i64,
    row: Row,
    desk: Arc<Desk>,
    alarm: TelegramSim,
}

impl Case {
    /// Plays the row, and answers what was not as it is written.
    async fn play(self) -> Vec<String> {
        let mut faults = Vec::new();
        self.try_play(&mut faults).await;
        let name = format!("{:?} {}", self.row.via, self.row.name);
        faults.into_iter().map(|fault| format!("{name}: {fault}")).collect()
    }

    async fn try_play(&self, faults: &mut Vec<String>) {
        let row = &self.row;
        let mut provider = self.provider().await;
        let right = !matches!(row.trouble, Trouble::WrongCredentials);
        let name = format!("row-{}", self.index);
        let channel = self.desk.channel(provider.kind(), &name, provider.config(right)).await;
        let channel = format!("/v1/channels/{}", of(&channel, "id"));
        self.alarm.add_chat(OWNERS + self.index, "Owner");
        self.alarm.add_chat(CREWS + self.index, "Crew");
        let source = self.desk.project(&name, self.policy(&name, &provider)).await;
        let since = Utc::now();
        self.desk.capture(&source, &json!({"phone": "+79000000022", "name": "Vera"})).await;

        let list = format!("/v1/deliveries?channel_id={}", channel.rsplit('/').next().unwrap());
        let expected = json!([row.state, row.reason, row.attempts]);
        let delivery = match self.reach(&list, row.state, row.reason, row.attempts.len()).await {
            Ok(delivery) => delivery,
            Err(fault) => return faults.push(fault),
        };
        let found = json!([row.state, row.reason, told_attempts(&delivery)]);
        if found != expected {
            faults.push(format!("{found} instead of {expected}"));
        }
        if waited(&delivery) < i64::try_from(row.wait).unwrap() {
            faults.push(format!("the next attempt comes after {} s: {delivery}", waited(&delivery)));
        }
        if provider.arrived() != row.arrived {
            faults.push(format!("{} messages have arrived", provider.arrived()));
        }
        if row.via == Via::Webhook && row.name == "drop" && provider.repeated() != 1 {
            faults.push(format!("{} repetitions", provider.repeated()));
        }
        let shown = self.desk.get(&channel).await;
        if shown["paused_reason"].as_str() != row.paused {
            faults.push(format!("the channel is paused for {}", shown["paused_reason"]));
        }
        if row.told && !self.owner_hears().await {
            faults.push("the owner has not been told".to_owned());
        }
        if !row.told && !self.told().is_empty() {
            faults.push(format!("the owner was told {:?}", self.told()));
        }
        self.mend(&mut provider, &channel, since, faults).await;
        let (Then::Resume(state) | Then::Recover(state)) = row.then else { return };
        if let Err(fault) = self.reach(&list, state, "", 0).await {
            faults.push(format!("after it was mended: {fault}"));
        }
        if provider.arrived() != 1 {
            faults.push(format!("after it was mended {} messages have arrived", provider.arrived()));
        }
    }

    async fn provider(&self) -> Provider {
        let mut provider = Provider::start(self.row.via).await;
        match &self.row.trouble {
            Trouble::Faults(faults) => faults.iter().for_each(|fault| provider.faults().push(fault.clone())),
            Trouble::Refused => provider.close(),
            Trouble::WrongCredentials => {}
            Trouble::NoMoney => provider.set_money(false),
            Trouble::Blocked => provider.block_recipient(),
            Trouble::PutOff { full } => provider.put_off(*full),
        }
        provider
    }

    fn policy(&self, channel: &str, provider: &Provider) -> Value {
        let on_alarm =
            |chat: i64| json!({"channel": "alarm", "recipient": {"chat": (chat + self.index).to_string()}});
        let crew = provider
            .recipient()
            .map_or_else(|| on_alarm(CREWS), |recipient| json!({"channel": channel, "recipient": recipient}));
        let webhooks = match self.row.via {
            Via::Webhook => json!([{"channel": channel, "events": ["lead.created"]}]),
            _ => json!([]),
        };
        let text = json!({"plain": "Lead {{ lead.name }}", "subject": "Lead"});
        json!({
            "targets": {
                "crew": {"display_name": "Crew", "destinations": [crew]},
                "owner": {"display_name": "Owner", "destinations": [on_alarm(OWNERS)]},
            },
            "route": {"strategy": "broadcast", "targets": ["crew"], "template": "offer"},
            "webhooks": webhooks,
            "alerts": ["owner"],
            "templates": {"offer": {"ru": text, "en": text}},
            "delivery": {"retry": self.row.retry, "ttl_secs": self.row.ttl},
        })
    }

    /// Waits until the one delivery of the list is in `state` for `reason`, with at least so many attempts recorded.
    async fn reach(&self, list: &str, state: &str, reason: &str, attempts: usize) -> Result<Value, String> {
        let there = |list: &Value| {
            let items = list["items"].as_array().unwrap();
            items.len() == 1
                && items[0]["state"] == state
                && items[0]["reason"].as_str().unwrap_or_default() == reason
                && items[0]["uncertain"] == false
        };
        let list = self.desk.try_until(list, there).await?;
        let details = format!("/v1/deliveries/{}", of(&list["items"][0], "id"));
        let enough = |details: &Value| details["attempts"].as_array().unwrap().len() >= attempts;
        self.desk.try_until(&details, enough).await
    }

    fn told(&self) -> Vec<String> {
        let chat = (OWNERS + self.index).to_string();
        let arrived = self.alarm.inbox().all().into_iter().filter(|arrival| arrival.to == chat);
        arrived.map(|arrival| arrival.text).collect()
    }

    async fn owner_hears(&self) -> bool {
        let mut count = self.alarm.inbox().subscribe();
        tokio::time::timeout(PATIENCE, count.wait_for(|_| !self.told().is_empty())).await.is_ok()
    }

    /// Removes the cause, and does what an operator does then.
    async fn mend(
        &self,
        provider: &mut Provider,
        channel: &str,
        since: DateTime<Utc>,
        faults: &mut Vec<String>,
    ) {
        if self.row.then == Then::Nothing {
            return;
        }
        provider.open().await;
        provider.let_a_minute_pass();
        match &self.row.trouble {
            Trouble::WrongCredentials => {
                drop(self.desk.put(channel, json!({"config": provider.config(true)})).await);
            }
            Trouble::NoMoney => provider.set_money(true),
            _ => {}
        }
        match self.row.then {
            Then::Nothing => {}
            Then::Resume(_) => drop(self.desk.post(&format!("{channel}/resume"), Value::Null).await),
            Then::Recover(_) => {
                let body = json!({"since": since.to_rfc3339()});
                let recovered = self.desk.post(&format!("{channel}/recover"), body).await;
                if recovered["deliveries"] != 1 {
                    faults.push(format!("recovered {recovered}"));
                }
            }
        }
    }
}

/// Operation, verdict and error code of every attempt.
fn told_attempts(delivery: &Value) -> Vec<String> {
    let attempts = delivery["attempts"].as_array().unwrap().iter();
    let tell = |attempt: &Value| {
        let code = attempt["error"]["code"].as_str().unwrap_or_default();
        format!("{} {} {code}", of(attempt, "operation"), of(attempt, "verdict")).trim_end().to_owned()
    };
    attempts.map(tell).collect()
}

/// Whole seconds from the first attempt to the second, or to the moment that the next one is due.
fn waited(delivery: &Value) -> i64 {
    let moment = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
    let attempts = delivery["attempts"].as_array().unwrap();
    let next = attempts.get(1).map_or_else(|| of(delivery, "due_at"), |attempt| of(attempt, "started_at"));
    (moment(next) - moment(of(&attempts[0], "started_at"))).num_seconds()
}
