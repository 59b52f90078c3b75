//! Phone numbers and e-mail addresses as they come in, at every door of the running server.

use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};

const CHAT: i64 = 790_000;

fn policy(recipient: Value) -> Value {
    json!({
        "targets": {"anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": recipient}]}},
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "templates": {"lead": {"ru": {"plain": "{{ lead.phone }} / {{ lead.phone_number }} / {{ lead.email }}"}}},
    })
}

/// Numbers that are read as what they are, with what stands beside them, up to the manager's message; and texts that are
/// none, refused at each door with the field's name.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_read_alike_at_every_door() {
    let folder = tempfile::tempdir().unwrap();
    let bot = TelegramSim::start().await.unwrap();
    bot.add_chat(CHAT, "Anna");
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let config = json!({
        "bot_token": bot.token(), "endpoint": bot.base_url(), "updates": "polling", "messages_per_second": 1000,
    });
    let channel = of(&desk.channel("telegram", "bot", config).await, "id").to_owned();
    let source = desk.project("clinic", policy(json!({"chat": CHAT.to_string()}))).await;

    let mut told = 0;
    for (typed, email, phone, beside, shown) in [
        (
            "8 (843) 000-00-00 доб. 123",
            "иван@xn--e1afmkfd.xn--p1ai",
            "+78430000000",
            (json!("123"), Value::Null),
            "+78430000000 доб. 123 / +78430000000 / иван@пример.рф",
        ),
        (
            "8 800 555-35-35 или +7 812 000-00-00",
            "\u{a0}Anna@Example.com\u{200b}",
            "+78005553535",
            (Value::Null, json!("или +7 812 000-00-00")),
            "+78005553535 (или +7 812 000-00-00) / +78005553535 / Anna@example.com",
        ),
    ] {
        let lead = desk.capture(&source, &json!({"phone": typed, "email": email})).await;
        let capture = desk.get(&format!("/v1/leads/{lead}")).await["capture"].clone();
        assert_eq!(of(&capture, "phone"), phone, "{capture}");
        assert_eq!((capture["phone_extension"].clone(), capture["phone_note"].clone()), beside, "{capture}");
        told += 1;
        let arrivals = bot.inbox().wait_for(told).await;
        assert!(arrivals.iter().any(|arrival| arrival.text.contains(shown)), "{shown}: {arrivals:?}");
    }
    // What had made the installation unreadable.
    desk.capture(&source, &json!({"phone": "+46888123456"})).await;
    let odd = json!({"email": "a@İ.com", "phone": "+7 900 000-00-00"});
    let capture_url = desk.local(&source, "capture_url");
    desk.read(desk.http.post(&capture_url).json(&odd).send().await.unwrap()).await;
    desk.get("/v1/leads").await;

    let project = of(&source, "project_id");
    for (recipient, field) in [
        (json!({"phone": "8 900 000-00-0"}), "phone"),
        (json!({"phone": "+7 495 000-00-00 доб. 5"}), "phone"),
        (json!({"email": "a@b.c?x=1"}), "email"),
    ] {
        let names = |answer: &(u16, Value), path: &str| {
            let errors = answer.1["errors"].as_array().cloned().unwrap_or_default();
            answer.0 == 422 && errors.iter().any(|error| error["field"] == path)
        };
        let answer = desk
            .send(Method::PUT, &format!("/v1/projects/{project}/policy"), Some(policy(recipient.clone())))
            .await;
        assert!(names(&answer, &format!("targets.anna.destinations[0].recipient.{field}")), "{answer:?}");
        let body = json!({"channel_id": channel, "recipient": recipient});
        let answer = desk.send(Method::POST, "/v1/suppressions", Some(body)).await;
        assert!(names(&answer, &format!("recipient.{field}")), "{answer:?}");
        let body = json!({"recipient": recipient});
        let answer = desk.send(Method::POST, &format!("/v1/channels/{channel}/test"), Some(body)).await;
        assert!(names(&answer, &format!("recipient.{field}")), "{answer:?}");
        let lead =
            json!({field: recipient[field].as_str().unwrap().replace("+7 495 000-00-00", "+7 495 000-00")});
        let answer = desk.read(desk.http.post(&capture_url).json(&lead).send().await.unwrap()).await;
        assert!(names(&answer, field), "{answer:?}");
    }
    let handle = json!({"messenger": "telegram", "id": CHAT.to_string()});
    let body = json!({"handle": handle, "phone": "+7 495 000-00-00 доб. 5"});
    let (status, refused) = desk.send(Method::POST, "/v1/identities", Some(body)).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("phone")), "{refused}");
    let link = desk.post("/v1/identities", json!({"handle": handle, "phone": "8 (812) 000-00-00"})).await;
    assert_eq!(of(&link, "phone"), "+78120000000");
}
