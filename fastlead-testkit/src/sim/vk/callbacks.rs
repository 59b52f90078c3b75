//! How events reach the callback servers: <https://dev.vk.com/en/api/callback/getting-started>.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::state::{Shared, State};
use crate::sim::post::{exchange, status};

/// VK rests for minutes; a simulator need not.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(5);
/// How long VK waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The request with which VK confirms an address.
pub(super) fn confirmation(group_id: i64, secret: &str) -> Value {
    let mut body = json!({ "type": "confirmation", "group_id": group_id });
    if !secret.is_empty() {
        body["secret"] = secret.into();
    }
    body
}

/// Asks a server for the confirmation string, and posts events from then on.
pub(super) fn confirm(shared: &Arc<Shared>, id: i64) {
    tokio::spawn(ask(Arc::downgrade(shared), id));
    if shared.begin_posting() {
        tokio::spawn(pump(Arc::downgrade(shared), shared.subscribe()));
    }
    shared.announce();
}

async fn ask(shared: Weak<Shared>, id: i64) {
    let (url, body, code) = {
        let Some(shared) = shared.upgrade() else { return };
        let mut state = shared.lock();
        let (front, code) = (state.fronts.clone(), state.code.clone());
        let Some(server) = state.servers.iter_mut().find(|server| server.id == id) else { return };
        server.status = "wait";
        (behind(&front, &server.url), confirmation(shared.group_id, &server.secret), code)
    };
    let answered = post(&url, 0, &body).await;
    let Some(shared) = shared.upgrade() else { return };
    {
        let mut state = shared.lock();
        if let Some(server) = state.servers.iter_mut().find(|server| server.id == id) {
            server.status = if answered == Some((200, code)) { "ok" } else { "failed" };
        }
    }
    shared.announce();
}

/// Posts events one after the other until the simulator is gone. What is not answered with `ok` is posted again, and holds back
/// the others.
async fn pump(shared: Weak<Shared>, mut changes: watch::Receiver<u64>) {
    let mut rest = REST_MIN;
    loop {
        changes.borrow_and_update();
        let next = match shared.upgrade() {
            Some(shared) => next_post(&mut shared.lock(), shared.group_id),
            None => return,
        };
        let Some(Post { server, url, body, event_id, tries }) = next else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let answered = post(&url, tries, &body).await;
        let Some(shared) = shared.upgrade() else { return };
        let taken = {
            let mut state = shared.lock();
            let taken = answered.as_ref().is_some_and(|(status, body)| *status == 200 && body == "ok");
            if answered.is_some_and(|(_, body)| body == "remove") {
                state.servers.retain(|known| known.id != server);
            }
            if let Some(event) = state.events.iter_mut().find(|event| event.id == event_id) {
                if taken {
                    event.taken_by.insert(server);
                } else {
                    event.tries += 1;
                }
            }
            taken
        };
        shared.announce();
        drop(shared);
        if taken {
            rest = REST_MIN;
        } else {
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(REST_MAX);
        }
    }
}

struct Post {
    server: i64,
    url: String,
    body: Value,
    event_id: String,
    tries: u32,
}

/// The first event, and a confirmed server that still wants it. Events that nobody wants any more are dropped.
fn next_post(state: &mut State, group_id: i64) -> Option<Post> {
    if state.servers.is_empty() {
        return None;
    }
    while let Some(event) = state.events.front() {
        let mut wanting = state
            .servers
            .iter()
            .filter(|server| server.kinds.contains(&event.kind) && !event.taken_by.contains(&server.id))
            .peekable();
        if wanting.peek().is_none() {
            state.events.pop_front();
            continue;
        }
        let server = wanting.find(|server| server.status == "ok")?;
        return Some(Post {
            server: server.id,
            url: behind(&state.fronts, &server.url),
            body: event.body(group_id, &server.secret),
            event_id: event.id.clone(),
            tries: event.tries,
        });
    }
    None
}

fn behind(fronts: &[(String, String)], url: &str) -> String {
    let found = fronts.iter().find_map(|(front, behind)| Some((behind, url.strip_prefix(front)?)));
    found.map_or_else(|| url.to_owned(), |(behind, rest)| format!("{behind}{rest}"))
}

/// Status and body of the answer; `None` where there was none.
async fn post(url: &str, tries: u32, body: &Value) -> Option<(u16, String)> {
    let counter = tries.to_string();
    let mut headers = vec![("Content-Type", "application/json")];
    if tries > 0 {
        headers.push(("X-Retry-Counter", counter.as_str()));
    }
    let body = body.to_string();
    let answer = tokio::time::timeout(PATIENCE, exchange(url, &headers, body.as_bytes())).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (_, body) = text.split_once("\r\n\r\n")?;
    Some((status(&answer).ok()?, body.to_owned()))
}
