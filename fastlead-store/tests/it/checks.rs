//! Receipts are asked for beside what is to be sent, never before it.

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
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Send,
    Ask,
}

/// One request at a time, which ends when the test says so.
#[derive(Debug)]
struct Gated {
    inner: MemoryChannel,
    gate: Semaphore,
    calls: watch::Sender<Vec<Call>>,
}

impl Gated {
    async fn pass(&self, call: Call) {
        self.calls.send_modify(|calls| calls.push(call));
        self.gate.acquire().await.expect("never closed").forget();
    }
}

#[async_trait]
impl Channel for Gated {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        (capabilities.max_in_flight, capabilities.receipts, capabilities.lookup) = (1, true, true);
        (capabilities.account_rate, capabilities.recipient_rate) = (None, None);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> fastlead_core::Result<SendReceipt> {
        self.pass(Call::Send).await;
        Ok(SendReceipt::accepted(message.delivery_id.to_string()))
    }

    async fn check(&self) -> fastlead_core::Result<()> {
        self.inner.check().await
    }

    async fn lookup(&self, _: &SentReference) -> fastlead_core::Result<Lookup> {
        self.pass(Call::Ask).await;
        Ok(Lookup::Delivered)
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

struct Desk {
    clock: Arc<ManualClock>,
    channel: Arc<Gated>,
    engine: Engine,
    next: u32,
}

impl Desk {
    async fn new() -> Self {
        Self::with(Policy::starter("bot", Recipient::Chat("1".into()))).await
    }

    async fn with(policy: Policy) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let channel = Arc::new(Gated {
            inner: MemoryChannel::new("bot"),
            gate: Semaphore::new(0),
            calls: watch::Sender::new(Vec::new()),
        });
        let engine = Engine::builder(Arc::new(MemoryStore::new()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .channel(Arc::clone(&channel) as _)
            .project("clinic", policy)
            .source("site")
            .build()
            .await
            .unwrap();
        Self { clock, channel, engine, next: 0 }
    }

    async fn capture(&mut self, leads: u32) {
        for _ in 0..leads {
            self.next += 1;
            let source = self.engine.directory().source("site").cloned().unwrap();
            let phone = Some(Pii::new(format!("+7900{:07}", self.next)));
            let input = CaptureInput { phone, ..CaptureInput::default() };
            let capture = input.validate(&[], Locale::Ru, Received::at(self.clock.now())).unwrap();
            self.engine.capture(CaptureRequest { source, capture, idempotency: None }).await.unwrap();
        }
    }

    fn run(&self) -> (CancellationToken, JoinHandle<()>) {
        let (stop, engine) = (CancellationToken::new(), self.engine.clone());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { engine.run(stop).await }
        });
        (stop, running)
    }

    /// Waits until so many calls have begun in all, and answers them.
    async fn calls(&self, count: usize) -> Vec<Call> {
        let mut calls = self.channel.calls.subscribe();
        let found =
            tokio::time::timeout(Duration::from_secs(20), calls.wait_for(|calls| calls.len() >= count));
        let found = found.await.map(|calls| calls.map(|calls| calls.clone()));
        found.unwrap_or_else(|_| panic!("{:?} and nothing more", *self.channel.calls.borrow())).unwrap()
    }

    /// Lets calls end one after another until so many have begun in all.
    async fn let_pass(&self, count: usize) -> Vec<Call> {
        loop {
            let begun = self.channel.calls.borrow().len();
            if begun >= count {
                return self.calls(count).await;
            }
            self.channel.gate.add_permits(1);
            self.calls(begun + 1).await;
        }
    }

    /// Sends `leads` messages whose receipts are due then, and stops.
    async fn owe(&mut self, leads: u32) -> usize {
        self.capture(leads).await;
        let (stop, running) = self.run();
        let sent = usize::try_from(leads).unwrap();
        self.calls(1).await;
        self.let_pass(sent).await;
        self.channel.gate.add_permits(1);
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
        self.clock.advance(Duration::from_secs(61));
        sent
    }
}

#[tokio::test]
async fn a_send_passes_the_receipts_that_are_due() {
    let mut desk = Desk::new().await;
    let sent = desk.owe(40).await;
    let (stop, running) = desk.run();
    let calls = desk.calls(sent + 1).await;
    assert_eq!(calls[sent], Call::Ask);
    // It comes while a receipt is asked for, and forty are due.
    desk.capture(1).await;
    let calls = desk.let_pass(sent + 2).await;
    assert_eq!(calls[sent + 1], Call::Send, "{:?}", &calls[sent..]);
    // The others are asked for in the end.
    let all = desk.let_pass(sent + 1 + 40).await;
    assert_eq!(all[sent + 2..], [Call::Ask; 39]);
    desk.channel.gate.add_permits(1);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_channel_that_is_never_idle_asks_for_its_receipts_too() {
    let mut desk = Desk::new().await;
    let sent = desk.owe(10).await;
    desk.capture(120).await;
    let (stop, running) = desk.run();
    desk.calls(sent + 1).await;
    let calls = desk.let_pass(sent + 100).await;
    let asked: Vec<_> = (0..100).filter(|index| calls[sent + index] == Call::Ask).collect();
    assert!((3..=6).contains(&asked.len()), "receipts were asked for in the calls {asked:?}");
    assert!(asked[0] >= 16, "receipts were asked for in the calls {asked:?}");
    desk.let_pass(sent + 130).await;
    desk.channel.gate.add_permits(1);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}

/// The clock stands still: only that the first was accepted can bring the next one.
#[tokio::test]
async fn messages_in_order_do_not_wait_for_receipts() {
    let mut policy = Policy::starter("bot", Recipient::Chat("1".into()));
    policy.delivery.ordered = true;
    let mut desk = Desk::with(policy).await;
    let (stop, running) = desk.run();
    desk.capture(5).await;
    desk.calls(1).await;
    assert_eq!(desk.let_pass(5).await, [Call::Send; 5]);
    desk.channel.gate.add_permits(1);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}
