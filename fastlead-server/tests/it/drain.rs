//! The program is told to stop while it works: what is under way is finished, and nothing is lost.
#![cfg(unix)]

use std::path::Path;
use std::time::{Duration, Instant};

use fastlead_testkit::sim::Fault;
use fastlead_testkit::sim::telegram::TelegramSim;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::desk::{Desk, of, settled};
use crate::program::{PASSWORD, Program};

const CHAT: i64 = 90_001;
const PATIENCE: Duration = Duration::from_secs(15);

struct Office {
    telegram: TelegramSim,
    program: Program,
    desk: Desk,
    source: Value,
}

impl Office {
    async fn open(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let telegram = TelegramSim::start().await.unwrap();
        telegram.add_chat(CHAT, "Sales");
        let program = Program::start(folder, variables).await;
        let desk = Desk::sign_in(&program.url, PASSWORD).await;
        let config = json!({
            "bot_token": telegram.token(), "endpoint": telegram.base_url(), "messages_per_second": 1000,
        });
        desk.channel("telegram", "bot", config).await;
        let text = json!({"plain": "Lead {{ lead.name }}"});
        let policy = json!({
            "targets": {"sales": {
                "display_name": "Sales", "destinations": [{"channel": "bot", "recipient": {"chat": CHAT.to_string()}}],
            }},
            "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
            "templates": {"offer": {"ru": text, "en": text}},
        });
        let source = desk.project("Office", policy).await;
        Self { telegram, program, desk, source }
    }

    /// A lead whose message meets `fault`, until that message is being sent.
    async fn begin_to_send(&self, fault: Fault) -> String {
        self.telegram.faults().push(fault);
        let lead = self.desk.capture(&self.source, &json!({"phone": "+79000000031", "name": "First"})).await;
        let path = format!("/v1/deliveries?lead_id={lead}");
        // That an attempt begins is no event, so the provider is asked.
        tokio::time::timeout(PATIENCE, self.telegram.faults().wait_until_taken()).await.unwrap();
        self.desk.until(&path, |list| list["items"][0]["state"] == "sending").await;
        path
    }

    /// A capture of which the server has the head and waits for the body.
    async fn begin_to_capture(&self, body: &str) -> TcpStream {
        let url = url::Url::parse(of(&self.source, "capture_url")).unwrap();
        let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             expect: 100-continue\r\nconnection: close\r\n\r\n",
            url.path(),
            body.len(),
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0_u8; 64];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 100"), "the server reads the body: {answer}");
        stream
    }

    /// Tells the program to stop, and waits until it has heard it: the stream of events ends.
    async fn stop(&self, events: &mut reqwest::Response) {
        self.program.signal("TERM");
        let ended = tokio::time::timeout(PATIENCE, async {
            while let Some(_event) = events.chunk().await.expect("the stream ends in good order") {}
        });
        ended.await.expect("the stream ends");
    }
}

#[tokio::test]
async fn what_is_under_way_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path(), &[]).await;
    let mut events = office.desk.events().await;
    let body = json!({"phone": "+79000000032", "name": "Second"}).to_string();
    let mut half = office.begin_to_capture(&body).await;
    let sent = office.begin_to_send(Fault::Delay { millis: 3_000 }).await;

    let told = Instant::now();
    office.stop(&mut events).await;
    let ready = office.desk.http.get(format!("{}/readyz", office.desk.url)).send().await.unwrap();
    let (status, problem) = office.desk.read(ready).await;
    assert_eq!((status, of(&problem, "code")), (503, "not_ready"));
    let alive = office.desk.http.get(format!("{}/healthz", office.desk.url)).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    let late = office.desk.capture(&office.source, &json!({"phone": "+79000000033", "name": "Third"})).await;
    half.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, half.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(office.program.ended(PATIENCE).await.success());
    let took = told.elapsed();
    assert_eq!(office.telegram.inbox().all().len(), 1, "the slow message was sent, and no other was begun");

    // The first message is on record as sent; the others go out now.
    let again = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&again.url, PASSWORD).await;
    let sent = desk.get(&sent).await;
    assert_eq!(
        (&sent["items"][0]["state"], &sent["items"][0]["attempts_begun"]),
        (&json!("sent"), &json!(1))
    );
    let list = desk.until("/v1/deliveries", settled).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(of(&desk.get(&format!("/v1/leads/{late}")).await, "id"), late);
    let names = office.telegram.inbox().all().into_iter().map(|arrival| arrival.text);
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["Lead First", "Lead Second", "Lead Third"]);
    println!("drain: ended {} ms after SIGTERM", took.as_millis());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path(), &[]).await;
    let mut events = office.desk.events().await;
    office.begin_to_send(Fault::Hang).await;
    office.stop(&mut events).await;
    let told = Instant::now();
    office.program.signal("TERM");
    assert_eq!(office.program.ended(PATIENCE).await.code(), Some(143));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[tokio::test]
async fn the_drain_time_is_the_longest() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = Office::open(folder.path(), &[("FASTLEAD__HTTP__DRAIN_SECS", "1")]).await;
    let mut events = office.desk.events().await;
    office.begin_to_send(Fault::Hang).await;
    let told = Instant::now();
    office.stop(&mut events).await;
    assert!(office.program.ended(PATIENCE).await.success());
    let took = told.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&took), "{took:?}");
}
