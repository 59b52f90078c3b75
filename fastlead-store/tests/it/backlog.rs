//! A backlog that is larger than what is claimed at once, on a channel whose sends take their time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::engine::{CaptureRequest, Engine};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, OutboundMessage, Recipient};
use fastlead_core::policy::Policy;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_store::MemoryStore;
use fastlead_testkit::memory::MemoryChannel;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

const LEADS: u64 = 60;
const IN_FLIGHT: u32 = 2;

/// Lets a send end when the test says so.
#[derive(Debug)]
struct Gated {
    inner: MemoryChannel,
    gate: Semaphore,
    begun: watch::Sender<u64>,
}

#[async_trait]
impl Channel for Gated {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.max_in_flight = IN_FLIGHT;
        // Without rates more is claimed at once than there is room for.
        (capabilities.account_rate, capabilities.recipient_rate) = (None, None);
        // What waits for a receipt wakes the workers too.
        capabilities.receipts = false;
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> fastlead_core::Result<SendReceipt> {
        self.begun.send_modify(|begun| *begun += 1);
        self.gate.acquire().await.expect("never closed").forget();
        self.inner.send(message).await
    }

    async fn check(&self) -> fastlead_core::Result<()> {
        self.inner.check().await
    }

    async fn lookup(&self, sent: &SentReference) -> fastlead_core::Result<Lookup> {
        self.inner.lookup(sent).await
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

/// Only the end of a send can wake the workers here: there is no new lead and no timer, and the clock stands
/// still.
#[tokio::test]
async fn a_backlog_larger_than_the_room_is_sent_to_its_end() {
    let clock = Arc::new(ManualClock::new(epoch()));
    let channel = Arc::new(Gated {
        inner: MemoryChannel::new("bot"),
        gate: Semaphore::new(0),
        begun: watch::Sender::new(0),
    });
    let engine = Engine::builder(Arc::new(MemoryStore::new()))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .channel(Arc::clone(&channel) as _)
        .project("clinic", Policy::starter("bot", Recipient::Chat("1".into())))
        .source("site")
        .build()
        .await
        .unwrap();
    for number in 0..LEADS {
        let source = engine.directory().source("site").cloned().unwrap();
        let phone = Some(Pii::new(format!("+7900{number:07}")));
        let input = CaptureInput { phone, ..CaptureInput::default() };
        let capture = input.validate(&[], Locale::Ru, Received::at(clock.now())).unwrap();
        engine.capture(CaptureRequest { source, capture, idempotency: None }).await.unwrap();
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { engine.run(stop).await }
    });
    let mut begun = channel.begun.subscribe();
    for ended in 0..=LEADS {
        let expected = (ended + u64::from(IN_FLIGHT)).min(LEADS);
        let next = begun.wait_for(|begun| *begun >= expected);
        tokio::time::timeout(Duration::from_secs(20), next)
            .await
            .unwrap_or_else(|_| panic!("{ended} of {LEADS} were sent, and nothing more is begun"))
            .unwrap();
        channel.gate.add_permits(1);
    }
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
    assert_eq!(channel.inner.inbox().all().len() as u64, LEADS);
}
