//! The operator API over HTTP, on a store in memory.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::id::{ApiKeyId, WorkspaceId};
use fastlead_core::port::{ApiKeyRecord, Role, Workspace};
use fastlead_core::secret::Secret;
use fastlead_core::time::plus_seconds;
use fastlead_server::app::App;
use fastlead_server::auth::NewApiKey;
use fastlead_server::{Server, Settings, bootstrap};
use fastlead_store::MemoryStore;
use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::program::client;

const PASSWORD: &str = "correct horse battery";
const CHAT: i64 = 4_242;
const OTHER_CHAT: i64 = 4_243;
const SECRET: &str = "webhook-secret-1";

/// A server of its own, with a first administrator.
pub(crate) struct Fixture {
    url: String,
    app: App,
    client: reqwest::Client,
    project: String,
    source_key: String,
    stop: CancellationToken,
    serving: JoinHandle<fastlead_core::Result<()>>,
    /// Holds the file of sealing keys.
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults().unwrap();
        settings.http.listen.set_port(0);
        settings.channels.allowed_private_hosts = vec!["127.0.0.1".to_owned()];
        settings.store.path = folder.path().join("store.db");
        settings.auth.admin_password = Secret::from(PASSWORD);
        let server = Server::builder(settings).store(Arc::new(MemoryStore::new())).build().await.unwrap();
        let app = server.app().clone();
        let first = bootstrap::first_run(&app, "site").await.unwrap().unwrap();
        let url = format!("http://{}", server.address().unwrap());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(stop.clone()));
        let (project, source_key) = (first.project_id.to_string(), first.source_key);
        Self { url, app, client: client(), project, source_key, stop, serving, _folder: folder }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        drop(self.client);
        self.serving.await.unwrap().unwrap();
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, path, token).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        Answer::of(self.request(method, path, token).json(&body).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(Method::POST, path, token, body).await
    }

    pub(crate) async fn sign_in(&self, password: &str) -> Answer {
        self.post("/v1/login", "", json!({"login": "admin", "password": password})).await
    }

    pub(crate) async fn admin(&self) -> String {
        self.sign_in(PASSWORD).await.expect(200).text("access_token")
    }

    /// A key of the role `operator`.
    pub(crate) async fn operator(&self, admin: &str) -> String {
        let body = json!({"name": "phone room", "role": "operator"});
        self.post("/v1/api-keys", admin, body).await.expect(201).text("key")
    }

    /// A key of the role `admin` in another workspace.
    pub(crate) async fn stranger(&self) -> String {
        let now = self.app.engine.clock().now();
        let workspace_id = WorkspaceId::generate(&**self.app.engine.ids(), now);
        self.app
            .store
            .put_workspace(Workspace { id: workspace_id, name: "Other".to_owned(), created_at: now })
            .await
            .unwrap();
        let key = NewApiKey::generate();
        let record = ApiKeyRecord {
            id: ApiKeyId::generate(&**self.app.engine.ids(), now),
            workspace_id,
            name: "other".to_owned(),
            hash: key.hash,
            hint: key.hint,
            role: Role::Admin,
            scopes: Vec::new(),
            created_at: now,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        self.app.store.put_api_key(record).await.unwrap();
        key.secret.expose().clone()
    }

    /// A Telegram bot at the simulator; answers the channel.
    pub(crate) async fn bot(&self, admin: &str, telegram: &TelegramSim) -> Value {
        telegram.add_chat(CHAT, "Sales");
        telegram.add_chat(OTHER_CHAT, "Chief");
        let config = json!({
            "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "webhook",
            "webhook_secret": SECRET, "messages_per_second": 1000,
        });
        let body = json!({"kind": "telegram", "name": "bot", "config": config});
        self.post("/v1/channels", admin, body).await.expect(201).body
    }

    pub(crate) fn policy_path(&self) -> String {
        format!("/v1/projects/{}/policy", self.project)
    }

    pub(crate) async fn publish(&self, admin: &str) {
        self.send(Method::PUT, &self.policy_path(), admin, policy("bot")).await.expect(200);
    }

    pub(crate) async fn capture(&self, phone: &str) -> String {
        let body = json!({"phone": phone, "name": "Anna", "consents": {"personal_data": true}});
        self.post(&format!("/v1/capture/{}", self.source_key), "", body).await.expect(202).text("lead_id")
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    raw: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let raw = response.text().await.unwrap();
        Self { status, headers, body: serde_json::from_str(&raw).unwrap_or_default(), raw }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.raw);
        self
    }

    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {}", self.raw)).to_owned()
    }

    /// Expects a problem document with `code`.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{}", answer.raw);
        assert_eq!(answer.body["code"], code, "{}", answer.raw);
        answer
    }
}

pub(crate) fn policy(channel: &str) -> Value {
    let both = |text: &str| json!({"ru": {"plain": text}, "en": {"plain": text}});
    let target = |chat: i64| {
        json!({
            "display_name": "Sales",
            "destinations": [{"channel": channel, "recipient": {"chat": chat.to_string()}}],
        })
    };
    json!({
        "accept": [{"reject_if": {"missing": "contact.phone"}, "code": "no_phone"}],
        "targets": {"sales": target(CHAT), "chief": target(OTHER_CHAT)},
        "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
        "templates": {"offer": both("Lead {{ lead.phone }}")},
    })
}

#[tokio::test]
async fn people_sign_in_and_old_tokens_end() {
    let server = Fixture::start().await;
    let wrong = server.sign_in("correct horse batterx").await.problem(401, "unauthenticated");
    assert_eq!(wrong.headers["www-authenticate"], "Bearer");
    let unknown = server.post("/v1/login", "", json!({"login": "nobody", "password": PASSWORD})).await;
    assert_eq!(unknown.problem(401, "unauthenticated").body["detail"], wrong.body["detail"]);

    let token = server.sign_in(PASSWORD).await.expect(200);
    assert_eq!(token.headers["cache-control"], "no-store");
    assert_eq!((token.text("token_type").as_str(), &token.body["expires_in"]), ("Bearer", &json!(900)));
    let token = token.text("access_token");
    assert_eq!(server.get("/v1/me", &token).await.expect(200).text("role"), "admin");
    for other in ["", "nonsense", "fl_nonsense", &format!("{token}x")] {
        let refused = server.get("/v1/me", other).await.problem(401, "unauthenticated");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }

    let mut user = server.app.store.user_by_login("admin").await.unwrap().unwrap();
    user.tokens_valid_from = plus_seconds(server.app.engine.clock().now(), 60);
    server.app.store.put_user(user).await.unwrap();
    server.get("/v1/me", &token).await.problem(401, "unauthenticated");
    server.stop().await;
}

#[tokio::test]
async fn signing_in_is_limited() {
    let server = Fixture::start().await;
    // So long a password is refused without the work of hashing it.
    let attempt = json!({"login": "nobody", "password": "x".repeat(2_000)});
    for _ in 0..10 {
        server.post("/v1/login", "", attempt.clone()).await.problem(401, "unauthenticated");
    }
    let refused = server.post("/v1/login", "", attempt).await.problem(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    server.sign_in(PASSWORD).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn keys_are_shown_once_and_can_be_revoked() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let created =
        server.post("/v1/api-keys", &admin, json!({"name": "crm", "role": "admin"})).await.expect(201);
    let (id, key) = (created.text("id"), created.text("key"));
    assert_eq!(server.get("/v1/me", &key).await.expect(200).text("api_key_id"), id);
    let listed = server.get("/v1/api-keys", &key).await.expect(200);
    assert!(!listed.raw.contains(&key));
    assert_eq!(listed.body["items"][0]["hint"], key[..8]);
    for _ in 0..2 {
        server.send(Method::DELETE, &format!("/v1/api-keys/{id}"), &admin, json!(null)).await.expect(204);
    }
    server.get("/v1/me", &key).await.problem(401, "unauthenticated");
    server.stop().await;
}

#[tokio::test]
async fn the_whole_way_from_channel_to_answer() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    let channel = server.bot(&admin, &telegram).await;
    assert_eq!(
        (&channel["status"], &channel["breaker"], &channel["open"]),
        (&json!("active"), &json!("closed"), &json!(true))
    );
    assert!(channel["capabilities"]["buttons"].as_bool().unwrap());
    assert!(!channel.to_string().contains(telegram.token()));
    let channel = format!("/v1/channels/{}", channel["id"].as_str().unwrap());
    let checked = server.post(&format!("{channel}/check"), &admin, json!(null)).await.expect(200);
    assert_eq!(checked.body["ok"], true);
    let why = checked.body["message"].as_str().unwrap();
    assert!(why.contains("http.public_url"), "{why}");

    let path = server.policy_path();
    server.get(&path, &admin).await.problem(404, "not_found");
    let faulty = server.post(&format!("{path}/validate"), &admin, policy("bott")).await.expect(200);
    assert_eq!(
        (&faulty.body["valid"], &faulty.body["errors"][0]["path"]),
        (&json!(false), &json!("targets.chief.destinations[0].channel"))
    );
    let refused =
        server.send(Method::PUT, &path, &admin, policy("bott")).await.problem(422, "invalid_policy");
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 2);
    let mut unreadable = policy("bot");
    unreadable["accept"] = json!([{"reject_if": "contact.phone_contry == 'RU'", "code": "abroad"}]);
    let refused =
        server.send(Method::PUT, &path, &admin, unreadable.clone()).await.problem(422, "invalid_policy");
    assert_eq!(refused.body["errors"][0]["field"], "accept[0].reject_if");
    assert!(refused.body["errors"][0]["message"].as_str().unwrap().contains("`contact.phone_country`"));
    let faulty = server.post(&format!("{path}/validate"), &admin, unreadable).await.expect(200);
    assert_eq!(faulty.body["errors"][0]["path"], "accept[0].reject_if");
    server.publish(&admin).await;
    let mut second = policy("bot");
    second["accept"] = json!([{"reject_if": "contact.phone_country in ['KZ']", "code": "abroad"}]);
    second["delivery"] = json!({"ttl_secs": 3600});
    assert_eq!(server.send(Method::PUT, &path, &admin, second).await.expect(200).body["version"], 2);
    let versions = server.get(&format!("/v1/projects/{}/policies", server.project), &admin).await.expect(200);
    assert_eq!(versions.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.get(&path, &admin).await.expect(200).body["version"], 2);

    let lead = server.capture("+7 900 000-00-00").await;
    telegram.inbox().wait_for(1).await;
    let listed = server.get("/v1/leads?status=open", &admin).await.expect(200);
    assert_eq!(listed.body["items"][0]["capture"]["phone"], "+79000000000");
    assert_eq!(listed.body["next_cursor"], json!(null));

    let path = format!("/v1/leads/{lead}");
    let respond = format!("{path}/respond");
    let unknown = server.post(&respond, &admin, json!({"target": "salse", "response": "accept"})).await;
    assert_eq!(unknown.problem(422, "invalid_fields").body["errors"][0]["field"], "target");
    let accepted =
        server.post(&respond, &admin, json!({"target": "sales", "response": "accept"})).await.expect(200);
    assert_eq!(
        (&accepted.body["status"], &accepted.body["assigned_to"]),
        (&json!("accepted"), &json!("sales"))
    );
    server
        .post(&respond, &admin, json!({"target": "chief", "response": "accept"}))
        .await
        .problem(409, "not_accepted");
    server.post(&respond, &admin, json!({"target": "sales", "response": "accept"})).await.expect(200);
    assert_eq!(server.get(&path, &admin).await.expect(200).body["state"]["assigned_to"], "sales");

    let explained = server.get(&format!("{path}/explain?locale=ru"), &admin).await.expect(200).body;
    assert_eq!(explained["complete"], true);
    assert_eq!(explained["history"][0]["kind"], "captured");
    let sentences = explained["history"][0]["sentences"].to_string();
    for part in ["Пришла заявка.", "Лид предложен `sales`.", "Сообщение отправляется по каналу `bot`."]
    {
        assert!(sentences.contains(part), "{part} in {sentences}");
    }
    assert_eq!(explained["history"][0]["trace"]["policy"]["version"], 2);
    assert_eq!(explained["history"][1]["sentences"][0], "`sales` принимает лид через API оператора.");
    let delivery = explained["deliveries"][0]["id"].as_str().unwrap().to_owned();
    let details = settled(&server, &admin, &delivery).await;
    assert_eq!((&details["state"], &details["attempts"][0]["verdict"]), (&json!("sent"), &json!("sent")));
    server
        .post(&format!("/v1/deliveries/{delivery}/retry"), &admin, json!(null))
        .await
        .problem(409, "conflict");
    server.stop().await;
}

/// The delivery when nothing more happens to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_waits_is_closed_returned_and_reviewed() {
    let (server, telegram) = (Fixture::start().await, TelegramSim::start().await.unwrap());
    let admin = server.admin().await;
    server.bot(&admin, &telegram).await;
    let mut limited = policy("bot");
    limited["targets"]["sales"]["capacity"] = json!(1);
    limited["route"] = json!({"strategy": "round_robin", "targets": ["sales"], "template": "offer"});
    limited["returns"] = json!({"within_days": 3, "reasons": ["wrong_number"]});
    limited["review"] =
        json!({"when": "contact.phone == '+79000000003'", "sla_secs": 600, "tell": ["sales"]});
    server.send(Method::PUT, &server.policy_path(), &admin, limited).await.expect(200);

    let (first, second) =
        (server.capture("+7 900 000-00-01").await, server.capture("+7 900 000-00-02").await);
    let path = |lead: &str, what: &str| format!("/v1/leads/{lead}{what}");
    let queued = server.get(&path(&second, ""), &admin).await.expect(200);
    assert_eq!(queued.body["state"]["status"], "queued");
    let explained = server.get(&path(&second, "/explain"), &admin).await.expect(200);
    let sentences = explained.body["history"][0]["sentences"].to_string();
    assert!(
        sentences.contains("Not chosen: `sales`: they have as many open leads as they can"),
        "{sentences}"
    );

    let accept = json!({"target": "sales", "response": "accept"});
    server.post(&path(&first, "/respond"), &admin, accept.clone()).await.expect(200);
    // There is no room for the second by hand either.
    server.post(&path(&second, "/respond"), &admin, accept).await.problem(409, "not_accepted");
    let wrong = json!({"target": "sales", "reason": "too_dear"});
    server.post(&path(&first, "/return"), &admin, wrong).await.problem(409, "not_returned");
    let given_back = json!({"target": "sales", "reason": "wrong_number"});
    let returned = server.post(&path(&first, "/return"), &admin, given_back).await.expect(200);
    assert_eq!(returned.body["status"], "returned");
    server.post(&path(&first, "/close"), &admin, json!(null)).await.expect(200);
    // It is closed; to say so once more changes nothing.
    server.post(&path(&first, "/close"), &admin, json!(null)).await.expect(200);
    // The place that is free again is the second's: its offer is the second message.
    telegram.inbox().wait_for(2).await;
    let closed = server.post(&path(&second, "/close"), &admin, json!(null)).await.expect(200);
    assert_eq!(closed.body["status"], "closed");

    let third = server.capture("+7 900 000-00-03").await;
    let approved = server.post(&path(&third, "/review"), &admin, json!({"approved": true})).await.expect(200);
    assert_eq!(approved.body["status"], "open");
    server
        .post(&path(&third, "/review"), &admin, json!({"approved": true}))
        .await
        .problem(409, "not_in_review");
}

async fn settled(server: &Fixture, token: &str, delivery: &str) -> Value {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let settled = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            look.tick().await;
            let details = server.get(&format!("/v1/deliveries/{delivery}"), token).await.expect(200).body;
            if !matches!(details["state"].as_str(), Some("pending" | "sending")) {
                return details;
            }
        }
    });
    settled.await.expect("the delivery settles")
}

#[tokio::test]
async fn channels_are_tested_paused_and_recovered() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    let channel = server.bot(&admin, &telegram).await;
    let path = format!("/v1/channels/{}", channel["id"].as_str().unwrap());
    let operator = server.operator(&admin).await;

    let message = json!({"recipient": {"chat": CHAT.to_string()}, "text": "Is this on?"});
    server.post(&format!("{path}/test"), &operator, message.clone()).await.problem(403, "forbidden");
    let sent = server.post(&format!("{path}/test"), &admin, message.clone()).await.expect(202);
    assert_eq!(telegram.inbox().wait_for(1).await[0].text, "Is this on?");
    settled(&server, &operator, &sent.text("delivery_id")).await;
    let wrong =
        server.post(&format!("{path}/test"), &admin, json!({"recipient": {"phone": "+79000000000"}})).await;
    assert_eq!(wrong.problem(422, "invalid_fields").body["errors"][0]["field"], "recipient");

    let gone = json!({"recipient": {"chat": "999999"}});
    let failed = server.post(&format!("{path}/test"), &admin, gone).await.expect(202).text("delivery_id");
    assert_eq!(settled(&server, &operator, &failed).await["state"], "failed");
    let listed = server.get("/v1/deliveries?state=failed", &operator).await.expect(200);
    assert_eq!(listed.body["items"][0]["id"], failed.as_str());
    telegram.add_chat(999_999, "Back again");
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    let recovered = server.post(&format!("{path}/recover"), &operator, since.clone()).await.expect(200);
    assert_eq!(recovered.body, json!({"deliveries": 1, "refused": 0, "more": false}));
    telegram.inbox().wait_for(2).await;
    settled(&server, &operator, &failed).await;
    let again = server.post(&format!("{path}/recover"), &operator, since).await.expect(200);
    assert_eq!(again.body, json!({"deliveries": 0, "refused": 0, "more": false}));
    let late =
        server.post(&format!("{path}/recover"), &operator, json!({"since": "2190-01-01T00:00:00Z"})).await;
    late.problem(422, "invalid_fields");

    for _ in 0..2 {
        let paused = server.post(&format!("{path}/pause"), &operator, json!(null)).await.expect(200);
        assert_eq!(
            (paused.text("status").as_str(), paused.text("paused_reason").as_str()),
            ("paused", "operator")
        );
    }
    server.post(&format!("{path}/test"), &admin, message).await.problem(409, "paused");
    let resumed = server.post(&format!("{path}/resume"), &operator, json!(null)).await.expect(200);
    assert_eq!(resumed.text("status"), "active");

    let config = json!({"bot_token": "not-a-token", "endpoint": telegram.base_url()});
    let refused = server.send(Method::PUT, &path, &admin, json!({"config": config})).await;
    let refused = refused.problem(422, "invalid_fields");
    assert_eq!(refused.body["errors"][0]["field"], "config.bot_token");
    assert!(!refused.raw.contains("not-a-token"));
    for (field, value, setting) in [
        ("allow_http", json!(true), "channels.allow_plaintext"),
        ("allowed_private_hosts", json!(["127.0.0.1"]), "channels.allowed_private_hosts"),
    ] {
        let mut config =
            json!({"url": "https://example.com", "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]});
        config[field] = value;
        let body = json!({"kind": "webhook", "name": "crm", "config": config});
        let refused = server.post("/v1/channels", &admin, body).await.problem(422, "invalid_fields");
        let message = refused.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("set {setting} in the server's settings")), "{message}");
    }
    let unknown =
        server.post("/v1/channels", &admin, json!({"kind": "pager", "name": "p", "config": {}})).await;
    assert_eq!(unknown.problem(422, "invalid_fields").body["errors"][0]["field"], "kind");
    let kinds = server.get("/v1/channel-kinds", &operator).await.expect(200);
    let kind =
        kinds.body["items"].as_array().unwrap().iter().find(|kind| kind["kind"] == "telegram").unwrap();
    assert_eq!(kind["config_schema"]["properties"]["bot_token"]["writeOnly"], true);
    assert!(!kinds.raw.contains("allowed_private_hosts"), "the installation's own fields are not offered");
    server.stop().await;
}

#[tokio::test]
async fn sources_are_made_and_changed() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let project = server.post("/v1/projects", &admin, json!({"name": "Second"})).await.expect(201).text("id");
    assert_eq!(
        server.get("/v1/projects", &admin).await.expect(200).body["items"].as_array().unwrap().len(),
        2
    );
    let consent = json!({
        "purpose": "personal_data", "document_id": "pd", "version": "1", "label": "I agree", "text": "Text", "required": true,
    });
    let mut settings =
        json!({"name": "Landing", "allowed_origins": ["https://example.com"], "consents": [consent]});
    let created = server
        .post("/v1/sources", &admin, json!({"project_id": project, "settings": settings}))
        .await
        .expect(201);
    assert_eq!(created.text("capture_url"), format!("{}/v1/capture/{}", server.url, created.text("key")));
    let listed = server.get(&format!("/v1/sources?project_id={project}"), &admin).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);

    let path = format!("/v1/sources/{}", created.text("id"));
    settings["consents"][0]["text"] = json!("Another text");
    let refused =
        server.send(Method::PUT, &path, &admin, settings.clone()).await.problem(422, "invalid_fields");
    assert_eq!(refused.body["errors"][0]["field"], "consents[0].version");
    settings["consents"][0]["version"] = json!("2");
    settings["active"] = json!(false);
    server.send(Method::PUT, &path, &admin, settings.clone()).await.expect(200);
    let closed = server
        .post(&format!("/v1/capture/{}", created.text("key")), "", json!({"phone": "+79000000000"}))
        .await;
    closed.problem(410, "source_closed");
    settings["colour"] = json!("red");
    let unknown = server.send(Method::PUT, &path, &admin, settings).await.problem(422, "invalid_json_type");
    assert!(!unknown.text("detail").contains("put your own fields"));
    server.stop().await;
}

#[tokio::test]
async fn operators_may_not_change_the_installation() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let operator = server.operator(&admin).await;
    let document = server.get("/openapi.json", "").await.expect(200).body;
    let mut refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["x-required-role"] != "admin" {
                continue;
            }
            // Neither what stands in the address nor what stands in the body is looked at before who it is.
            let path: Vec<_> =
                path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let body = json!({"nonsense": 1});
            server.send(method, &path.join("/"), &operator, body).await.problem(403, "forbidden");
            refused += 1;
        }
    }
    assert!(refused > 15, "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn nothing_of_another_workspace_exists() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    let channel = server.bot(&admin, &telegram).await["id"].as_str().unwrap().to_owned();
    server.publish(&admin).await;
    let lead = server.capture("+7 900 000-00-00").await;
    let delivery = server.get("/v1/deliveries", &admin).await.expect(200).body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let source = server.get("/v1/sources", &admin).await.expect(200).body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let stranger = server.stranger().await;
    for list in ["projects", "sources", "channels", "leads", "deliveries"] {
        let listed = server.get(&format!("/v1/{list}"), &stranger).await.expect(200);
        assert_eq!(listed.body["items"], json!([]), "{list}");
    }
    for path in [
        format!("/v1/channels/{channel}"),
        server.policy_path(),
        format!("/v1/leads/{lead}"),
        format!("/v1/leads/{lead}/explain"),
        format!("/v1/deliveries/{delivery}"),
    ] {
        server.get(&path, &stranger).await.problem(404, "not_found");
    }
    for (method, path, body) in [
        (Method::PUT, format!("/v1/sources/{source}"), json!({"name": "x"})),
        (Method::PUT, format!("/v1/channels/{channel}"), json!({"config": {}})),
        (Method::PUT, server.policy_path(), policy("bot")),
        (
            Method::POST,
            "/v1/sources".to_owned(),
            json!({"project_id": server.project, "settings": {"name": "x"}}),
        ),
        (Method::POST, format!("/v1/channels/{channel}/pause"), json!(null)),
        (Method::POST, format!("/v1/channels/{channel}/resume"), json!(null)),
        (Method::POST, format!("/v1/channels/{channel}/check"), json!(null)),
        (Method::POST, format!("/v1/channels/{channel}/recover"), json!({"since": "2020-01-01T00:00:00Z"})),
        (Method::POST, format!("/v1/channels/{channel}/test"), json!({"recipient": {"chat": "1"}})),
        (Method::POST, format!("/v1/leads/{lead}/respond"), json!({"target": "sales", "response": "accept"})),
        (Method::POST, format!("/v1/deliveries/{delivery}/retry"), json!(null)),
    ] {
        server.send(method, &path, &stranger, body).await.problem(404, "not_found");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    for (path, code, field) in [
        ("/v1/leads?limit=0", "invalid_limit", "limit"),
        ("/v1/leads?cursor=abc", "invalid_cursor", "cursor"),
        ("/v1/leads?status=lost", "invalid_parameter", "status"),
        ("/v1/leads?stauts=open", "unknown_parameter", "stauts"),
        ("/v1/leads?project_id=lead_1", "invalid_parameter", "project_id"),
        ("/v1/deliveries?state=lost", "invalid_parameter", "state"),
        ("/v1/leads/42", "invalid_id", "id"),
        ("/v1/leads/%ff", "invalid_id", "id"),
    ] {
        let answer = server.get(path, &admin).await.problem(400, code);
        assert_eq!(answer.body["errors"][0]["field"], field, "{path}");
    }
    for status in fastlead_core::decide::LeadStatus::NAMES {
        server.get(&format!("/v1/leads?status={status}"), &admin).await.expect(200);
    }
    let send = |body: &'static str, kind: &'static str| {
        server.request(Method::POST, "/v1/projects", &admin).header("content-type", kind).body(body).send()
    };
    let answer = |response: Result<Response, reqwest::Error>| Answer::of(response.unwrap());
    answer(send("{", "application/json").await).await.problem(400, "invalid_json");
    answer(send("{\"name\": 1}", "application/json").await).await.problem(422, "invalid_json_type");
    answer(send("name=x", "application/x-www-form-urlencoded").await)
        .await
        .problem(415, "unsupported_media_type");
    let long = json!({"name": "x".repeat(300_000)});
    server.post("/v1/projects", &admin, long).await.problem(413, "body_too_large");
    server.post("/v1/projects", &admin, json!({"name": " "})).await.problem(422, "invalid_fields");
    server.send(Method::DELETE, "/v1/projects", &admin, json!(null)).await.problem(405, "method_not_allowed");
    server.get("/v1/nothing", &admin).await.problem(404, "not_found");
    server.stop().await;
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    server.bot(&admin, &telegram).await;
    server.publish(&admin).await;
    let mut captured = Vec::new();
    for number in 0..5 {
        captured.push(server.capture(&format!("+7 900 000-00-0{number}")).await);
    }
    captured.reverse();
    let (mut seen, mut path) = (Vec::new(), "/v1/leads?limit=2".to_owned());
    loop {
        let page = server.get(&path, &admin).await.expect(200).body;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/leads?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, captured);
    server.stop().await;
}

#[tokio::test]
async fn who_is_suppressed_is_left_alone_until_it_is_lifted() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    let channel = server.bot(&admin, &telegram).await["id"].clone();
    server.publish(&admin).await;
    let body = |recipient: Value| json!({"channel_id": channel, "recipient": recipient});
    let wrong = server.post("/v1/suppressions", &admin, body(json!({"phone": "+79000000000"}))).await;
    wrong.problem(422, "invalid_fields");
    let chat = json!({"chat": CHAT.to_string()});
    let operator = server.operator(&admin).await;
    server.post("/v1/suppressions", &operator, body(chat.clone())).await.problem(403, "forbidden");
    let held = server.post("/v1/suppressions", &admin, body(chat)).await.expect(201).body;
    let listed = server.get("/v1/suppressions", &operator).await.expect(200).body;
    assert_eq!(listed["items"], json!([held]));
    assert_eq!((&held["scope"], &held["reason"]), (&json!("all"), &json!("operator")));

    let lead = server.capture("+7 900 000-00-00").await;
    let path = format!("/v1/deliveries?lead_id={lead}");
    let delivery = server.get(&path, &admin).await.expect(200).body["items"][0]["id"].clone();
    let ended = settled(&server, &admin, delivery.as_str().unwrap()).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("suppressed"), &json!("operator")), "{ended}");
    assert!(telegram.inbox().all().is_empty());

    let stranger = server.stranger().await;
    let path = format!("/v1/suppressions/{}", held["id"].as_str().unwrap());
    server.send(Method::DELETE, &path, &stranger, Value::Null).await.problem(404, "not_found");
    server.send(Method::DELETE, &path, &admin, Value::Null).await.expect(204);
    server.send(Method::DELETE, &path, &admin, Value::Null).await.problem(404, "not_found");
    server.capture("+7 900 000-00-01").await;
    telegram.inbox().wait_for(1).await;
    server.stop().await;
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    server.bot(&admin, &telegram).await;
    server.publish(&admin).await;
    server.get("/v1/events", "").await.problem(401, "unauthenticated");
    let mut stream = server.request(Method::GET, "/v1/events", &admin).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let lead = server.capture("+7 900 000-00-00").await;
    let mut heard = String::new();
    while !(heard.contains("event: lead") && heard.contains("event: delivery") && heard.contains(&lead)) {
        let chunk =
            tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await.expect("news comes").unwrap();
        heard.push_str(std::str::from_utf8(&chunk.expect("the stream goes on")).unwrap());
    }
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn whoever_may_not_listen_any_more_hears_nothing_more() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    server.bot(&admin, &telegram).await;
    server.publish(&admin).await;
    let made =
        server.post("/v1/api-keys", &admin, json!({"name": "crm", "role": "operator"})).await.expect(201);
    let (id, key) = (made.text("id"), made.text("key"));
    let mut stream = server.request(Method::GET, "/v1/events", &key).send().await.unwrap();
    let mut other = server.request(Method::GET, "/v1/events", &admin).send().await.unwrap();
    assert!(stream.status().is_success() && other.status().is_success());
    server.send(Method::DELETE, &format!("/v1/api-keys/{id}"), &admin, json!(null)).await.expect(204);
    tokio::time::timeout(Duration::from_secs(60), async { while stream.chunk().await.unwrap().is_some() {} })
        .await
        .expect("the stream of a revoked key ends");
    server.capture("+7 900 000-00-00").await;
    let heard =
        tokio::time::timeout(Duration::from_secs(20), other.chunk()).await.expect("news comes").unwrap();
    assert!(heard.is_some(), "another's stream goes on");
    drop(other);
    server.stop().await;
}

#[tokio::test]
async fn providers_are_answered_as_they_want() {
    let server = Fixture::start().await;
    let admin = server.admin().await;
    let telegram = TelegramSim::start().await.unwrap();
    let unknown = format!("{}/webhooks/nonsense", server.url);
    let update = json!({
        "update_id": 1,
        "message": {"message_id": 1, "date": 1, "chat": {"id": CHAT, "type": "private", "first_name": "A"}, "text": "hi",
            "from": {"id": CHAT, "is_bot": false, "first_name": "A"}},
    });
    let send = |url: String, secret: &'static str| {
        server.client.post(url).header("x-telegram-bot-api-secret-token", secret).json(&update).send()
    };
    Answer::of(send(unknown.clone(), SECRET).await.unwrap()).await.problem(404, "not_found");
    let channel = server.bot(&admin, &telegram).await;
    let url = channel["webhook_url"].as_str().unwrap().to_owned();
    let accepted = Answer::of(send(url.clone(), SECRET).await.unwrap()).await.expect(200);
    assert_eq!(
        (accepted.raw.as_str(), &accepted.headers["content-type"]),
        ("ok", &"text/plain; charset=utf-8".parse().unwrap())
    );
    Answer::of(send(url, "wrong").await.unwrap()).await.problem(401, "unauthenticated");
    server.stop().await;
}

#[tokio::test]
async fn the_description_and_its_page_are_served() {
    let server = Fixture::start().await;
    let description = server.get("/openapi.json", "").await.expect(200);
    assert_eq!(description.body["openapi"], "3.1.0");
    let page = server.get("/api", "").await.expect(200);
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    server.stop().await;
}
