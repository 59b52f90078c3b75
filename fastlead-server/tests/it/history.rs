//! What happened in a workspace is followed from a position, and says whose doing it was.

use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Fixture, policy};

fn kinds(items: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |item: &Value| (text(&item["kind"]), text(&item["actor"]["type"]));
    items.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn what_happened_is_followed_and_says_whose_doing_it_was() {
    let (server, telegram) = (Fixture::start().await, TelegramSim::start().await.unwrap());
    let admin = server.admin().await;
    server.bot(&admin, &telegram).await;
    server.send(Method::PUT, &server.policy_path(), &admin, policy("bot")).await.expect(200);
    let empty = server.get("/v1/history", &admin).await.expect(200).body;
    assert_eq!(empty, json!({"items": [], "position": 0, "more": false}));

    let lead = server.capture("+7 900 000-00-01").await;
    let accept = json!({"target": "sales", "response": "accept"});
    server.post(&format!("/v1/leads/{lead}/respond"), &admin, accept).await.expect(200);
    let first = server.get("/v1/history?limit=1", &admin).await.expect(200).body;
    assert_eq!(kinds(&first["items"]), [("captured".to_owned(), "visitor".to_owned())]);
    assert_eq!((&first["more"], &first["items"][0]["lead_id"]), (&json!(true), &json!(lead)));

    let position = first["position"].as_u64().unwrap();
    let rest = server.get(&format!("/v1/history?after={position}"), &admin).await.expect(200).body;
    assert_eq!(kinds(&rest["items"]), [("responded".to_owned(), "user".to_owned())]);
    assert!(rest["items"][0]["actor"]["id"].as_str().unwrap().starts_with("usr_"));
    let explained = server.get(&format!("/v1/leads/{lead}/explain"), &admin).await.expect(200).body;
    assert_eq!(explained["history"][1]["actor"], rest["items"][0]["actor"]);
    assert_eq!(explained["history"][1]["position"], rest["position"]);

    // Nothing new: the same position, as often as one asks.
    let end = rest["position"].as_u64().unwrap();
    let nothing = server.get(&format!("/v1/history?after={end}"), &admin).await.expect(200).body;
    assert_eq!(nothing, json!({"items": [], "position": end, "more": false}));
    server.get("/v1/history?after=-1", &admin).await.problem(400, "invalid_parameter");
    server.get("/v1/history?limit=0", &admin).await.problem(400, "invalid_limit");
}
