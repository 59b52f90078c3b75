use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State as Shown;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::sim::post::exchange;
use crate::sim::{Fault, SimServer};

const ANNA: i64 = 790_000_000;
const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

async fn sim() -> VkSim {
    let sim = VkSim::start().await.unwrap();
    sim.add_person(ANNA, "Anna");
    sim
}

async fn raw(sim: &VkSim, method: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let url = format!("{}/method/{method}", sim.base_url());
    let answer = String::from_utf8(exchange(&url, headers, body.as_bytes()).await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The answer to a form with the access key and the version.
async fn call(sim: &VkSim, method: &str, fields: &[(&str, &str)]) -> Value {
    let mut all = vec![("access_token", sim.token()), ("v", "5.199")];
    all.extend_from_slice(fields);
    raw(sim, method, &FORM, &serde_urlencoded::to_string(all).unwrap()).await
}

fn code(answer: &Value) -> i64 {
    answer["error"]["error_code"].as_i64().unwrap_or_default()
}

async fn send(sim: &VkSim, more: &[(&str, &str)]) -> Value {
    let mut fields = vec![("peer_id", "790000000"), ("random_id", "1"), ("message", "Привет")];
    for (name, value) in more {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    call(sim, "messages.send", &fields).await
}

#[tokio::test]
async fn a_message_is_seen_with_its_buttons() {
    let sim = sim().await;
    let keyboard = json!({"inline": true, "buttons": [
        [{"action": {"type": "callback", "label": "OK", "payload": "{\"cmd\":\"ok\"}"}, "color": "primary"}],
        [{"action": {"type": "open_link", "label": "Site", "link": "https://example.com"}}],
    ]})
    .to_string();
    let answer = send(&sim, &[("keyboard", &keyboard)]).await;
    let arrival = sim.inbox().all().remove(0);
    assert_eq!(answer["response"].to_string(), arrival.provider_message_id);
    assert_eq!((arrival.to.as_str(), arrival.text.as_str()), ("790000000", "Привет"));
    assert_eq!(arrival.buttons[0].data, "{\"cmd\":\"ok\"}");
    assert!(arrival.buttons[1].opens_url && arrival.buttons[1].data == "https://example.com");
    assert_eq!(sim.requests()[0]["message"], "Привет");
    assert!(sim.requests()[0].get("access_token").is_none());
}

#[tokio::test]
async fn a_repeated_random_id_is_one_message() {
    let sim = sim().await;
    let first = send(&sim, &[]).await;
    assert_eq!(send(&sim, &[("message", "другое")]).await, first);
    assert_eq!(sim.inbox().all().len(), 1);
    assert_ne!(send(&sim, &[("random_id", "2")]).await, first);
    for _ in 0..2 {
        send(&sim, &[("random_id", "0")]).await;
    }
    assert_eq!(sim.inbox().all().len(), 4, "0 switches the recognition off");
}

#[tokio::test]
async fn several_peers_have_errors_of_their_own() {
    let sim = sim().await;
    let answer = send(&sim, &[("peer_id", ""), ("peer_ids", "790000000,790000404")]).await;
    let answers = answer["response"].as_array().unwrap();
    assert_eq!((&answers[0]["peer_id"], &answers[0]["conversation_message_id"]), (&json!(ANNA), &json!(1)));
    assert_eq!((&answers[1]["message_id"], &answers[1]["error"]["code"]), (&json!(0), &json!(901)));
    assert_eq!(sim.inbox().all().len(), 1);
}

#[tokio::test]
async fn refusals_are_vks_own_and_repeat_the_request() {
    let sim = sim().await;
    sim.deny(ANNA + 1);
    let long = "я".repeat(4_097);
    let keyboard = |change: Value| {
        let mut button = json!({"action": {"type": "callback", "label": "a", "payload": "{}"}});
        for (name, value) in change.as_object().unwrap() {
            button["action"][name] = value.clone();
        }
        json!({"inline": true, "buttons": [[button]]}).to_string()
    };
    let label = "я".repeat(41);
    let payload = json!("x".repeat(256)).to_string();
    let two = json!([{"action": {"type": "text", "label": "a"}}, {"action": {"type": "text", "label": "b"}}]);
    let twelve = json!({"inline": true, "buttons": vec![two; 6]}).to_string();
    for (fields, expected) in [
        (vec![("peer_id", "790000001")], 901),
        (vec![("peer_id", "790000404")], 901),
        (vec![("peer_id", "2000000009")], 927),
        (vec![("peer_id", "")], 100),
        (vec![("peer_id", "x")], 100),
        (vec![("random_id", "")], 100),
        (vec![("random_id", "2147483648")], 100),
        (vec![("message", "")], 100),
        (vec![("message", long.as_str())], 914),
        (vec![("keyboard", "{")], 911),
        (vec![("keyboard", "{}")], 911),
        (vec![("keyboard", twelve.as_str())], 911),
        (vec![("keyboard", keyboard(json!({"label": label})).leak() as &str)], 911),
        (vec![("keyboard", keyboard(json!({"payload": null})).leak())], 911),
        (vec![("keyboard", keyboard(json!({"payload": "no json"})).leak())], 911),
        (vec![("keyboard", keyboard(json!({"payload": {}})).leak())], 911),
        (vec![("keyboard", keyboard(json!({"payload": payload})).leak())], 911),
        (vec![("keyboard", keyboard(json!({"type": "open_link", "link": "nowhere"})).leak())], 911),
    ] {
        let answer = send(&sim, &fields).await;
        assert_eq!(code(&answer), expected, "{answer}");
        let repeated = answer["error"]["request_params"].as_array().unwrap();
        assert!(repeated.iter().any(|param| param["key"] == "method" && param["value"] == "messages.send"));
    }
    sim.set_bot_features(false);
    assert_eq!(code(&send(&sim, &[("keyboard", &keyboard(json!({})))]).await), 912);
    sim.revoke("messages");
    assert_eq!(code(&send(&sim, &[]).await), 15);
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn the_access_key_the_version_and_a_form_are_needed() {
    let sim = sim().await;
    for (headers, body, expected) in [
        (&FORM[..], "v=5.199", 5),
        (&FORM[..], "access_token=vk1.a.other&v=5.199", 5),
        (&FORM[..], "access_token=vk1.a.SIMULATED-TOKEN-FOR-TESTS", 8),
        // JSON is not read at all.
        (
            &[("Content-Type", "application/json")],
            r#"{"access_token":"vk1.a.SIMULATED-TOKEN-FOR-TESTS","v":"5.199"}"#,
            5,
        ),
    ] {
        assert_eq!(code(&raw(&sim, "messages.send", headers, body).await), expected, "{body}");
    }
    assert_eq!(code(&call(&sim, "messages.invented", &[]).await), 3);
    let bearer = [("Authorization", "Bearer vk1.a.SIMULATED-TOKEN-FOR-TESTS"), FORM[0]];
    let rights = raw(&sim, "groups.getTokenPermissions", &bearer, "v=5.199").await;
    assert_eq!(rights["response"]["mask"], 4_096 + 262_144);
}

#[tokio::test]
async fn an_edit_replaces_everything_and_a_press_is_answered_once() {
    let sim = sim().await;
    let keyboard = json!({"inline": true, "buttons": [[{"action": {"type": "callback", "label": "OK", "payload": "{\"a\":1}"}}]]});
    let id = send(&sim, &[("keyboard", &keyboard.to_string())]).await["response"].to_string();
    let press = sim.press_button(ANNA, id.parse().unwrap(), "{\"a\":1}").unwrap();
    let event = sim.take_events().remove(0);
    assert_eq!((&event["type"], &event["object"]["payload"]), (&json!("message_event"), &json!({"a": 1})));
    assert_ne!(event["event_id"], event["object"]["event_id"]);
    let data = json!({"type": "show_snackbar", "text": "Готово"}).to_string();
    let fields = [
        ("event_id", press.as_str()),
        ("user_id", "790000000"),
        ("peer_id", "790000000"),
        ("event_data", &data),
    ];
    assert_eq!(call(&sim, "messages.sendMessageEventAnswer", &fields).await, json!({"response": 1}));
    assert_eq!(code(&call(&sim, "messages.sendMessageEventAnswer", &fields).await), 100);
    assert_eq!(sim.answered_presses()[0].text, "Готово");

    let edit = [("peer_id", "790000000"), ("message_id", id.as_str()), ("message", "Другое")];
    for _ in 0..2 {
        assert_eq!(call(&sim, "messages.edit", &edit).await, json!({"response": 1}));
    }
    let arrival = sim.inbox().all().remove(0);
    assert_eq!((arrival.text.as_str(), arrival.buttons.len()), ("Другое", 0));
    let gone = [("peer_id", "790000000"), ("message_id", "9"), ("message", "Другое")];
    assert_eq!(code(&call(&sim, "messages.edit", &gone).await), 100);
    assert_eq!(sim.press_button(ANNA, 9, "{}"), None);
}

#[tokio::test]
async fn trouble_is_in_vks_words() {
    let sim = sim().await;
    for (fault, expected) in [
        (Fault::RateLimited { after_secs: 5 }, 6),
        (Fault::BadRecipient, 901),
        (Fault::BadCredentials, 5),
        (Fault::BadContent, 914),
        (Fault::ProviderCode { code: 9, text: "Flood control".to_owned() }, 9),
    ] {
        sim.faults().push(fault);
        assert_eq!(code(&send(&sim, &[]).await), expected);
    }
    sim.callback_faults().push(Fault::BadRecipient);
    assert_eq!(send(&sim, &[]).await["response"], 300, "another queue");
}

/// What came to a callback server, and what it answers.
#[derive(Default)]
struct Hook {
    got: Mutex<Vec<(Value, Option<String>)>>,
    answers: Mutex<Vec<&'static str>>,
}

async fn hook() -> (SimServer, Arc<Hook>) {
    let hook = Arc::new(Hook::default());
    let router = axum::Router::new()
        .fallback(|Shown(hook): Shown<Arc<Hook>>, headers: HeaderMap, body: String| async move {
            let body: Value = serde_json::from_str(&body).unwrap();
            let is_confirmation = body["type"] == "confirmation";
            let tries = headers.get("x-retry-counter").map(|value| value.to_str().unwrap().to_owned());
            hook.got.lock().unwrap().push((body, tries));
            let scripted = hook.answers.lock().unwrap().pop();
            (StatusCode::OK, scripted.unwrap_or(if is_confirmation { "ab12cd34" } else { "ok" }))
        })
        .with_state(Arc::clone(&hook));
    (SimServer::start(router).await.unwrap(), hook)
}

#[tokio::test]
async fn a_callback_server_is_confirmed_and_gets_what_it_asks_for() {
    let sim = sim().await;
    let (server, hook) = hook().await;
    sim.put_in_front("https://leads.example.com", &server.base_url());
    let group = sim.group_id().to_string();
    let add = [
        ("group_id", group.as_str()),
        ("url", "https://leads.example.com/hook"),
        ("title", "Test"),
        ("secret_key", "s3cr3t"),
    ];
    let code_of = call(&sim, "groups.getCallbackConfirmationCode", &add[..1]).await;
    assert_eq!(code_of, json!({"response": {"code": "ab12cd34"}}));
    let added = call(&sim, "groups.addCallbackServer", &add).await;
    let id = added["response"]["server_id"].to_string();
    within(sim.wait_for_callback_server("Test", "ok")).await;
    let asked = hook.got.lock().unwrap().remove(0).0;
    assert_eq!(asked, json!({"type": "confirmation", "group_id": sim.group_id(), "secret": "s3cr3t"}));

    let settings =
        [("group_id", group.as_str()), ("server_id", &id), ("message_new", "1"), ("message_reply", "1")];
    assert_eq!(call(&sim, "groups.setCallbackSettings", &settings).await, json!({"response": 1}));
    let read = call(&sim, "groups.getCallbackSettings", &settings[..2]).await;
    assert_eq!(
        (&read["response"]["events"]["message_new"], &read["response"]["events"]["message_deny"]),
        (&json!(1), &json!(0))
    );
    hook.answers.lock().unwrap().push("OK");
    sim.deny(ANNA + 1);
    sim.write(ANNA, "Здравствуйте");
    send(&sim, &[]).await;
    within(sim.wait_until_events_are_taken()).await;
    let got = std::mem::take(&mut *hook.got.lock().unwrap());
    let told: Vec<_> =
        got.iter().map(|(body, tries)| (body["type"].as_str().unwrap(), tries.as_deref())).collect();
    // A wrong answer is asked for again; what was not asked for did not come; an echo did.
    assert_eq!(told, [("message_new", None), ("message_new", Some("1")), ("message_reply", None)]);
    assert_eq!(got[0].0["event_id"], got[1].0["event_id"]);
    assert_eq!(got[0].0["secret"], "s3cr3t");

    hook.answers.lock().unwrap().push("remove");
    sim.write(ANNA, "ещё");
    within(sim.wait_until(|sim| sim.callback_servers().is_empty())).await;
}

#[tokio::test]
async fn a_server_that_cannot_say_the_string_has_failed() {
    let sim = sim().await;
    let (server, hook) = hook().await;
    hook.answers.lock().unwrap().push("\u{feff}ab12cd34");
    let group = sim.group_id().to_string();
    let url = format!("{}/hook", server.base_url());
    let mut fields = vec![("group_id", group.as_str()), ("url", url.as_str()), ("title", "Test")];
    let id = call(&sim, "groups.addCallbackServer", &fields).await["response"]["server_id"].to_string();
    within(sim.wait_for_callback_server("Test", "failed")).await;
    fields.push(("server_id", &id));
    assert_eq!(call(&sim, "groups.editCallbackServer", &fields).await, json!({"response": 1}));
    within(sim.wait_for_callback_server("Test", "ok")).await;
    let other = [("group_id", "1")];
    assert_eq!(code(&call(&sim, "groups.getCallbackServers", &other).await), 203);
    let long = [("group_id", group.as_str()), ("url", url.as_str()), ("title", "longer than 14")];
    for number in 1..10 {
        let title = format!("Test {number}");
        let more = [long[0], long[1], ("title", title.as_str())];
        assert_eq!(code(&call(&sim, "groups.addCallbackServer", &more).await), 0);
    }
    assert_eq!(code(&call(&sim, "groups.addCallbackServer", &long).await), 2000);
    assert_eq!(call(&sim, "groups.deleteCallbackServer", &fields).await, json!({"response": 1}));
    assert_eq!(code(&call(&sim, "groups.deleteCallbackServer", &fields).await), 104);
}

async fn within<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("within twenty seconds")
}
