//! Drafts, versions and differences over the operator API.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Clinic, clinic, document};

#[tokio::test]
async fn a_policy_goes_from_draft_to_publication_and_back() {
    let server = Clinic::start().await;
    let desk = &server.desk;
    let first = document(&clinic());
    let published = desk.put(&server.path("policy"), first.clone()).await;
    assert_eq!(published["version"], 1);
    let lead = server.capture(1).await;

    let (status, _) = desk.send(Method::GET, &server.path("policy/draft"), None).await;
    assert_eq!(status, 404);
    let mut draft = first.clone();
    draft["route"][0]["targets"][0] = json!("ana");
    let saved = desk.put(&server.path("policy/draft"), draft.clone()).await;
    assert_eq!((&saved["based_on"], &saved["document"]), (&json!(1), &draft));
    assert_eq!(saved["errors"][0]["path"], "route[0].targets[0]");
    assert_eq!(saved["errors"][0]["message"], "unknown target `ana`; did you mean `anna`?");
    let publish = server.path("policy/draft/publish");
    let (status, problem) = desk.send(Method::POST, &publish, None).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_policy")), "{problem}");

    draft["route"][0]["targets"][0] = json!("anna");
    draft["route"][0]["offer_timeout_secs"] = json!(180);
    let saved = desk.put(&server.path("policy/draft"), draft.clone()).await;
    assert_eq!(saved["errors"], json!([]));
    let changes = json!([{"path": "route[0].offer_timeout_secs", "old": 300, "new": 180}]);
    let difference = desk.get(&server.path("policy/diff")).await;
    assert_eq!(difference, json!({"from": "1", "to": "draft", "changes": changes}));
    assert_eq!(desk.post(&publish, Value::Null).await["version"], 2);
    let (status, _) = desk.send(Method::GET, &server.path("policy/draft"), None).await;
    assert_eq!(status, 404, "a published draft is gone");
    assert_eq!(desk.get(&server.path("policy/diff?from=1&to=2")).await["changes"], changes);

    let back = desk.post(&server.path("policy/rollback"), json!({"version": 1})).await;
    assert_eq!(back["version"], 3);
    assert_eq!(back["policy"], published["policy"]);
    assert_eq!(desk.get(&server.path("policies/3")).await["policy"], published["policy"]);
    assert_eq!(desk.get(&server.path("policy/diff?from=1&to=3")).await["changes"], json!([]));
    for path in ["policies/9", "policies/0"] {
        let (status, _) = desk.send(Method::GET, &server.path(path), None).await;
        assert_eq!(status, 404, "{path}");
    }
    let path = server.path("policy/rollback");
    let (status, _) = desk.send(Method::POST, &path, Some(json!({"version": 9}))).await;
    assert_eq!(status, 404);

    // Whatever was published since: the lead stays with its version.
    assert_eq!(desk.get(&format!("/v1/leads/{lead}")).await["policy"]["version"], 1);
    let late = server.capture(2).await;
    assert_eq!(desk.get(&format!("/v1/leads/{late}")).await["policy"]["version"], 3);
}

#[tokio::test]
async fn a_draft_does_not_undo_what_somebody_else_has_published() {
    let server = Clinic::start().await;
    let desk = &server.desk;
    let policy = |seconds: u64| {
        let mut policy = document(&clinic());
        policy["route"][0]["offer_timeout_secs"] = json!(seconds);
        policy
    };
    desk.put(&server.path("policy"), policy(300)).await;
    desk.put(&server.path("policy/draft"), policy(200)).await;
    desk.put(&server.path("policy"), policy(100)).await;
    let publish = server.path("policy/draft/publish");
    let (status, problem) = desk.send(Method::POST, &publish, None).await;
    assert_eq!((status, &problem["code"]), (409, &json!("policy_moved")), "{problem}");
    desk.put(&server.path("policy/draft"), policy(200)).await;
    assert_eq!(desk.post(&publish, Value::Null).await["version"], 3);
    desk.put(&server.path("policy/draft"), policy(200)).await;
    let draft = server.path("policy/draft");
    assert_eq!(desk.send(Method::DELETE, &draft, None).await.0, 204);
    assert_eq!(desk.send(Method::DELETE, &draft, None).await.0, 404);
}
