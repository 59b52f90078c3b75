use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::sim::post::exchange;

async fn call(sim: &YooKassaSim, path: &str, key: &str, body: Value) -> (String, Value) {
    let secret = format!("{SHOP_ID}:{SECRET_KEY}");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(secret));
    let headers =
        [("Authorization", basic.as_str()), ("Idempotence-Key", key), ("Content-Type", "application/json")];
    raw(sim, path, &headers, &body.to_string()).await
}

async fn raw(sim: &YooKassaSim, path: &str, headers: &[(&str, &str)], body: &str) -> (String, Value) {
    let answer = exchange(&format!("{}{path}", sim.base_url()), headers, body.as_bytes()).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn payment(value: &str) -> Value {
    json!({
        "amount": { "value": value, "currency": "RUB" }, "capture": true,
        "confirmation": { "type": "redirect", "return_url": "https://example.com/back" },
    })
}

#[tokio::test]
async fn a_key_makes_one_payment_and_is_watched() {
    let sim = YooKassaSim::start().await.unwrap();
    let (_, first) = call(&sim, "/v3/payments", "k1", payment("2.00")).await;
    let (_, again) = call(&sim, "/v3/payments", "k1", payment("2.00")).await;
    let (_, other) = call(&sim, "/v3/payments", "k2", payment("2.00")).await;
    assert!(first["id"] == again["id"] && first["id"] != other["id"]);
    assert_eq!(sim.reused_keys(), [""; 0]);
    call(&sim, "/v3/payments", "k1", payment("3.00")).await;
    assert_eq!(sim.reused_keys(), ["k1"]);
    sim.forget_keys();
    let (_, later) = call(&sim, "/v3/payments", "k1", payment("2.00")).await;
    assert_ne!(first["id"], later["id"]);
}

#[tokio::test]
async fn a_payment_goes_through_the_pages_and_3ds() {
    let sim = YooKassaSim::start().await.unwrap();
    let (_, made) = call(&sim, "/v3/payments", "k1", payment("2.00")).await;
    let id = made["id"].as_str().unwrap();
    let url = made["confirmation"]["confirmation_url"].as_str().unwrap();
    assert_eq!(url, format!("{}/confirm/{id}", sim.base_url()));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let (head, _) = raw(&sim, &format!("/confirm/{id}"), &form, &format!("card={CARD_3DS}")).await;
    assert!(head.to_lowercase().contains(&format!("location: /3ds/{id}")), "{head}");
    let (head, _) = raw(&sim, &format!("/3ds/{id}"), &form, "code=1").await;
    assert!(head.contains("https://example.com/back"), "{head}");
    assert_eq!(sim.settled_in_all(), Settled { captured: 200, refunded: 0, charges: 1 });
    let notified = sim.take_notifications();
    assert_eq!((notified.len(), &notified[0]["event"]), (1, &json!("payment.succeeded")));
}

#[tokio::test]
async fn what_is_refused() {
    let sim = YooKassaSim::start().await.unwrap();
    let parameter = |(_, body): (String, Value)| body["parameter"].as_str().unwrap_or_default().to_owned();
    assert_eq!(parameter(call(&sim, "/v3/payments", "k", payment("2")).await), "amount");
    assert_eq!(
        parameter(call(&sim, "/v3/payments", &"k".repeat(65), payment("2.00")).await),
        "Idempotence-Key"
    );
    let mut with = payment("2.00");
    with["receipt"] = json!({ "customer": { "email": "anna@example.com" }, "items": [
        { "quantity": "2", "amount": { "value": "1.01", "currency": "RUB" }, "vat_code": 11 },
    ] });
    assert_eq!(parameter(call(&sim, "/v3/payments", "k", with.clone()).await), "receipt.items.amount");
    with["receipt"]["items"][0]["amount"]["value"] = "1.00".into();
    let (head, made) = call(&sim, "/v3/payments", "k", with).await;
    assert!(head.contains("200"), "{head} {made}");
    let id = made["id"].as_str().unwrap();
    let refund = json!({ "payment_id": id, "amount": { "value": "2.00", "currency": "RUB" } });
    assert_eq!(parameter(call(&sim, "/v3/refunds", "r", refund.clone()).await), "amount");
    assert_eq!(sim.pay(id, CARD_GOOD), "succeeded");
    assert!(call(&sim, "/v3/refunds", "r", refund.clone()).await.0.contains("200"));
    assert_eq!(parameter(call(&sim, "/v3/refunds", "r2", refund).await), "amount");
}
