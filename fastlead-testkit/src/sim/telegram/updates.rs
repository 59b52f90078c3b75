//! How updates reach the bot: `getUpdates` with its offset rules, or a webhook and its pump.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Answer;
use super::params::Params;
use super::state::{Shared, State, Update, Webhook};
use crate::sim::post::post;

const POLL_MAX_SECS: i64 = 50;
/// Telegram backs off for minutes; a simulator need not.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

const WEBHOOK_IS_ACTIVE: &str = "Conflict: can't use getUpdates method while webhook is active; \
    use deleteWebhook to delete the webhook first";
const OTHER_POLL: &str = "Conflict: terminated by other getUpdates request; make sure that only one \
    bot instance is running";
const WEBHOOK_WAS_SET: &str = "Conflict: terminated by setWebhook request";

pub(super) async fn get(shared: &Shared, params: &Params) -> Result<Answer, Answer> {
    let limit = params.integer("limit").unwrap_or(100).clamp(1, 100);
    let limit = usize::try_from(limit).unwrap_or(100);
    let timeout = params.integer("timeout").unwrap_or(0).clamp(0, POLL_MAX_SECS);
    let timeout = Duration::from_secs(u64::try_from(timeout).unwrap_or(0));
    let mut changes = shared.subscribe();
    let turn = {
        let mut state = shared.lock();
        if state.webhook.is_some() {
            return Err(Answer::refused(409, WEBHOOK_IS_ACTIVE));
        }
        choose_updates(&mut state, params)?;
        confirm(&mut state, params.integer("offset").unwrap_or(0));
        state.poll_turn += 1;
        state.poll_turn
    };
    shared.announce();

    let wait = async {
        loop {
            changes.borrow_and_update();
            {
                let state = shared.lock();
                if state.webhook.is_some() {
                    return Err(Answer::refused(409, WEBHOOK_WAS_SET));
                }
                if state.poll_turn != turn {
                    return Err(Answer::refused(409, OTHER_POLL));
                }
                if !state.updates.is_empty() {
                    return Ok(Answer::done(batch(&state, limit)));
                }
            }
            if changes.changed().await.is_err() {
                return Ok(Answer::done(json!([])));
            }
        }
    };
    match tokio::time::timeout(timeout, wait).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Ok(Answer::done(json!([]))),
    }
}

fn batch(state: &State, limit: usize) -> Value {
    state.updates.iter().take(limit).map(|update| update.body.clone()).collect()
}

/// A positive offset forgets every earlier update; a negative one keeps only that many from the
/// end. An offset beyond the queue is no reason to lose what comes next.
fn confirm(state: &mut State, offset: i64) {
    if offset > 0 {
        while state.updates.front().is_some_and(|update| update.id < offset) {
            state.updates.pop_front();
        }
    } else if offset < 0 {
        let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        while state.updates.len() > keep {
            state.updates.pop_front();
        }
    }
}

/// Absent keeps the previous choice; an empty list means the default.
fn choose_updates(state: &mut State, params: &Params) -> Result<(), Answer> {
    let Some(list) = params.object("allowed_updates")? else { return Ok(()) };
    let kinds = list
        .as_array()
        .ok_or_else(|| Answer::refused(400, "Bad Request: can't parse allowed updates JSON object"))?
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_ascii_lowercase)
        .collect();
    state.allowed_updates =
        Some(kinds).filter(|kinds: &std::collections::BTreeSet<String>| !kinds.is_empty());
    Ok(())
}

pub(super) fn set_webhook(shared: &Arc<Shared>, params: &Params) -> Result<Answer, Answer> {
    let url = params.text("url");
    if url.is_empty() {
        return Ok(delete_webhook(shared, params));
    }
    check_address(&url, shared.lock().is_local)?;
    let secret = params.text("secret_token");
    if secret.len() > 256 {
        return Err(Answer::refused(400, "Bad Request: secret token is too long"));
    }
    if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return Err(Answer::refused(400, "Bad Request: secret token contains unallowed characters"));
    }
    let max_connections = params.integer("max_connections").unwrap_or(40).clamp(1, 100);
    let turn = {
        let mut state = shared.lock();
        choose_updates(&mut state, params)?;
        if params.flag("drop_pending_updates") {
            state.updates.clear();
        }
        state.webhook = Some(Webhook { url, secret, max_connections, last_error: None });
        state.webhook_turn += 1;
        state.webhook_turn
    };
    tokio::spawn(pump(Arc::downgrade(shared), shared.subscribe(), turn));
    shared.announce();
    Ok(Answer::done_because("Webhook was set"))
}

/// HTTPS on four ports, as `setWebhook` documents; a server that runs with `--local` takes any
/// HTTP address, too.
fn check_address(url: &str, is_local: bool) -> Result<(), Answer> {
    let uri: Option<http::Uri> = url.parse().ok();
    let uri = uri.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let words = match uri.as_ref().map(|uri| (uri.scheme_str().unwrap_or_default(), uri.port_u16())) {
        None => "invalid webhook URL specified",
        Some(("http" | "https", _)) if is_local => return Ok(()),
        Some(("https", None | Some(443 | 80 | 88 | 8443))) => return Ok(()),
        Some(("https", _)) => "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
        Some(_) => "bad webhook: An HTTPS URL must be provided for webhook",
    };
    Err(Answer::refused(400, format!("Bad Request: {words}")))
}

pub(super) fn delete_webhook(shared: &Shared, params: &Params) -> Answer {
    let had_one = {
        let mut state = shared.lock();
        if params.flag("drop_pending_updates") {
            state.updates.clear();
        }
        state.webhook_turn += 1;
        state.webhook.take().is_some()
    };
    shared.announce();
    Answer::done_because(if had_one { "Webhook was deleted" } else { "Webhook is already deleted" })
}

pub(super) fn webhook_info(shared: &Shared) -> Answer {
    let state = shared.lock();
    let mut info = json!({
        "url": "",
        "has_custom_certificate": false,
        "pending_update_count": state.updates.len(),
    });
    if let Some(webhook) = &state.webhook {
        info["url"] = webhook.url.as_str().into();
        info["max_connections"] = webhook.max_connections.into();
        info["ip_address"] = "127.0.0.1".into();
        if let Some((date, words)) = &webhook.last_error {
            info["last_error_date"] = (*date).into();
            info["last_error_message"] = words.as_str().into();
        }
    }
    if let Some(allowed) = &state.allowed_updates {
        info["allowed_updates"] = allowed.iter().map(String::as_str).collect();
    }
    Answer::done(info)
}

/// Posts updates one after the other until the webhook is replaced, deleted, or the simulator is
/// gone. An update that is not answered with 2xx is posted again and holds back the others.
async fn pump(shared: Weak<Shared>, mut changes: watch::Receiver<u64>, turn: u64) {
    let mut backoff = BACKOFF_MIN;
    loop {
        changes.borrow_and_update();
        let next = match shared.upgrade() {
            Some(shared) => match next_delivery(&shared.lock(), turn) {
                Some(next) => next,
                None => return,
            },
            None => return,
        };
        let Some((webhook, update)) = next else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let problem = deliver(&webhook, &update).await;
        let Some(shared) = shared.upgrade() else { return };
        match problem {
            None => {
                shared.lock().updates.retain(|waiting| waiting.id != update.id);
                shared.announce();
                backoff = BACKOFF_MIN;
            }
            Some(words) => {
                if let Some(webhook) = &mut shared.lock().webhook {
                    webhook.last_error = Some((chrono::Utc::now().timestamp(), words));
                }
                shared.announce();
                drop(shared);
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// `None` where this pump's turn is over; `Some(None)` where there is nothing to post now.
fn next_delivery(state: &State, turn: u64) -> Option<Option<(Webhook, Update)>> {
    let webhook = state.webhook.as_ref().filter(|_| state.webhook_turn == turn)?;
    let Some(update) = state.updates.front().cloned() else { return Some(None) };
    let mut webhook = webhook.clone();
    let front =
        state.fronts.iter().find_map(|(front, behind)| Some((webhook.url.strip_prefix(front)?, behind)));
    if let Some((rest, behind)) = front {
        webhook.url = format!("{behind}{rest}");
    }
    Some(Some((webhook, update)))
}

async fn deliver(webhook: &Webhook, update: &Update) -> Option<String> {
    let mut headers = vec![("Content-Type", "application/json")];
    if !webhook.secret.is_empty() {
        headers.push(("X-Telegram-Bot-Api-Secret-Token", &webhook.secret));
    }
    match post(&webhook.url, &headers, update.body.to_string().as_bytes()).await {
        Ok(200..=299) => None,
        Ok(status) => {
            let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
            Some(format!("Wrong response from the webhook: {status} {}", reason.unwrap_or_default()))
        }
        Err(error) => Some(error.to_string()),
    }
}
