//! Leads whose time runs out: the list for an operator, and the metric.

use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};

fn policy(after_secs: u64) -> Value {
    json!({
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
            "oleg": {"display_name": "Oleg", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "escalation": [{"after_secs": after_secs, "targets": ["oleg"], "template": "lead"}],
        "templates": {"lead": {"en": {"plain": "{{ lead.phone }}"}}},
    })
}

async fn metrics(desk: &Desk) -> String {
    desk.http.get(format!("{}/metrics", desk.url)).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn who_waits_too_long_is_listed_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let telegram = TelegramSim::start().await.unwrap();
    telegram.add_chat(1, "Anna");
    telegram.add_chat(2, "Oleg");
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let bot = json!({
        "bot_token": telegram.token(), "endpoint": telegram.base_url(), "updates": "webhook",
        "webhook_secret": "webhook-secret-1", "messages_per_second": 1000,
    });
    desk.channel("telegram", "bot", bot).await;
    let soon = desk.project("Soon", policy(240)).await;
    let sooner = desk.project("Sooner", policy(120)).await;
    let later = desk.project("Later", policy(7_200)).await;
    let phone = |number: u32| json!({"phone": format!("+7900{number:07}")});
    let mut wanted = Vec::new();
    for number in 1..=3 {
        wanted.push(desk.capture(&soon, &phone(number)).await);
        desk.capture(&later, &phone(number)).await;
    }
    wanted.insert(0, desk.capture(&sooner, &phone(9)).await);

    let (mut seen, mut path) = (Vec::new(), "/v1/leads/at-risk?limit=3".to_owned());
    loop {
        let page = desk.get(&path).await;
        for item in page["items"].as_array().unwrap() {
            assert_eq!(
                (&item["timer"]["name"], &item["timer"]["step"]),
                (&json!("escalate"), &json!(1)),
                "{item}"
            );
            assert_eq!(item["waits_for"], json!(["anna"]));
            seen.push(of(&item["lead"], "id").to_owned());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/leads/at-risk?limit=3&cursor={next}");
    }
    assert_eq!(seen, wanted, "soonest first");
    assert!(metrics(&desk).await.contains("\nfastlead_leads_at_risk 4\n"));
    let all = desk.get("/v1/leads/at-risk?within_secs=86400").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 7);
    let of_project = format!("/v1/leads/at-risk?project_id={}", of(&sooner, "project_id"));
    assert_eq!(desk.get(&of_project).await["items"][0]["lead"]["id"], wanted[0].as_str());

    // Whoever is answered is not at risk any more.
    let body = json!({"target": "anna", "response": "accept"});
    desk.post(&format!("/v1/leads/{}/respond", wanted[0]), body).await;
    assert_eq!(desk.get(&of_project).await["items"], json!([]));
    let text = metrics(&desk).await;
    assert!(text.contains("\nfastlead_leads_at_risk 3\n"), "{text}");

    for query in ["within_secs=90000", "within_secs=5m", "within=5m", "limit=0", "cursor=abc"] {
        let (status, problem) = desk.send(Method::GET, &format!("/v1/leads/at-risk?{query}"), None).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }

    // The page of metrics names every one of them.
    let page = include_str!("../../../docs/metrics.md");
    let names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() > 5, "{text}");
    for name in names {
        assert!(page.contains(&format!("| `{name}`")), "docs/metrics.md does not have {name}");
    }
}
