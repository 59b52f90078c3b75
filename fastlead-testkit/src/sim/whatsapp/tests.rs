use std::sync::Mutex;
use std::time::Duration;

use axum::extract::{Query, State as Shown};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};

use super::*;
use crate::sim::post::{exchange, status};
use crate::sim::{Fault, SimServer};

const ANNA: &str = "79000000000";

async fn sim() -> WhatsAppSim {
    let sim = WhatsAppSim::start().await.unwrap();
    sim.add_person(ANNA, "Anna");
    sim
}

async fn ask(sim: &WhatsAppSim, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/{path}", sim.base_url());
    let bearer = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let answer = exchange(&url, &headers, body.to_string().as_bytes()).await.unwrap();
    let text = String::from_utf8(answer.clone()).unwrap();
    let body = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap_or_default();
    (status(&answer).unwrap(), body)
}

fn text(change: Value) -> Value {
    let mut body = json!({"messaging_product": "whatsapp", "to": ANNA, "type": "text", "text": {"body": "Привет"},
        "biz_opaque_callback_data": "outbox-123"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    body
}

async fn send(sim: &WhatsAppSim, change: Value) -> (u16, Value) {
    let path = format!("v25.0/{}/messages", sim.phone_number_id());
    ask(sim, sim.token(), &path, &text(change)).await
}

/// The one value of a notification.
fn value(request: &SampleRequest) -> Value {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["entry"][0]["changes"][0]["value"].clone()
}

fn buttons(count: usize) -> Value {
    let button = |number| json!({"type": "reply", "reply": {"id": format!("b{number}"), "title": format!("Button {number}")}});
    let buttons: Vec<Value> = (0..count).map(button).collect();
    json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": {"buttons": buttons}}})
}

#[tokio::test]
async fn a_message_is_seen_and_its_statuses_carry_what_was_sent_along() {
    let sim = sim().await;
    let (status, answer) = send(&sim, buttons(2)).await;
    assert_eq!((status, &answer["contacts"][0]["wa_id"]), (200, &json!(ANNA)));
    let arrival = sim.inbox().all().remove(0);
    let id = answer["messages"][0]["id"].as_str().unwrap();
    assert_eq!((arrival.provider_message_id.as_str(), arrival.to.as_str()), (id, ANNA));
    assert_eq!((arrival.buttons[1].label.as_str(), arrival.buttons[1].data.as_str()), ("Button 1", "b1"));
    assert!(sim.tell(id, "delivered") && sim.fail(id, 131_026) && !sim.tell("wamid.other", "read"));
    let told: Vec<Value> =
        sim.take_notifications().iter().map(|one| value(one)["statuses"][0].clone()).collect();
    assert_eq!((&told[0]["status"], &told[1]["errors"][0]["code"]), (&json!("delivered"), &json!(131_026)));
    for status in &told {
        assert_eq!((&status["id"], &status["biz_opaque_callback_data"]), (&json!(id), &json!("outbox-123")));
        assert!(status["timestamp"].is_string());
    }
}

#[tokio::test]
async fn a_closed_window_is_told_later_or_at_once_and_a_template_passes_it() {
    let sim = sim().await;
    sim.close_window(ANNA);
    assert_eq!(send(&sim, json!({})).await.0, 200);
    let told = value(&sim.take_notifications()[0]);
    assert_eq!(told["statuses"][0]["errors"][0]["code"], 131_047);
    sim.refuse_at_once(true);
    let (status, answer) = send(&sim, json!({})).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(131_047)));
    assert!(sim.inbox().all().is_empty() && sim.waiting() == 0);

    sim.add_template("new_lead", "ru", "Заявка: {{lead}}", &["Беру", "Не беру"]);
    let filled = |parameters: Value, buttons: Value| {
        let mut components = vec![json!({"type": "BODY", "parameters": parameters})];
        components.extend(buttons.as_array().unwrap().clone());
        json!({"type": "template", "template": {"name": "new_lead", "language": {"code": "ru"}, "components": components}})
    };
    let lead = json!([{"type": "text", "parameter_name": "lead", "text": "Анна"}]);
    let reply = json!([{"type": "button", "sub_type": "quick_reply", "index": 1,
        "parameters": [{"type": "payload", "payload": "no"}]}]);
    assert_eq!(send(&sim, filled(lead.clone(), reply)).await.0, 200);
    let arrival = sim.inbox().all().remove(0);
    assert_eq!(arrival.text, "Заявка: Анна");
    let data: Vec<_> = arrival.buttons.iter().map(|button| button.data.as_str()).collect();
    assert_eq!(data, ["Беру", "no"]);
    let far = json!([{"type": "button", "sub_type": "quick_reply", "index": "2", "parameters": [{"type": "payload", "payload": "x"}]}]);
    for (change, code) in [
        (filled(json!([]), json!([])), 132_000),
        (filled(json!([{"type": "text", "text": "by number"}]), json!([])), 132_000),
        (filled(json!([{"type": "text", "parameter_name": "lead", "text": "a\nb"}]), json!([])), 132_012),
        (filled(lead, far), 132_018),
        (json!({"type": "template", "template": {"name": "other", "language": {"code": "ru"}}}), 132_001),
    ] {
        assert_eq!(send(&sim, change.clone()).await.1["error"]["code"], code, "{change}");
    }
    sim.write(ANNA, "Здравствуйте");
    assert_eq!(send(&sim, json!({})).await.0, 200);
    assert_eq!(sim.inbox().all().len(), 2, "who writes may be written to");
}

#[tokio::test]
async fn refusals_are_metas_own() {
    let sim = sim().await;
    let titled = |title: &str| {
        let mut offer = buttons(1);
        offer["interactive"]["action"]["buttons"][0]["reply"]["title"] = json!(title);
        offer
    };
    let mut long = buttons(1);
    long["interactive"]["body"]["text"] = json!("я".repeat(1_025));
    let mut twins = buttons(2);
    twins["interactive"]["action"]["buttons"][1] = twins["interactive"]["action"]["buttons"][0].clone();
    for (change, code) in [
        (json!({"messaging_product": "x"}), 100),
        (json!({"to": ""}), 100),
        (json!({"to": "anna"}), 100),
        (json!({"recipient": "anna"}), 100),
        (json!({"text": {"body": ""}}), 100),
        (json!({"text": {"body": "я".repeat(4_097)}}), 100),
        (json!({"biz_opaque_callback_data": 7}), 100),
        (json!({"type": "hologram"}), 131_051),
        (buttons(0), 131_009),
        (buttons(4), 131_009),
        (titled(""), 131_009),
        (titled(&"я".repeat(21)), 131_009),
        (long, 131_009),
        (twins, 131_009),
    ] {
        let (status, answer) = send(&sim, change.clone()).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{change}");
    }
    let path = format!("v25.0/{}/messages", sim.phone_number_id());
    let (status, answer) = ask(&sim, "other", &path, &text(json!({}))).await;
    assert_eq!((status, &answer["error"]["code"]), (401, &json!(190)));
    assert_eq!(ask(&sim, sim.token(), "v25.0/7/messages", &text(json!({}))).await.1["error"]["code"], 100);
    sim.faults().push(Fault::RateLimited { after_secs: 5 });
    let (status, answer) = send(&sim, json!({})).await;
    assert_eq!((status, &answer["error"]["code"]), (429, &json!(130_429)));
    assert_eq!(send(&sim, json!({"to": "79000000404"})).await.0, 200);
    assert_eq!(value(&sim.take_notifications()[0])["statuses"][0]["errors"][0]["code"], 131_026);
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn people_come_with_their_number_or_without() {
    let sim = sim().await;
    let user_id = sim.user_id(ANNA);
    sim.write(ANNA, "Ё 👍 a/b");
    sim.hide_number(ANNA);
    sim.write(ANNA, "ещё");
    let requests = sim.take_notifications();
    assert!(requests[0].body.is_ascii(), "beyond ASCII everything is escaped");
    assert!(String::from_utf8_lossy(&requests[0].body).contains("\\u0401 \\ud83d\\udc4d a\\/b"));
    let (open, hidden) = (value(&requests[0]), value(&requests[1]));
    assert_eq!((&open["messages"][0]["from"], &open["contacts"][0]["wa_id"]), (&json!(ANNA), &json!(ANNA)));
    assert_eq!(open["messages"][0]["text"]["body"], "Ё 👍 a/b");
    assert!(hidden["messages"][0].get("from").is_none() && hidden["contacts"][0].get("wa_id").is_none());
    assert_eq!(hidden["contacts"][0]["user_id"], json!(user_id));
    // A user id is written to as well, and the answer says so.
    let (_, answer) = send(&sim, json!({"recipient": user_id})).await;
    assert!(answer["contacts"][0].get("wa_id").is_none());
    assert_eq!(sim.inbox().all()[0].to, ANNA);
}

/// What a webhook has got: statuses to answer with, bodies, and whether their signatures fit.
#[derive(Debug, Default)]
struct Hook {
    answers: Mutex<Vec<u16>>,
    got: Mutex<Vec<(Value, bool)>>,
}

async fn hook(shared: &Arc<Hook>) -> SimServer {
    let ask = |Query(query): Query<std::collections::BTreeMap<String, String>>| async move {
        if query.get("hub.verify_token").is_some_and(|token| token == VERIFY_TOKEN) {
            (StatusCode::OK, query["hub.challenge"].clone())
        } else {
            (StatusCode::FORBIDDEN, String::new())
        }
    };
    let take = |Shown(hook): Shown<Arc<Hook>>, headers: HeaderMap, body: bytes::Bytes| async move {
        let signed = headers["x-hub-signature-256"] == callback::signature(&body).as_str();
        hook.got.lock().unwrap().push((serde_json::from_slice(&body).unwrap(), signed));
        StatusCode::from_u16(hook.answers.lock().unwrap().pop().unwrap_or(200)).unwrap()
    };
    let router = axum::Router::new().route("/hook", get(ask).post(take)).with_state(Arc::clone(shared));
    SimServer::start(router).await.unwrap()
}

#[tokio::test]
async fn a_webhook_is_confirmed_and_gets_several_events_at_once_until_it_takes_them() {
    let sim = sim().await;
    assert!(!sim.subscribe("http://127.0.0.1:9/hook").await);
    let shared = Arc::new(Hook { answers: Mutex::new(vec![500]), ..Hook::default() });
    let server = hook(&shared).await;
    sim.write(ANNA, "one");
    sim.write(ANNA, "two");
    sim.put_in_front("https://leads.example.com", &server.base_url());
    assert!(sim.subscribe("https://leads.example.com/hook").await);
    tokio::time::timeout(Duration::from_secs(20), sim.wait_until_everything_is_taken()).await.unwrap();
    let got = shared.got.lock().unwrap().clone();
    assert_eq!(got.len(), 2, "refused once");
    assert_eq!(got[0], got[1], "the same again");
    let value = &got[1].0["entry"][0]["changes"][0]["value"];
    assert!(got[1].1 && value["messages"][1]["text"]["body"] == "two");
    assert_eq!(value["contacts"].as_array().unwrap().len(), 1);
}
