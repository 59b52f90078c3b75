use serde_json::{Value, json};

use super::*;
use crate::sim::SimServer;
use crate::sim::post::exchange;

async fn call(sim: &TBankSim, path: &str, mut body: Value) -> Value {
    body["TerminalKey"] = sim.terminal_key().into();
    body["Token"] = sim.shared.token(&body).into();
    raw(sim, path, &body.to_string(), "application/json").await.1
}

async fn raw(sim: &TBankSim, path: &str, body: &str, kind: &str) -> (String, Value) {
    let url = format!("{}{path}", sim.base_url());
    let answer = exchange(&url, &[("Content-Type", kind)], body.as_bytes()).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

#[test]
fn the_token_is_that_of_the_banks_page() {
    let shared = Shared::new("MerchantTerminalKey", "11111111111111");
    let body = json!({
        "TerminalKey": "MerchantTerminalKey", "Amount": 19200, "OrderId": "00000",
        "Description": "Подарочная карта на 1000 рублей", "DATA": { "Email": "a@test.com" }, "Receipt": { "Items": [] },
    });
    assert_eq!(shared.token(&body), "72dd466f8ace0a37a1f740ce5fb78101712bc0665d91a8108c7c8a0ccd426db2");
}

#[tokio::test]
async fn a_payment_goes_through_the_pages_and_3ds() {
    let sim = TBankSim::start().await.unwrap();
    let made = call(&sim, "/v2/Init", json!({ "Amount": 10_000, "OrderId": "1", "PayType": "O" })).await;
    let id = made["PaymentId"].as_str().unwrap().to_owned();
    assert_eq!(made["PaymentURL"], format!("{}/pay/{id}", sim.base_url()));
    let form = "application/x-www-form-urlencoded";
    let (head, _) = raw(&sim, &format!("/pay/{id}"), &format!("card={CARD_3DS}"), form).await;
    assert!(head.contains("303") && head.to_lowercase().contains(&format!("location: /3ds/{id}")), "{head}");
    raw(&sim, &format!("/3ds/{id}"), "password=wrong", form).await;
    let state = call(&sim, "/v2/GetState", json!({ "PaymentId": id })).await;
    assert_eq!(state["Status"], "REJECTED");
    // The payer tries again on the same page.
    raw(&sim, &format!("/pay/{id}"), &format!("card={CARD_3DS}"), form).await;
    raw(&sim, &format!("/3ds/{id}"), &format!("password={PASSWORD_3DS}"), form).await;
    assert_eq!(sim.settled("1"), Settled { captured: 10_000, refunded: 0, charges: 1 });
    let statuses: Vec<Value> = sim.take_notifications().iter().map(|body| body["Status"].clone()).collect();
    assert_eq!(statuses, ["REJECTED", "AUTHORIZED", "CONFIRMED"]);
}

#[tokio::test]
async fn what_the_bank_refuses() {
    let sim = TBankSim::start().await.unwrap();
    let code = |answer: Value| answer["ErrorCode"].as_str().unwrap_or_default().to_owned();
    let init = |body: Value| call(&sim, "/v2/Init", body);
    let receipt = |amount: i64| json!({ "Email": "anna@example.com", "Items": [{ "Price": amount, "Quantity": 1, "Amount": amount, "Tax": "vat22" }] });
    assert_eq!(code(init(json!({ "Amount": 0, "OrderId": "1" })).await), "251");
    assert_eq!(code(init(json!({ "Amount": 100, "OrderId": "1", "Receipt": receipt(99) })).await), "334");
    assert_eq!(code(init(json!({ "Amount": 100, "OrderId": "1", "Receipt": receipt(100) })).await), "0");
    assert_eq!(code(init(json!({ "Amount": 100, "OrderId": "1", "Recurrent": "Y" })).await), "250");
    sim.refuse_repeated_orders(true);
    assert_eq!(code(init(json!({ "Amount": 100, "OrderId": "1" })).await), "20");
    assert_eq!(code(call(&sim, "/v2/Confirm", json!({ "PaymentId": "1" })).await), "255");
    let forged = json!({ "TerminalKey": sim.terminal_key(), "OrderId": "1", "Token": "0" }).to_string();
    assert_eq!(code(raw(&sim, "/v2/CheckOrder", &forged, "application/json").await.1), "204");
}

#[tokio::test]
async fn a_notification_is_posted_until_it_is_answered_ok() {
    let sim = TBankSim::start().await.unwrap();
    let answers = std::sync::Arc::new(std::sync::Mutex::new(vec!["OK", "ok"]));
    let hook = move || async move { answers.lock().unwrap().pop().unwrap_or("OK") };
    let server =
        SimServer::start(axum::Router::new().route("/hook", axum::routing::post(hook))).await.unwrap();
    let url = format!("{}/hook", server.base_url());
    let made = call(
        &sim,
        "/v2/Init",
        json!({ "Amount": 100, "OrderId": "1", "PayType": "T", "NotificationURL": url }),
    )
    .await;
    assert_eq!(sim.pay(made["PaymentId"].as_str().unwrap(), CARD_GOOD), "AUTHORIZED");
    assert_eq!(sim.post_notifications().await, 1);
    assert_eq!(sim.post_notifications().await, 0);
}
