//! A policy's life: draft, check, comparison, publication, the way back, trial runs; over the API and on the
//! command line.

mod api;
mod backtest;
mod commands;
mod dry_run;

use std::path::{Path, PathBuf};

use fastlead_testkit::policy::Document;
use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};

/// A file of the repository.
fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

/// The clinic of the library of policies.
fn clinic() -> String {
    std::fs::read_to_string(repository("examples/policies/dental-clinic.yaml")).unwrap()
}

fn document(text: &str) -> Value {
    Document::parse(text).unwrap().value
}

/// A server with the channels that the clinic names.
struct Clinic {
    program: Program,
    desk: Desk,
    project: String,
    source: Value,
    key: String,
    folder: tempfile::TempDir,
    _providers: (TelegramSim, SmscSim),
}

impl Clinic {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (telegram, smsc) = (TelegramSim::start().await.unwrap(), SmscSim::start().await.unwrap());
        for chat in 790_000_001..=790_000_004 {
            telegram.add_chat(chat, "Manager");
        }
        let program = Program::start(folder.path(), &[]).await;
        let desk = Desk::sign_in(&program.url, PASSWORD).await;
        let bot = json!({
            "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "webhook",
            "webhook_secret": "webhook-secret-1", "messages_per_second": 1000,
        });
        desk.channel("telegram", "sales-bot", bot).await;
        let sms = json!({"login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url()});
        desk.channel("smsc", "sms", sms).await;
        let project = of(&desk.get("/v1/projects").await["items"][0], "id").to_owned();
        let source = desk.get("/v1/sources").await["items"][0].clone();
        let key = desk.post("/v1/api-keys", json!({"name": "ci", "role": "admin"})).await;
        let key = of(&key, "key").to_owned();
        Self { program, desk, project, source, key, folder, _providers: (telegram, smsc) }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/projects/{}/{rest}", self.project)
    }

    async fn capture(&self, number: u32) -> String {
        let lead = json!({"phone": format!("+7900{number:07}"), "consents": {"personal_data": true}});
        self.desk.capture(&self.source, &lead).await
    }
}
