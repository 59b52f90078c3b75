//! Rows that cannot be read, in the file of the real program: it starts, takes leads in, tells of them, and says which
//! rows it has left out.

use std::path::Path;

use fastlead_core::contact::{Email, Phone};
use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::desk::{Desk, of, settled};
use crate::program::{PASSWORD, Program};

fn policy(text: &str) -> Value {
    json!({
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
            "oleg": {"display_name": "Oleg", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "escalation": [{"after_secs": 240, "targets": ["oleg"], "template": "lead"}],
        "templates": {"lead": {"en": {"plain": text}}},
    })
}

/// Changes the file of a program that does not run; every statement must meet one row at least.
async fn damage(folder: &Path, statements: &[String]) {
    let options = SqliteConnectOptions::new().filename(folder.join("store.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for statement in statements {
        let done = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
    }
    connection.close().await.unwrap();
}

/// An id as SQLite has it.
fn sql(id: &str) -> String {
    format!("x'{}'", id.rsplit('_').next().unwrap())
}

async fn office(folder: &Path, telegram: &TelegramSim) -> (Program, Desk, Value) {
    let program = Program::start(folder, &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let bot = json!({
        "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "webhook",
        "webhook_secret": "webhook-secret-1", "messages_per_second": 1000,
    });
    let channel = desk.channel("telegram", "bot", bot).await;
    (program, desk, channel)
}

async fn again(folder: &Path) -> (Program, Desk) {
    let program = Program::start_silent(folder, &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    (program, desk)
}

/// Whether a list shows an entry, or says that it cannot be read.
fn shows(list: &Value, path: &str, id: &str) -> (bool, bool) {
    let has = |name: &str, path: &str| {
        let entries = list[name].as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().any(|entry| entry.pointer(path).is_some_and(|found| found == id))
    };
    (has("items", path), has("unreadable", "/id"))
}

async fn told(telegram: &TelegramSim, text: &str) {
    let inbox = telegram.inbox();
    let mut changes = inbox.subscribe();
    let arrived = changes.wait_for(|_| inbox.all().iter().any(|arrival| arrival.text.contains(text)));
    tokio::time::timeout(std::time::Duration::from_secs(30), arrived).await.expect(text).unwrap();
}

#[tokio::test]
async fn damaged_rows_stop_neither_the_start_nor_anybody_else() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    telegram.add_chat(1, "Anna");
    telegram.add_chat(2, "Oleg");
    let (mut program, desk, channel) = office(folder.path(), &telegram).await;
    let site = desk.project("Site", policy("{{ lead.phone }}")).await;
    let other = desk.project("Other", policy("first {{ lead.phone }}")).await;
    let project = of(&other, "project_id");
    desk.put(&format!("/v1/projects/{project}/policy"), policy("second {{ lead.phone }}")).await;
    let phone = |number: u32| json!({"phone": format!("+7900{number:07}")});
    let capture = desk.capture(&site, &phone(1)).await;
    let state = desk.capture(&site, &phone(2)).await;
    let timer = desk.capture(&site, &phone(3)).await;
    desk.until("/v1/deliveries", |list| settled(list) && list["items"].as_array().unwrap().len() == 3).await;
    desk.post(&format!("/v1/channels/{}/pause", of(&channel, "id")), json!({})).await;
    let waits = desk.capture(&site, &phone(4)).await;
    let delivery = desk.get(&format!("/v1/deliveries?lead_id={waits}")).await["items"][0].clone();
    let delivery = of(&delivery, "id").to_owned();
    program.kill();
    damage(
        folder.path(),
        &[
            format!("UPDATE events SET event = '{{' WHERE id = {}", sql(&capture)),
            format!("UPDATE leads SET state = '{{\"status\":\"of-tomorrow\"}}' WHERE id = {}", sql(&state)),
            format!("UPDATE timers SET name = '\"of-tomorrow\"' WHERE lead_id = {}", sql(&timer)),
            format!("UPDATE deliveries SET spec = x'00' WHERE id = {}", sql(&delivery)),
            format!(
                "UPDATE policies SET doc = replace(doc, 'second {{{{ lead.phone }}}}', 'second {{{{ lead.phone') WHERE \
                 project_id = {} AND version = 2",
                sql(project)
            ),
        ],
    )
    .await;

    let (program, desk) = again(folder.path()).await;
    desk.post(&format!("/v1/channels/{}/resume", of(&channel, "id")), json!({})).await;
    let new = desk.capture(&site, &phone(5)).await;
    told(&telegram, "+79000000005").await;
    // The newest version of the policy does not compile any more: the one before decides, and no lead is lost.
    desk.capture(&other, &phone(6)).await;
    told(&telegram, "first +79000000006").await;
    let page = desk.get(&format!("/v1/projects/{project}/policies")).await;
    assert_eq!(page["unreadable"][0]["id"], format!("{project} version 2"), "{page}");

    let leads = desk.get("/v1/leads").await;
    assert_eq!(shows(&leads, "/id", &capture), (false, true), "{leads}");
    for lead in [&state, &timer, &waits, &new] {
        assert!(shows(&leads, "/id", lead).0, "{lead} in {leads}");
    }
    let at_risk = desk.get("/v1/leads/at-risk").await;
    for lead in [&capture, &state, &timer] {
        assert_eq!(shows(&at_risk, "/lead/id", lead), (false, true), "{lead} in {at_risk}");
    }
    assert!(shows(&at_risk, "/lead/id", &new).0, "{at_risk}");
    let deliveries = desk.get("/v1/deliveries").await;
    assert_eq!(shows(&deliveries, "/id", &delivery), (false, true), "{deliveries}");
    for (lead, can_be_read) in
        [(&capture, false), (&state, false), (&timer, true), (&waits, true), (&new, true)]
    {
        let (status, body) = desk.send(Method::GET, &format!("/v1/leads/{lead}"), None).await;
        let wanted = if can_be_read { 200 } else { 500 };
        assert_eq!(status, wanted, "{body}");
        assert!(
            can_be_read || (body["code"] == "unreadable" && of(&body, "detail").contains(lead.as_str())),
            "{body}"
        );
        let story = desk.get(&format!("/v1/leads/{lead}/explain")).await;
        assert_eq!(story["lead"].is_null(), !can_be_read, "{story}");
    }
    let story = desk.get(&format!("/v1/leads/{waits}/explain")).await;
    assert_eq!(story["unreadable"][0]["id"], delivery, "{story}");
    let all = desk.until("/v1/unreadable", |all| all["items"].as_array().unwrap().len() >= 5).await;
    assert!(!all.to_string().contains("of-tomorrow"), "what stands in a row is told: {all}");
    let metrics = desk.http.get(format!("{}/metrics", desk.url)).send().await.unwrap().text().await.unwrap();
    for name in ["fastlead_unreadable_rows ", "fastlead_unreadable_rows_total{", "fastlead_policies_broken 1"]
    {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    // The log says each of them once, and names the project of the policy.
    let output = program.output();
    assert_eq!(output.matches(delivery.as_str()).count(), 1, "{output}");
    assert!(output.contains(project), "{output}");
    drop(program);

    // Whoever can read the row again sends the message, though not before a start.
    let mended = format!(
        "UPDATE deliveries SET spec = (SELECT d.spec FROM deliveries d WHERE d.lead_id = {}) WHERE id = {}",
        sql(&new),
        sql(&delivery)
    );
    damage(folder.path(), &[mended]).await;
    let (_program, _desk) = again(folder.path()).await;
    told(&telegram, "+79000000004").await;
}

/// Whether a value that was taken in can be read back from where it is stored.
fn reads_again<T: serde::Serialize + serde::de::DeserializeOwned>(parsed: Option<T>) -> bool {
    let stored = parsed.and_then(|value| serde_json::to_value(value).ok());
    stored.is_some_and(|stored| serde_json::from_value::<T>(stored).is_ok())
}

/// Values that were taken in once and are not taken in by every version.
#[tokio::test]
async fn whatever_was_accepted_is_shown_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    telegram.add_chat(1, "Anna");
    telegram.add_chat(2, "Oleg");
    let (mut program, mut desk, _) = office(folder.path(), &telegram).await;
    let site = desk.project("Site", policy("{{ lead.phone or lead.email }} {{ lead.comment }}")).await;
    let reads_phone = reads_again(Phone::parse("+46888123456").ok());
    let reads_email = reads_again(Email::parse("a@İ.com").ok());
    let mut accepted = Vec::new();
    for (lead, can_be_read) in [
        (json!({"email": "a@İ.com", "comment": "dotted"}), reads_email),
        (json!({"phone": "+46888123456", "comment": "swedish"}), reads_phone),
        (json!({"phone": "+79000000001", "comment": "plain"}), true),
    ] {
        let answer = desk.http.post(desk.local(&site, "capture_url")).json(&lead).send().await.unwrap();
        let (status, body) = desk.read(answer).await;
        assert!(status == 202 || status == 422, "{body}");
        if status == 202 {
            told(&telegram, of(&lead, "comment")).await;
            accepted.push((of(&body, "lead_id").to_owned(), can_be_read));
        }
    }
    for _ in 0..2 {
        let (leads, at_risk) = (desk.get("/v1/leads").await, desk.get("/v1/leads/at-risk").await);
        for (lead, can_be_read) in &accepted {
            let wanted = (*can_be_read, !can_be_read);
            assert_eq!(shows(&leads, "/id", lead), wanted, "{leads}");
            assert_eq!(shows(&at_risk, "/lead/id", lead), wanted, "{at_risk}");
            let story = desk.get(&format!("/v1/leads/{lead}/explain")).await;
            assert_eq!(story["lead"].is_null(), !can_be_read, "{story}");
            let path = format!("/v1/deliveries?lead_id={lead}");
            desk.until(&path, settled).await;
        }
        program.kill();
        (program, desk) = again(folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_that_cannot_be_read_can_be_erased() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    telegram.add_chat(1, "Anna");
    let (mut program, desk, _) = office(folder.path(), &telegram).await;
    let source = desk.project("Clinic", policy("{{ lead.phone }}")).await;
    let lead =
        desk.capture(&source, &json!({"phone": "+7 900 000-00-01", "name": "Erased-Name-Unread"})).await;
    desk.until("/v1/deliveries", settled).await;
    program.signal("TERM");
    assert!(program.ended(std::time::Duration::from_secs(30)).await.success());
    let lost = format!("UPDATE events SET event = substr(event, 2) WHERE lead_id = {}", sql(&lead));
    damage(folder.path(), &[lost]).await;

    let (mut program, desk) = again(folder.path()).await;
    let read = desk.send(Method::GET, &format!("/v1/leads/{lead}"), None).await;
    assert_eq!((read.0, of(&read.1, "code")), (500, "unreadable"), "{}", read.1);
    let (status, erased) = desk.send(Method::DELETE, &format!("/v1/leads/{lead}/person"), None).await;
    assert_eq!(
        (status, &erased["leads"], &erased["log_emptied"]),
        (200, &json!(1), &json!(true)),
        "{erased}"
    );
    for name in ["store.db", "store.db-wal"] {
        let content = std::fs::read(folder.path().join(name)).unwrap_or_default();
        let holds = |value: &[u8]| content.windows(value.len()).any(|window| window == value);
        assert!(!holds(b"Erased-Name-Unread") && !holds(b"79000000001"), "{name} still names the person");
    }
    program.signal("TERM");
    assert!(program.ended(std::time::Duration::from_secs(30)).await.success());
}
