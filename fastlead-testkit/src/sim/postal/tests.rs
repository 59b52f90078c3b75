use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State as Shown;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};

use super::*;
use crate::sim::post::{exchange, get, status};
use crate::sim::{Fault, SimServer};

async fn ask(sim: &PostalSim, key: Option<&str>, action: &str, body: &Value) -> Value {
    let url = format!("{}/api/v1/{action}", sim.base_url());
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(key.map(|key| ("X-Server-API-Key", key)));
    let answer = exchange(&url, &headers, body.to_string().as_bytes()).await.unwrap();
    assert_eq!(status(&answer).unwrap(), 200, "the truth is in the body");
    let text = String::from_utf8(answer).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

async fn send(sim: &PostalSim, change: Value) -> Value {
    let mut mail = json!({"to": ["anna@example.net"], "from": "Shop <no-reply@example.com>", "subject": "Hi",
        "plain_body": "Привет", "tag": "outbox-123"});
    mail.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    ask(sim, Some(sim.api_key()), "send/message", &mail).await
}

fn posted(sim: &PostalSim) -> Vec<Value> {
    sim.take_requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn a_mail_is_seen_and_what_becomes_of_it_carries_its_tag() {
    let sim = PostalSim::start().await.unwrap();
    let answer = send(&sim, json!({"html_body": "<b>Привет</b>"})).await;
    let arrival = sim.inbox().all().remove(0);
    let id = answer["data"]["messages"]["anna@example.net"]["id"].as_i64().unwrap();
    assert_eq!((arrival.provider_message_id, arrival.text.as_str()), (id.to_string(), "Привет"));
    assert!(sim.tell(id, "MessageSent", "", "250 OK") && sim.tell(id, "MessageBounced", "", ""));
    assert!(!sim.tell(1, "MessageSent", "", ""));
    let told = posted(&sim);
    assert_eq!((&told[0]["event"], &told[0]["payload"]["status"]), (&json!("MessageSent"), &json!("Sent")));
    for message in [&told[0]["payload"]["message"], &told[1]["payload"]["original_message"]] {
        assert_eq!((&message["id"], &message["tag"]), (&json!(id), &json!("outbox-123")));
    }
    assert!(told[0]["timestamp"].is_f64() && told[0]["uuid"] != told[1]["uuid"]);

    sim.suppress("Anna@example.net");
    assert_eq!(send(&sim, json!({})).await["status"], "success", "the API says success all the same");
    assert_eq!(posted(&sim)[0]["event"], "MessageHeld");
    assert_eq!(sim.inbox().all().len(), 1);
}

#[tokio::test]
async fn refusals_are_postals_own() {
    let sim = PostalSim::start().await.unwrap();
    for (change, code) in [
        (json!({"to": []}), "NoRecipients"),
        (json!({"to": vec!["a@example.net"; 51]}), "TooManyToAddresses"),
        (json!({"from": ""}), "FromAddressMissing"),
        (json!({"from": "no-reply@example.org"}), "UnauthenticatedFromAddress"),
        (json!({"plain_body": ""}), "NoContent"),
    ] {
        assert_eq!(send(&sim, change.clone()).await["data"]["code"], code, "{change}");
    }
    let probe = json!({"id": 0});
    for (key, code) in [
        (None, "AccessDenied"),
        (Some("other"), "InvalidServerAPIKey"),
        (Some(sim.api_key()), "MessageNotFound"),
    ] {
        assert_eq!(ask(&sim, key, "messages/message", &probe).await["data"]["code"], code);
    }
    let wrong = ask(&sim, Some(sim.api_key()), "messages/message", &json!({})).await;
    assert_eq!(wrong["status"], "parameter-error");
    sim.faults().push(Fault::BadCredentials);
    assert_eq!(send(&sim, json!({})).await["data"]["code"], "InvalidServerAPIKey");
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn what_is_posted_is_signed_by_the_published_key_until_it_is_taken() {
    let sim = PostalSim::start().await.unwrap();
    let keys = get(&format!("{}/.well-known/jwks.json", sim.base_url())).await.unwrap();
    assert!(String::from_utf8(keys).unwrap().ends_with(&sim.signing_keys()));
    sim.write("Ivan <ivan@example.net>", "Вопрос", "Здравствуйте");
    let request = sim.take_requests().remove(0);
    let signature = |name: &str| request.headers.iter().find(|(header, _)| header == name).unwrap().1.clone();
    assert_eq!(signature("x-postal-signature-256").len(), 344, "2048 bits in base64");

    type Got = Mutex<(Vec<u16>, Vec<Value>)>;
    let got: Arc<Got> = Arc::new(Mutex::new((vec![500], Vec::new())));
    let take = |Shown(got): Shown<Arc<Got>>, body: bytes::Bytes| async move {
        let mut got = got.lock().unwrap();
        got.1.push(serde_json::from_slice(&body).unwrap());
        StatusCode::from_u16(got.0.pop().unwrap_or(202)).unwrap()
    };
    let router = axum::Router::new().route("/hook", post(take)).with_state(Arc::clone(&got));
    let server = SimServer::start(router).await.unwrap();
    sim.write("Ivan <ivan@example.net>", "Вопрос", "Ещё раз");
    sim.subscribe(&format!("{}/hook", server.base_url()));
    let mut changes = sim.shared.subscribe();
    let taken = async {
        while sim.waiting() > 0 {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap();
    let bodies = got.lock().unwrap().1.clone();
    assert_eq!((bodies.len(), &bodies[0]), (2, &bodies[1]), "refused once, and the same again");
}
