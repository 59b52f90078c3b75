//! Capture over HTTP: one lead however often it is sent, and an answer that helps whatever is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::engine::stable_uuid;
use fastlead_core::id::{PolicyId, ProjectId, WorkspaceId};
use fastlead_core::lead::ConsentPurpose;
use fastlead_core::port::{
    ChannelRecord, ChannelStatus, DeliveryFilter, Journal as _, LeadFilter, LeadRecord, PageRequest, Source,
    SourceLimits,
};
use fastlead_server::app::{App, Backend};
use fastlead_server::{Server, Settings, bootstrap};
use fastlead_store::{SqliteOptions, SqliteStore};
use fastlead_testkit::sim::smsc::SmscSim;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::program::{Program, client};

const ORIGIN: &str = "https://shop.example.com";

/// A server in this process with one source, `shop`, and a policy that answers by SMS.
pub(super) struct Shop {
    pub(super) url: String,
    address: SocketAddr,
    pub(super) http: Client,
    pub(super) app: App,
    store: Arc<dyn Backend>,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    _smsc: SmscSim,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(stable_uuid("workspace", "first"))
}

pub(super) fn open() -> SourceLimits {
    SourceLimits { per_ip_per_minute: 0, ..SourceLimits::default() }
}

pub(super) async fn shop(limits: SourceLimits, consents: bool) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::defaults().unwrap();
    settings.http.listen.set_port(0);
    settings.channels.allowed_private_hosts = vec!["127.0.0.1".to_owned()];
    settings.store.path = folder.path().join("store.db");
    // All visitors of a test come from one address.
    settings.http.max_connections_per_address = settings.http.max_connections;
    let server = Server::builder(settings).build().await.unwrap();
    let app = server.app().clone();
    bootstrap::first_run(&app, "shop").await.unwrap();
    let mut source = (**app.engine.directory().source("shop").unwrap()).clone();
    source.limits = limits;
    source.allowed_origins = vec![ORIGIN.to_owned()];
    source.form.ask_comment = true;
    source.form.ask_email = true;
    if !consents {
        source.consents.clear();
    }
    app.store.put_source(source.clone()).await.unwrap();
    app.engine.put_source(source);
    let smsc = SmscSim::start().await.unwrap();
    let id = fastlead_core::id::ChannelId::from_uuid(stable_uuid("channel", "sms"));
    let config = json!({"login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url()});
    let channel = app.registry.build("smsc", id, "sms", config.clone()).unwrap();
    let record = ChannelRecord {
        id,
        workspace_id: workspace(),
        kind: "smsc".to_owned(),
        name: "sms".to_owned(),
        config: app.keyring.seal(workspace(), id, config.to_string().as_bytes()).unwrap(),
        webhook_token: bootstrap::random_text(32),
        status: ChannelStatus::Active,
        created_at: app.engine.clock().now(),
    };
    app.store.put_channel(record).await.unwrap();
    app.engine.attach(workspace(), channel, false).unwrap();
    let both = |text: &str| json!({"ru": {"plain": text}, "en": {"plain": text}});
    let policy = json!({
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 600},
        "targets": {"sales": {
            "display_name": "Sales",
            "destinations": [{"channel": "sms", "recipient": {"phone": "+79000000001"}}],
        }},
        "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "templates": {
            "offer": both("{{ lead.name or '-' }}: {{ lead.comment or '-' }}"),
            "thanks": both("Thank you, {{ lead.name or 'friend' }}"),
        },
    });
    let policy = serde_json::from_value(policy).unwrap();
    let project = ProjectId::from_uuid(stable_uuid("project", "first"));
    let id = PolicyId::from_uuid(stable_uuid("policy", "first"));
    let now = app.engine.clock().now();
    let record = app.store.publish_policy(workspace(), project, id, policy, now).await.unwrap();
    app.engine.activate_policy(&record).unwrap();
    let address = server.address().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(server.serve(stop.clone()));
    let url = format!("http://{address}");
    Shop { url, address, http: client(), store: Arc::clone(&app.store), app, folder, stop, _smsc: smsc }
}

impl Shop {
    pub(super) fn capture_url(&self) -> String {
        format!("{}/v1/capture/shop", self.url)
    }

    pub(super) async fn capture(&self, body: &Value) -> Response {
        self.http.post(self.capture_url()).json(body).send().await.unwrap()
    }

    pub(super) async fn raw(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        self.http
            .post(self.capture_url())
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// What was captured last.
    pub(super) async fn last(&self) -> LeadRecord {
        let page = PageRequest { after: None, limit: 1 };
        let mut found = self.store.leads(workspace(), LeadFilter::default(), page).await.unwrap().items;
        self.store.lead(workspace(), found.remove(0).id).await.unwrap().unwrap()
    }

    /// Changes the source.
    pub(super) async fn change(&self, change: impl FnOnce(&mut Source)) {
        let mut source = (**self.app.engine.directory().source("shop").unwrap()).clone();
        change(&mut source);
        self.store.put_source(source.clone()).await.unwrap();
        self.app.engine.put_source(source);
    }

    pub(super) async fn leads(&self) -> usize {
        let page = PageRequest { after: None, limit: 500 };
        self.store.leads(workspace(), LeadFilter::default(), page).await.unwrap().items.len()
    }

    async fn purposes(&self) -> Vec<String> {
        let page = PageRequest { after: None, limit: 500 };
        let found = self.store.deliveries(workspace(), DeliveryFilter::default(), page).await.unwrap();
        let mut purposes: Vec<String> =
            found.items.iter().map(|delivery| delivery.spec.purpose.as_str().to_owned()).collect();
        purposes.sort();
        purposes
    }
}

/// 2xx, or a problem document; never the server's own fault. Answers the status and the document's code.
pub(super) async fn judged(case: &str, answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    let kind = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let body: Value = answer.json().await.unwrap_or_else(|error| panic!("{case}: not JSON: {error}"));
    assert!(!status.is_server_error(), "{case}: {status} {body}");
    if status.is_success() {
        return (status, String::new());
    }
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{case}: {body}");
    assert_eq!(body["status"], status.as_u16(), "{case}: {body}");
    (status, body["code"].as_str().unwrap_or_else(|| panic!("{case}: no code: {body}")).to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_captures_are_one_lead() {
    let shop = shop(open(), false).await;
    let mut sending = JoinSet::new();
    for _ in 0..1_000 {
        let request =
            shop.http.post(shop.capture_url()).json(&json!({"phone": "+7 900 000-00-00", "name": "Anna"}));
        sending.spawn(async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 202);
            answer.json::<Value>().await.unwrap()
        });
    }
    let answers = sending.join_all().await;
    let accepted = answers.iter().filter(|answer| answer["decision"] == "accepted").count();
    let duplicates = answers.iter().filter(|answer| answer["decision"] == "duplicate").count();
    assert_eq!((accepted, duplicates), (1, 999));
    assert!(answers.iter().all(|answer| answer["lead_id"] == answers[0]["lead_id"]));
    assert_eq!(shop.leads().await, 1);
    assert_eq!(shop.purposes().await, ["auto_reply", "offer"]);
    println!("capture: 1000 identical captures, accepted {accepted}, duplicates {duplicates}");
}

#[tokio::test]
async fn an_idempotency_key_has_one_answer() {
    let shop = shop(open(), false).await;
    let send = |phone: &str| {
        shop.http
            .post(shop.capture_url())
            .header("idempotency-key", "order-1")
            .json(&json!({"phone": phone}))
            .send()
    };
    let first = send("+79000000002").await.unwrap();
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first = first.text().await.unwrap();
    for _ in 0..5 {
        let again = send("+79000000002").await.unwrap();
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.text().await.unwrap(), first);
    }
    assert_eq!(shop.leads().await, 1);
    let other = judged("another body", send("+79000000003").await.unwrap()).await;
    assert_eq!(other.1, "idempotency_key_reused");
    // No key of a program costs the lead of a visitor.
    for key in ["k".repeat(4_000).into_bytes(), "ключ".into(), b"\xff\xfe".to_vec(), b"a b\tc".to_vec()] {
        for replayed in [false, true] {
            let request = shop.http.post(shop.capture_url()).header("idempotency-key", key.as_slice());
            let taken = request.json(&json!({"phone": "+79000000004"})).send().await.unwrap();
            assert_eq!(taken.status(), StatusCode::ACCEPTED, "{key:?}");
            assert_eq!(taken.headers().contains_key("idempotency-replayed"), replayed, "{key:?}");
        }
    }
    for _ in 0..2 {
        let request = shop.http.post(shop.capture_url()).header("idempotency-key", "");
        let taken = request.json(&json!({"phone": "+79000000005"})).send().await.unwrap();
        assert!(!taken.headers().contains_key("idempotency-replayed"), "an empty key is none");
    }
}

#[tokio::test]
async fn what_the_visitor_has_not_typed_costs_no_lead() {
    let shop = shop(open(), true).await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let json = |fields: &str| {
        format!(
            r#"{{"phone": "+79000000001", "consents": {{"personal_data": true}}, "fields": {{{fields}}}}}"#
        )
    };
    for body in
        [json(r#""sum": 1e999"#), json(&format!(r#""tree": {deep}"#)), json(r#""a": -1E+400, "b": 1"#)]
    {
        let sent = shop.http.post(shop.capture_url()).header("content-type", "application/json").body(body);
        assert_eq!(sent.send().await.unwrap().status(), StatusCode::ACCEPTED);
    }
    let broken = shop.http.post(shop.capture_url()).header("content-type", "application/json");
    let broken = broken.body(r#"{"phone": 1e999"#).send().await.unwrap();
    assert_eq!(judged("broken", broken).await, (StatusCode::BAD_REQUEST, "invalid_json".to_owned()));
    for (phone, boxes, number) in [
        ("375 29 123-45-67", vec!["1"], "+375291234567"),
        ("998901234567", vec!["0", "1"], "+998901234567"),
        ("+8 900 000-00-02", vec!["true", "false"], "+79000000002"),
    ] {
        let mut form = vec![("phone", phone)];
        form.extend(boxes.into_iter().map(|value| ("consent_personal_data", value)));
        let taken = shop.http.post(shop.capture_url()).form(&form).send().await.unwrap();
        assert_eq!(taken.status(), StatusCode::ACCEPTED, "{phone}");
        let page = PageRequest { after: None, limit: 1 };
        let lead = shop.store.leads(workspace(), LeadFilter::default(), page).await.unwrap().items.remove(0);
        assert_eq!(lead.capture.contact.phone.unwrap().expose(), number);
        // What the store keeps of a moment is what was answered.
        assert_eq!(lead.created_at.timestamp_subsec_nanos() % 1_000_000, 0);
    }
}

#[tokio::test]
async fn an_idempotency_key_has_one_answer_across_restarts() {
    let shop = shop(open(), false).await;
    // A file has one server at a time.
    shop.stop.cancel();
    let mut answers = Vec::new();
    for _ in 0..3 {
        // A process of its own each time, killed after it has answered.
        let mut program = Program::start(shop.folder.path(), &[]).await;
        let request = shop
            .http
            .post(format!("{}/v1/capture/shop", program.url))
            .header("idempotency-key", "order-2")
            .json(&json!({"phone": "+79000000004"}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let replayed = answer.headers().contains_key("idempotency-replayed");
        answers.push((replayed, answer.text().await.unwrap()));
        program.kill();
    }
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [false, true, true]);
    assert!(answers.iter().all(|answer| answer.1 == answers[0].1));
    let options = SqliteOptions::new(shop.folder.path().join("store.db"));
    let store = SqliteStore::open(options).await.unwrap();
    let leads = store.leads(workspace(), LeadFilter::default(), PageRequest::default()).await.unwrap();
    assert_eq!(leads.items.len(), 1);
}

#[tokio::test]
async fn bad_bodies_get_problem_documents() {
    let shop = shop(open(), false).await;
    let json = "application/json";
    let thousand: serde_json::Map<String, Value> =
        (0..1_000).map(|index| (format!("field{index}"), json!("x"))).collect();
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        ("truncated", json, br#"{"phone": "+7900"#.to_vec(), 400, "invalid_json"),
        ("empty", json, Vec::new(), 400, "invalid_json"),
        ("not UTF-8", json, b"{\"phone\": \"\xff\xfe\"}".to_vec(), 422, "invalid_lead"),
        ("deeply nested", json, "[".repeat(60_000).into_bytes(), 400, "invalid_json"),
        ("an array", json, b"[]".to_vec(), 422, "invalid_json_type"),
        ("an array of values", json, br#"["Anna", "+79000000000"]"#.to_vec(), 422, "invalid_json_type"),
        (
            "a consent twice",
            json,
            br#"{"phone": "+79000000000", "consents": {"personal_data": false, "personal_data": true}}"#
                .to_vec(),
            422,
            "invalid_json_type",
        ),
        ("null", json, b"null".to_vec(), 422, "invalid_json_type"),
        ("object as name", json, br#"{"name": {"a": 1}}"#.to_vec(), 422, "invalid_lead"),
        ("twice", json, br#"{"name": "a", "name": "b"}"#.to_vec(), 422, "invalid_json_type"),
        ("unknown consent", json, br#"{"consents": {"soul": true}}"#.to_vec(), 422, "invalid_lead"),
        (
            "a thousand fields",
            json,
            json!({"fields": thousand}).to_string().into_bytes(),
            422,
            "invalid_lead",
        ),
        ("no contact", json, b"{}".to_vec(), 422, ""),
        ("XML", "application/xml", b"<lead/>".to_vec(), 415, "unsupported_media_type"),
        ("bad form", "application/x-www-form-urlencoded", b"name=%ff%fe".to_vec(), 422, "invalid_lead"),
        ("no boundary", "multipart/form-data", b"--x--".to_vec(), 415, "unsupported_media_type"),
        ("half a form", "multipart/form-data; boundary=x", b"--x\r\nContent-D".to_vec(), 400, "invalid_form"),
    ];
    for (case, content_type, body, status, code) in cases {
        let (got, found) = judged(case, shop.raw(content_type, body).await).await;
        assert!(status == 0 || got.as_u16() == status, "{case}: {got} {found}");
        assert!(code.is_empty() || found == code, "{case}: {found}");
    }
    assert_eq!(shop.leads().await, 0);
}

#[tokio::test]
async fn ten_megabytes_are_refused_at_the_limit() {
    let shop = shop(open(), false).await;
    let mut stream = tokio::net::TcpStream::connect(shop.address).await.unwrap();
    let head = "POST /v1/capture/shop HTTP/1.1\r\nhost: example.com\r\ncontent-type: application/json\r\n\
                content-length: 10485760\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // A little more than the limit goes out; the answer comes without the rest.
    stream.write_all(&vec![b' '; 300_000]).await.unwrap();
    let mut answer = [0_u8; 4_096];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer[..read.unwrap().unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert_eq!(shop.capture(&json!({"phone": "+79000000000"})).await.status(), 202);
}

#[tokio::test]
async fn every_field_takes_any_text() {
    let shop = shop(open(), false).await;
    let texts = [
        ("SQL", "'; DROP TABLE leads; -- \" OR 1=1"),
        ("HTML", "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;"),
        ("template", "{{ 7*7 }}{% for x in range(10**9) %}x{% endfor %}${7*7}#{7*7}"),
        ("control", "a\u{0}b\u{1b}[31mc\r\nd\u{7f}\u{85}e"),
        ("emoji", "👩‍👩‍👧‍👦🏳️‍🌈é"),
        ("right to left", "\u{202e}مرحبا שלום\u{202c}"),
        ("header", "x\r\nSet-Cookie: a=b"),
        ("zero width", "\u{200b}\u{feff}\u{2028}"),
        ("path", "../../etc/passwd\u{fffd}"),
    ];
    let mut number = 0_u32;
    let mut accepted = 0_u32;
    for (case, text) in texts {
        number += 1;
        let touch = json!({"page": text, "referrer": text, "utm_source": text, "utm_term": text});
        let phone = format!("+7900100{number:04}");
        let bodies = [
            json!({"phone": phone, "name": text, "comment": text, "fields": {"note": text, "list": [text]}}),
            json!({"phone": phone, "fields": {text: "value"}}),
            json!({"phone": phone, "attribution": {"first": touch, "last": touch}}),
            json!({"phone": text}),
            json!({"phone": phone, "email": text}),
            json!({"phone": phone, "locale": text}),
            json!({"handles": [{"kind": text, "value": text}]}),
        ];
        for (index, body) in bodies.iter().enumerate() {
            let (status, _) = judged(&format!("{case} {index}"), shop.capture(body).await).await;
            accepted += u32::from(status.is_success());
        }
        let form = [("phone", phone.as_str()), ("name", text), ("comment", text), ("utm_source", text)];
        let posted = shop.http.post(shop.capture_url()).form(&form).send().await.unwrap();
        let (status, _) = judged(&format!("{case} form"), posted).await;
        accepted += u32::from(status.is_success());
    }
    assert!(accepted >= number, "{accepted} accepted");
    println!("capture: {} hostile bodies, {accepted} accepted, none a fault", texts.len() * 8);
}

#[tokio::test]
async fn phones_of_twenty_countries_are_taken() {
    let shop = shop(open(), false).await;
    let phones = [
        "8 (900) 000-00-10",
        "+7 701 000 0010",
        "+375 29 100-00-10",
        "+380 50 100 0010",
        "+998 90 100 00 10",
        "+996 700 100 010",
        "+374 91 100010",
        "+995 555 10 00 10",
        "+994 50 100 00 10",
        "+90 532 100 00 10",
        "+49 151 10000010",
        "+33 6 12 00 00 10",
        "+44 7400 100010",
        "+1 212 555 0110",
        "+86 138 0010 0010",
        "+91 98100 00010",
        "+81 90-1000-0010",
        "+55 11 91000-0010",
        "+971 50 100 0010",
        "+972 50-234-5678",
    ];
    for phone in phones {
        let (status, code) = judged(phone, shop.capture(&json!({"phone": phone})).await).await;
        assert_eq!(status, 202, "{phone}: {code}");
    }
    assert_eq!(shop.leads().await, phones.len());
    for phone in ["12", "+7 900", "phone", "+", "+79000000000000000000"] {
        let (status, _) = judged(phone, shop.capture(&json!({"phone": phone})).await).await;
        assert_eq!(status, 422, "{phone}");
    }
}

#[tokio::test]
async fn only_allowed_origins_post_from_a_browser() {
    let shop = shop(open(), false).await;
    let preflight = |origin: &str| {
        shop.http
            .request(reqwest::Method::OPTIONS, shop.capture_url())
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,idempotency-key")
            .send()
    };
    let allowed = preflight(ORIGIN).await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-origin"], ORIGIN);
    assert!(allowed.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert!(allowed.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    let post = |origin: &str| {
        shop.http
            .post(shop.capture_url())
            .header("origin", origin)
            .json(&json!({"phone": "+79000000005"}))
            .send()
    };
    let posted = post(ORIGIN).await.unwrap();
    assert_eq!(posted.status(), 202);
    assert_eq!(posted.headers()["access-control-allow-origin"], ORIGIN);
    // Whoever hides where a page is is taken as whoever says nothing, and its script is told nothing.
    assert!(!preflight("null").await.unwrap().headers().contains_key("access-control-allow-origin"));
    let hidden = post("null").await.unwrap();
    assert_eq!(hidden.status(), 202);
    assert!(!hidden.headers().contains_key("access-control-allow-origin"));
    for foreign in
        ["https://evil.example.com", "https://shop.example.com.evil.example", "http://shop.example.com"]
    {
        for answer in [preflight(foreign).await.unwrap(), post(foreign).await.unwrap()] {
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{foreign}");
            let refused = judged(foreign, answer).await;
            assert_eq!(refused, (StatusCode::FORBIDDEN, "origin_not_allowed".to_owned()));
        }
    }
}

#[tokio::test]
async fn too_many_are_told_when_to_come_back() {
    let limits = SourceLimits { per_ip_per_minute: 3, min_fill_millis: 0, ..SourceLimits::default() };
    let shop = shop(limits, false).await;
    for number in 0..3 {
        assert_eq!(shop.capture(&json!({"phone": format!("+7900000010{number}")})).await.status(), 202);
    }
    let refused = shop.capture(&json!({"phone": "+79000000109"})).await;
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let refused = judged("limit", refused).await;
    assert_eq!(refused, (StatusCode::TOO_MANY_REQUESTS, "rate_limited".to_owned()));
    assert_eq!(shop.leads().await, 3);
}

#[tokio::test]
async fn programs_that_fill_in_forms_are_refused() {
    let shop = shop(open(), false).await;
    for check in [json!({"honeypot": "https://spam.example.com"}), json!({"elapsed_millis": 20})] {
        let body = json!({"phone": "+79000000006", "bot_check": check});
        let refused = judged("program", shop.capture(&body).await).await;
        assert_eq!(refused, (StatusCode::UNPROCESSABLE_ENTITY, "looks_automated".to_owned()));
    }
    let person = json!({"phone": "+79000000006", "bot_check": {"honeypot": "", "elapsed_millis": 4_000}});
    assert_eq!(shop.capture(&person).await.status(), 202);
    let nobody = shop.http.post(format!("{}/v1/capture/nowhere", shop.url)).send().await.unwrap();
    assert_eq!(judged("no source", nobody).await.0, StatusCode::NOT_FOUND);
}

/// Names of answers that grant nothing: https://api.jquery.com/val/ gives `undefined` for a box that is not there, and
/// page builders send the label of the answer.
#[tokio::test]
async fn a_consent_is_granted_by_five_words_only() {
    let shop = shop(open(), true).await;
    let mut number = 0_u32;
    let mut granted = Vec::new();
    for word in [
        "Нет",
        "No",
        "Off",
        "False",
        "n",
        "null",
        "undefined",
        "-",
        " ",
        "",
        "0",
        "1",
        "on",
        " True ",
        "YES",
        "Да",
    ] {
        number += 1;
        let phone = format!("+7900200{number:04}");
        let form = [("phone", phone.as_str()), ("consent_personal_data", "1"), ("consent_advertising", word)];
        let answer = shop.http.post(shop.capture_url()).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{word}");
        let form = [("phone", phone.as_str()), ("consent_personal_data", word)];
        let refused =
            !shop.http.post(shop.capture_url()).form(&form).send().await.unwrap().status().is_success();
        let page = PageRequest { after: None, limit: 1 };
        let lead = shop.store.leads(workspace(), LeadFilter::default(), page).await.unwrap().items.remove(0);
        let consent = lead
            .capture
            .consents
            .iter()
            .find(|consent| consent.purpose == ConsentPurpose::Advertising)
            .unwrap();
        assert_ne!(consent.granted, refused, "{word}: a required and an optional box read alike");
        let written = consent.written.as_ref().map(|text| text.expose().as_str());
        assert_eq!(written, (!consent.granted && !word.is_empty()).then_some(word), "{word}");
        if consent.granted {
            granted.push(word);
        }
    }
    assert_eq!(granted, ["1", "on", " True ", "YES", "Да"]);
}

#[tokio::test]
async fn the_form_page_works_without_scripts() {
    let shop = shop(open(), true).await;
    let url = format!("{}/f/shop?lang=en", shop.url);
    let shown = shop.http.get(format!("{url}&utm_source=news")).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert!(shown.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let page = shown.text().await.unwrap();
    assert!(page.contains(r#"name="utm_source" value="news""#), "{page}");
    assert!(!page.contains("<script"), "{page}");
    let submission = value_of(&page, "submission");
    let long_ago = value_of(&page, "shown_at").parse::<i64>().unwrap() - 60_000;
    let long_ago = long_ago.to_string();

    let name = r#"Anna "<b>O'Neil</b>" & {{ 7*7 }}"#;
    let wrong = [
        ("name", name),
        ("phone", "12-34"),
        ("email", "anna@example.com"),
        ("comment", "line one\nline two </textarea>"),
        ("consent_personal_data", "1"),
        ("utm_source", "news"),
        ("shown_at", &long_ago),
        ("submission", &submission),
    ];
    let answer = shop.http.post(&url).form(&wrong).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Please check the phone number"), "{page}");
    assert!(!page.contains("<b>O"), "what was typed is escaped: {page}");
    assert!(!page.contains("two </textarea>"), "what was typed is escaped: {page}");
    for kept in ["12-34", "anna@example.com", "line one\nline two", "{{ 7*7 }}", r#"value="news""#, "checked"]
    {
        assert!(page.contains(kept), "{kept} is gone: {page}");
    }
    assert_eq!(value_of(&page, "shown_at"), long_ago);
    assert_eq!(shop.leads().await, 0);

    let submission = value_of(&page, "submission");
    let mut right = wrong;
    right[1].1 = "8 900 000-00-07";
    right[7].1 = &submission;
    let mut without_consent = right.to_vec();
    without_consent.remove(4);
    let answer = shop.http.post(&url).form(&without_consent).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.unwrap().contains("without the required consent"));
    for _ in 0..2 {
        let answer = shop.http.post(&url).form(&right).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains(r#"id="done""#));
    }
    assert_eq!(shop.leads().await, 1);
}

fn value_of(page: &str, name: &str) -> String {
    let after = page.split(&format!(r#"name="{name}" value=""#)).nth(1).expect("the field is there");
    after.split('"').next().unwrap().to_owned()
}
