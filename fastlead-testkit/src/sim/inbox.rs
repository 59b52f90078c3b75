//! What arrived at a simulator, for tests that wait and for pages that watch.

use std::sync::{Arc, Mutex, PoisonError};

use fastlead_core::time::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One thing that a simulated provider accepted and put before a person or a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Counted from 1 within the simulator.
    pub number: u64,
    /// The simulator, such as `telegram`.
    pub simulator: String,
    /// Milliseconds since the Unix epoch.
    pub at_millis: i64,
    /// Who it was for: chat id, phone, e-mail address, path.
    pub to: String,
    /// Who it was from, where the provider has that: sender name, From address, bot.
    pub from: String,
    /// Subject line.
    pub subject: Option<String>,
    /// The text as a person sees it (markup removed), or the body of a webhook.
    pub text: String,
    /// Markup or raw form, where it differs from `text`.
    pub markup: Option<String>,
    /// Buttons under it.
    pub buttons: Vec<ArrivedButton>,
    /// How the provider calls it.
    pub provider_message_id: String,
    /// Whatever else is worth seeing: headers, segments, message id.
    pub details: serde_json::Value,
}

impl Arrival {
    /// A text that arrived now: at `simulator`, for `to`, under the provider's `provider_message_id`. Everything else is
    /// empty and public. [`Inbox::push`] gives it its number.
    pub fn new(
        simulator: impl Into<String>,
        to: impl Into<String>,
        text: impl Into<String>,
        provider_message_id: impl Into<String>,
    ) -> Self {
        Self {
            number: 0,
            simulator: simulator.into(),
            at_millis: SystemClock.now().timestamp_millis(),
            to: to.into(),
            from: String::new(),
            subject: None,
            text: text.into(),
            markup: None,
            buttons: Vec::new(),
            provider_message_id: provider_message_id.into(),
            details: serde_json::Value::Null,
        }
    }
}

/// A button as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedButton {
    /// What is written on it.
    pub label: String,
    /// What it sends back, or the URL it opens.
    pub data: String,
    /// Whether it opens a URL.
    pub opens_url: bool,
}

/// Everything that arrived, in order. Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub struct Inbox {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    count: Arc<watch::Sender<u64>>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { arrivals: Arc::default(), count: Arc::new(watch::channel(0).0) }
    }
}

impl Inbox {
    /// Records an arrival and numbers it.
    pub fn push(&self, mut arrival: Arrival) -> Arrival {
        let number = {
            let mut arrivals = self.lock();
            arrival.number = arrivals.len() as u64 + 1;
            arrivals.push(arrival.clone());
            arrival.number
        };
        self.count.send_replace(number);
        arrival
    }

    /// Changes an arrival in place, as when a message is edited.
    pub fn update(&self, provider_message_id: &str, change: impl FnOnce(&mut Arrival)) {
        if let Some(arrival) =
            self.lock().iter_mut().find(|arrival| arrival.provider_message_id == provider_message_id)
        {
            change(arrival);
        }
        self.count.send_modify(|_| {});
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Arrival> {
        self.lock().clone()
    }

    /// Everything after the arrival with this number.
    pub fn since(&self, number: u64) -> Vec<Arrival> {
        self.lock().iter().filter(|arrival| arrival.number > number).cloned().collect()
    }

    /// Waits until at least `count` things have arrived. The caller bounds the wait with a timeout.
    pub async fn wait_for(&self, count: u64) -> Vec<Arrival> {
        let mut receiver = self.count.subscribe();
        // The sender lives as long as `self`.
        let _closed = receiver.wait_for(|have| *have >= count).await;
        self.all()
    }

    /// Changes whenever something arrives: the number of the newest arrival.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
