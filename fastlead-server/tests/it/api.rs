//! The API as its description says it is: requests made from `openapi.json`, right ones and wrong ones, and whatever
//! comes back compared with it. Schemathesis makes them; `cargo xtask setup` installs it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{PASSWORD, Program, client};

/// How long all requests together may take.
const PATIENCE: Duration = Duration::from_secs(170);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_but_policies_is_as_described() {
    // Every kind of value in turn, at its limits and beyond.
    compare(&["--phases", "coverage,fuzzing", "--max-examples", "10", "--exclude-path-regex", "/policy"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_as_described() {
    // A policy has too many parts for every value of each.
    compare(&["--phases", "examples,fuzzing", "--max-examples", "15", "--include-path-regex", "/policy"])
        .await;
}

async fn compare(options: &[&'static str]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = here.parent().unwrap().join("target/e2e/python/bin/st");
    assert!(program.is_file(), "schemathesis is not in target/e2e: run `cargo xtask setup`");
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path(), &[]).await;
    let key = key(&server.url).await;

    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(here.join("tests/api/schemathesis.toml"))
        .arg("run")
        .arg(here.join("openapi.json"))
        .args(["--url", &server.url, "--header", &format!("Authorization: Bearer {key}")])
        // It does not end, and is tried elsewhere.
        .args(["--exclude-path", "/v1/events"])
        // One worker: with more, what it is written in fails at times by itself ("AST constructor recursion depth mismatch").
        .args(["--workers", "1", "--request-timeout", "20", "--generation-deterministic", "--no-color"])
        .args(options)
        .stdin(Stdio::null());
    let waiting = tokio::task::spawn_blocking(move || command.output());
    let ended = tokio::time::timeout(PATIENCE, waiting).await.expect("it has not ended in time");
    let output = ended.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let told: Vec<String> = told.lines().map(|line| line.chars().take(600).collect()).collect();
    assert!(output.status.success(), "{}\n{}", output.status, told.join("\n"));
}

/// A key for everything, and a project and a source for it to find.
async fn key(url: &str) -> String {
    let login = json!({"login": "admin", "password": PASSWORD});
    let token = post(url, "/v1/login", None, &login).await["access_token"].as_str().unwrap().to_owned();
    let made = post(url, "/v1/api-keys", Some(&token), &json!({"name": "api", "role": "admin"})).await;
    let project = post(url, "/v1/projects", Some(&token), &json!({"name": "Clinic"})).await["id"].clone();
    let source = json!({"project_id": project, "settings": {"name": "Site"}});
    post(url, "/v1/sources", Some(&token), &source).await;
    made["key"].as_str().unwrap().to_owned()
}

async fn post(url: &str, path: &str, token: Option<&str>, body: &Value) -> Value {
    let mut request = client().post(format!("{url}{path}")).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}
