//! What is declared is so, and what a receipt says is true.

use std::collections::HashSet;
use std::time::Duration;

use fastlead_core::message::{OutboundMessage, RecipientKind};
use fastlead_core::time::plus;

use super::ChannelHarness;
use super::probe::Probe;
use super::sample::outbound;
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// The lifetime that the suite gives to a message.
const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// A message to an address of every declared kind is sent and arrives.
pub async fn every_declared_kind_of_recipient_is_sent_to<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let mut known = vec![probe.harness.recipient()];
    known.extend(probe.harness.other_recipients());
    for (done, kind) in probe.capabilities.recipients.iter().enumerate() {
        let Some(recipient) = known.iter().find(|recipient| recipient.kind() == *kind) else {
            return Err(Violation::new(format!(
                "the capabilities declare recipients of the kind {kind:?}, but the harness's `other_recipients` names none"
            )));
        };
        let message = outbound(recipient.clone(), probe.carried("каждому"));
        probe.send(&message).await.map_err(|why| Violation::new(format!("to the kind {kind:?}: {why}")))?;
        probe.arrived(done + 1).await?;
    }
    Ok(Verdict::Held)
}

/// The provider is told how long a message may still be delivered where `message_ttl` is declared, and never for longer
/// than the message says.
pub async fn lifetime_is_passed_on_as_declared<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let message = probe.message("ненадолго");
    let message = OutboundMessage { expires_at: Some(plus(message.attempted_at, LIFETIME)), ..message };
    probe.send(&message).await?;
    let seen = probe.arrived(1).await?.first().and_then(|arrival| probe.harness.seen_lifetime(arrival));
    match (probe.capabilities.message_ttl, seen) {
        (true, None) => Err(Violation::new(
            "`message_ttl` is declared, but the provider was told no lifetime, or the harness's `seen_lifetime` does not say",
        )),
        (true, Some(seen)) => {
            let fits = !seen.is_zero() && seen <= LIFETIME;
            ensure!(fits, "the message may be delivered for {LIFETIME:?}, the provider was told {seen:?}");
            Ok(Verdict::Held)
        }
        (false, Some(seen)) => Err(Violation::new(format!(
            "the provider was told a lifetime of {seen:?}, but `message_ttl` is not declared"
        ))),
        (false, None) => Ok(Verdict::NotApplicable("capability message_ttl")),
    }
}

/// Every message gets an id of its own, where the channel gives ids at all; what can be asked about, changed or reported on
/// needs one.
pub async fn every_message_has_an_id_of_its_own<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let declared = &probe.capabilities;
    let needed = declared.receipts || declared.lookup || declared.edits;
    let mut ids = HashSet::new();
    let mut given = false;
    for text in ["первое", "второе", "второе"] {
        let receipt = probe.send(&probe.message(text)).await?;
        let Some(id) = receipt.provider_message_id else {
            ensure!(!needed, "receipts, lookup and edits need an id, but send gave none");
            continue;
        };
        given = true;
        ensure!(!id.trim().is_empty(), "send gave an empty id");
        ensure!(ids.insert(id.clone()), "two messages got the same id {id}");
    }
    applies_if!(given, "the provider gives no ids");
    Ok(Verdict::Held)
}

/// "Accepted" is not "delivered": only the endpoint of a program proves by its answer that a message has arrived.
pub async fn accepted_is_not_delivered<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let to_a_person = probe.harness.recipient().kind() != RecipientKind::Endpoint;
    applies_if!(to_a_person, "the answer of an endpoint is its receipt");
    let receipt = probe.send(&probe.message("принято")).await?;
    ensure!(!receipt.delivered, "the provider has accepted the message, but send says that it was delivered");
    Ok(Verdict::Held)
}
