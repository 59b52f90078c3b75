//! What the suite needs to know about a channel and the simulator behind it.

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_core::channel::Channel;
use fastlead_core::message::Recipient;

use super::SampleRequest;
use crate::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

/// One channel together with the simulator it talks to. Every check starts its own.
///
/// Methods without a body must be answered: an answer such as `None` leaves checks out, and that
/// is a decision, not a default.
#[async_trait]
pub trait ChannelHarness: Send + Sync + Sized + 'static {
    /// Starts a fresh simulator on a free port and a channel that is pointed at it.
    async fn start() -> Self;

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
