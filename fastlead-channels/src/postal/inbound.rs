//! From Postal's events and routed mail to ours.

use std::time::Duration;

use fastlead_core::channel::{
    FailureReason, InboundEvent, InboundKind, MessageReference, Peer, ReceiptFailure, ReceiptStatus,
};
use fastlead_core::contact::Email;
use fastlead_core::id::DeliveryId;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Timestamp, from_millis};
use serde_json::Value;

use super::error::failure;
use super::wire::{Event, RoutedMail, Told};

/// Ids of Postal's events are UUIDs; nothing longer is one.
const LONGEST_ID: usize = 64;

/// The event in what Postal has posted: an event of its own, or a mail of a person. `None` where there is nothing for us.
pub(super) fn read_body(body: Value, received_at: Timestamp) -> Option<InboundEvent> {
    if body.get("event").is_some() {
        return receipt(serde_json::from_value(body).ok()?, received_at);
    }
    mail(serde_json::from_value(body).ok()?, received_at)
}

fn receipt(event: Event, received_at: Timestamp) -> Option<InboundEvent> {
    let told: Told = match event.event.as_str() {
        "MessageSent"
        | "MessageDelayed"
        | "MessageDeliveryFailed"
        | "MessageHeld"
        | "MessageBounced"
        | "MessageLoaded"
        | "MessageLinkClicked" => serde_json::from_value(event.payload).ok()?,
        // Alarms about the domain and limits of the server, and what Postal will invent.
        _ => return None,
    };
    let status = match event.event.as_str() {
        "MessageDelayed" => ReceiptStatus::InTransit,
        // The mail server of the recipient has it; there is no better word from mail.
        "MessageSent" => ReceiptStatus::Delivered,
        "MessageLoaded" | "MessageLinkClicked" => ReceiptStatus::Read,
        "MessageHeld" => ReceiptStatus::Failed(held(told.details.as_deref())),
        "MessageBounced" => {
            let provider_code = Some("bounced".to_owned());
            ReceiptStatus::Failed(ReceiptFailure { reason: FailureReason::Other, provider_code })
        }
        _ => ReceiptStatus::Failed(failure(told.output.as_deref())),
    };
    if event.uuid.is_empty() || event.uuid.len() > LONGEST_ID {
        return None;
    }
    let message = reference(told.message.id, told.message.tag.as_deref(), &status);
    Some(InboundEvent {
        provider_event_id: format!("event:{}", event.uuid),
        occurred_at: moment(event.timestamp, received_at),
        kind: InboundKind::Receipt { message, status },
    })
}

/// A mail that Postal keeps until somebody releases it. The suppression list names the recipient; limits and holds do not.
fn held(details: Option<&str>) -> ReceiptFailure {
    let suppressed = details.is_some_and(|details| details.to_ascii_lowercase().contains("suppression list"));
    let reason = if suppressed { FailureReason::Recipient } else { FailureReason::Other };
    ReceiptFailure { reason, provider_code: Some("held".to_owned()) }
}

/// Which message an event is about. The tag names the delivery, also where the event overtakes the answer to our request. Of a
/// text in several parts the whole fails with one of them, and each arrives by itself, under Postal's number.
fn reference(id: i64, tag: Option<&str>, status: &ReceiptStatus) -> MessageReference {
    let ours = |text: &str| text.parse::<DeliveryId>().ok();
    let whole = tag.and_then(ours);
    let of_part = || tag.and_then(|text| text.rsplit_once('-')).and_then(|(whole, _)| ours(whole));
    let failed = matches!(status, ReceiptStatus::Failed(_));
    match whole.or_else(|| failed.then(of_part).flatten()) {
        Some(delivery) => MessageReference::Delivery(delivery),
        None => MessageReference::Provider(id.to_string()),
    }
}

/// A mail of a person. What a machine has written by itself, and bounces, are nobody's words.
fn mail(mail: RoutedMail, received_at: Timestamp) -> Option<InboundEvent> {
    let automatic =
        mail.auto_submitted.as_deref().is_some_and(|value| !value.trim().eq_ignore_ascii_case("no"));
    if mail.bounce || automatic {
        return None;
    }
    let header = mail.from.as_deref().unwrap_or_default();
    let email = Email::find(header).or_else(|| Email::find(mail.mail_from.as_deref()?))?;
    let name = header.split('<').next().unwrap_or_default().trim().trim_matches('"').trim();
    let display_name = (!name.is_empty() && !name.contains('@')).then(|| Pii::new(name.to_owned()));
    let address = Pii::new(email.expose().to_owned());
    let from = Peer { chat: address.clone(), user: address, display_name, language: None };
    let text = Pii::new(mail.plain_body.unwrap_or_default().trim_end().to_owned());
    let token = mail.token.unwrap_or_default();
    Some(InboundEvent {
        provider_event_id: format!(
            "mail:{}:{}",
            mail.id,
            token.get(..LONGEST_ID.min(token.len())).unwrap_or_default()
        ),
        occurred_at: moment(mail.timestamp, received_at),
        kind: InboundKind::Message { from, text },
    })
}

/// Seconds with a fraction since the Unix epoch.
fn moment(seconds: Option<f64>, received_at: Timestamp) -> Timestamp {
    let since_epoch = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let millis =
        since_epoch.and_then(|time| i64::try_from(time.as_millis()).ok()).filter(|millis| *millis > 0);
    millis.map_or(received_at, from_millis).min(received_at)
}
