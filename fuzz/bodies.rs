//! What each fuzz target does with its bytes. A body that returns has found nothing.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "a fault that is found must stop the run; each target calls one body"
)]

use std::sync::{Arc, OnceLock};

use fastlead_core::channel::{Channel, ChannelInfo};
use fastlead_core::lead::{CaptureInput, FieldMapping, InputReader, Received};
use fastlead_core::message::Locale;
use fastlead_core::policy::{Condition, Policy};
use fastlead_core::registry::Registry;
use fastlead_core::time::{epoch, from_millis};
use fastlead_core::webhook::{ConfirmByFetch, Verified, WebhookRequest};
use fastlead_testkit::policy::Document;
use serde_json::json;

/// A condition that is read prints as a text that means the same.
pub(crate) fn condition(bytes: &[u8]) {
    let Ok(condition) = String::from_utf8_lossy(bytes).parse::<Condition>() else { return };
    let printed = condition.to_string();
    let again = printed.parse::<Condition>();
    assert_eq!(again.as_ref(), Ok(&condition), "{printed}");
}

/// A policy that is read is checked without a panic, and is the same after it was stored.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(document) = Document::parse(&String::from_utf8_lossy(bytes)) else { return };
    let Ok(policy) = document.policy() else { return };
    if let Err(faults) = policy.validate(&Default::default(), from_millis(1_795_597_200_000)) {
        assert!(!document.locate(faults).is_empty());
    }
    let stored = serde_json::to_vec(&policy).unwrap();
    assert_eq!(Policy::from_json(&stored).as_ref(), Ok(&policy));
}

/// A document of a capture, in FastLead's own form and as that of another program.
pub(crate) fn capture(bytes: &[u8]) {
    if let Ok(input) = serde_json::from_slice::<CaptureInput>(bytes) {
        validated(input);
    }
    if let Ok(document) = serde_json::from_slice(bytes) {
        let mapping = FieldMapping::default();
        let mut reader = InputReader::new(&mapping);
        reader.document(document);
        validated(reader.finish());
    }
}

/// A form: lines of a name and a value with `=` between them.
pub(crate) fn form(bytes: &[u8]) {
    let mapping = FieldMapping::default();
    let mut reader = InputReader::new(&mapping);
    for line in String::from_utf8_lossy(bytes).lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        reader.field(name, value.to_owned());
    }
    validated(reader.finish());
}

/// What was taken can be stored and is the same when it is read, and what was refused is named.
fn validated(input: CaptureInput) {
    match input.validate(&[], Locale::Ru, Received::at(epoch())) {
        Ok(capture) => {
            let stored = serde_json::to_string(&capture).unwrap();
            assert_eq!(serde_json::from_str::<fastlead_core::Capture>(&stored).unwrap(), capture);
        }
        Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.field.is_empty())),
    }
}

/// A request to every provider's webhook: never authentic, and read without a panic as if it were. The first line is the query.
pub(crate) fn webhook(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (query, body) = text.split_once('\n').unwrap_or(("", &text));
    for channel in channels() {
        let Some(receiver) = channel.webhook() else { continue };
        for method in ["POST", "GET"] {
            let request = WebhookRequest {
                method,
                query,
                headers: &[("content-type", b"application/json")],
                body: body.as_bytes(),
                remote: None,
                received_at: epoch(),
            };
            assert!(receiver.verify(request).is_err(), "{} took what nobody has signed", channel.info().kind);
            if let Ok(batch) = receiver.parse(&Verified::unsigned(request, ConfirmByFetch)) {
                for event in batch.events {
                    let stored = serde_json::to_string(&event).unwrap();
                    assert_eq!(
                        serde_json::from_str::<fastlead_core::channel::InboundEvent>(&stored).unwrap(),
                        event
                    );
                }
            }
        }
    }
}

/// The kinds of channel that have a webhook, and how one of each is configured.
pub(crate) fn channels() -> &'static [Arc<dyn Channel>] {
    static CHANNELS: OnceLock<Vec<Arc<dyn Channel>>> = OnceLock::new();
    CHANNELS.get_or_init(|| {
        let registry = Registry::builder().apply(fastlead_channels::register).build().unwrap();
        let secret = "an-invented-secret-of-32-letters";
        let configs = [
            (
                "telegram",
                json!({ "bot_token": "1:invented", "updates": "webhook", "webhook_secret": secret }),
            ),
            ("max", json!({ "bot_token": "invented", "updates": "webhook", "webhook_secret": secret })),
            ("vk", json!({ "access_token": "invented", "group_id": 1, "callback_secret": secret })),
            (
                "whatsapp",
                json!({ "access_token": "invented", "phone_number_id": "1", "app_secret": secret, "verify_token": secret }),
            ),
            (
                "postal",
                json!({
                    "endpoint": "https://postal.example.com", "api_key": "invented",
                    "from": { "address": "no-reply@example.com" },
                    "signing_keys": json!({ "keys": [{ "kty": "RSA", "n": format!("{}w", "v".repeat(341)), "e": "AQAB" }] }).to_string(),
                }),
            ),
            ("smsc", json!({ "login": "invented", "password": "invented", "callback_secret": secret })),
        ];
        let build = |(kind, config): (&'static str, serde_json::Value)| {
            registry.build(kind, ChannelInfo::embedded(kind, "fuzzed").id, "fuzzed", config).unwrap()
        };
        configs.into_iter().map(build).collect()
    })
}
