//! People and programs at the door of the operator API: who gets in, who is kept out, and how access ends.
#![cfg(unix)]

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program, client, run};

const PATIENCE: Duration = Duration::from_secs(20);
const OTHER: &str = "another-password";

/// Signs in from an address of this machine, with what the device has kept; answers status, body and the new cookie.
async fn sign_in(
    program: &Program,
    from: [u8; 4],
    password: &str,
    cookie: Option<&str>,
) -> (u16, Value, Option<String>) {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let http =
        reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::from(from)).build().unwrap();
    let mut request = http.post(format!("{}/v1/login", program.url));
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let answer = request.json(&json!({"login": "admin", "password": password})).send().await.unwrap();
    let status = answer.status().as_u16();
    let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
    let cookie = cookie.map(|text| text.split(';').next().unwrap().to_owned());
    (status, answer.json().await.unwrap(), cookie)
}

async fn status(desk: &Desk, method: Method, path: &str, body: Option<Value>) -> u16 {
    desk.send(method, path, body).await.0
}

/// Reads a value of the database file, of a program that has ended.
async fn database(folder: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}", folder.join("store.db").display())).await.unwrap()
}

async fn stop(mut program: Program) {
    program.signal("TERM");
    assert!(program.ended(PATIENCE).await.success());
}

#[tokio::test]
async fn nobody_locks_the_administrator_out() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let home = [127, 0, 0, 1];
    let (code, _, cookie) = sign_in(&program, home, PASSWORD, None).await;
    assert_eq!(code, 200);
    let cookie = cookie.unwrap();
    // Many at once: attempts come back with time, however long the machine takes for them.
    let burst = async |from, password: &'static str, cookie: Option<&str>| {
        let attempts = (0..20).map(|_| sign_in(&program, from, password, cookie));
        let answers = futures_util::future::join_all(attempts).await;
        answers.into_iter().map(|(code, ..)| code).collect::<Vec<_>>()
    };
    // A stranger goes on and on from another address and from that of the owner, who signs in meanwhile.
    let stranger = async {
        for from in [[127, 0, 9, 1], home] {
            let codes = burst(from, "wrong-password", None).await;
            assert!(codes.iter().all(|code| matches!(code, 401 | 429)), "{codes:?}");
            assert!(codes.contains(&401) && codes.contains(&429), "{codes:?}");
        }
    };
    let owner = async {
        for number in 1..=8 {
            let (code, body, _) = sign_in(&program, home, PASSWORD, Some(&cookie)).await;
            assert_eq!(code, 200, "attempt {number} of a known device: {body}");
        }
    };
    tokio::join!(stranger, owner);
    assert_eq!(sign_in(&program, [127, 0, 9, 2], PASSWORD, None).await.0, 200, "another address");
    for (device, cookie) in [("an unknown device", None), ("an invented device", Some("fl_device=AAAA"))] {
        assert!(burst(home, PASSWORD, cookie).await.contains(&429), "{device}");
    }

    // Many wait for their password to be hashed; the owner does not wait behind them.
    let strangers =
        (0..60_u8).map(|number| sign_in(&program, [127, 0, 8, number + 1], "wrong-password", None));
    let flood = futures_util::future::join_all(strangers);
    let owner = async {
        let begun = std::time::Instant::now();
        let (code, body, _) = sign_in(&program, home, PASSWORD, Some(&cookie)).await;
        (code, body, begun.elapsed())
    };
    let (answers, (code, body, took)) = tokio::join!(flood, owner);
    assert_eq!(code, 200, "{body}");
    assert!(answers.iter().all(|(code, ..)| matches!(code, 401 | 503)));
    assert!(answers.iter().any(|(code, body, _)| *code == 503 && body["code"] == "overloaded"));
    println!("access: the owner signs in within {} ms while 60 strangers try", took.as_millis());
}

#[tokio::test]
async fn sessions_are_listed_renewed_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let [first, second, third] = [
        Desk::sign_in(&program.url, PASSWORD).await,
        Desk::sign_in(&program.url, PASSWORD).await,
        Desk::sign_in(&program.url, PASSWORD).await,
    ];
    let listed = first.get("/v1/sessions").await;
    let listed = listed["items"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 3);
    assert_eq!((&listed[2]["current"], &listed[2]["address"]), (&json!(true), &json!("127.0.0.1")));
    let renewed = first.post("/v1/session/renew", Value::Null).await;
    let (code, _) = first
        .read(
            client()
                .get(format!("{}/v1/me", program.url))
                .bearer_auth(of(&renewed, "access_token"))
                .send()
                .await
                .unwrap(),
        )
        .await;
    assert_eq!(code, 200);
    assert_eq!(status(&third, Method::POST, "/v1/logout", None).await, 204);
    assert_eq!(status(&third, Method::GET, "/v1/me", None).await, 401);
    let path = format!("/v1/sessions/{}", of(&listed[1], "id"));
    assert_eq!(status(&first, Method::DELETE, &path, None).await, 204);
    assert_eq!(status(&second, Method::GET, "/v1/me", None).await, 401);
    let fourth = Desk::sign_in(&program.url, PASSWORD).await;
    assert_eq!(status(&first, Method::DELETE, "/v1/sessions", None).await, 204);
    assert_eq!(status(&fourth, Method::GET, "/v1/me", None).await, 401);
    assert_eq!(first.get("/v1/sessions").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_password_is_changed_and_reset_and_a_user_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let mut admin = Desk::sign_in(&program.url, PASSWORD).await;
    let other = Desk::sign_in(&program.url, PASSWORD).await;
    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    let (code, problem) =
        admin.send(Method::POST, "/v1/me/password", Some(change("wrong-password", OTHER))).await;
    assert_eq!((code, of(&problem, "code")), (422, "invalid"));
    let (code, problem) = admin.send(Method::POST, "/v1/me/password", Some(change(PASSWORD, "short"))).await;
    assert_eq!((code, of(&problem, "code")), (422, "invalid"));
    let changed = admin.post("/v1/me/password", change(PASSWORD, OTHER)).await;
    admin.token = of(&changed, "access_token").to_owned();
    assert_eq!(status(&admin, Method::GET, "/v1/me", None).await, 200);
    assert_eq!(status(&other, Method::GET, "/v1/me", None).await, 401, "its session has ended");
    assert_eq!(sign_in(&program, [127, 0, 0, 2], PASSWORD, None).await.0, 401);

    let made = admin.post("/v1/users", json!({"login": "olga", "role": "operator"})).await;
    let id = of(&made, "id").to_owned();
    let olga = json!({"login": "olga", "password": made["password"]});
    let mut desk = Desk::sign_in(&program.url, OTHER).await;
    desk.token = of(&desk.post("/v1/login", olga.clone()).await, "access_token").to_owned();
    for path in ["/v1/users", "/v1/api-keys"] {
        assert_eq!(status(&desk, Method::GET, path, None).await, 403, "{path}");
    }
    let taken = admin.send(Method::POST, "/v1/users", Some(json!({"login": "olga", "role": "admin"}))).await;
    assert_eq!(taken.0, 409);
    let reset = admin.post(&format!("/v1/users/{id}/reset-password"), json!({"password": OTHER})).await;
    assert!(reset.get("password").is_none(), "a given password is not shown");
    assert_eq!(status(&desk, Method::GET, "/v1/me", None).await, 401);
    let olga = json!({"login": "olga", "password": OTHER});
    desk.token = of(&desk.post("/v1/login", olga.clone()).await, "access_token").to_owned();
    admin.post(&format!("/v1/users/{id}/disable"), Value::Null).await;
    assert_eq!(status(&desk, Method::GET, "/v1/me", None).await, 401);
    assert_eq!(status(&desk, Method::POST, "/v1/login", Some(olga.clone())).await, 401);
    admin.post(&format!("/v1/users/{id}/enable"), Value::Null).await;
    assert_eq!(status(&desk, Method::POST, "/v1/login", Some(olga)).await, 200);
    let own = of(&admin.get("/v1/me").await, "user_id").to_owned();
    let (code, problem) = admin.send(Method::POST, &format!("/v1/users/{own}/disable"), None).await;
    assert_eq!((code, of(&problem, "code")), (409, "last_administrator"));
}

#[tokio::test]
async fn a_lost_password_is_reset_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let before = Desk::sign_in(&program.url, PASSWORD).await;
    let (fine, said) = run(folder.path(), &[], &["admin", "reset-password"]).await;
    assert!(fine, "{said}");
    let made = said.split_once("password of admin: ").unwrap().1.split(' ').next().unwrap();
    assert_eq!(status(&before, Method::GET, "/v1/me", None).await, 401);
    Desk::sign_in(&program.url, made).await;
    let (fine, said) = run(folder.path(), &[], &["admin", "reset-password", "--login", "nobody"]).await;
    assert!(!fine && said.contains("nobody has this login"), "{said}");
    stop(program).await;
    // The setting is as it was, so the password stays.
    let again = Program::start(folder.path(), &[]).await;
    Desk::sign_in(&again.url, made).await;
    stop(again).await;
    // The setting was changed.
    let program = Program::start(folder.path(), &[("FASTLEAD__AUTH__ADMIN_PASSWORD", OTHER)]).await;
    assert_eq!(sign_in(&program, [127, 0, 0, 2], made, None).await.0, 401);
    Desk::sign_in(&program.url, OTHER).await;
}

#[tokio::test]
async fn tokens_from_a_wrong_clock_are_mended_at_the_next_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    stop(Program::start(folder.path(), &[]).await).await;
    let mut file = database(folder.path()).await;
    sqlx::query("UPDATE users SET tokens_valid_from = 4102444800000").execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    assert_eq!(status(&desk, Method::GET, "/v1/me", None).await, 200);
}

#[tokio::test]
async fn a_key_has_scopes_an_end_and_a_last_use() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let admin = Desk::sign_in(&program.url, PASSWORD).await;
    let (code, problem) = admin
        .send(Method::POST, "/v1/api-keys", Some(json!({"name": "x", "role": "admin", "scopes": ["leads:delete"], "expires_at": "2020-01-01T00:00:00Z"})))
        .await;
    assert_eq!(code, 422);
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| of(error, "field")).collect();
    assert_eq!(fields, ["scopes[0]", "expires_at"]);
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(4)).to_rfc3339();
    let made = json!({"name": "crm", "role": "admin", "scopes": ["leads:read"], "expires_at": soon});
    let made = admin.post("/v1/api-keys", made).await;
    let mut key = Desk::sign_in(&program.url, PASSWORD).await;
    key.token = of(&made, "key").to_owned();
    assert_eq!(status(&key, Method::GET, "/v1/leads", None).await, 200);
    for (method, path) in [
        (Method::GET, "/v1/channels"),
        (Method::GET, "/v1/users"),
        (Method::POST, "/v1/api-keys"),
        (Method::POST, "/v1/leads/lead_00000000000000000000000000000000/respond"),
        (Method::POST, "/v1/logout"),
    ] {
        let (code, problem) = key.send(method, path, None).await;
        assert_eq!((code, of(&problem, "code")), (403, "forbidden"), "{path}");
    }
    let listed = admin.get("/v1/api-keys").await;
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    let expired = tokio::time::timeout(PATIENCE, async {
        while status(&key, Method::GET, "/v1/leads", None).await != 401 {}
    });
    expired.await.expect("the key expires");
}

#[tokio::test]
async fn a_copy_of_the_database_signs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let config =
        json!({"url": "https://example.com/hook", "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]});
    desk.channel("webhook", "crm", config).await;
    stop(program).await;
    let mut file = database(folder.path()).await;
    for row in sqlx::query("SELECT name, value FROM settings").fetch_all(&mut file).await.unwrap() {
        let (name, value): (String, Vec<u8>) = (row.get(0), row.get(1));
        assert!(value.len() > 64 && value[0] == 1, "{name} is not sealed");
    }
    let token: String =
        sqlx::query_scalar("SELECT webhook_token FROM channels").fetch_one(&mut file).await.unwrap();
    assert!(token.starts_with("sealed:"), "{token}");
    // As an earlier version has left it.
    sqlx::query("UPDATE settings SET value = zeroblob(32)").execute(&mut file).await.unwrap();
    sqlx::query("UPDATE channels SET webhook_token = 'an-old-token'").execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let program = Program::start(folder.path(), &[]).await;
    // This channel takes no requests, but those that are refused are counted where the address is one of ours.
    for (token, is_ours) in [("another-token", false), ("an-old-token", true)] {
        let called = client().post(format!("{}/webhooks/{token}", program.url)).body("{}").send().await;
        assert!(called.unwrap().status().is_client_error(), "{token}");
        let metrics = client().get(format!("{}/metrics", program.url)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert_eq!(metrics.contains("fastlead_webhooks_refused_total{"), is_ours, "{token}");
    }
    stop(program).await;
    let mut file = database(folder.path()).await;
    let token: String =
        sqlx::query_scalar("SELECT webhook_token FROM channels").fetch_one(&mut file).await.unwrap();
    assert!(token.starts_with("sealed:"), "{token}");
    let clear: i64 = sqlx::query_scalar("SELECT count(*) FROM settings WHERE value = zeroblob(32)")
        .fetch_one(&mut file)
        .await
        .unwrap();
    assert_eq!(clear, 0, "the keys of an earlier version are in clear");
}

#[tokio::test]
async fn a_lost_key_file_is_an_error_and_an_old_one_comes_back() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let config =
        json!({"url": "https://example.com/hook", "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]});
    desk.channel("webhook", "crm", config).await;
    stop(program).await;
    let keys = folder.path().join("store.keys");
    let before = std::fs::read_to_string(&keys).unwrap();
    std::fs::remove_file(&keys).unwrap();
    let (fine, said) = run(folder.path(), &[], &["serve"]).await;
    assert!(!fine && said.contains("store.keys is gone") && said.contains("replace-lost"), "{said}");
    assert!(!keys.exists(), "no other file is put in its place");
    let (fine, said) = run(folder.path(), &[], &["keys", "replace-lost"]).await;
    assert!(fine && said.contains("Made key 2."), "{said}");
    let program = Program::start_silent(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    assert_eq!(desk.get("/v1/channels").await["items"][0]["open"], false);
    stop(program).await;
    // The old file is found: its line goes below the new one.
    let both = format!("{}{before}", std::fs::read_to_string(&keys).unwrap());
    std::fs::write(&keys, both).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let program = Program::start_silent(folder.path(), &[("FASTLEAD__LOG__FILTER", "warn")]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    assert_eq!(desk.get("/v1/channels").await["items"][0]["open"], true);
    assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(program.output().contains("others could open this file"), "{}", program.output());
}
