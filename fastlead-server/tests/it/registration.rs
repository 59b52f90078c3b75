//! Webhooks that the server registers with their providers.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::port::Catalog as _;
use fastlead_core::secret::Secret;
use fastlead_server::{Server, Settings, bootstrap};
use fastlead_store::MemoryStore;
use fastlead_testkit::sim::Fault;
use fastlead_testkit::sim::max::MaxSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use fastlead_testkit::sim::vk::VkSim;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::program::client;

const PUBLIC: &str = "https://leads.example.com";
const PASSWORD: &str = "correct horse battery";
const CHAT: i64 = 4_242;

/// A server behind [`PUBLIC`], and somebody signed in.
struct Office {
    url: String,
    token: String,
    http: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<fastlead_core::Result<()>>,
}

impl Office {
    async fn open(store: &MemoryStore, folder: &tempfile::TempDir, telegram: &TelegramSim) -> Self {
        let mut settings = Settings::defaults().unwrap();
        settings.http.listen.set_port(0);
        settings.channels.allowed_private_hosts = vec!["127.0.0.1".to_owned()];
        settings.http.public_url = PUBLIC.to_owned();
        settings.store.path = folder.path().join("store.db");
        settings.auth.admin_password = Secret::from(PASSWORD);
        let server = Server::builder(settings).store(Arc::new(store.clone())).build().await.unwrap();
        bootstrap::first_run(server.app(), "site").await.unwrap();
        let url = format!("http://{}", server.address().unwrap());
        telegram.put_in_front(PUBLIC, &url);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(stop.clone()));
        let http = client();
        let login = json!({"login": "admin", "password": PASSWORD});
        let answer = http.post(format!("{url}/v1/login")).json(&login).send().await.unwrap();
        let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        Self { url, token, http, stop, serving }
    }

    async fn ask(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn check(&self, channel: &str) -> Value {
        self.ask(reqwest::Method::POST, &format!("/v1/channels/{channel}/check"), Value::Null).await
    }

    async fn close(self) {
        self.stop.cancel();
        drop(self.http);
        self.serving.await.unwrap().unwrap();
    }
}

fn config(telegram: &TelegramSim, updates: &str) -> Value {
    json!({
        "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": updates,
        "webhook_secret": "webhook-secret-1",
    })
}

async fn within<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("within half a minute")
}

#[tokio::test]
async fn a_bot_is_told_where_to_call_and_check_says_when_it_calls_elsewhere() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let telegram = TelegramSim::start().await.unwrap();
    telegram.add_chat(CHAT, "Sales");
    let office = Office::open(&store, &folder, &telegram).await;
    let body = json!({"kind": "telegram", "name": "bot", "config": config(&telegram, "webhook")});
    let channel = office.ask(reqwest::Method::POST, "/v1/channels", body).await;
    let id = channel["id"].as_str().unwrap().to_owned();
    let url = channel["webhook_url"].as_str().unwrap();
    within(telegram.wait_for_webhook(Some(url))).await;
    assert_eq!(office.check(&id).await, json!({"ok": true}));

    // The whole way: the update is posted with the secret, believed and kept.
    telegram.write(CHAT, "hello");
    within(telegram.wait_until_updates_are_taken()).await;

    // Somebody else takes the bot over: `check` says so, and saving the channel takes it back.
    telegram.take_webhook_over("https://other.example.com/hook");
    let checked = office.check(&id).await;
    assert_eq!((&checked["ok"], &checked["code"]), (&json!(false), &json!("config")));
    assert!(checked["message"].as_str().unwrap().contains("another address"), "{checked}");
    let again = json!({"config": config(&telegram, "webhook")});
    office.ask(reqwest::Method::PUT, &format!("/v1/channels/{id}"), again).await;
    within(telegram.wait_for_webhook(Some(url))).await;

    // A bot that polls from now on is freed.
    let polling = json!({"config": config(&telegram, "polling")});
    office.ask(reqwest::Method::PUT, &format!("/v1/channels/{id}"), polling).await;
    within(telegram.wait_for_webhook(None)).await;
    assert_eq!(office.check(&id).await, json!({"ok": true}));
    office.close().await;
}

#[tokio::test]
async fn a_server_registers_at_start_and_starts_without_the_provider() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let telegram = TelegramSim::start().await.unwrap();
    let office = Office::open(&store, &folder, &telegram).await;
    let body = json!({"kind": "telegram", "name": "bot", "config": config(&telegram, "webhook")});
    let channel = office.ask(reqwest::Method::POST, "/v1/channels", body).await;
    let url = channel["webhook_url"].as_str().unwrap().to_owned();
    within(telegram.wait_for_webhook(Some(&url))).await;
    office.close().await;
    telegram.take_webhook_over("https://other.example.com/hook");

    // The provider says nothing at all: the server is there all the same.
    telegram.faults().always(Some(Fault::Hang));
    let office = within(Office::open(&store, &folder, &telegram)).await;
    assert_eq!(store.load().await.unwrap().channels.len(), 1);
    within(office.close()).await;
    telegram.faults().always(None);
    let office = Office::open(&store, &folder, &telegram).await;
    within(telegram.wait_for_webhook(Some(&url))).await;
    office.close().await;
}

/// A bot of MAX needs nothing else of the server: it is registered, and what a person writes is kept.
#[tokio::test]
async fn a_bot_of_max_is_registered_and_hears_people() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let (telegram, max) = (TelegramSim::start().await.unwrap(), MaxSim::start().await.unwrap());
    let office = Office::open(&store, &folder, &telegram).await;
    max.put_in_front(PUBLIC, &office.url);
    let config = json!({
        "bot_token": max.token(), "endpoint": max.base_url(), "updates": "webhook",
        "webhook_secret": "webhook-secret-1",
    });
    let body = json!({"kind": "max", "name": "bot", "config": config});
    let channel = office.ask(reqwest::Method::POST, "/v1/channels", body).await;
    let id = channel["id"].as_str().unwrap().to_owned();
    within(max.wait_for_subscriptions(&[channel["webhook_url"].as_str().unwrap()])).await;
    assert_eq!(office.check(&id).await, json!({"ok": true}));

    max.start_bot(CHAT, Some("promo_42"));
    max.write(CHAT, "hello");
    within(max.wait_until_updates_are_taken()).await;
    let heard = office.ask(reqwest::Method::GET, &format!("/v1/channels/{id}/inbound"), Value::Null).await;
    let heard: Vec<_> = heard["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].clone(), one["chat"].clone()))
        .collect();
    let said = |kind: &str| (json!(kind), json!(CHAT.to_string()));
    assert_eq!(heard, [said("message"), said("started")], "the latest first");

    max.forget_subscriptions();
    let checked = office.check(&id).await;
    assert!(checked["message"].as_str().unwrap().contains("calls nobody"), "{checked}");
    office.close().await;
}

#[tokio::test]
async fn a_vk_community_confirms_the_address_and_its_events_are_answered_with_ok() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let (telegram, vk) = (TelegramSim::start().await.unwrap(), VkSim::start().await.unwrap());
    vk.add_person(CHAT, "Sales");
    let office = Office::open(&store, &folder, &telegram).await;
    vk.put_in_front(PUBLIC, &office.url);
    let config = json!({
        "access_token": vk.token(), "group_id": vk.group_id(), "endpoint": vk.base_url(), "callback_secret": "secret-1",
    });
    let body = json!({"kind": "vk", "name": "community", "config": config});
    let channel = office.ask(reqwest::Method::POST, "/v1/channels", body).await;
    let id = channel["id"].as_str().unwrap().to_owned();
    within(vk.wait_for_callback_server("FastLead", "ok")).await;
    assert_eq!(vk.callback_servers()[0].1, channel["webhook_url"].as_str().unwrap());
    // The kinds of events are asked for after the address.
    within(async { while office.check(&id).await != json!({"ok": true}) {} }).await;

    vk.write(CHAT, "hello");
    vk.deny(CHAT);
    within(vk.wait_until_events_are_taken()).await;

    // Somebody switches events off: `check` says so, and saving the channel asks for them again.
    vk.switch_off("message_event");
    let checked = office.check(&id).await;
    assert_eq!((&checked["ok"], &checked["code"]), (&json!(false), &json!("config")));
    let again = json!({"config": config});
    office.ask(reqwest::Method::PUT, &format!("/v1/channels/{id}"), again).await;
    within(async { while office.check(&id).await != json!({"ok": true}) {} }).await;
    office.close().await;
}
