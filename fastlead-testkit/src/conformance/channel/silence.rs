//! A provider that says nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ChannelHarness;
use super::probe::{MARKED_TEXT, NO_ANSWER, Probe, expect_error, expect_kind, expect_unknown};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};
use crate::sim::Fault;

/// How long the channel with the shortest time-out may wait for an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// By how much a send may outlast the time that the capabilities declare, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// A provider that accepts a message and then keeps silent leaves the outcome unknown: the channel gives up in time, and
/// exactly one message arrives.
pub async fn silence_is_unknown<H: ChannelHarness>() -> Outcome {
    let fault = Fault::HangAfterAccept;
    let probe = Probe::<H>::start().await;
    let Some(faults) = probe.faults_with(&fault) else {
        return Ok(Verdict::NotApplicable("there is no network"));
    };
    let impatient = probe.harness.impatient();
    applies_if!(impatient.is_some(), "the harness gives no channel with a short time-out");
    let channel = impatient.unwrap_or_else(|| Arc::clone(&probe.channel));
    let message = probe.message(MARKED_TEXT);
    faults.push(fault);
    let begun = Instant::now();
    let Ok(outcome) = tokio::time::timeout(SILENCE_LIMIT, channel.send(&message)).await else {
        return Err(Violation::new(format!(
            "no time-out: a send to a silent provider had not ended after {SILENCE_LIMIT:?}"
        )));
    };
    let taken = begun.elapsed();
    let error = expect_error("silence", outcome)?;
    expect_kind("silence", &error, &NO_ANSWER)?;
    expect_unknown("silence", &error)?;
    if let Some(millis) = channel.capabilities().attempt_timeout_millis {
        let declared = Duration::from_millis(millis);
        ensure!(
            taken <= declared + SLACK,
            "`attempt_timeout_millis` declares {declared:?}, but the channel gave up after {taken:?}"
        );
    }
    // Exactly one: an adapter that tries again by itself has delivered twice here.
    probe.arrived(1).await?;
    probe.still_works_after(1).await?;
    Ok(Verdict::Held)
}
