//! How updates reach the bot: `GET /updates` with its marker, or subscriptions and their pump.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Answer;
use super::api::Request;
use super::state::{Shared, State, Subscription, Update, now};
use crate::sim::post::post;

const POLL_MAX_SECS: i64 = 90;
const POLL_DEFAULT_SECS: i64 = 30;
const LIMIT_MAX: i64 = 1_000;
const LIMIT_DEFAULT: i64 = 100;
/// MAX waits for a minute and longer between its calls; a simulator need not.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// With a marker everything before it counts as taken; without one the updates come again from the oldest that is kept.
pub(super) async fn get(shared: &Shared, request: &Request) -> Result<Answer, Answer> {
    let limit = request.number("limit")?.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let limit = usize::try_from(limit).unwrap_or(1);
    let timeout = request.number("timeout")?.unwrap_or(POLL_DEFAULT_SECS).clamp(0, POLL_MAX_SECS);
    let timeout = Duration::from_secs(u64::try_from(timeout).unwrap_or(0));
    let kinds: BTreeSet<String> =
        request.query("types").into_iter().flat_map(|types| types.split(',')).map(str::to_owned).collect();
    let marker = request.number("marker")?;
    let mut changes = shared.subscribe();
    {
        let mut state = shared.lock();
        if let Some(marker) = marker {
            state.updates.retain(|update| update.marker >= marker);
        }
        state.polls += 1;
    }
    shared.announce();
    let wait = async {
        loop {
            changes.borrow_and_update();
            let page = {
                let state = shared.lock();
                if !state.subscriptions.is_empty() {
                    return Err(Answer::refused(405, "method.not.allowed", "A webhook is set"));
                }
                page(&state, &kinds, limit)
            };
            match page {
                Some(page) => return Ok(page),
                None if changes.changed().await.is_err() => return Ok(empty(shared)),
                None => {}
            }
        }
    };
    match tokio::time::timeout(timeout, wait).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Ok(empty(shared)),
    }
}

fn empty(shared: &Shared) -> Answer {
    Answer::Object(json!({ "updates": [], "marker": shared.lock().next_marker() }))
}

fn page(state: &State, kinds: &BTreeSet<String>, limit: usize) -> Option<Answer> {
    let wanted = state.updates.iter().filter(|update| kinds.is_empty() || kinds.contains(&update.kind));
    let updates: Vec<&Update> = wanted.take(limit).collect();
    let marker = updates.last()?.marker + 1;
    let updates: Vec<&Value> = updates.into_iter().map(|update| &update.body).collect();
    Some(Answer::Object(json!({ "updates": updates, "marker": marker })))
}

pub(super) fn subscriptions(shared: &Shared) -> Answer {
    let state = shared.lock();
    let list: Vec<Value> = state
        .subscriptions
        .iter()
        .map(|one| {
            let types = (!one.update_types.is_empty()).then_some(&one.update_types);
            json!({ "url": one.url, "time": one.time, "update_types": types })
        })
        .collect();
    Answer::Object(json!({ "subscriptions": list }))
}

pub(super) fn subscribe(shared: &Arc<Shared>, request: &Request) -> Result<Answer, Answer> {
    let body = request.body()?;
    let url = body.get("url").and_then(Value::as_str).unwrap_or_default();
    let is_local = shared.lock().is_local;
    if !is_called(url, is_local) {
        return Err(Answer::Failed { code: "proto.payload", message: "Invalid webhook url" });
    }
    let secret = match body.get("secret") {
        None | Some(Value::Null) => "",
        Some(Value::String(secret)) if is_secret(secret) => secret,
        Some(_) => return Err(Answer::bad_request("secret: must match ^[a-zA-Z0-9_-]{5,256}$")),
    };
    let kinds = match body.get("update_types") {
        None | Some(Value::Null) => BTreeSet::new(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) => return Err(Answer::bad_request("update_types is not a list")),
    };
    add(shared, url, secret, kinds);
    Ok(Answer::success())
}

/// The same address again replaces its secret and kinds.
pub(super) fn add(shared: &Arc<Shared>, url: &str, secret: &str, update_types: BTreeSet<String>) {
    let subscription =
        Subscription { url: url.to_owned(), time: now(), update_types, secret: secret.to_owned() };
    let begins = {
        let mut state = shared.lock();
        state.subscriptions.retain(|known| known.url != url);
        state.subscriptions.push(subscription);
        !std::mem::replace(&mut state.is_pumping, true)
    };
    if begins {
        tokio::spawn(pump(Arc::downgrade(shared), shared.subscribe()));
    }
    shared.announce();
}

pub(super) fn unsubscribe(shared: &Shared, request: &Request) -> Result<Answer, Answer> {
    let url = request.query("url").ok_or_else(|| Answer::bad_request("url is required"))?;
    shared.lock().subscriptions.retain(|known| known.url != url);
    shared.announce();
    Ok(Answer::success())
}

/// HTTPS on port 443.
fn is_called(url: &str, is_local: bool) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let uri = uri.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    match uri.as_ref().map(|uri| (uri.scheme_str().unwrap_or_default(), uri.port_u16())) {
        Some(("http" | "https", _)) if is_local => true,
        Some(("https", None | Some(443))) => true,
        _ => false,
    }
}

fn is_secret(secret: &str) -> bool {
    (5..=256).contains(&secret.len())
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Posts updates one after the other, each to every subscription that wants it, until the simulator is gone. An update
/// that is not answered with 200 is posted again and holds back the others.
async fn pump(shared: Weak<Shared>, mut changes: watch::Receiver<u64>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        changes.borrow_and_update();
        let Some(next) = shared.upgrade().map(|shared| next_call(&mut shared.lock())) else { return };
        let Some((subscription, update)) = next else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let taken = call(&subscription, &update).await;
        let Some(shared) = shared.upgrade() else { return };
        if taken {
            let mut state = shared.lock();
            let waiting = state.updates.iter_mut().find(|waiting| waiting.marker == update.marker);
            if let Some(waiting) = waiting {
                waiting.taken_by.insert(subscription.known_as);
            }
            drop(state);
            shared.announce();
            backoff = BACKOFF_MIN;
        } else {
            shared.lock().failed_calls += 1;
            shared.announce();
            drop(shared);
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// Where to call.
struct Target {
    /// The address as it was subscribed.
    known_as: String,
    url: String,
    secret: String,
}

/// The next update and who has to get it. Updates that everybody has are thrown away.
fn next_call(state: &mut State) -> Option<(Target, Update)> {
    if state.subscriptions.is_empty() {
        return None;
    }
    while let Some(update) = state.updates.front() {
        let open = state
            .subscriptions
            .iter()
            .find(|one| one.wants(&update.kind) && !update.taken_by.contains(&one.url));
        if let Some(Subscription { url, secret, .. }) = open {
            let mut fronts = state.fronts.iter();
            let behind =
                fronts.find_map(|(front, behind)| Some(format!("{behind}{}", url.strip_prefix(front)?)));
            let target = Target {
                known_as: url.clone(),
                url: behind.unwrap_or_else(|| url.clone()),
                secret: secret.clone(),
            };
            return Some((target, update.clone()));
        }
        state.updates.pop_front();
    }
    None
}

async fn call(target: &Target, update: &Update) -> bool {
    let mut headers = vec![("Content-Type", "application/json")];
    if !target.secret.is_empty() {
        headers.push(("X-Max-Bot-Api-Secret", &target.secret));
    }
    matches!(post(&target.url, &headers, update.body.to_string().as_bytes()).await, Ok(200))
}
