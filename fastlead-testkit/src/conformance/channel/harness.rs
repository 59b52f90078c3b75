//! What the suite needs to know about a channel and the simulator behind it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::async_trait;
use fastlead_core::channel::Channel;
use fastlead_core::message::Recipient;

use super::{NAMES, SampleRequest};
use crate::conformance::{LeftOut, Outcome, Verdict, ensure};
use crate::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

/// One channel together with the simulator it talks to. Every check starts its own.
///
/// Methods without a body must be answered. An answer such as `None` makes checks inapplicable; each of them fails until
/// [`ChannelHarness::left_out`] names it with a reason.
///
/// A whole harness with its simulator stands in the repository:
/// [`examples/tests/acme.rs`](https://github.com/fastlead/fastlead/blob/main/examples/tests/acme.rs). The macro makes one test of each
/// check:
///
/// ```
/// use fastlead_testkit::conformance::channel::ChannelHarness;
///
/// /// What one line of a test file does: `fastlead_testkit::channel_conformance!(acme_keeps_the_contract, AcmeHarness);`
/// async fn starts<H: ChannelHarness>() -> String {
///     let harness = H::start().await;
///     harness.channel().info().name.clone()
/// }
/// ```
#[async_trait]
pub trait ChannelHarness: Send + Sync + Sized + 'static {
    /// Starts a fresh simulator on a free port and a channel that is pointed at it.
    async fn start() -> Self;

    /// The checks that do not apply to this channel, each with its reason: what the provider cannot do and the
    /// capabilities do not declare. A check that does not apply and is not named here fails; so does one that is named
    /// here and applies. Start with an empty list: the failures say what to name.
    fn left_out() -> Vec<LeftOut>;

    /// The channel under test. Each call may build a new value; all of them use one simulator.
    fn channel(&self) -> Arc<dyn Channel>;

    /// Somebody who can be written to. The address has at least 6 characters (or is
    /// [`Recipient::Endpoint`]), because the suite searches errors for it.
    fn recipient(&self) -> Recipient;

    /// Somebody whom the provider refuses for good (unknown, blocked); `None` where it cannot tell
    /// at once.
    fn unknown_recipient(&self) -> Option<Recipient>;

    /// What has arrived at the simulator, one [`Arrival`] for each message.
    fn arrivals(&self) -> Inbox;

    /// The simulator's faults; `None` where it has none.
    fn faults(&self) -> Option<&Faults>;

    /// Whether the provider has this kind of trouble, so that the simulator acts on it in `send`.
    /// An SMTP relay has no [`Fault::NoBalance`], for one. [`Fault::Hang`],
    /// [`Fault::DropBeforeAccept`] and [`Fault::DropAfterAccept`] exist wherever there is a network.
    fn fault_applies(&self, fault: &Fault) -> bool;

    /// The channel with credentials that the simulator refuses, in `send` and in `check`; `None`
    /// where it has no credentials to refuse.
    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>>;

    /// The channel pointed at a port where nobody listens; `None` where there is no network.
    fn unreachable(&self) -> Option<Arc<dyn Channel>>;

    /// The channel with the shortest time-out that its configuration allows, at most 5 seconds; `None` where it has
    /// none of its own.
    fn impatient(&self) -> Option<Arc<dyn Channel>>;

    /// Everything that must never be printed: tokens, passwords, signing keys, in every form in
    /// which they go over the wire. At least 6 characters each.
    fn secrets(&self) -> Vec<String>;

    /// Requests as the provider makes them, each about something else and each bringing at least
    /// one event. Empty if and only if [`Channel::webhook`] is `None`.
    async fn genuine_webhooks(&self) -> Vec<SampleRequest>;

    /// The same with a wrong signature, without any, signed with another key … Empty if and only
    /// if [`Channel::webhook`] is `None`.
    async fn forged_webhooks(&self) -> Vec<SampleRequest>;

    /// Presses a button of `arrival` as a person would, and says how the press comes back. Called
    /// only where the capabilities declare `buttons`.
    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound;

    /// Somebody of each declared kind of address that [`Self::recipient`] is not of. Override it where the
    /// capabilities declare more than one kind.
    fn other_recipients(&self) -> Vec<Recipient> {
        Vec::new()
    }

    /// How long after its attempt a message may still be delivered, as the provider was told; `None` where it was told
    /// nothing. Override it where the provider takes a lifetime, be it declared or not.
    fn seen_lifetime(&self, arrival: &Arrival) -> Option<Duration> {
        let _says_nothing = arrival;
        None
    }

    /// The arrival as a person sees it: what `Text` said in `text` and `subject`. Override it where
    /// the simulator shows a body that wraps the text, or where the transport changes line ends.
    fn as_seen(&self, arrival: &Arrival) -> Arrival {
        arrival.clone()
    }

    /// The event's name and data, as they arrived. Override it where an event does not arrive as
    /// the JSON object `{"type": …, "data": …}`.
    fn seen_event(&self, arrival: &Arrival) -> Option<(String, serde_json::Value)> {
        let body: serde_json::Value = serde_json::from_str(&arrival.text).ok()?;
        Some((body.get("type")?.as_str()?.to_owned(), body.get("data")?.clone()))
    }

    /// The statuses for [`Fault::ServerError`] that mean "not now". Override it where the provider
    /// does not speak HTTP.
    fn server_errors(&self) -> Vec<u16> {
        vec![500, 502, 503, 504]
    }

    /// Whether a link that belongs to a message with buttons is on a button. Override it where the provider has no such button
    /// beside those that answer: the link stands in the text then.
    fn shows_links_on_buttons(&self) -> bool {
        true
    }

    /// Whether "too many requests" names a delay that the channel must pass on exactly. Override it
    /// where the provider names none.
    fn rate_limit_names_delay(&self) -> bool {
        true
    }
}

/// How something comes back from the provider.
#[derive(Debug, Clone)]
pub enum Inbound {
    /// In this request.
    ByWebhook(SampleRequest),
    /// It waits to be asked for through [`Channel::poller`].
    ByPoll,
}

/// What the harness leaves out are checks of this suite, each named once, with a reason.
pub async fn every_check_that_is_left_out_has_a_reason<H: ChannelHarness>() -> Outcome {
    let mut seen = HashSet::new();
    for LeftOut { reason, checks } in H::left_out() {
        ensure!(reason.trim().contains(' '), "`left_out` gives no reason for {checks:?}, only {reason:?}");
        for check in checks {
            ensure!(NAMES.contains(check), "`left_out` names {check}, which is no check of this suite");
            ensure!(seen.insert(*check), "`left_out` names {check} twice");
        }
    }
    Ok(Verdict::Held)
}
