//! The session cookie of browsers: who gets one, which requests it is good for, and when it ends.

use std::path::Path;

use reqwest::header::{COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program, client};

const OTHER: &str = "another-password";

/// A browser with the cookies that it was given.
#[derive(Debug, Clone)]
struct Browser {
    url: String,
    cookie: String,
}

/// What a request says of the page that has made it.
type Page<'a> = &'a [(&'static str, &'a str)];

const OWN: Page<'static> = &[("sec-fetch-site", "same-origin")];

impl Browser {
    async fn ask(&self, method: Method, path: &str, page: Page<'_>, body: Option<Value>) -> Response {
        let mut request = client().request(method, format!("{}{path}", self.url));
        for (name, value) in page {
            request = request.header(*name, *value);
        }
        if !self.cookie.is_empty() {
            request = request.header(COOKIE, &self.cookie);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn status(&self, method: Method, path: &str, page: Page<'_>) -> u16 {
        self.ask(method, path, page, None).await.status().as_u16()
    }

    async fn is_in(&self) -> bool {
        self.status(Method::GET, "/v1/me", OWN).await == 200
    }

    /// Signs in, with the cookie that is there already, if any.
    async fn sign_in(&self, password: &str) -> Self {
        let answer = self.ask(Method::POST, "/v1/session", OWN, login(password)).await;
        assert_eq!(answer.status(), 200);
        Self { cookie: cookie(answer.headers()).expect("a cookie"), ..self.clone() }
    }
}

fn login(password: &str) -> Option<Value> {
    Some(json!({"login": "admin", "password": password}))
}

/// Name and value of the session's cookie.
fn cookie(headers: &HeaderMap) -> Option<String> {
    line(headers).map(|line| line.split(';').next().unwrap().to_owned())
}

fn line(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    lines.find(|line| line.contains("fl_session=")).map(str::to_owned)
}

async fn start(folder: &Path, variables: &[(&str, &str)]) -> (Program, Browser) {
    let program = Program::start(folder, variables).await;
    let nobody = Browser { url: program.url.clone(), cookie: String::new() };
    (program, nobody)
}

async fn file(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("store.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn a_browser_signs_in_works_and_signs_out() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, nobody) = start(folder.path(), &[]).await;
    let answer = nobody.ask(Method::POST, "/v1/session", OWN, login("wrong-password")).await;
    assert_eq!((answer.status().as_u16(), line(answer.headers())), (401, None));

    let answer = nobody.ask(Method::POST, "/v1/session", OWN, login(PASSWORD)).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let line = line(answer.headers()).unwrap();
    assert!(line.starts_with("fl_session="), "{line}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(line.split("; ").any(|part| part == attribute), "{attribute} in {line}");
    }
    let anna = Browser { cookie: cookie(answer.headers()).unwrap(), ..nobody.clone() };
    let me: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!((of(&me, "login"), of(&me, "role")), ("admin", "admin"));
    assert!(!of(&me["server"], "console").is_empty());

    // The same roles and the same answers as with a token.
    let desk = Desk::sign_in(&nobody.url, PASSWORD).await;
    for path in ["/v1/me", "/v1/projects", "/v1/users", "/v1/leads"] {
        assert_eq!(anna.status(Method::GET, path, OWN).await, 200, "{path}");
    }
    let made = anna.ask(Method::POST, "/v1/projects", OWN, Some(json!({"name": "Clinic"}))).await;
    assert_eq!(made.status(), 201);
    assert!(desk.get("/v1/projects").await.to_string().contains("Clinic"));
    let events = anna.ask(Method::GET, "/v1/events", OWN, None).await;
    assert_eq!(
        (events.status().as_u16(), &events.headers()["x-accel-buffering"]),
        (200, &"no".parse().unwrap())
    );

    let answer = anna.ask(Method::DELETE, "/v1/session", OWN, None).await;
    assert_eq!(answer.status(), 204);
    let removal = self::line(answer.headers()).unwrap();
    assert!(removal.starts_with("fl_session=;") && removal.contains("Max-Age=0"), "{removal}");
    assert!(!anna.is_in().await, "what the browser may have kept is of no use");
    assert_eq!(desk.get("/v1/me").await["login"], "admin", "other sessions go on");
}

#[tokio::test]
async fn no_other_site_uses_a_cookie() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, nobody) = start(folder.path(), &[]).await;
    let anna = nobody.sign_in(PASSWORD).await;
    let own = anna.url.clone();
    let port = own.rsplit(':').next().unwrap();
    let localhost = format!("http://localhost:{port}");
    let foreign: [Page<'_>; 7] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "https://evil.example.com")],
        &[("origin", "null")],
        // Another port of this machine: `localhost` is another name than the one that was asked.
        &[("origin", &localhost)],
        &[],
    ];
    for page in foreign {
        let answer = anna.ask(Method::POST, "/v1/projects", page, Some(json!({"name": "Foreign"}))).await;
        assert_eq!(answer.status(), 403, "{page:?}");
        assert!(answer.text().await.unwrap().contains("cross_site"), "{page:?}");
        let answer = nobody.ask(Method::POST, "/v1/session", page, login(PASSWORD)).await;
        assert_eq!((answer.status().as_u16(), line(answer.headers())), (403, None), "{page:?}");
    }
    assert_eq!(anna.status(Method::GET, "/v1/leads", &[("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(anna.status(Method::GET, "/v1/leads", &[("sec-fetch-site", "none")]).await, 200, "typed");
    assert_eq!(anna.status(Method::POST, "/v1/logout", &[("sec-fetch-site", "none")]).await, 403);
    // An older browser of its own page.
    let answer =
        anna.ask(Method::POST, "/v1/projects", &[("origin", &own)], Some(json!({"name": "Own"}))).await;
    assert_eq!(answer.status(), 201);
    let desk = Desk::sign_in(&anna.url, PASSWORD).await;
    assert!(!desk.get("/v1/projects").await.to_string().contains("Foreign"));
}

#[tokio::test]
async fn a_cookie_that_was_known_before_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, nobody) = start(folder.path(), &[]).await;
    let first = nobody.sign_in(PASSWORD).await;
    // Whoever signs in with a cookie in place gets another one: a planted cookie stays somebody else's session.
    let second = first.sign_in(PASSWORD).await;
    assert_ne!(first.cookie, second.cookie);
    assert_eq!(second.status(Method::DELETE, "/v1/session", OWN).await, 204);
    assert!(first.is_in().await && !second.is_in().await);
    let value = first.cookie.strip_prefix("fl_session=").unwrap();
    let made_up = format!("{}{}", if value.starts_with('A') { 'B' } else { 'A' }, &value[1..]);
    for cookie in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", &value[..value.len() - 2], &made_up] {
        let browser = Browser { cookie: format!("fl_session={cookie}"), ..nobody.clone() };
        assert!(!browser.is_in().await, "{cookie}");
    }
    // A cookie is no token and a token no cookie.
    let mut desk = Desk::sign_in(&nobody.url, PASSWORD).await;
    let token = Browser { cookie: format!("fl_session={}", desk.token), ..nobody.clone() };
    assert!(!token.is_in().await);
    desk.token = value.to_owned();
    assert_eq!(desk.send(Method::GET, "/v1/me", None).await.0, 401);
    // Whoever sends a credential in the header is who that says, and nobody where it is wrong.
    let both =
        client().get(format!("{}/v1/me", nobody.url)).header(COOKIE, &first.cookie).bearer_auth("wrong");
    assert_eq!(both.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_session_ends_with_whatever_ends_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (program, nobody) = start(folder.path(), &[]).await;
    let (one, two, three) =
        (nobody.sign_in(PASSWORD).await, nobody.sign_in(PASSWORD).await, nobody.sign_in(PASSWORD).await);
    let sessions: Value = one.ask(Method::GET, "/v1/sessions", OWN, None).await.json().await.unwrap();
    let current = |session: &&Value| session["current"] == true;
    assert_eq!(sessions["items"].as_array().unwrap().len(), 3);
    assert_eq!(sessions["items"].as_array().unwrap().iter().filter(current).count(), 1);
    let of_two: Value = two.ask(Method::GET, "/v1/me", OWN, None).await.json().await.unwrap();
    let path = format!("/v1/sessions/{}", of(&of_two, "session_id"));
    assert_eq!(one.status(Method::DELETE, &path, OWN).await, 204);
    assert!(!two.is_in().await, "revoked");
    let change = json!({"current": PASSWORD, "new": OTHER});
    let answer = one.ask(Method::POST, "/v1/me/password", OWN, Some(change)).await;
    assert_eq!(answer.status(), 200);
    assert!(one.is_in().await && !three.is_in().await, "the session that has changed the password goes on");
    drop(program);
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_and_one_that_is_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let variables =
        [("FASTLEAD__AUTH__SESSION_TTL_SECS", "3600"), ("FASTLEAD__AUTH__BROWSER_SESSION_SECS", "86400")];
    let (_program, nobody) = start(folder.path(), &variables).await;
    let anna = nobody.sign_in(PASSWORD).await;
    let mut file = file(folder.path()).await;
    let mut used = async |ago_secs: i64, made_secs: i64| {
        let now = chrono::Utc::now().timestamp_millis();
        sqlx::query("UPDATE sessions SET last_used_at = ?1, created_at = ?2, expires_at = ?2 + 86400000")
            .bind(now - ago_secs * 1_000)
            .bind(now - made_secs * 1_000)
            .execute(&mut file)
            .await
            .unwrap();
    };
    used(3_500, 80_000).await;
    assert!(anna.is_in().await, "it was used an hour ago");
    // That use counts: the next one is an hour from now.
    let sessions: Value = anna.ask(Method::GET, "/v1/sessions", OWN, None).await.json().await.unwrap();
    let noted: chrono::DateTime<chrono::Utc> = of(&sessions["items"][0], "last_used_at").parse().unwrap();
    assert!(chrono::Utc::now() - noted < chrono::TimeDelta::minutes(1), "{noted}");
    used(3_601, 80_000).await;
    assert!(!anna.is_in().await, "it was not used for too long");
    used(0, 86_401).await;
    assert!(!anna.is_in().await, "a day is the longest");
    used(0, 80_000).await;
    assert!(anna.is_in().await);
}

#[tokio::test]
async fn behind_https_the_cookie_is_for_this_host_alone() {
    let folder = tempfile::tempdir().unwrap();
    let public = "https://leads.example.com";
    let (_program, nobody) = start(folder.path(), &[("FASTLEAD__HTTP__PUBLIC_URL", public)]).await;
    let page: Page<'_> = &[("origin", public)];
    let answer = nobody.ask(Method::POST, "/v1/session", page, login(PASSWORD)).await;
    assert_eq!(answer.status(), 200);
    let line = line(answer.headers()).unwrap();
    assert!(line.starts_with("__Host-fl_session="), "{line}");
    assert!(line.contains("; Secure") && !line.contains("Domain"), "{line}");
    let anna = Browser { cookie: cookie(answer.headers()).unwrap(), ..nobody.clone() };
    assert_eq!(anna.status(Method::GET, "/v1/me", page).await, 200);
    let plain = Browser { cookie: anna.cookie.replace("__Host-", ""), ..anna.clone() };
    assert_eq!(plain.status(Method::GET, "/v1/me", page).await, 401, "another page may have set it");
    let evil: Page<'_> = &[("origin", "http://leads.example.com")];
    assert_eq!(anna.status(Method::POST, "/v1/logout", evil).await, 403);
}
