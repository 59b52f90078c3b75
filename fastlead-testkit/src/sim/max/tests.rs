use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::sim::Fault;
use crate::sim::post::status;

const ANNA: i64 = 790_000_000;
const GROUP: i64 = -790_000_000;

async fn sim() -> MaxSim {
    let sim = MaxSim::start().await.unwrap();
    sim.add_person(ANNA, "Anna");
    sim.add_group(GROUP, "sales");
    sim
}

/// The raw answer to a request with this value of `Authorization`.
async fn raw(sim: &MaxSim, authorization: &str, method: &str, path: &str, body: &str) -> String {
    let authority = sim.base_url().replace("http://", "");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an empty answer, too.
    let _reset = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// Status and body.
async fn call(sim: &MaxSim, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = raw(sim, sim.token(), method, path, &body).await;
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    (status(answer.as_bytes()).unwrap(), serde_json::from_str(json).unwrap())
}

async fn sent(sim: &MaxSim, body: Value) -> String {
    let (status, answer) = call(sim, "POST", &format!("/messages?user_id={ANNA}"), body).await;
    assert_eq!(status, 200, "{answer}");
    answer["message"]["body"]["mid"].as_str().unwrap().to_owned()
}

fn keyboard(button: Value) -> Value {
    json!([{"type": "inline_keyboard", "payload": {"buttons": [[button]]}}])
}

fn ok_button() -> Value {
    json!({"type": "callback", "text": "OK", "payload": "ok:1"})
}

#[tokio::test]
async fn a_message_is_seen_with_its_buttons() {
    let sim = sim().await;
    let body = json!({"text": "<b>Привет</b> &amp; пока", "format": "html",
        "attachments": [{"type": "inline_keyboard", "payload": {"buttons": [[ok_button()],
            [{"type": "link", "text": "Site", "url": "https://example.com"}]]}}]});
    let (status, answer) = call(&sim, "POST", &format!("/messages?user_id={ANNA}"), body).await;
    assert_eq!(status, 200);
    let message = &answer["message"];
    assert_eq!(message["recipient"]["chat_id"], MaxSim::dialog_of(ANNA));
    assert_eq!(
        (&message["sender"]["is_bot"], &message["body"]["text"]),
        (&json!(true), &json!("Привет & пока"))
    );
    let arrival = sim.inbox().all().remove(0);
    assert_eq!((arrival.to.as_str(), arrival.text.as_str()), ("790000000", "Привет & пока"));
    assert_eq!(arrival.markup.as_deref(), Some("<b>Привет</b> &amp; пока"));
    let buttons: Vec<_> = arrival.buttons.iter().map(|one| (one.data.as_str(), one.opens_url)).collect();
    assert_eq!(buttons, [("ok:1", false), ("https://example.com", true)]);
    assert_eq!(message["body"]["mid"], arrival.provider_message_id.as_str());

    for path in
        [format!("/messages?chat_id={GROUP}"), format!("/messages?chat_id={}", MaxSim::dialog_of(ANNA))]
    {
        assert_eq!(call(&sim, "POST", &path, json!({"text": "*a* <b>"})).await.0, 200);
    }
    let seen: Vec<_> = sim.inbox().since(1).into_iter().map(|one| (one.to, one.text, one.markup)).collect();
    let literal = |to: &str| (to.to_owned(), "*a* <b>".to_owned(), None);
    assert_eq!(seen, [literal("-790000000"), literal("790000000")]);
}

#[tokio::test]
async fn what_max_refuses_has_its_code() {
    let sim = sim().await;
    sim.add_stranger(ANNA + 1, "Oleg");
    sim.add_person(ANNA + 2, "Vera");
    sim.stop_bot(ANNA + 2);
    let to = |id: i64| format!("/messages?user_id={id}");
    let with = |button: Value| json!({"text": "a", "attachments": keyboard(button)});
    let label = |length: usize| json!({"type": "callback", "text": "x".repeat(length), "payload": "a"});
    let row = |count: usize, button: Value| {
        json!({"text": "a",
        "attachments": [{"type": "inline_keyboard", "payload": {"buttons": [vec![button; count]]}}]})
    };
    let link = || json!({"type": "link", "text": "a", "url": "https://example.com"});
    for (path, body, status, code) in [
        (to(ANNA + 1), json!({"text": "a"}), 403, "chat.denied"),
        (to(ANNA + 2), json!({"text": "a"}), 403, "chat.denied"),
        (to(1), json!({"text": "a"}), 404, "chat.not.found"),
        ("/messages?chat_id=1".to_owned(), json!({"text": "a"}), 404, "chat.not.found"),
        ("/messages".to_owned(), json!({"text": "a"}), 400, "proto.payload"),
        (format!("/messages?user_id={ANNA}&chat_id={GROUP}"), json!({"text": "a"}), 400, "proto.payload"),
        ("/messages?user_id=anna".to_owned(), json!({"text": "a"}), 400, "proto.payload"),
        (to(ANNA), json!(null), 400, "proto.payload"),
        (to(ANNA), json!(["a"]), 400, "proto.payload"),
        (to(ANNA), json!({}), 400, "proto.payload"),
        (to(ANNA), json!({"text": ""}), 400, "proto.payload"),
        (to(ANNA), json!({"text": 7}), 400, "proto.payload"),
        (to(ANNA), json!({"text": "a", "format": "rtf"}), 400, "proto.payload"),
        (to(ANNA), json!({"text": "я".repeat(4001)}), 400, "proto.payload"),
        (to(ANNA), with(label(129)), 400, "proto.payload"),
        (
            to(ANNA),
            with(json!({"type": "callback", "text": "a", "payload": "x".repeat(1025)})),
            400,
            "proto.payload",
        ),
        (to(ANNA), with(json!({"type": "link", "text": "a"})), 400, "proto.payload"),
        (to(ANNA), with(json!({"type": "hologram", "text": "a"})), 400, "proto.payload"),
        (to(ANNA), row(8, label(1)), 400, "proto.payload"),
        (to(ANNA), row(4, link()), 400, "proto.payload"),
        (to(ANNA), row(0, link()), 400, "proto.payload"),
    ] {
        let (found, answer) = call(&sim, "POST", &path, body.clone()).await;
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{path} {body}: {answer}");
    }
    assert!(sim.inbox().all().is_empty());
    sent(&sim, json!({"text": "я".repeat(4000)})).await;
    for fine in [with(label(128)), row(7, label(1)), row(3, link())] {
        sent(&sim, fine).await;
    }
}

#[tokio::test]
async fn only_the_bare_token_in_the_header_counts() {
    let sim = sim().await;
    let token = sim.token().to_owned();
    for (authorization, path, expected) in [
        (token.clone(), "/me".to_owned(), 200),
        (format!("Bearer {token}"), "/me".to_owned(), 401),
        ("other".to_owned(), format!("/me?access_token={token}"), 401),
        ("other".to_owned(), "/updates?timeout=0".to_owned(), 401),
    ] {
        let answer = raw(&sim, &authorization, "GET", &path, "").await;
        assert_eq!(status(answer.as_bytes()).unwrap(), expected, "{path}");
        assert_eq!(answer.contains("verify.token"), expected == 401);
    }
    assert_eq!(call(&sim, "GET", "/chats", json!(null)).await.0, 404);
    assert_eq!(call(&sim, "PATCH", "/me", json!(null)).await.0, 405);
}

#[tokio::test]
async fn a_change_replaces_only_what_it_names() {
    let sim = sim().await;
    let mid = sent(&sim, json!({"text": "new lead", "attachments": keyboard(ok_button())})).await;
    let path = format!("/messages?message_id={mid}");
    let seen = || {
        let arrival = sim.inbox().all().remove(0);
        (arrival.text, arrival.buttons.len())
    };
    for (body, text, buttons) in [
        (json!({"text": "<i>taken</i>", "format": "html"}), "taken", 1),
        (json!({"text": null, "attachments": null}), "taken", 1),
        (json!({"attachments": []}), "taken", 0),
        (json!({"attachments": keyboard(ok_button())}), "taken", 1),
    ] {
        assert_eq!(call(&sim, "PUT", &path, body.clone()).await, (200, json!({"success": true})), "{body}");
        assert_eq!(seen(), (text.to_owned(), buttons), "{body}");
    }
    assert_eq!(call(&sim, "GET", &format!("/messages/{mid}"), json!(null)).await.1["body"]["text"], "taken");
    assert_eq!(call(&sim, "DELETE", &path, json!(null)).await.0, 200);
    for method in ["PUT", "DELETE"] {
        let (status, answer) = call(&sim, method, &path, json!({"text": "a"})).await;
        assert_eq!((status, answer["code"].as_str()), (404, Some("not.found")));
    }
}

#[tokio::test]
async fn updates_come_until_a_later_marker_is_asked_for() {
    let sim = sim().await;
    sim.write(ANNA, "one");
    sim.write(ANNA, "two");
    sim.start_bot(ANNA, Some("promo_42"));
    let get = |query: &str| {
        let (sim, path) = (sim.clone(), format!("/updates?timeout=0{query}"));
        async move { call(&sim, "GET", &path, json!(null)).await.1 }
    };
    let kinds = |page: &Value| -> Vec<String> {
        let updates = page["updates"].as_array().unwrap().iter();
        updates.map(|update| update["update_type"].as_str().unwrap().to_owned()).collect()
    };
    for _ in 0..2 {
        assert_eq!(kinds(&get("").await), ["message_created", "message_created", "bot_started"]);
    }
    let first = get("&limit=1").await;
    let marker = first["marker"].as_i64().unwrap();
    assert_eq!(first["updates"][0]["message"]["body"]["text"], "one");
    let rest = get(&format!("&marker={marker}")).await;
    assert_eq!(rest["updates"][0]["message"]["body"]["text"], "two");
    assert_eq!(rest["updates"][1]["payload"], "promo_42");
    assert_eq!(kinds(&get("&types=bot_started").await), ["bot_started"]);
    let end = rest["marker"].as_i64().unwrap();
    assert_eq!(get(&format!("&marker={end}")).await, json!({"updates": [], "marker": end}));
    assert_eq!(sim.pending_updates(), 0);

    let waiting = tokio::spawn({
        let sim = sim.clone();
        async move { call(&sim, "GET", "/updates?timeout=90", json!(null)).await.1 }
    });
    sim.wait_for_polls(sim.poll_count() + 1).await;
    sim.stop_bot(ANNA);
    assert_eq!(kinds(&waiting.await.unwrap()), ["bot_stopped"]);
}

#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Vec<Posted>>>);

/// The secret in the header, and the kind of the update.
type Posted = (String, String);

/// Answers the first request with 202, which is a failure for MAX, and all others with 200.
async fn hook(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let secret = headers.get("x-max-bot-api-secret").map(|value| value.to_str().unwrap().to_owned());
    let update: Value = serde_json::from_str(&body).unwrap();
    let mut seen = hook.0.lock().unwrap();
    seen.push((secret.unwrap_or_default(), update["update_type"].as_str().unwrap().to_owned()));
    if seen.len() == 1 { StatusCode::ACCEPTED } else { StatusCode::OK }
}

#[tokio::test]
async fn a_webhook_gets_every_update_with_the_secret_and_again_after_a_failure() {
    let sim = sim().await;
    let seen = Hook::default();
    let router = axum::Router::new().route("/hook", axum::routing::post(hook)).with_state(seen.clone());
    let server = SimServer::start(router).await.unwrap();
    sim.put_in_front("https://example.com", &server.base_url());
    sim.write(ANNA, "before");
    let body = json!({"url": "https://example.com/hook", "secret": "s-123", "update_types": ["message_created", "bot_stopped"]});
    assert_eq!(call(&sim, "POST", "/subscriptions", body.clone()).await, (200, json!({"success": true})));
    assert_eq!(call(&sim, "POST", "/subscriptions", body).await.0, 200);
    sim.stop_bot(ANNA);
    assert!(!sim.push_update(json!({"update_type": "dialog_muted"})), "only what was asked for");
    tokio::time::timeout(Duration::from_secs(10), sim.wait_until_updates_are_taken()).await.unwrap();
    let expected = ["message_created", "message_created", "bot_stopped"]
        .map(|kind| ("s-123".to_owned(), kind.to_owned()));
    assert_eq!(*seen.0.lock().unwrap(), expected);

    let (_, list) = call(&sim, "GET", "/subscriptions", json!(null)).await;
    assert_eq!(list["subscriptions"][0]["url"], "https://example.com/hook");
    assert_eq!(list["subscriptions"][0]["update_types"], json!(["bot_stopped", "message_created"]));
    assert_eq!(call(&sim, "GET", "/updates?timeout=0", json!(null)).await.0, 405);
    let path = "/subscriptions?url=https%3A%2F%2Fexample.com%2Fhook";
    assert_eq!(call(&sim, "DELETE", path, json!(null)).await.0, 200);
    assert_eq!(sim.subscriptions(), [""; 0]);
    assert_eq!(call(&sim, "GET", "/updates?timeout=0", json!(null)).await.0, 200);

    for url in ["http://example.com/hook", "https://example.com:8443/hook", "https://", "nowhere"] {
        let (status, answer) = call(&sim, "POST", "/subscriptions", json!({"url": url})).await;
        assert_eq!((status, &answer["success"]), (200, &json!(false)), "{url}");
    }
    for secret in ["four", "a b c d e", "ключключ", &"x".repeat(257)] {
        let body = json!({"url": "https://example.com/hook", "secret": secret});
        assert_eq!(call(&sim, "POST", "/subscriptions", body).await.0, 400, "{secret}");
    }
}

#[tokio::test]
async fn a_press_can_be_answered_and_an_invented_one_cannot() {
    let sim = sim().await;
    let mid = sent(&sim, json!({"text": "lead", "attachments": keyboard(ok_button())})).await;
    assert_eq!(sim.press_button(ANNA + 1, &mid, "ok:1"), None);
    let press = sim.press_button(ANNA, &mid, "ok:1").unwrap();
    let update = sim.take_updates().remove(0);
    assert_eq!(
        (&update["callback"]["payload"], &update["message"]["body"]["mid"]),
        (&json!("ok:1"), &json!(mid))
    );
    let path = format!("/answers?callback_id={press}");
    let closing = json!({"notification": "Taken", "message": {"attachments": []}});
    assert_eq!(call(&sim, "POST", &path, closing.clone()).await, (200, json!({"success": true})));
    let answered = sim.wait_for_answered_callbacks(1).await.remove(0);
    let expected = CallbackAnswer {
        callback_id: press.clone(),
        notification: Some("Taken".to_owned()),
        changed_message: true,
    };
    assert_eq!(answered, expected);
    let arrival = sim.inbox().all().remove(0);
    assert_eq!((arrival.text.as_str(), arrival.buttons.len()), ("lead", 0));
    sim.delete_message(&mid);
    let gone = sim.press_button_of_deleted_message(ANNA, "ok:1");
    for (path, body, status) in [
        (path.clone(), closing.clone(), 400),
        (format!("/answers?callback_id={gone}"), closing, 400),
        (path.clone(), json!({}), 400),
        ("/answers?callback_id=invented".to_owned(), json!({"notification": "a"}), 404),
        (path, json!({"notification": "a"}), 200),
        (format!("/answers?callback_id={gone}"), json!({"notification": "a"}), 200),
    ] {
        assert_eq!(call(&sim, "POST", &path, body.clone()).await.0, status, "{path} {body}");
    }
}

#[tokio::test]
async fn scripted_trouble_is_what_max_would_do() {
    let sim = sim().await;
    let path = format!("/messages?user_id={ANNA}");
    let message = json!({"text": "a"});
    for (fault, status, code) in [
        (Fault::RateLimited { after_secs: 14 }, 429, "too.many.requests"),
        (Fault::BadRecipient, 403, "chat.denied"),
        (Fault::BadCredentials, 401, "verify.token"),
        (Fault::BadContent, 400, "proto.payload"),
        (
            Fault::ProviderCode { code: 400, text: "attachment.not.ready".to_owned() },
            400,
            "attachment.not.ready",
        ),
        (Fault::ProviderCode { code: 200, text: "chat.denied why".to_owned() }, 200, "chat.denied"),
    ] {
        sim.faults().push(fault.clone());
        let (found, answer) = call(&sim, "POST", &path, message.clone()).await;
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{fault:?}");
        assert_eq!(answer.get("success").is_some(), status == 200);
    }
    for (after_secs, named) in [(14, true), (0, false)] {
        sim.faults().push(Fault::RateLimited { after_secs });
        let answer = raw(&sim, sim.token(), "POST", &path, &message.to_string()).await;
        assert_eq!(answer.to_ascii_lowercase().contains("retry-after: 14\r\n"), named);
    }
    for (fault, arrivals) in [(Fault::DropBeforeAccept, 0), (Fault::DropAfterAccept, 1)] {
        sim.faults().push(fault.clone());
        let answer = raw(&sim, sim.token(), "POST", &path, &message.to_string()).await;
        assert!(answer.is_empty(), "{fault:?}: {answer}");
        assert_eq!(sim.inbox().all().len(), arrivals, "{fault:?}");
    }
    sim.faults().push(Fault::BadCredentials);
    assert_eq!(
        call(&sim, "GET", "/updates?timeout=0", json!(null)).await.0,
        200,
        "faults of messages spare the poller"
    );
    sim.update_faults().push(Fault::ServerError { status: 502 });
    let answer = raw(&sim, sim.token(), "GET", "/updates?timeout=0", "").await;
    assert!(answer.starts_with("HTTP/1.1 502"));
}
