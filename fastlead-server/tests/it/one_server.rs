//! One server for each database file; what works beside it; what a stop, a `kill -9` and a copy leave behind.
#![cfg(unix)]

use std::path::Path;
use std::time::Duration;

use fastlead_testkit::sim::telegram::TelegramSim;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program, run};

const PATIENCE: Duration = Duration::from_secs(20);
const CHAT: i64 = 90_002;

struct Office {
    _telegram: TelegramSim,
    program: Program,
    desk: Desk,
    source: Value,
}

fn policy() -> Value {
    json!({
        "targets": {"sales": {
            "display_name": "Sales", "destinations": [{"channel": "bot", "recipient": {"chat": CHAT.to_string()}}],
        }},
        "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
        "templates": {"offer": {"en": {"plain": "Lead {{ lead.name }}"}, "ru": {"plain": "Заявка {{ lead.name }}"}}},
    })
}

impl Office {
    async fn open(folder: &Path) -> Self {
        let telegram = TelegramSim::start().await.unwrap();
        telegram.add_chat(CHAT, "Sales");
        let program = Program::start(folder, &[]).await;
        let desk = Desk::sign_in(&program.url, PASSWORD).await;
        let config = json!({
            "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "webhook",
            "webhook_secret": "webhook-secret-1", "messages_per_second": 1000,
        });
        desk.channel("telegram", "bot", config).await;
        let source = desk.project("Office", policy()).await;
        Self { _telegram: telegram, program, desk, source }
    }

    async fn capture(&self, number: u32) -> String {
        let lead = json!({"phone": format!("+7900{number:07}"), "name": format!("v{number}")});
        self.desk.capture(&self.source, &lead).await
    }
}

/// The leads that a server on `folder` knows of those.
async fn known(folder: &Path, leads: &[String]) -> usize {
    let program = Program::start(folder, &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let mut known = 0;
    for lead in leads {
        let found = desk.get(&format!("/v1/leads/{lead}")).await;
        known += usize::from(of(&found, "id") == lead);
    }
    known
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone_however_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path()).await;
    let mut leads = vec![office.capture(1).await];

    let (served, said) = run(folder.path(), &[], &["serve"]).await;
    assert!(!served, "{said}");
    let file = folder.path().canonicalize().unwrap().join("store.db");
    let holder = format!("is in use by process {}", office.program.id());
    assert!(said.contains(file.to_str().unwrap()) && said.contains(&holder), "{said}");
    // The first has not noticed.
    leads.push(office.capture(2).await);

    office.program.kill();
    assert_eq!(known(folder.path(), &leads).await, 2);
}

/// Each command of the program that opens the database: beside the server where it only looks, and else not.
#[tokio::test]
async fn commands_that_look_work_beside_a_server_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(folder.path()).await;
    let lead = office.capture(1).await;
    let file = folder.path().join("policy.json");
    std::fs::write(&file, policy().to_string()).unwrap();
    let store = folder.path().join("store.db");
    let (store, file) = (store.to_str().unwrap(), file.to_str().unwrap());
    let at = ["--store", store, "--project", "Office"];

    let chat = CHAT.to_string();
    let looks: [&[&str]; 9] = [
        &["check"],
        &["send", "--channel", "bot", "--to", &chat],
        &["keys", "list"],
        &["explain", &lead, "--store", store],
        &["policy", "validate", file, at[0], at[1], at[2], at[3]],
        &["policy", "plan", file, at[0], at[1], at[2], at[3]],
        &["policy", "diff", file, "current", at[0], at[1], at[2], at[3]],
        &["backtest", "--policy", file, "--since", "1d", at[0], at[1], at[2], at[3]],
        &["backup", "copy.db"],
    ];
    for arguments in looks {
        let (done, said) = run(folder.path(), &[], arguments).await;
        assert!(done, "{arguments:?}: {said}");
    }

    let changes: [&[&str]; 6] = [
        &["demo", "--port", "0", "--store", store],
        &["migrate"],
        &["keys", "rotate"],
        &["policy", "apply", file, at[0], at[1], at[2], at[3]],
        &["policy", "rollback", "1", at[0], at[1], at[2], at[3]],
        &["restore", "copy.db"],
    ];
    let refused = changes.map(|arguments| run(folder.path(), &[], arguments));
    for (arguments, (done, said)) in changes.iter().zip(futures_util::future::join_all(refused).await) {
        assert!(!done, "{arguments:?}: {said}");
        assert!(said.contains("is in use by process"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn after_a_clean_stop_the_main_file_alone_has_every_lead() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path()).await;
    let mut leads = Vec::new();
    for number in 0..20 {
        leads.push(office.capture(number).await);
    }
    office.program.signal("TERM");
    assert!(office.program.ended(PATIENCE).await.success());

    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["store.db", "store.keys"] {
        std::fs::copy(folder.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    assert_eq!(known(elsewhere.path(), &leads).await, 20);
}

#[tokio::test]
async fn a_copy_of_a_working_server_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path()).await;
    let leads = vec![office.capture(1).await, office.capture(2).await];
    let (done, said) = run(folder.path(), &[], &["backup", "copy.db"]).await;
    assert!(done && said.contains("copy.db: whole, 2 leads") && said.contains("store.keys"), "{said}");
    let late = office.capture(3).await;
    office.program.kill();

    let (done, said) = run(folder.path(), &[], &["restore", "copy.db"]).await;
    assert!(!done && said.contains("store.db exists"), "{said}");
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        std::fs::rename(folder.path().join(name), folder.path().join(format!("old-{name}"))).unwrap();
    }
    let (done, said) = run(folder.path(), &[], &["restore", "copy.db"]).await;
    assert!(done && said.contains("restored, 2 leads"), "{said}");
    assert_eq!(known(folder.path(), &leads).await, 2);
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let (status, _) = desk.send(reqwest::Method::GET, &format!("/v1/leads/{late}"), None).await;
    assert_eq!(status, 404, "it came after the copy");
}
