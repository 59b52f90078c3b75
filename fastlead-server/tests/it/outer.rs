//! What every answer has: errors are problem documents or pages, and what is personal is kept by no cache.
#![cfg(unix)]

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program, client};

#[tokio::test]
async fn every_error_is_a_problem_document_or_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    for (method, path, status, code) in [
        (Method::POST, "/v1/capture/%ff", 400, "invalid_request"),
        (Method::POST, "/healthz", 405, "method_not_allowed"),
        (Method::DELETE, "/f/none", 405, "method_not_allowed"),
        (Method::POST, "/openapi.json", 405, "method_not_allowed"),
        (Method::PUT, "/v1/login", 405, "method_not_allowed"),
        (Method::GET, "/f/%ff", 400, "invalid_request"),
        (Method::GET, "/c/%ff", 400, "invalid_request"),
        (Method::GET, "/f/none", 404, "not_found"),
        (Method::GET, "/nowhere", 404, "not_found"),
        (Method::GET, "/v1/nowhere", 404, "not_found"),
        (Method::GET, "/v1/leads/%ff", 401, "unauthenticated"),
    ] {
        let answer = client().request(method.clone(), format!("{}{path}", program.url)).send().await.unwrap();
        let headers = answer.headers().clone();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{method} {path}");
        assert_eq!(headers.contains_key("allow"), status == 405, "{method} {path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!((of(&problem, "code"), &problem["status"]), (code, &json!(status)), "{method} {path}");
    }
    for path in ["/f/none", "/f/%ff", "/c/none", "/f/none/documents/offer"] {
        let request = client().get(format!("{}{path}", program.url));
        let request = request.header("accept", "text/html,*/*;q=0.8").header("accept-language", "en");
        let answer = request.send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 400 | 404), "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
        assert!(answer.text().await.unwrap().contains("This page does not exist"), "{path}");
    }
}

#[tokio::test]
async fn answers_are_kept_by_no_cache_and_stay_on_tls() {
    let folder = tempfile::tempdir().unwrap();
    let public = [("FASTLEAD__HTTP__PUBLIC_URL", "https://leads.example.com")];
    let program = Program::start(folder.path(), &public).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    for path in ["/v1/leads", "/v1/users", "/v1/deliveries", "/v1/leads/nonsense"] {
        let request = desk.http.get(format!("{}{path}", program.url)).bearer_auth(&desk.token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000", "{path}");
    }
}

#[tokio::test]
async fn a_source_says_who_frames_its_form() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let project = desk.get("/v1/projects").await;
    let make = async |sites: Value| {
        let settings = json!({"name": "Site", "form": {"frame_ancestors": sites}});
        let input = json!({"project_id": project["items"][0]["id"], "settings": settings});
        desk.send(Method::POST, "/v1/sources", Some(input)).await
    };
    for (sites, expected) in [
        (json!([]), None),
        (json!(["none"]), Some("frame-ancestors 'none'")),
        (json!(["https://example.com"]), Some("frame-ancestors 'self' https://example.com")),
    ] {
        let (status, source) = make(sites).await;
        assert_eq!(status, 201, "{source}");
        let answer = desk.http.get(desk.local(&source, "form_url")).send().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        match expected {
            Some(expected) => assert!(policy.ends_with(expected), "{policy}"),
            None => assert!(!policy.contains("frame-ancestors"), "{policy}"),
        }
    }
    let (status, problem) = make(json!(["https://example.com; script-src *"])).await;
    assert_eq!((status, of(&problem["errors"][0], "field")), (422, "settings.form.frame_ancestors[0]"));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_silent(folder.path(), &[]).await;
    let ready =
        async || client().get(format!("{}/readyz", program.url)).send().await.unwrap().status().as_u16();
    assert_eq!(ready().await, 200);
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    // An answer of a moment ago is believed for a second.
    let turned = async |status| {
        let turned = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while ready().await != status {}
        });
        turned.await.expect("it turns")
    };
    turned(503).await;
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    turned(200).await;
}

#[tokio::test]
async fn test_messages_are_for_administrators_and_few() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let admin = Desk::sign_in(&program.url, PASSWORD).await;
    let config =
        json!({"url": "https://127.0.0.1:1/hook", "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]});
    let channel = admin.channel("webhook", "crm", config).await;
    let path = format!("/v1/channels/{}/test", of(&channel, "id"));
    let made = admin.post("/v1/api-keys", json!({"name": "crm", "role": "operator"})).await;
    let mut key = Desk::sign_in(&program.url, PASSWORD).await;
    key.token = of(&made, "key").to_owned();
    assert_eq!(key.send(Method::POST, &path, Some(json!({}))).await.0, 403);
    let mut codes = Vec::new();
    for _ in 0..7 {
        codes.push(admin.send(Method::POST, &path, Some(json!({}))).await.0);
    }
    assert_eq!(codes, [202, 202, 202, 202, 202, 429, 429]);
}

#[tokio::test]
async fn the_demo_answers_only_for_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let settings = fastlead_server::Settings::defaults().unwrap();
    let built = fastlead_server::demo::build(settings, 0, folder.path().join("demo.db")).await;
    let (server, _providers) = built.unwrap();
    let address = server.address().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(server.serve(stop.clone()));
    let url = format!("http://{address}/demo");
    for (host, status) in [("localhost:8080", 200), ("127.0.0.1", 200), ("rebound.example", 421)] {
        let answer = client().get(&url).header("host", host).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{host}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{host}");
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}
