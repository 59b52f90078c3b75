//! What has become of an offer cannot always be said under its message: the reader has deleted it, or Telegram lets it
//! be changed no more.

use fastlead_testkit::sim::telegram::TelegramSim;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};

/// The targets and their chats; the owner hears of whatever goes wrong.
const TARGETS: [(&str, i64); 4] = [("anna", 1), ("oleg", 2), ("vera", 3), ("owner", 9)];

fn policy() -> Value {
    let target = |chat: i64| {
        json!({"display_name": "Somebody", "locale": "en",
            "destinations": [{"channel": "bot", "recipient": {"chat": chat.to_string()}}]})
    };
    let targets: serde_json::Map<_, _> =
        TARGETS.into_iter().map(|(name, chat)| (name.to_owned(), target(chat))).collect();
    json!({
        "targets": targets,
        "route": {"strategy": "broadcast", "targets": ["anna", "oleg", "vera"], "template": "lead"},
        "alerts": ["owner"],
        "templates": {"lead": {"en": {"plain": "{{ lead.phone }}"}}},
        "delivery": {"retry": [1, 1, 1]},
    })
}

#[tokio::test]
async fn an_end_that_cannot_be_shown_is_neither_repeated_nor_alarming() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    for (name, chat) in TARGETS {
        telegram.add_chat(chat, name);
    }
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let bot = json!({
        "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "webhook",
        "webhook_secret": "webhook-secret-1", "messages_per_second": 1000,
    });
    let channel = desk.channel("telegram", "bot", bot).await;
    let source = desk.project("Clinic", policy()).await;
    let lead = desk.capture(&source, &json!({"phone": "+79000000000"})).await;
    let list = format!("/v1/deliveries?lead_id={lead}");
    let all_are = |list: &Value, count: usize| {
        let items = list["items"].as_array().unwrap();
        let open = ["pending", "sending", "awaiting_receipt"];
        items.len() == count && !items.iter().any(|item| open.contains(&of(item, "state")))
    };
    desk.until(&list, |list| all_are(list, 3)).await;
    let message = |chat: i64| {
        let arrived = telegram.inbox().all().into_iter().find(|arrival| arrival.to == chat.to_string());
        arrived.unwrap().provider_message_id.parse::<i64>().unwrap()
    };
    assert!(telegram.delete_message(2, message(2)) && telegram.freeze_message(3, message(3)));

    let body = json!({"target": "anna", "response": "accept"});
    desk.post(&format!("/v1/leads/{lead}/respond"), body).await;
    let ended = desk.until(&list, |list| all_are(list, 6)).await;
    let mut ends = Vec::new();
    for end in ended["items"].as_array().unwrap().iter().filter(|end| end["purpose"] == "offer_ended") {
        let details = desk.get(&format!("/v1/deliveries/{}", of(end, "id"))).await;
        let attempts = details["attempts"].as_array().unwrap().len();
        ends.push((
            of(end, "target").to_owned(),
            of(end, "state").to_owned(),
            end["reason"].clone(),
            attempts,
        ));
    }
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    let end = |target: &str, state: &str, reason: Value| (target.to_owned(), state.to_owned(), reason, 1);
    let wanted = [
        end("anna", "sent", Value::Null),
        // Nobody reads the old text any more.
        end("oleg", "sent", Value::Null),
        end("vera", "failed", json!("invalid")),
    ];
    assert_eq!(ends, wanted);

    // An alarm would be a delivery, and is made together with what it is about.
    assert_eq!(desk.get("/v1/deliveries").await["items"].as_array().unwrap().len(), 6);
    let shown = desk.get(&format!("/v1/channels/{}", of(&channel, "id"))).await;
    assert_eq!(shown["paused_reason"], Value::Null);
    let texts = |chat: i64| {
        let all = telegram.inbox().all().into_iter().filter(|arrival| arrival.to == chat.to_string());
        all.map(|arrival| arrival.text).collect::<Vec<_>>()
    };
    assert!(texts(1)[0].contains("Accepted by Somebody"));
    assert_eq!(texts(3), ["+79000000000"]);
    assert!(texts(9).is_empty());
}
