//! `fastlead backtest` on captures that a server has stored.

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
    let (code, text) = test(&["--policy", "new.yaml", "--max-change", "revnue=1"]).await;
    assert!(code == 2 && text.contains("unknown numbers `revnue`"), "{text}");
}
