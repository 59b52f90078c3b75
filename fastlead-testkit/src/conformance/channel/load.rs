//! A channel among other work: it blocks no thread and no other send.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastlead_core::channel::Channel;
use fastlead_core::message::OutboundMessage;
use tokio_util::task::AbortOnDropHandle;

use super::ChannelHarness;
use super::probe::{MARKED_TEXT, Probe};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};
use crate::sim::Fault;

/// How long a task that is always due may wait for its turn beside a send.
const LONGEST_GAP: Duration = Duration::from_millis(100);
/// How often that task runs.
const BEAT: Duration = Duration::from_millis(10);
/// How long the provider takes to answer meanwhile.
const ANSWER_MILLIS: u64 = 180;
/// A busy machine makes a task wait now and then; whoever blocks does it every time.
const ATTEMPTS: usize = 8;
/// How long a send may take beside others that get no answer.
const FREE_WAY: Duration = Duration::from_secs(4);
/// As many sends are tried at once at most.
const MOST_AT_ONCE: u32 = 20;

/// A send blocks no thread of the runtime: a heartbeat beside it never waits for 100 milliseconds.
pub async fn sending_blocks_no_thread<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let slow = Fault::Delay { millis: ANSWER_MILLIS };
    let mut gap = Duration::ZERO;
    for _ in 0..ATTEMPTS {
        if let Some(faults) = probe.faults_with(&slow) {
            faults.push(slow.clone());
        }
        let (channel, message) = (probe.harness.channel(), probe.message(MARKED_TEXT));
        // A runtime of its own, so that a send that blocks does not block the simulator that it waits for.
        let measured = tokio::task::spawn_blocking(move || longest_gap(&channel, &message)).await;
        gap = measured.map_err(|error| Violation::new(format!("a send broke its runtime: {error}")))??;
        if gap < LONGEST_GAP {
            return Ok(Verdict::Held);
        }
    }
    Err(Violation::new(format!(
        "a send blocks its thread: a task that is due every {BEAT:?} waited for {gap:?}"
    )))
}

/// Sends on a runtime of one thread, and returns how long the heartbeat beside it had to wait.
fn longest_gap(channel: &Arc<dyn Channel>, message: &OutboundMessage) -> Result<Duration, Violation> {
    let broken = |error: std::io::Error| Violation::new(format!("the suite's own runtime: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    runtime.block_on(async {
        let mut longest = Duration::ZERO;
        let mut last = Instant::now();
        let sending = channel.send(message);
        tokio::pin!(sending);
        loop {
            let sent = tokio::select! {
                biased;
                outcome = &mut sending => Some(outcome),
                () = tokio::time::sleep(BEAT) => None,
            };
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if let Some(outcome) = sent {
                outcome.map_err(|error| Violation::new(format!("send of a good message failed: {error}")))?;
                return Ok(longest);
            }
        }
    })
}

/// As many sends as `max_in_flight` declares are under way at once: those that get no answer hold up no other.
pub async fn a_slow_send_holds_up_no_other<H: ChannelHarness>() -> Outcome {
    let probe = Probe::<H>::start().await;
    let at_once = probe.capabilities.max_in_flight.min(MOST_AT_ONCE);
    applies_if!(at_once >= 2, "it sends one at a time (max_in_flight)");
    let Some(faults) = probe.faults_with(&Fault::Hang) else {
        return Ok(Verdict::NotApplicable("there is no network"));
    };
    let mut stuck = Vec::new();
    for _ in 1..at_once {
        faults.push(Fault::Hang);
        let (channel, message) = (Arc::clone(&probe.channel), probe.message(MARKED_TEXT));
        stuck.push(AbortOnDropHandle::new(tokio::spawn(async move { channel.send(&message).await })));
    }
    let all_under_way = tokio::time::timeout(FREE_WAY, faults.wait_until_taken()).await.is_ok();
    let waiting = faults.waiting().len();
    ensure!(
        all_under_way,
        "`max_in_flight` declares {at_once} sends at once, but {waiting} of them waited for another one to end"
    );
    let message = probe.message("мимо");
    let sent = tokio::time::timeout(FREE_WAY, probe.channel.send(&message)).await;
    let outcome = sent.map_err(|_| Violation::new("a send waits for another one that gets no answer"))?;
    outcome.map_err(|error| Violation::new(format!("send of a good message failed: {error}")))?;
    probe.arrived(1).await?;
    drop(stuck);
    Ok(Verdict::Held)
}
