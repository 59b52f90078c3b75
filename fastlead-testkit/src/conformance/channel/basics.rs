//! Who it is, what it can do, and that messages get through.

use std::collections::{BTreeSet, HashSet};

use fastlead_core::channel::Rate;
use fastlead_core::message::Part;
use futures_util::StreamExt;

use super::ChannelHarness;
use super::probe::Probe;
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// [`Channel::info`](fastlead_core::channel::Channel::info) names the adapter and never changes.
pub async fn info_is_stable<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let before = probe.channel.info().clone();
    let kind_is_plain =
        before.kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    ensure!(!before.kind.is_empty() && kind_is_plain, "the kind `{}` is not [a-z0-9_]+", before.kind);
    probe.send(&probe.message("первое")).await?;
    ensure!(*probe.channel.info() == before, "info() changed after a send");
    Ok(Verdict::Held)
}

/// The declared capabilities do not contradict each other or what the channel offers, and do not
/// change.
pub async fn capabilities_are_consistent<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let declared = &probe.capabilities;
    let (webhook, poller) = (probe.channel.webhook().is_some(), probe.channel.poller().is_some());
    let kinds: HashSet<_> = declared.recipients.iter().collect();
    let rate_is_sane = |rate: Option<Rate>| rate.is_none_or(|rate| rate.permits >= 1 && rate.per_millis >= 1);
    let comes_back = declared.receipts || declared.inbound || declared.buttons;
    for (holds, rule) in [
        (!declared.recipients.is_empty(), "`recipients` is not empty"),
        (kinds.len() == declared.recipients.len(), "`recipients` names each kind once"),
        (
            declared.recipients.contains(&probe.harness.recipient().kind()),
            "the harness's recipient is of a declared kind",
        ),
        (declared.text || declared.events, "it carries texts or events"),
        (
            declared.text || !(declared.html || declared.subject || declared.buttons),
            "html, subject and buttons need `text`",
        ),
        (
            declared.text_max.is_none_or(|limit| limit.max >= 1 && declared.text),
            "`text_max` needs `text` and is at least 1",
        ),
        (declared.max_in_flight >= 1, "`max_in_flight` is at least 1"),
        (rate_is_sane(declared.account_rate), "`account_rate` is at least 1 per millisecond or slower"),
        (rate_is_sane(declared.recipient_rate), "`recipient_rate` is at least 1 per millisecond or slower"),
        (declared.buttons || !declared.interaction_replies, "`interaction_replies` needs `buttons`"),
        (declared.text || !declared.edits, "`edits` needs `text`"),
        (
            webhook || poller || !(declared.inbound || declared.buttons),
            "inbound and buttons need a webhook or a poller",
        ),
        (
            webhook || poller || declared.lookup || !declared.receipts,
            "receipts need a webhook, a poller or lookup",
        ),
        (
            webhook || probe.channel.registration().is_none(),
            "a registration needs a webhook that can be registered",
        ),
        (comes_back || !(webhook || poller), "a webhook or poller needs receipts, inbound or buttons"),
    ] {
        ensure!(holds, "capabilities: {rule}");
    }
    probe.send(&probe.message("первое")).await?;
    ensure!(probe.channel.capabilities() == *declared, "capabilities() changed after a send");
    Ok(Verdict::Held)
}

/// [`Channel::check`](fastlead_core::channel::Channel::check) succeeds and nobody gets a message.
pub async fn check_messages_nobody<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    for _ in 0..2 {
        probe.channel.check().await.map_err(|error| Violation::new(format!("check failed: {error}")))?;
    }
    probe.arrived(0).await?;
    Ok(Verdict::Held)
}

/// As many sends at once as the channel allows all arrive, each once.
pub async fn concurrent_sends_all_arrive<H: ChannelHarness>() -> Outcome {
    const COUNT: usize = 20;
    let probe = Probe::<H>::start().await;
    let at_once =
        usize::try_from(probe.capabilities.max_in_flight).map_or(COUNT, |limit| limit.clamp(1, COUNT));
    let messages: Vec<_> =
        (0..COUNT).map(|number| probe.message(&format!("одновременно-{number}-"))).collect();
    let outcomes: Vec<_> = futures_util::stream::iter(messages)
        .map(|message| send_owned(&probe, message))
        .buffer_unordered(at_once)
        .collect()
        .await;
    for outcome in outcomes {
        outcome?;
    }
    let texts: BTreeSet<String> =
        probe.arrived(COUNT).await?.into_iter().map(|arrival| arrival.text).collect();
    for number in 0..COUNT {
        let mark = format!("одновременно-{number}-");
        ensure!(
            texts.iter().any(|text| text.contains(&mark)),
            "message {number} of {COUNT} sent at once did not arrive"
        );
    }
    Ok(Verdict::Held)
}

async fn send_owned<H: ChannelHarness>(
    probe: &Probe<H>,
    message: fastlead_core::message::OutboundMessage,
) -> Result<(), Violation> {
    probe.send(&message).await.map(drop)
}

/// The parts of a split text are different messages, although they share a delivery.
pub async fn parts_of_one_delivery_all_arrive<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.text, "capability text");
    let mut message = probe.message("");
    for index in 0..3 {
        message.part = Part { index, count: 3 };
        message.content = probe.carried(&format!("часть {index}"));
        probe.send(&message).await?;
    }
    probe.arrived(3).await?;
    Ok(Verdict::Held)
}

/// Where the provider honours a key, the same delivery sent twice arrives once, also after an
/// answer that was lost.
pub async fn same_key_arrives_once<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    applies_if!(probe.capabilities.idempotent_send, "capability idempotent_send");
    let mut message = probe.message("один раз");
    for attempt in 1..=3 {
        message.attempt = attempt;
        probe.send(&message).await?;
    }
    probe.arrived(1).await?;
    let lost = crate::sim::Fault::DropAfterAccept;
    let mut arrived = 1;
    if let Some(faults) = probe.faults_with(&lost) {
        let mut message = probe.message("ответ потерян");
        faults.push(lost);
        super::probe::expect_error("DropAfterAccept", probe.channel.send(&message).await)?;
        message.attempt = 2;
        probe.send(&message).await?;
        arrived += 1;
    }
    probe.send(&probe.message("другое")).await?;
    probe.arrived(arrived + 1).await?;
    Ok(Verdict::Held)
}
