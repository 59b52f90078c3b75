//! What people say in Telegram and by SMS, as the running server acts upon it.

use fastlead_core::engine::StopWords;
use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, SmsOffice, of, settled};
use crate::program::{PASSWORD, Program};

const CALLBACK_SECRET: &str = "callback-secret-Kd8";
const VISITOR: &str = "+79000000031";
const ACCOUNT: i64 = 790_000;

/// A server with a bot, and a project whose leads go in turn to Oleg and Anna, and to whom the person knows first.
struct Clinic {
    desk: Desk,
    bot: TelegramSim,
    channel: String,
    source: Value,
    _program: Program,
    _folder: tempfile::TempDir,
}

impl Clinic {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bot = TelegramSim::start().await.unwrap();
        for (chat, name) in [(1, "Anna"), (2, "Oleg"), (ACCOUNT, "Vera")] {
            bot.add_chat(chat, name);
        }
        let program = Program::start(folder.path(), &[]).await;
        let desk = Desk::sign_in(&program.url, PASSWORD).await;
        let config = json!({
            "bot_token": bot.token(), "endpoint": bot.base_url(), "updates": "polling",
            "messages_per_second": 1000,
        });
        let channel = of(&desk.channel("telegram", "bot", config).await, "id").to_owned();
        let target = |name: &str, chat: &str| json!({"display_name": name, "destinations": [{"channel": "bot", "recipient": {"chat": chat}}]});
        let policy = json!({
            "targets": {"anna": target("Anna", "1"), "oleg": target("Oleg", "2")},
            "route": {
                "strategy": "round_robin", "targets": ["oleg", "anna"], "template": "lead", "sticky": {},
            },
            "templates": {"lead": {"ru": {"plain": "Заявка"}}},
        });
        let source = desk.project("clinic", policy).await;
        Self { desk, bot, channel, source, _program: program, _folder: folder }
    }

    async fn capture(&self, lead: Value) -> String {
        self.desk.capture(&self.source, &lead).await
    }

    /// Whom a lead was offered to first.
    async fn offered(&self, lead: &str) -> String {
        let lead = self.desk.get(&format!("/v1/leads/{lead}")).await;
        of(&lead["state"]["offers"][0], "target").to_owned()
    }

    async fn explained(&self, lead: &str) -> String {
        self.desk.get(&format!("/v1/leads/{lead}/explain")).await.to_string()
    }
}

fn by_account() -> Value {
    json!({"handles": [{"messenger": "telegram", "id": ACCOUNT.to_string()}]})
}

/// A lead by an account, the phone number shared in the chat, a lead by that number: the same owner, and the
/// explanation says why; undone, they are two people again.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_number_shared_in_telegram_makes_one_person() {
    let clinic = Clinic::open().await;
    let desk = &clinic.desk;
    let first = clinic.capture(by_account()).await;
    assert_eq!(clinic.offered(&first).await, "oleg");
    desk.post(&format!("/v1/leads/{first}/respond"), json!({"target": "anna", "response": "accept"})).await;
    // Somebody else's card says nothing; one's own number does.
    clinic.bot.share_contact_of(ACCOUNT, 790_001, "79000000032");
    clinic.bot.share_contact(ACCOUNT, "79000000031");
    let one = |list: &Value| !list["items"].as_array().unwrap().is_empty();
    let links = desk.until("/v1/identities", one).await;
    let link = &links["items"][0];
    assert_eq!(links["items"].as_array().unwrap().len(), 1, "{links}");
    assert_eq!((of(link, "phone"), of(&link["by"], "type")), (VISITOR, "attested"), "{link}");
    assert_eq!(of(&link["by"], "channel_id"), clinic.channel);

    // Oleg would have the turn of the merged one.
    let other = clinic.capture(json!({"phone": "+79000000033"})).await;
    assert_eq!(clinic.offered(&other).await, "anna");
    let merged = clinic.capture(json!({"phone": VISITOR})).await;
    assert_eq!(clinic.offered(&merged).await, "anna");
    let why = clinic.explained(&merged).await;
    assert!(why.contains("previous_owner") && why.contains(r#""merged":1"#), "{why}");

    let path = format!("/v1/identities/{}/undo", of(link, "id"));
    let undone = desk.post(&path, json!({})).await;
    assert_eq!(of(&undone["undone"], "reason"), "operator");
    assert!(of(&undone["undone"], "by").starts_with("usr_"), "{undone}");
    assert_eq!(desk.post(&path, json!({})).await, undone, "undone once");
    let apart = clinic.capture(json!({"phone": VISITOR})).await;
    let why = clinic.explained(&apart).await;
    assert!(!why.contains("previous_owner") && !why.contains(r#""merged""#), "{why}");
    // An operator knows better.
    let body = json!({"handle": by_account()["handles"][0], "phone": "8 900 000-00-31"});
    let by_hand = desk.post("/v1/identities", body).await;
    assert_eq!(of(&by_hand["by"], "type"), "operator");
    let again = clinic.capture(json!({"phone": VISITOR})).await;
    assert!(clinic.explained(&again).await.contains("previous_owner"));
    let log = desk.get(&format!("/v1/identities?phone={VISITOR}&messenger=telegram&account={ACCOUNT}")).await;
    assert_eq!(log["items"], json!([by_hand, undone]));
    assert_eq!(desk.get("/v1/identities?phone=%2B79000000032").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_merge_people_and_how_it_is_refused() {
    let clinic = Clinic::open().await;
    let desk = &clinic.desk;
    let body = |phone: &str| json!({"handle": {"messenger": "telegram", "id": "7"}, "phone": phone});
    let wrong = json!({"handle": {"messenger": "", "id": "7"}, "phone": "12"});
    let (status, problem) = desk.send(Method::POST, "/v1/identities", Some(wrong)).await;
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| of(error, "field")).collect();
    assert_eq!((status, fields), (422, vec!["handle", "phone"]), "{problem}");
    let (status, _) = desk.send(Method::GET, "/v1/identities?account=7", None).await;
    assert_eq!(status, 422);
    let nobody = "/v1/identities/idn_0190b6f45d3c7000a000000000000001/undo";
    assert_eq!(desk.send(Method::POST, nobody, Some(json!({}))).await.0, 404);
    let made = desk.post("/v1/identities", body(VISITOR)).await;
    let path = format!("/v1/identities/{}/undo", of(&made, "id"));

    let key = desk.post("/v1/api-keys", json!({"name": "reader", "role": "operator"})).await;
    let mut reader = Desk::sign_in(&desk.url, PASSWORD).await;
    reader.token = of(&key, "key").to_owned();
    assert_eq!(reader.get("/v1/identities").await["items"], json!([made]));
    for (method, path, body) in [
        (Method::POST, "/v1/identities", Some(body(VISITOR))),
        (Method::POST, path.as_str(), Some(json!({}))),
        (Method::GET, &format!("/v1/channels/{}/inbound", clinic.channel), None),
    ] {
        let (status, problem) = reader.send(method, path, body).await;
        assert_eq!((status, of(&problem, "code")), (403, "forbidden"), "{path}");
    }
}

/// An operator sends a manager a link, and reads in which chat they are reached.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_come_through_a_link_is_found_with_their_chat() {
    let clinic = Clinic::open().await;
    clinic.bot.press_start(ACCOUNT, Some("anna"));
    clinic.bot.write(ACCOUNT, "Здравствуйте");
    let path = format!("/v1/channels/{}/inbound", clinic.channel);
    let two = |list: &Value| list["items"].as_array().unwrap().len() == 2;
    let said = clinic.desk.until(&path, two).await;
    let (wrote, started) = (&said["items"][0], &said["items"][1]);
    assert_eq!((of(started, "kind"), of(started, "payload")), ("started", "anna"));
    assert_eq!((of(started, "chat"), of(started, "display_name")), (ACCOUNT.to_string().as_str(), "Vera"));
    assert_eq!((of(wrote, "kind"), of(wrote, "text")), ("message", "Здравствуйте"));
    let first = clinic.desk.get(&format!("{path}?limit=1")).await;
    assert_eq!(first["items"], json!([wrote]));
    let next = clinic.desk.get(&format!("{path}?limit=1&cursor={}", of(&first, "next_cursor"))).await;
    assert_eq!((&next["items"], &next["next_cursor"]), (&json!([started]), &Value::Null));
    let unknown = "/v1/channels/chn_0190b6f45d3c7000a000000000000001/inbound";
    assert_eq!(clinic.desk.send(Method::GET, unknown, None).await.0, 404);
}

/// Advertising waits for its channel, STOP comes by SMS, and it is not sent.
#[tokio::test(flavor = "multi_thread")]
async fn advertising_that_waits_is_not_sent_after_stop() {
    let SmsOffice { desk, smsc, .. } = &SmsOffice::open().await;
    let channels = desk.get("/v1/channels").await;
    let sms = &channels["items"][0];
    let channel = format!("/v1/channels/{}", of(sms, "id"));
    let config = |smsc: &SmscSim| {
        json!({
            "login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url(),
            "callback_secret": CALLBACK_SECRET,
        })
    };
    desk.put(&channel, json!({"config": config(smsc)})).await;
    let hook = desk.local(&desk.get(&channel).await, "webhook_url");
    smsc.set_callback(&format!("{hook}?charset=utf-8&sha1"), CALLBACK_SECRET);
    let source = desk
        .project(
            "clinic",
            json!({
                "targets": {"owner": {"display_name": "Owner", "destinations": [
                    {"channel": "sms", "recipient": {"phone": "+79000000009"}},
                ]}},
                "route": {"strategy": "broadcast", "targets": ["owner"], "template": "lead"},
                "auto_reply": [
                    {"channel": "sms", "to": "phone", "template": "thanks"},
                    {"channel": "sms", "to": "phone", "template": "sale", "class": "advertising"},
                ],
                "templates": {
                    "lead": {"ru": {"plain": "Заявка"}},
                    "thanks": {"ru": {"plain": "Спасибо"}},
                    "sale": {"ru": {"plain": "Скидки"}},
                },
            }),
        )
        .await;
    let consent = json!({
        "purpose": "advertising", "document_id": "ads", "version": "1", "label": "Реклама",
        "text": "Я согласен получать рекламу.", "required": false,
    });
    let limits = json!({"per_ip_per_minute": 0, "per_minute": 0, "min_fill_millis": 0});
    let settings = json!({"name": "clinic", "limits": limits, "consents": [consent]});
    desk.put(&format!("/v1/sources/{}", of(&source, "id")), settings).await;
    desk.post(&format!("{channel}/pause"), json!({})).await;
    let lead = json!({"phone": VISITOR, "consents": {"advertising": true}});
    let lead = desk.capture(&source, &lead).await;
    assert_eq!(smsc.inbound(VISITOR, "Стоп!", "79000000009").await.unwrap(), 200);
    let held = desk.get("/v1/suppressions").await;
    let held = &held["items"][0];
    assert_eq!((of(held, "scope"), of(held, "reason")), ("advertising", "unsubscribed"), "{held}");
    desk.post(&format!("{channel}/resume"), json!({})).await;
    let list = desk.until(&format!("/v1/deliveries?lead_id={lead}"), settled).await;
    let items = list["items"].as_array().unwrap();
    let states: Vec<_> = items
        .iter()
        .filter(|item| item["recipient"]["phone"] == VISITOR)
        .map(|item| (of(item, "state") == "suppressed", item["reason"].as_str()))
        .collect();
    assert_eq!(states.len(), 2, "{list}");
    assert!(states.contains(&(true, Some("unsubscribed"))), "{list}");
    let mut arrived: Vec<String> = smsc.inbox().all().into_iter().map(|sms| sms.text).collect();
    arrived.sort();
    assert_eq!(arrived, ["Заявка", "Спасибо"]);
}

#[test]
fn the_manual_names_every_stop_word() {
    for page in [include_str!("../../../docs/people.md"), include_str!("../../../docs/ru/people.md")] {
        for word in StopWords::PUBLISHED {
            assert!(page.contains(&format!("`{word}`")), "{word}");
        }
    }
}
