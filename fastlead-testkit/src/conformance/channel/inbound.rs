//! What comes back: authentic, once, and about the right delivery.

use std::collections::HashSet;
use std::time::Duration;

use fastlead_core::ErrorKind;
use fastlead_core::channel::{InboundEvent, InboundKind};
use fastlead_core::message::{Button, ButtonAction, Content, PressedMessage, Response, ResponseToken, Text};
use fastlead_core::time::{Clock, SystemClock};

use super::probe::{Probe, events_of, interaction_reply, poller, webhook};
use super::sample::outbound;
use super::{ChannelHarness, Inbound, SampleRequest};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// What the provider sends verifies, and brings events that name themselves.
pub async fn genuine_webhooks_verify<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let genuine = probe.harness.genuine_webhooks().await;
    ensure!(
        probe.channel.webhook().is_some() != genuine.is_empty(),
        "the harness gives genuine webhooks if and only if the channel has a webhook"
    );
    applies_if!(probe.channel.webhook().is_some(), "the channel has no webhook");
    for (number, request) in genuine.iter().enumerate() {
        let events = events_of(&*probe.channel, request)?;
        ensure!(!events.is_empty(), "genuine webhook {number} brought no event");
        let named = events.iter().all(|event| !event.provider_event_id.is_empty());
        ensure!(named, "genuine webhook {number} brought an event without an id");
    }
    Ok(Verdict::Held)
}

/// What anybody else sends does not verify, and nothing makes the receiver panic.
pub async fn forged_webhooks_do_not_verify<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.channel.webhook().is_some(), "the channel has no webhook");
    let receiver = webhook(&*probe.channel)?;
    let genuine = probe.harness.genuine_webhooks().await;
    for request in &genuine {
        let hint_only =
            request.show(|request| receiver.verify(request).is_ok_and(|verified| verified.must_confirm()));
        applies_if!(!hint_only, "the provider does not sign; every request is only a hint");
    }
    let forged = probe.harness.forged_webhooks().await;
    ensure!(!forged.is_empty(), "the harness gives no forged webhooks");
    let empty = [
        SampleRequest::post(""),
        SampleRequest { method: "GET".to_owned(), ..SampleRequest::post("") },
        SampleRequest::post(b"\xff\xfe\x00{\"".to_vec()).with_query("%ff=%zz&&=&"),
    ];
    for (number, request) in forged.iter().chain(&empty).enumerate() {
        ensure!(!genuine.contains(request), "forged webhook {number} is a genuine one");
        let error = request.show(|request| receiver.verify(request).err());
        let Some(error) = error else {
            return Err(Violation::new(format!("forged webhook {number} verified")));
        };
        let kind = error.kind();
        let refused = matches!(kind, ErrorKind::Unauthenticated | ErrorKind::Invalid);
        ensure!(refused, "forged webhook {number}: expected Unauthenticated or Invalid, got {kind:?}");
    }
    Ok(Verdict::Held)
}

/// The same request again gives the same events with the same ids, later or not; different
/// requests give different ids.
pub async fn repeated_webhook_is_one_event<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.channel.webhook().is_some(), "the channel has no webhook");
    let mut seen = HashSet::new();
    for request in probe.harness.genuine_webhooks().await {
        let ids = |events: Vec<InboundEvent>| -> Vec<_> {
            events.into_iter().map(|event| event.provider_event_id).collect()
        };
        let first = ids(events_of(&*probe.channel, &request)?);
        let later = request.received_at + chrono::TimeDelta::seconds(60);
        let again = ids(events_of(&*probe.channel, &SampleRequest { received_at: later, ..request })?);
        ensure!(first == again, "the same request gave the event ids {first:?} and then {again:?}");
        for id in first {
            ensure!(seen.insert(id.clone()), "two different requests gave the same event id {id}");
        }
    }
    Ok(Verdict::Held)
}

/// Buttons are shown with their labels, and a press comes back with the answer and the delivery
/// that the button belongs to; where presses are answered, the answer is accepted, and a closed
/// offer keeps only the buttons that open a page.
pub async fn buttons_round_trip<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.buttons, "capability buttons");
    let page =
        fastlead_core::message::url_text::HttpUrl::try_from("https://example.com/lead?id=1".to_owned())
            .map_err(Violation::new)?;
    let answers = [("Беру <заявку>", Response::Accept), ("Не беру", Response::Decline)];
    let mut buttons: Vec<Button> = answers
        .iter()
        .map(|(label, response)| Button {
            label: (*label).to_owned(),
            action: ButtonAction::Respond(*response),
        })
        .collect();
    buttons.push(Button { label: "Открыть".to_owned(), action: ButtonAction::Open(page.clone()) });
    let message =
        outbound(probe.harness.recipient(), Content::Text(Text { buttons, ..Text::plain("Новая заявка") }));
    probe.send(&message).await?;
    let arrival = probe.only_arrival().await?;
    let labels: Vec<_> = arrival.buttons.iter().map(|button| button.label.as_str()).collect();
    if probe.harness.shows_links_on_buttons() {
        ensure!(labels == ["Беру <заявку>", "Не беру", "Открыть"], "the buttons arrived as {labels:?}");
        let opens = arrival.buttons.iter().any(|button| button.opens_url && button.data == page.as_str());
        ensure!(opens, "the button that opens a page does not open it");
    } else {
        ensure!(labels == ["Беру <заявку>", "Не беру"], "the buttons arrived as {labels:?}");
        ensure!(arrival.text.contains(page.as_str()), "the page is neither on a button nor in the text");
    }

    for (label, response) in answers {
        let Some(button) = arrival.buttons.iter().find(|button| button.label == label) else {
            return Err(Violation::new(format!("the button {label} is missing")));
        };
        let Press { interaction_id, token, message: pressed } =
            pressed(&probe, probe.harness.press(&arrival, button).await).await?;
        let expected = ResponseToken { response, delivery_id: message.delivery_id };
        ensure!(token == Some(expected), "pressed {expected:?}, got back {token:?}");
        if probe.capabilities.interaction_replies {
            let closes = pressed.filter(|_| response == Response::Decline);
            let is_known = closes.is_some();
            let reply = outbound(probe.harness.recipient(), interaction_reply(&interaction_id, closes));
            probe.send(&reply).await?;
            let shown = probe.only_arrival().await?.buttons;
            let left: Vec<_> = shown.iter().map(|button| button.label.as_str()).collect();
            let expected = if is_known { vec!["Открыть"] } else { labels.clone() };
            ensure!(left == expected, "after the answer to {label} the buttons are {left:?}");
        }
    }
    Ok(Verdict::Held)
}

/// What came back of a pressed button.
struct Press {
    interaction_id: String,
    token: Option<ResponseToken>,
    message: Option<PressedMessage>,
}

/// The newest press among what came back.
async fn pressed<H: ChannelHarness>(probe: &Probe<H>, inbound: Inbound) -> Result<Press, Violation> {
    let events = match inbound {
        Inbound::ByWebhook(request) => events_of(&*probe.channel, &request)?,
        Inbound::ByPoll => {
            let poller = poller(&*probe.channel)?;
            let mut batches = Vec::new();
            for _ in 0..2 {
                let batch = poller.poll(None, Duration::from_secs(5), SystemClock.now()).await;
                batches.push(batch.map_err(|error| Violation::new(format!("poll failed: {error}")))?);
            }
            let events = batches.pop().map(|batch| batch.events).unwrap_or_default();
            let repeated = batches.pop().is_some_and(|batch| batch.events == events);
            ensure!(repeated, "polling again from the same cursor did not give the same news");
            events
        }
    };
    events
        .into_iter()
        .rev()
        .find_map(|event| match event.kind {
            InboundKind::Interaction { interaction_id, token, message, .. } => {
                Some(Press { interaction_id, token: token.and_then(|token| token.decode()), message })
            }
            _ => None,
        })
        .ok_or_else(|| Violation::new("the press of a button did not come back as an interaction"))
}
