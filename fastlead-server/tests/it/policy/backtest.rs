//! A backtest on captures that a server has stored, from the command line and over the API.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Clinic, clinic, document};
use crate::program::run_for_code;

#[tokio::test]
async fn a_new_policy_is_tried_on_what_was_captured() {
    let server = Clinic::start().await;
    let folder = server.folder.path();
    // All day and all night, so that it does not matter when this test runs.
    let policy = clinic().replace(r#"from: "09:00", to: "21:00""#, r#"from: "00:00", to: "24:00""#);
    server.desk.put(&server.path("policy"), document(&policy)).await;
    for number in 1..=9 {
        let lead = server.capture(number).await;
        let told =
            server.desk.get(&format!("/v1/leads/{lead}")).await["state"]["offers"][0]["target"].clone();
        if told != "marina" {
            let body = json!({"target": told, "response": "accept"});
            server.desk.post(&format!("/v1/leads/{lead}/respond"), body).await;
        }
    }
    server.capture(1).await;
    std::fs::write(folder.join("same.yaml"), &policy).unwrap();
    std::fs::write(
        folder.join("new.yaml"),
        policy.replace("targets: [anna, oleg, marina]", "targets: [anna]"),
    )
    .unwrap();
    let until = "9999-01-01T00:00:00Z";
    let base = ["backtest", "--store", "store.db", "--since", "2026-01-01T00:00:00Z", "--until", until];
    let test = |more: &'static [&'static str]| {
        let arguments = [&base[..], more].concat();
        async move { run_for_code(folder, &[], &arguments).await }
    };
    let (code, text) = test(&["--policy", "new.yaml", "--json"]).await;
    assert_eq!(code, 0, "{text}");
    let (_, again) = test(&["--policy", "new.yaml", "--json"]).await;
    assert_eq!(text, again);
    let report: Value = serde_json::from_str(&text).unwrap();
    let (before, after) = (&report["before"], &report["after"]);
    assert_eq!(
        (&before["captures"], &before["duplicates"], &before["leads"]),
        (&json!(10), &json!(1), &json!(9))
    );
    let accepted = |side: &Value, target: &str| side["targets"][target]["accepted"].clone();
    // What was accepted then is accepted again. Marina was silent, and the others take hers when her time is up.
    assert_eq!((accepted(before, "anna"), accepted(before, "oleg")), (json!(5), json!(4)));
    assert_eq!((accepted(before, "marina"), &before["targets"]["marina"]["offers"]), (json!(0), &json!(3)));
    assert_eq!(accepted(after, "anna"), json!(9));
    assert!(after["targets"]["oleg"].is_null(), "{after}");

    let (code, text) = test(&["--policy", "same.yaml", "--max-change", "0"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("same.yaml against current\ncaptures from "), "{text}");
    let (code, text) =
        test(&["--policy", "new.yaml", "--max-change", "targets=50", "--max-change", "rejected=0"]).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("changed by more than was allowed (!): targets.anna.accepted, "), "{text}");
    let row = text.lines().find(|line| line.starts_with("targets.anna.accepted ")).unwrap();
    assert!(row.ends_with("+80.0% !"), "{row}");
    let (code, text) = test(&["--policy", "new.yaml", "--against", "1", "--project", "Main"]).await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = test(&["--policy", "new.yaml", "--against", "7"]).await;
    assert!(code == 1 && text.contains("--against"), "{text}");
    let (code, text) = test(&["--policy", "new.yaml", "--temporary", "missing"]).await;
    assert!(code == 1 && text.contains("--temporary: there is no folder missing"), "{text}");
    let (code, text) = test(&["--policy", "new.yaml", "--temporary", "."]).await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = test(&["--policy", "new.yaml", "--max-change", "revnue=1"]).await;
    assert!(code == 2 && text.contains("unknown numbers `revnue`"), "{text}");
}

#[tokio::test]
async fn a_draft_is_tried_on_what_was_captured_over_the_api() {
    let server = Clinic::start().await;
    let desk = &server.desk;
    let policy = clinic().replace(r#"from: "09:00", to: "21:00""#, r#"from: "00:00", to: "24:00""#);
    desk.put(&server.path("policy"), document(&policy)).await;
    for number in 1..=9 {
        let lead = server.capture(number).await;
        let told = desk.get(&format!("/v1/leads/{lead}")).await["state"]["offers"][0]["target"].clone();
        let body = json!({"target": told, "response": "accept"});
        desk.post(&format!("/v1/leads/{lead}/respond"), body).await;
    }
    let path = server.path("policy/backtest");
    let (status, problem) = desk.send(Method::POST, &path, Some(json!({}))).await;
    assert_eq!(status, 404, "there is no draft: {problem}");

    let new = document(&policy.replace("targets: [anna, oleg, marina]", "targets: [anna]"));
    desk.put(&server.path("policy/draft"), new.clone()).await;
    // The last capture may be of this very millisecond.
    let until = "9999-01-01T00:00:00Z";
    let found = desk.post(&path, json!({"until": until})).await;
    assert_eq!((&found["captures"], &found["complete"]), (&json!(9), &json!(true)), "{found}");
    assert_eq!((&found["against"], &found["cut_at"]), (&json!("1"), &Value::Null));
    let row = |found: &Value, name: &str| {
        let rows = found["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name).cloned().unwrap();
        (row["before"].clone(), row["after"].clone(), row["change_permille"].clone())
    };
    assert_eq!(row(&found, "targets.anna.accepted"), (json!(3), json!(9), json!(2000)));
    assert_eq!(row(&found, "targets.oleg.accepted"), (json!(3), json!(0), json!(-1000)));

    let cut = json!({"policy": new, "against": "1", "until": until, "max_captures": 4});
    let cut = desk.post(&path, cut).await;
    assert_eq!((&cut["captures"], &cut["complete"]), (&json!(4), &json!(false)), "{cut}");
    assert!(cut["cut_at"].is_string(), "{cut}");
    assert_eq!(row(&cut, "accepted").1, json!(4));
    let whole = desk.post(&path, json!({"until": until, "max_captures": 9})).await;
    assert_eq!(
        (&whole["captures"], &whole["complete"]),
        (&json!(9), &json!(true)),
        "as many as there is room for"
    );

    let mut wrong = document(&policy);
    wrong["route"][0]["targets"][0] = json!("ana");
    for (body, status, code) in [
        (json!({"policy": wrong}), 422, "invalid_policy"),
        (json!({"against": "7"}), 404, "not_found"),
        (json!({"against": "newest"}), 400, "invalid_parameter"),
        (json!({"since": until, "until": "2026-01-01T00:00:00Z"}), 422, "invalid_fields"),
        (json!({"max_captures": 0}), 422, "invalid_fields"),
        (json!({"close_secs": 40_000_000}), 422, "invalid_fields"),
    ] {
        let answer = desk.send(Method::POST, &path, Some(body.clone())).await;
        assert_eq!((answer.0, &answer.1["code"]), (status, &json!(code)), "{body}: {}", answer.1);
    }
}
