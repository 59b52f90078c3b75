//! How news reaches the webhook.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;

use super::state::{News, Shared};
use super::{APP_SECRET, PHONE_NUMBER_ID, VERIFY_TOKEN};
use crate::conformance::channel::SampleRequest;
use crate::sim::post::{get, post, status};

/// Meta rests for minutes; a simulator need not.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(5);
/// How many events one notification carries at most.
const BATCH_MAX: usize = 10;
/// How long Meta waits for the challenge.
const PATIENCE: Duration = Duration::from_secs(10);
const CHALLENGE: &str = "1158201444";

/// The signed request that carries these events.
pub(super) fn notification(news: &[News]) -> SampleRequest {
    let (mut contacts, mut messages, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
    for one in news {
        match one {
            News::Message { message, contact } => {
                if !contacts.contains(contact) {
                    contacts.push(contact.clone());
                }
                messages.push(message.clone());
            }
            News::Status(status) => statuses.push(status.clone()),
        }
    }
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "79000000099", "phone_number_id": PHONE_NUMBER_ID },
    });
    for (name, list) in [("contacts", contacts), ("messages", messages), ("statuses", statuses)] {
        if !list.is_empty() {
            value[name] = list.into();
        }
    }
    let change = json!({ "field": "messages", "value": value });
    let entry = json!({ "id": "102290129340398", "changes": [change] });
    let body = escaped(&json!({ "object": "whatsapp_business_account", "entry": [entry] }));
    let signature = signature(body.as_bytes());
    SampleRequest::post(body)
        .with_header("content-type", "application/json")
        .with_header("x-hub-signature-256", signature)
}

pub(super) fn signature(body: &[u8]) -> String {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// JSON as Meta writes it: in ASCII, with escaped slashes. Whoever writes it anew gets other bytes.
fn escaped(value: &Value) -> String {
    let mut out = String::new();
    for char in value.to_string().chars() {
        match char {
            '/' => out.push_str("\\/"),
            char if char.is_ascii() => out.push(char),
            char => {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

pub(super) fn confirmation_query(challenge: &str) -> String {
    format!("hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token={VERIFY_TOKEN}")
}

pub(super) async fn subscribe(shared: &Arc<Shared>, url: &str) -> bool {
    let asked = {
        let gap = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{gap}{}", confirmation_query(CHALLENGE));
        behind(&shared.lock().fronts, &url)
    };
    let answered = tokio::time::timeout(PATIENCE, get(&asked)).await;
    let confirmed = answered.is_ok_and(|answer| {
        answer.is_ok_and(|answer| {
            let text = String::from_utf8_lossy(&answer);
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
            status(&answer).is_ok_and(|status| status == 200) && body == Some(CHALLENGE)
        })
    });
    if confirmed {
        shared.lock().callback = Some(url.to_owned());
        if shared.begin_posting() {
            tokio::spawn(pump(Arc::downgrade(shared), shared.subscribe()));
        }
        shared.announce();
    }
    confirmed
}

/// Posts what waits until the simulator is gone. What is not answered with 200 is posted again.
async fn pump(shared: Weak<Shared>, mut changes: watch::Receiver<u64>) {
    let mut rest = REST_MIN;
    loop {
        changes.borrow_and_update();
        let next = {
            let Some(shared) = shared.upgrade() else { return };
            let state = shared.lock();
            let batch: Vec<News> = state.waiting.iter().take(BATCH_MAX).cloned().collect();
            let url = state.callback.as_deref().map(|url| behind(&state.fronts, url));
            url.filter(|_| !batch.is_empty()).map(|url| (url, batch))
        };
        let Some((url, batch)) = next else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let request = notification(&batch);
        let signature = signature(&request.body);
        let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", signature.as_str())];
        let taken = post(&url, &headers, &request.body).await.is_ok_and(|status| status == 200);
        let Some(shared) = shared.upgrade() else { return };
        if taken {
            let mut state = shared.lock();
            let count = batch.len().min(state.waiting.len());
            state.waiting.drain(..count);
        }
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

fn behind(fronts: &[(String, String)], url: &str) -> String {
    let found = fronts.iter().find_map(|(front, behind)| Some((behind, url.strip_prefix(front)?)));
    found.map_or_else(|| url.to_owned(), |(behind, rest)| format!("{behind}{rest}"))
}
