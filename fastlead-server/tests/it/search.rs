//! Leads are looked for, counted and put in order through the API, and the console's pages are served.

use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, SmsOffice, of};
use crate::program::{PASSWORD, Program, client};

/// A policy that takes every lead.
fn policy() -> Value {
    json!({
        "timezone": "Asia/Omsk",
        "targets": {"anna": {"display_name": "Anna", "destinations": [
            {"channel": "sms", "recipient": {"phone": "+79000000009"}},
        ]}},
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "templates": {"lead": {"ru": {"plain": "Заявка"}}},
    })
}

async fn names(desk: &Desk, query: &str) -> Vec<String> {
    let found = desk.get(&format!("/v1/leads{query}")).await;
    let leads = found["items"].as_array().unwrap().iter();
    leads.map(|lead| of(&lead["capture"], "name").to_owned()).collect()
}

#[tokio::test]
async fn leads_are_found_by_what_people_remember_of_them() {
    let office = SmsOffice::open().await;
    let desk = &office.desk;
    let empty = desk.post("/v1/projects", json!({"name": "Clinic"})).await;
    assert_eq!(empty["zone"], Value::Null, "without a policy there is no zone");
    let source = desk.project("Surgery", policy()).await;
    let projects = desk.get("/v1/projects").await;
    let surgery = projects["items"].as_array().unwrap().iter().find(|project| project["name"] == "Surgery");
    assert_eq!(surgery.unwrap()["zone"], "Asia/Omsk");
    for (name, phone, email) in [
        ("Анна Пример", "8 900 000-00-01", "anna@example.com"),
        ("Иван Пример", "+7 (900) 000-00-12", "ivan@example.com"),
        ("Oleg Sample", "9000000123", "oleg@example.org"),
    ] {
        desk.capture(&source, &json!({"name": name, "phone": phone, "email": email})).await;
    }
    assert_eq!(names(desk, "").await, ["Oleg Sample", "Иван Пример", "Анна Пример"]);
    assert_eq!(names(desk, "?sort=created_at").await, ["Анна Пример", "Иван Пример", "Oleg Sample"]);
    assert_eq!(names(desk, "?q=%D0%98%D0%92%D0%90%D0%9D").await, ["Иван Пример"], "ИВАН");
    assert_eq!(names(desk, "?q=8%20(900)%20000-00").await, ["Иван Пример", "Анна Пример"]);
    assert_eq!(names(desk, "?q=0123").await, ["Oleg Sample"]);
    assert_eq!(names(desk, "?q=example.ORG").await, ["Oleg Sample"]);
    assert_eq!(names(desk, "?q=nobody").await, [""; 0]);
    assert_eq!(names(desk, "?q=%20").await.len(), 3, "nothing is no condition");
    assert_eq!(names(desk, "?to=2020-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(names(desk, "?from=2020-01-01T00:00:00Z").await.len(), 3);
    assert_eq!(names(desk, "?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z").await.len(), 3);
    assert_eq!(names(desk, "?to=0001-01-01T00:00:00Z").await, [""; 0]);
    for wrong in ["sort=name", "from=yesterday", "order=x"] {
        let (status, problem) = desk.send(Method::GET, &format!("/v1/leads?{wrong}"), None).await;
        assert_eq!(status, 400, "{wrong}: {problem}");
    }
    let counts = desk.get("/v1/leads/count").await;
    assert_eq!((&counts["total"], &counts["exact"]), (&json!(3), &json!(true)));
    let by_status: u64 = counts["by_status"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(by_status, 3);
    assert_eq!(desk.get("/v1/leads/count?q=sample").await["total"], 1);
    assert_eq!(desk.get(&format!("/v1/leads/count?project_id={}", of(&empty, "id"))).await["total"], 0);

    // Whoever is erased is found no more.
    let oleg = desk.get("/v1/leads?q=oleg").await["items"][0]["id"].as_str().unwrap().to_owned();
    let (status, _) = desk.send(Method::DELETE, &format!("/v1/leads/{oleg}/person"), None).await;
    assert_eq!(status, 200);
    for q in ["oleg", "0123", "example.org"] {
        assert_eq!(names(desk, &format!("?q={q}")).await, [""; 0], "{q}");
    }
}

#[tokio::test]
async fn the_console_is_served_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let get = async |path: &str| client().get(format!("{}{path}", program.url)).send().await.unwrap();
    let page = get("/console/leads?status=open").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let text = page.text().await.unwrap();
    let script = text.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(script.starts_with("/console/assets/"), "{script}");
    let asset = get(script).await;
    assert_eq!(asset.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(get("/console/assets/gone.js").await.status(), 404);
    let head = client().head(format!("{}/console/", program.url)).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(get("/console").await.status(), 200, "it leads to the page");
}

#[tokio::test]
async fn a_configuration_is_shown_without_its_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let config = json!({"url": "https://example.com/hook", "secrets": [secret], "headers": {"x-key": "header-secret"}});
    let made = desk.channel("webhook", "crm", config).await;
    let path = format!("/v1/channels/{}", of(&made, "id"));
    let shown = desk.get(&format!("{path}/config")).await;
    assert_eq!(shown["config"]["url"], "https://example.com/hook");
    assert!(!shown.to_string().contains("whsec_") && !shown.to_string().contains("header-secret"), "{shown}");
    let mut changed = shown["config"].clone();
    changed["url"] = json!("https://example.com/other");
    desk.put(&path, json!({ "config": changed })).await;
    let again = desk.get(&format!("{path}/config")).await;
    assert_eq!(again["config"]["url"], "https://example.com/other");
    assert_eq!(again["config"]["secrets"], Value::Null);
    // Without the secrets the adapter would have refused it: they were kept. Left out, they are gone.
    let (status, problem) =
        desk.send(Method::PUT, &path, Some(json!({"config": {"url": "https://example.com/x"}}))).await;
    assert_eq!((status, of(&problem["errors"][0], "field")), (422, "config.secrets"));
    let made = desk.post("/v1/users", json!({"login": "olga", "role": "operator"})).await;
    let mut olga = Desk::sign_in(&program.url, PASSWORD).await;
    let login = json!({"login": "olga", "password": made["password"]});
    olga.token = of(&desk.post("/v1/login", login).await, "access_token").to_owned();
    assert_eq!(olga.send(Method::GET, &format!("{path}/config"), None).await.0, 403);
}
