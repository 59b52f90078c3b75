use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::sim::Fault;
use crate::sim::post::{exchange, status};

const ANNA: i64 = 790_000_000;
const GROUP: i64 = -790_000_000;

async fn sim() -> TelegramSim {
    let sim = TelegramSim::start().await.unwrap();
    sim.add_chat(ANNA, "Anna");
    sim.add_chat(GROUP, "sales");
    sim
}

/// Status and body of a JSON request.
async fn call(sim: &TelegramSim, method: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/bot{}/{method}", sim.base_url(), sim.token());
    raw(&url, "application/json", &body.to_string()).await
}

async fn raw(url: &str, content_type: &str, body: &str) -> (u16, Value) {
    let answer = exchange(url, &[("Content-Type", content_type)], body.as_bytes()).await.unwrap();
    let text = String::from_utf8(answer.clone()).unwrap();
    let (_, json) = text.split_once("\r\n\r\n").unwrap();
    (status(&answer).unwrap(), serde_json::from_str(json).unwrap())
}

async fn sent(sim: &TelegramSim, body: Value) -> Value {
    let (status, answer) = call(sim, "sendMessage", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["result"].clone()
}

#[tokio::test]
async fn a_message_is_seen_with_its_entities_and_buttons() {
    let sim = sim().await;
    let message = sent(
        &sim,
        json!({"chat_id": ANNA, "text": "<b>Привет</b> &amp; <u>пока</u>", "parse_mode": "HTML",
            "reply_markup": {"inline_keyboard": [[{"text": "OK", "callback_data": "ok:1"}],
                [{"text": "Site", "url": "https://example.com"}]]}}),
    )
    .await;
    assert_eq!(message["text"], "Привет & пока");
    assert_eq!(message["entities"][1], json!({"type": "underline", "offset": 9, "length": 4}));
    assert_eq!(message["chat"], json!({"id": ANNA, "type": "private", "first_name": "Anna"}));
    let arrival = sim.inbox().all().remove(0);
    assert_eq!((arrival.to.as_str(), arrival.text.as_str()), ("790000000", "Привет & пока"));
    assert_eq!(arrival.markup.as_deref(), Some("<b>Привет</b> &amp; <u>пока</u>"));
    assert_eq!(arrival.provider_message_id, message["message_id"].to_string());
    assert!(arrival.buttons[1].opens_url && arrival.buttons[1].data == "https://example.com");
}

#[tokio::test]
async fn forms_and_queries_are_as_good_as_json() {
    let sim = sim().await;
    let url = format!("{}/bot{}/sendMessage", sim.base_url(), sim.token());
    let form = "chat_id=790000000&text=%D0%B4%D0%B0&reply_markup=%7B%22inline_keyboard%22%3A%5B%5B%7B%22text%22%3A%22a%22%2C%22callback_data%22%3A%22b%22%7D%5D%5D%7D";
    let (status, _) = raw(&url, "application/x-www-form-urlencoded", form).await;
    assert_eq!(status, 200);
    let (status, _) = raw(&format!("{url}?chat_id=@sales&text=hi"), "application/json", "").await;
    assert_eq!(status, 200);
    let arrivals = sim.inbox().all();
    assert_eq!((arrivals[0].text.as_str(), arrivals[0].buttons[0].data.as_str()), ("да", "b"));
    assert_eq!((arrivals[1].text.as_str(), arrivals[1].to.as_str()), ("hi", "-790000000"));
}

#[tokio::test]
async fn refusals_are_in_telegrams_words() {
    let sim = sim().await;
    sim.block(ANNA);
    let with_button = |button: Value| json!({"chat_id": GROUP, "text": "a", "reply_markup": {"inline_keyboard": [[button]]}});
    for (request, code, words) in [
        (json!({"text": "a"}), 400, "Bad Request: chat_id is empty"),
        (json!({"chat_id": 1, "text": "a"}), 400, "Bad Request: chat not found"),
        (json!({"chat_id": ANNA, "text": "a"}), 403, "Forbidden: bot was blocked by the user"),
        (json!({"chat_id": GROUP}), 400, "Bad Request: message text is empty"),
        (
            json!({"chat_id": GROUP, "text": "<b> </b>", "parse_mode": "html"}),
            400,
            "Bad Request: message text is empty",
        ),
        (json!({"chat_id": GROUP, "text": "я".repeat(4097)}), 400, "Bad Request: message is too long"),
        (json!({"chat_id": GROUP, "text": "x".repeat(32_769)}), 400, "Bad Request: text is too long"),
        (
            json!({"chat_id": GROUP, "text": "<p>a</p>", "parse_mode": "HTML"}),
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"p\" at byte offset 0",
        ),
        (
            json!({"chat_id": GROUP, "text": "a", "parse_mode": "RTF"}),
            400,
            "Bad Request: unsupported parse_mode",
        ),
        (
            with_button(json!({"text": "a", "callback_data": "x".repeat(65)})),
            400,
            "Bad Request: BUTTON_DATA_INVALID",
        ),
        (
            with_button(json!({"text": "a"})),
            400,
            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            with_button(json!({"text": "", "callback_data": "a"})),
            400,
            "Bad Request: inline keyboard button text must be non-empty",
        ),
        (
            with_button(json!({"text": "a", "url": "http://localhost/"})),
            400,
            "Bad Request: inline keyboard button URL 'http://localhost/' is invalid: Wrong HTTP URL",
        ),
    ] {
        let (status, answer) = call(&sim, "sendMessage", request.clone()).await;
        assert_eq!(
            (status, &answer),
            (code, &json!({"ok": false, "error_code": code, "description": words}))
        );
    }
    assert!(sim.inbox().all().is_empty());
    sent(&sim, json!({"chat_id": GROUP, "text": "😀".repeat(4096)})).await;
    sent(&sim, with_button(json!({"text": "a", "callback_data": "x".repeat(64)}))).await;
}

#[tokio::test]
async fn tokens_of_the_wrong_form_are_not_found_and_others_unauthorized() {
    let sim = sim().await;
    for (path, code) in [
        (format!("/bot{}/getMe", sim.token()), 200),
        (format!("/bot{}/GETME", sim.token()), 200),
        ("/bot1000000001:wrong/getMe".to_owned(), 401),
        ("/botwrong/getMe".to_owned(), 404),
        ("/getMe".to_owned(), 404),
        (format!("/bot{}/flyToTheMoon", sim.token()), 404),
    ] {
        let (status, answer) = raw(&format!("{}{path}", sim.base_url()), "application/json", "").await;
        assert_eq!(status, code, "{path}: {answer}");
        assert_eq!(answer["ok"], code == 200);
    }
}

#[tokio::test]
async fn edits_change_what_is_seen() {
    let sim = sim().await;
    let id = sent(&sim, json!({"chat_id": ANNA, "text": "new lead"})).await["message_id"].clone();
    let edit = json!({"chat_id": ANNA, "message_id": id, "text": "<b>taken</b>", "parse_mode": "HTML"});
    assert_eq!(call(&sim, "editMessageText", edit.clone()).await.0, 200);
    assert_eq!(sim.inbox().all()[0].text, "taken");
    let (status, answer) = call(&sim, "editMessageText", edit).await;
    assert_eq!(status, 400);
    assert!(answer["description"].as_str().unwrap().starts_with("Bad Request: message is not modified"));
    let keyboard = json!({"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]});
    let edit = json!({"chat_id": ANNA, "message_id": id, "reply_markup": keyboard});
    assert_eq!(call(&sim, "editMessageReplyMarkup", edit).await.0, 200);
    assert_eq!(sim.inbox().all()[0].buttons[0].data, "b");
    let elsewhere = json!({"chat_id": GROUP, "message_id": id, "text": "x"});
    let (_, answer) = call(&sim, "editMessageText", elsewhere).await;
    assert_eq!(answer["description"], "Bad Request: message to edit not found");
}

#[tokio::test]
async fn a_message_that_is_deleted_or_frozen_is_not_edited() {
    let sim = sim().await;
    let id = sent(&sim, json!({"chat_id": ANNA, "text": "new lead"})).await["message_id"].as_i64().unwrap();
    let edit = json!({"chat_id": ANNA, "message_id": id, "text": "taken"});
    assert!(!sim.freeze_message(GROUP, id) && sim.freeze_message(ANNA, id));
    for method in ["editMessageText", "editMessageReplyMarkup"] {
        let (status, answer) = call(&sim, method, edit.clone()).await;
        let wanted = (400, "Bad Request: message can't be edited");
        assert_eq!((status, answer["description"].as_str().unwrap()), wanted);
    }
    assert!(!sim.delete_message(GROUP, id) && sim.delete_message(ANNA, id) && !sim.delete_message(ANNA, id));
    let (_, answer) = call(&sim, "editMessageText", edit).await;
    assert_eq!(answer["description"], "Bad Request: message to edit not found");
    assert_eq!(sim.press_button(ANNA, id, "ok:1"), None);
    assert_eq!(sim.inbox().all()[0].text, "new lead");
}

#[tokio::test]
async fn updates_come_until_they_are_confirmed() {
    let sim = sim().await;
    sim.write(ANNA, "one");
    sim.write(ANNA, "two");
    let get = |parameters: Value| call(&sim, "getUpdates", parameters);
    let texts = |answer: &Value| -> Vec<String> {
        let updates = answer["result"].as_array().unwrap().iter();
        updates.map(|update| update["message"]["text"].as_str().unwrap().to_owned()).collect()
    };
    for _ in 0..2 {
        assert_eq!(texts(&get(json!({})).await.1), ["one", "two"]);
    }
    let first = get(json!({"limit": 1})).await.1["result"][0]["update_id"].as_i64().unwrap();
    assert_eq!(texts(&get(json!({"offset": first + 1})).await.1), ["two"]);
    assert_eq!(texts(&get(json!({"offset": first})).await.1), ["two"], "confirmed is confirmed");
    sim.write(ANNA, "three");
    assert_eq!(texts(&get(json!({"offset": -1})).await.1), ["three"]);
    assert_eq!(get(json!({"offset": first + 3})).await.1["result"], json!([]));
    get(json!({"allowed_updates": ["callback_query"]})).await;
    sim.write(ANNA, "unwanted");
    assert_eq!(sim.pending_updates(), 0);
}

#[tokio::test]
async fn a_long_poll_waits_for_news_and_a_second_one_ends_it() {
    let sim = sim().await;
    let poll = |sim: TelegramSim| {
        tokio::spawn(async move { call(&sim, "getUpdates", json!({"timeout": 50})).await })
    };
    let first = poll(sim.clone());
    sim.wait_for_polls(1).await;
    let second = poll(sim.clone());
    let (status, answer) = first.await.unwrap();
    assert_eq!(status, 409);
    assert!(answer["description"].as_str().unwrap().contains("terminated by other getUpdates request"));
    sim.wait_for_polls(2).await;
    sim.press_start(ANNA, Some("promo_42"));
    let (_, answer) = second.await.unwrap();
    assert_eq!(answer["result"][0]["message"]["text"], "/start promo_42");
}

#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Vec<Posted>>>);

/// The secret in the header, and the update.
type Posted = (Option<String>, Value);

/// Answers the first request with 500 and all others with 200.
async fn hook(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let secret =
        headers.get("x-telegram-bot-api-secret-token").map(|value| value.to_str().unwrap().to_owned());
    let mut seen = hook.0.lock().unwrap();
    seen.push((secret, serde_json::from_str(&body).unwrap()));
    if seen.len() == 1 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}

#[tokio::test]
async fn a_webhook_gets_every_update_with_the_secret_and_again_after_a_failure() {
    let sim = sim().await;
    sim.run_locally();
    let seen = Hook::default();
    let router = axum::Router::new().route("/hook", axum::routing::post(hook)).with_state(seen.clone());
    let server = SimServer::start(router).await.unwrap();
    sim.write(ANNA, "before");
    let set = json!({"url": format!("{}/hook", server.base_url()), "secret_token": "s-1"});
    assert_eq!(call(&sim, "setWebhook", set).await.1["description"], "Webhook was set");
    sim.write(ANNA, "after");
    tokio::time::timeout(Duration::from_secs(10), sim.wait_until_updates_are_taken()).await.unwrap();
    let texts: Vec<_> = seen
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(secret, update)| {
            (secret.clone().unwrap(), update["message"]["text"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = ["before", "before", "after"].map(|text| ("s-1".to_owned(), text.to_owned()));
    assert_eq!(texts, expected);
    let (_, info) = call(&sim, "getWebhookInfo", json!({})).await;
    assert_eq!(
        info["result"]["last_error_message"],
        "Wrong response from the webhook: 500 Internal Server Error"
    );

    assert_eq!(call(&sim, "getUpdates", json!({})).await.0, 409);
    assert_eq!(call(&sim, "deleteWebhook", json!({})).await.1["description"], "Webhook was deleted");
    sim.write(ANNA, "later");
    let (_, answer) = call(&sim, "getUpdates", json!({})).await;
    assert_eq!(answer["result"][0]["message"]["text"], "later");
}

#[tokio::test]
async fn a_webhook_needs_an_address_that_telegram_calls() {
    let sim = sim().await;
    let set = |url: &str| call(&sim, "setWebhook", json!({"url": url, "secret_token": "s-1"}));
    for (url, words) in [
        ("https://", "invalid webhook URL specified"),
        ("nowhere", "bad webhook: An HTTPS URL must be provided for webhook"),
        ("http://example.com/hook", "bad webhook: An HTTPS URL must be provided for webhook"),
        (
            "https://example.com:9443/hook",
            "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        ),
    ] {
        let (status, answer) = set(url).await;
        assert_eq!((status, answer["description"].as_str()), (400, Some(&*format!("Bad Request: {words}"))));
    }
    for secret in ["a b", "ключ", &"x".repeat(257)] {
        let request = json!({"url": "https://example.com/hook", "secret_token": secret});
        assert_eq!(call(&sim, "setWebhook", request).await.0, 400, "{secret}");
    }
    assert_eq!(sim.webhook_url(), None);

    // What stands at the address is on this machine.
    let seen = Hook::default();
    let router = axum::Router::new().route("/hook", axum::routing::post(hook)).with_state(seen.clone());
    let server = SimServer::start(router).await.unwrap();
    sim.put_in_front("https://example.com:8443", &server.base_url());
    assert_eq!(set("https://example.com:8443/hook").await.0, 200);
    assert_eq!(sim.webhook_url().as_deref(), Some("https://example.com:8443/hook"));
    sim.write(ANNA, "hello");
    tokio::time::timeout(Duration::from_secs(10), sim.wait_until_updates_are_taken()).await.unwrap();
    assert_eq!(seen.0.lock().unwrap()[0].1["message"]["text"], "hello");
}

#[tokio::test]
async fn a_press_can_be_answered_and_an_invented_one_cannot() {
    let sim = sim().await;
    let id = sent(&sim, json!({"chat_id": ANNA, "text": "lead"})).await["message_id"].as_i64().unwrap();
    assert_eq!(sim.press_button(GROUP, id, "ok:1"), None);
    let press = sim.press_button(ANNA, id, "ok:1").unwrap();
    let update = sim.take_updates().remove(0);
    assert_eq!(update["callback_query"]["data"], "ok:1");
    assert_eq!(update["callback_query"]["message"]["message_id"], id);
    let answer = json!({"callback_query_id": press, "text": "Taken", "show_alert": true});
    assert_eq!(call(&sim, "answerCallbackQuery", answer).await.0, 200);
    let answered = sim.wait_for_answered_callbacks(1).await.remove(0);
    assert_eq!((answered.text.as_str(), answered.show_alert), ("Taken", true));
    for (request, words) in [
        (
            json!({"callback_query_id": "1"}),
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        ),
        (json!({"callback_query_id": press, "text": "x".repeat(201)}), "Bad Request: MESSAGE_TOO_LONG"),
    ] {
        assert_eq!(call(&sim, "answerCallbackQuery", request).await.1["description"], words);
    }
}

#[tokio::test]
async fn groups_move_and_forums_have_topics() {
    let sim = sim().await;
    let supergroup = -1_000_000_790_000;
    sim.upgrade_group(GROUP, supergroup);
    let (status, answer) = call(&sim, "sendMessage", json!({"chat_id": GROUP, "text": "a"})).await;
    assert_eq!((status, &answer["parameters"]), (400, &json!({"migrate_to_chat_id": supergroup})));
    let updates = sim.take_updates();
    assert_eq!(updates[0]["message"]["migrate_to_chat_id"], supergroup);
    assert_eq!(updates[1]["message"]["migrate_from_chat_id"], GROUP);

    let in_topic = |chat: i64, topic: i64| json!({"chat_id": chat, "text": "a", "message_thread_id": topic});
    sent(&sim, in_topic(supergroup, 5)).await;
    sim.add_topic(supergroup, 7);
    sent(&sim, in_topic(supergroup, 7)).await;
    for refused in [in_topic(supergroup, 5), in_topic(ANNA, 7)] {
        let (_, answer) = call(&sim, "sendMessage", refused).await;
        assert_eq!(answer["description"], "Bad Request: message thread not found");
    }
}

#[tokio::test]
async fn scripted_trouble_is_what_telegram_would_do() {
    let sim = sim().await;
    let message = json!({"chat_id": ANNA, "text": "a"});
    for (fault, code, words) in [
        (Fault::RateLimited { after_secs: 14 }, 429, "Too Many Requests: retry after 14"),
        (Fault::BadRecipient, 403, "Forbidden: bot was blocked by the user"),
        (Fault::BadCredentials, 401, "Unauthorized"),
        (Fault::ProviderCode { code: 400, text: "Bad Request: why".to_owned() }, 400, "Bad Request: why"),
    ] {
        sim.faults().push(fault);
        let (status, answer) = call(&sim, "sendMessage", message.clone()).await;
        assert_eq!((status, answer["description"].as_str().unwrap()), (code, words));
    }
    let url = format!("{}/bot{}/sendMessage", sim.base_url(), sim.token());
    let json = [("Content-Type", "application/json")];
    for (fault, arrivals) in [(Fault::DropBeforeAccept, 0), (Fault::DropAfterAccept, 1)] {
        sim.faults().push(fault.clone());
        // Either nothing came, or the connection was reset: both are no answer.
        let answer = exchange(&url, &json, message.to_string().as_bytes()).await.unwrap_or_default();
        assert!(answer.is_empty(), "{fault:?}: {}", String::from_utf8_lossy(&answer));
        assert_eq!(sim.inbox().all().len(), arrivals, "{fault:?}");
    }
    sim.faults().push(Fault::ServerError { status: 502 });
    let answer = exchange(&url, &json, message.to_string().as_bytes()).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 502") && answer.ends_with(b"</html>"));
    for normal in [Fault::NoBalance, Fault::Delay { millis: 1 }] {
        sim.faults().push(normal);
        sent(&sim, message.clone()).await;
    }
    sim.faults().push(Fault::BadCredentials);
    assert_eq!(call(&sim, "getUpdates", json!({})).await.0, 200, "faults of messages spare the poller");
}
