//! A channel that takes everything, after a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fastlead_core::async_trait;
use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::message::{Content, OutboundMessage, RecipientKind};
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};

use crate::load;
use crate::protocol::CHANNEL;

/// How many sends the sink takes at once. An adapter says this of its provider; the four of FastLead
/// say less. At 50 ms a send this lets 20,480 through in a second.
pub(crate) const IN_FLIGHT: u32 = 1_024;

/// The sink.
#[derive(Debug)]
pub(crate) struct Sink {
    info: ChannelInfo,
    latency: Duration,
    sends: AtomicU64,
    moments: Option<Mutex<Vec<(u64, u64)>>>,
}

impl Sink {
    pub(crate) fn new(latency: Duration, moments: bool) -> Self {
        Self {
            info: ChannelInfo::embedded("sink", CHANNEL),
            latency,
            sends: AtomicU64::new(0),
            moments: moments.then(Mutex::default),
        }
    }

    pub(crate) fn sends(&self) -> u64 {
        self.sends.load(Ordering::Relaxed)
    }

    pub(crate) fn moments(&self) -> Vec<(u64, u64)> {
        let kept =
            self.moments.as_ref().map(|moments| moments.lock().unwrap_or_else(PoisonError::into_inner));
        kept.map_or_else(Vec::new, |moments| moments.clone())
    }
}

/// The present moment, in nanoseconds since the Unix epoch: a clock that two processes share.
pub(crate) fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Channel for Sink {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Chat, RecipientKind::Phone];
        capabilities.text = true;
        capabilities.idempotent_send = true;
        capabilities.max_in_flight = IN_FLIGHT;
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> fastlead_core::Result<SendReceipt> {
        if let (Some(moments), Content::Text(text)) = (&self.moments, &message.content) {
            let moment = (load::number_in(text.plain.expose()), now_nanos());
            moments.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
        }
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        self.sends.fetch_add(1, Ordering::Relaxed);
        Ok(SendReceipt { delivered: true, ..SendReceipt::default() })
    }

    async fn check(&self) -> fastlead_core::Result<()> {
        Ok(())
    }

    async fn lookup(&self, _: &SentReference) -> fastlead_core::Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}
