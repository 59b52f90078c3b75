//! How events and mail reach the program.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::key;
use super::state::Shared;
use crate::conformance::channel::SampleRequest;
use crate::sim::post::post;

/// Postal rests for minutes; a simulator need not.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(5);

/// The signed request that carries a body.
pub(super) fn request(body: &Value) -> SampleRequest {
    let body = body.to_string();
    let signature = key::signature(body.as_bytes());
    SampleRequest::post(body)
        .with_header("content-type", "application/json")
        .with_header("user-agent", "Postal/3.3.4")
        .with_header("x-postal-signature-kid", key::ID)
        .with_header("x-postal-signature-256", signature)
}

pub(super) fn subscribe(shared: &Arc<Shared>, url: &str) {
    shared.lock().callback = Some(url.to_owned());
    if shared.begin_posting() {
        tokio::spawn(pump(Arc::downgrade(shared), shared.subscribe()));
    }
    shared.announce();
}

/// Posts what waits until the simulator is gone. What is not answered with 2xx is posted again, and holds back the others.
async fn pump(shared: Weak<Shared>, mut changes: watch::Receiver<u64>) {
    let mut rest = REST_MIN;
    loop {
        changes.borrow_and_update();
        let next = {
            let Some(shared) = shared.upgrade() else { return };
            let state = shared.lock();
            state.callback.clone().zip(state.waiting.front().cloned())
        };
        let Some((url, body)) = next else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let body = body.to_string();
        let signature = key::signature(body.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Postal-Signature-KID", key::ID),
            ("X-Postal-Signature-256", signature.as_str()),
        ];
        let taken =
            post(&url, &headers, body.as_bytes()).await.is_ok_and(|status| (200..300).contains(&status));
        let Some(shared) = shared.upgrade() else { return };
        if taken {
            shared.lock().waiting.pop_front();
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
