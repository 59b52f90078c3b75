//! A server right after its first start: nobody has said yet what happens to a lead.

use serde_json::json;

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};

#[tokio::test]
async fn a_lead_before_there_is_a_policy_is_to_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_silent(folder.path(), &[("FASTLEAD__AUTH__ADMIN_PASSWORD", PASSWORD)]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let sources = desk.get("/v1/sources").await;
    let source = &sources["items"][0];
    let lead = json!({"phone": "+7 900 000-00-00", "consents": {"personal_data": true}});
    let send = async || {
        let request = desk.http.post(desk.local(source, "capture_url")).header("idempotency-key", "k1");
        request.json(&lead).send().await.unwrap()
    };
    let answer = send().await;
    assert_eq!(answer.headers()["retry-after"], "60");
    let (status, problem) = desk.read(answer).await;
    assert_eq!((status, of(&problem, "code")), (503, "not_configured"), "{problem}");

    let form = [("phone", "+7 900 000-00-00"), ("consent_personal_data", "on"), ("shown_at", "1")];
    let page = desk.http.post(desk.local(source, "form_url")).form(&form).send().await.unwrap();
    assert_eq!(page.status(), 503);
    let page = page.text().await.unwrap();
    assert!(page.contains("Форма пока не принимает заявки."), "{page}");
    assert!(page.contains("+7 900 000-00-00"), "what was typed is kept: {page}");
    assert_eq!(desk.get("/v1/leads").await["items"], json!([]));

    let policy = json!({
        "targets": {"anna": {"display_name": "Анна", "destinations": [{"channel": "none", "recipient": {"chat": "1"}}]}},
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "templates": {"lead": {"ru": "Заявка"}},
    });
    let place = format!("/v1/projects/{}/policy", of(source, "project_id"));
    let (status, problem) = desk.send(reqwest::Method::PUT, &place, Some(policy.clone())).await;
    assert_eq!(status, 422, "{problem}");
    let sink =
        json!({"url": "http://127.0.0.1:9/", "secrets": ["whsec_U2VlZGVkLXNpZ25pbmctc2VjcmV0LTAwMDE="]});
    desk.channel("webhook", "sink", sink).await;
    let mut policy = policy;
    policy["targets"]["anna"]["destinations"] = json!([{"channel": "sink", "recipient": "endpoint"}]);
    desk.put(&place, policy).await;
    let (status, taken) = desk.read(send().await).await;
    assert_eq!((status, of(&taken, "decision")), (202, "accepted"), "{taken}");
}
