//! An operator at a running server: requests over HTTP, and every refusal kept.

use std::sync::Mutex;
use std::time::Duration;

use fastlead_testkit::sim::smsc::SmscSim;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::program::{PASSWORD, Program, client};

/// How long something that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// Somebody with a token.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) http: reqwest::Client,
    /// Where the server is.
    pub(crate) url: String,
    /// What every request carries; empty before signing in.
    pub(crate) token: String,
    /// The problem documents that were answered, each with its headers.
    refusals: Mutex<Vec<String>>,
}

impl Desk {
    /// Signs in as the first administrator.
    pub(crate) async fn sign_in(url: &str, password: &str) -> Self {
        let mut desk =
            Self { http: client(), url: url.to_owned(), token: String::new(), refusals: Mutex::default() };
        let body = json!({"login": "admin", "password": password});
        let token = desk.post("/v1/login", body).await["access_token"].as_str().unwrap().to_owned();
        desk.token = token;
        desk
    }

    /// Reads an answer to its end, and keeps it where it is a problem document.
    pub(crate) async fn read(&self, answer: Response) -> (u16, Value) {
        let status = answer.status().as_u16();
        let problem =
            answer.headers().get("content-type").is_some_and(|kind| kind == "application/problem+json");
        let headers = format!("{:?}", answer.headers());
        let text = answer.text().await.unwrap();
        if problem {
            self.refusals.lock().unwrap().push(format!("{status} {headers} {text}"));
        }
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Sends a request, and answers its status and body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.read(request.send().await.unwrap()).await
    }

    /// The body behind `path`, which must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert!((200..300).contains(&status), "GET {path}: {status} {body}");
        body
    }

    /// Posts what must be taken.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {body}");
        body
    }

    /// Puts what must be taken.
    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::PUT, path, Some(body)).await;
        assert!((200..300).contains(&status), "PUT {path}: {status} {body}");
        body
    }

    /// Makes a channel instance, and answers it.
    pub(crate) async fn channel(&self, kind: &str, name: &str, config: Value) -> Value {
        self.post("/v1/channels", json!({"kind": kind, "name": name, "config": config})).await
    }

    /// Makes a project with its policy and one source without consents and limits; answers the source.
    pub(crate) async fn project(&self, name: &str, policy: Value) -> Value {
        let project = self.post("/v1/projects", json!({"name": name})).await;
        let id = project["id"].as_str().unwrap();
        self.put(&format!("/v1/projects/{id}/policy"), policy).await;
        let limits = json!({"per_ip_per_minute": 0, "per_minute": 0, "min_fill_millis": 0});
        let form = json!({"ask_email": true, "ask_comment": true});
        let settings = json!({"name": name, "limits": limits, "form": form});
        self.post("/v1/sources", json!({"project_id": id, "settings": settings})).await
    }

    /// An address that the server gives to the outside, as it is reached from here.
    #[track_caller]
    pub(crate) fn local(&self, body: &Value, field: &str) -> String {
        let public = url::Url::parse(of(body, field)).unwrap();
        format!("{}{}", self.url, public.path())
    }

    /// Sends a lead to a source, and answers its id.
    pub(crate) async fn capture(&self, source: &Value, lead: &Value) -> String {
        let (status, body) = self
            .read(self.http.post(self.local(source, "capture_url")).json(lead).send().await.unwrap())
            .await;
        assert_eq!(status, 202, "{body}");
        of(&body, "lead_id").to_owned()
    }

    /// The server's events from now on.
    pub(crate) async fn events(&self) -> Response {
        let request = self.http.get(format!("{}/v1/events", self.url)).bearer_auth(&self.token);
        request.send().await.unwrap().error_for_status().unwrap()
    }

    /// Reads `path` again after every event, and now and then, until `holds`, and answers what was read then.
    pub(crate) async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool + Send + Sync) -> Value {
        self.try_until(path, holds).await.unwrap_or_else(|last| panic!("{last}"))
    }

    /// The same; says what was read last where it does not come to it.
    pub(crate) async fn try_until(
        &self,
        path: &str,
        holds: impl Fn(&Value) -> bool + Send + Sync,
    ) -> Result<Value, String> {
        let last = Mutex::new(Value::Null);
        let mut look = tokio::time::interval(Duration::from_millis(250));
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                // Listening begins before reading, so that no change falls between the two.
                let mut events = self.events().await;
                loop {
                    let body = self.get(path).await;
                    if holds(&body) {
                        return body;
                    }
                    *last.lock().unwrap() = body;
                    // A stream ends at last, and the client's own timeout ends it too: then it is opened anew.
                    // That a send begins is told by no event.
                    tokio::select! {
                        event = events.chunk() => {
                            let Ok(Some(_event)) = event else { break };
                        }
                        _ = look.tick() => {}
                    }
                }
            }
        });
        let found = found.await;
        found.map_err(|_| format!("GET {path} has not become so: {:#}", last.lock().unwrap()))
    }

    /// Every problem document so far.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().clone()
    }
}

/// A server whose only channel is `sms`, and its operator.
pub(crate) struct SmsOffice {
    pub(crate) desk: Desk,
    pub(crate) smsc: SmscSim,
    pub(crate) program: Program,
    _folder: tempfile::TempDir,
}

impl SmsOffice {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let smsc = SmscSim::start().await.unwrap();
        let program = Program::start(folder.path(), &[]).await;
        let desk = Desk::sign_in(&program.url, PASSWORD).await;
        let sms = json!({"login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url()});
        desk.channel("smsc", "sms", sms).await;
        Self { desk, smsc, program, _folder: folder }
    }
}

/// A text field of a body.
#[track_caller]
pub(crate) fn of<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {body}"))
}

/// Whether every delivery of a list has come to an end, or waits for a receipt.
pub(crate) fn settled(list: &Value) -> bool {
    let items = list["items"].as_array().unwrap();
    let rests =
        |item: &Value| !matches!(of(item, "state"), "pending" | "sending") && item["uncertain"] == false;
    !items.is_empty() && items.iter().all(rests)
}
