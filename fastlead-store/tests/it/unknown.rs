//! On a channel with a key an attempt whose outcome is unknown is repeated. What is said in the end is true: that the
//! message may have arrived is forgotten only where somebody has said so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::delivery::{Delivery, DeliveryState, RetrySchedule};
use fastlead_core::engine::{CaptureRequest, Change, Engine};
use fastlead_core::id::WorkspaceId;
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, OutboundMessage, Recipient, Response};
use fastlead_core::policy::Policy;
use fastlead_core::port::{DeliveryFilter, Journal as _, PageRequest, Store as _};
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use fastlead_store::MemoryStore;
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy)]
enum Answer {
    Accepts,
    IsLost,
    Refuses,
    IsBusy,
    HasNoMoney,
}

/// Answers as it is told, and in the end as the last time.
#[derive(Debug)]
struct Told {
    inner: MemoryChannel,
    answers: Mutex<VecDeque<Answer>>,
    lookup: Option<Lookup>,
    /// How many questions the layers hold back, before the provider is asked at all.
    held: AtomicU32,
}

#[async_trait]
impl Channel for Told {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        (capabilities.idempotent_send, capabilities.receipts) = (true, false);
        capabilities.lookup = self.lookup.is_some();
        (capabilities.account_rate, capabilities.recipient_rate) = (None, None);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() }
        };
        // Kinds that are not tried again within seconds.
        let (kind, retry) = match answer.unwrap() {
            Answer::Accepts => return Ok(SendReceipt::accepted(message.delivery_id.to_string())),
            Answer::IsLost => (ErrorKind::Protocol, RetryHint::UNKNOWN),
            Answer::Refuses => (ErrorKind::Recipient, RetryHint::Never),
            Answer::IsBusy => (ErrorKind::Protocol, RetryHint::SAFE),
            Answer::HasNoMoney => (ErrorKind::Balance, RetryHint::Never),
        };
        Err(Error::new(kind, "as the test has it").with_retry(retry))
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        if self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            let retry = RetryHint::Safe { after: Some(Duration::from_secs(30)) };
            return Err(Error::new(ErrorKind::Paused, "the circuit breaker is open").with_retry(retry));
        }
        Ok(self.lookup.clone().unwrap_or(Lookup::Unknown))
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

/// An engine with one channel, and one offer over it.
struct Play {
    engine: Engine,
    store: MemoryStore,
    clock: Arc<ManualClock>,
    channel: Arc<Told>,
    changes: tokio::sync::broadcast::Receiver<Change>,
    workspace: WorkspaceId,
    offer: Delivery,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Play {
    /// The offer may be repeated twice.
    async fn begin(answers: &[Answer], lookup: Option<Lookup>, ttl_secs: u64) -> Self {
        Self::ordered(answers, lookup, ttl_secs, false).await
    }

    async fn ordered(answers: &[Answer], lookup: Option<Lookup>, ttl_secs: u64, ordered: bool) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let answers = Mutex::new(answers.iter().copied().collect());
        let held = AtomicU32::new(0);
        let channel = Arc::new(Told { inner: MemoryChannel::new("bot"), answers, lookup, held });
        let mut policy = Policy::starter("bot", Recipient::Chat("1".into()));
        policy.delivery.retry = RetrySchedule { delays_secs: vec![30, 30] };
        policy.delivery.ttl_secs = ttl_secs;
        policy.delivery.ordered = ordered;
        let store = MemoryStore::new();
        let engine = Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .channel(Arc::clone(&channel) as _)
            .project("clinic", policy)
            .source("site")
            .build()
            .await
            .unwrap();
        let changes = engine.changes();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        let workspace = engine.directory().source("site").unwrap().workspace_id;
        let offer = captured(&engine, &store, "+7 900 000-00-00").await;
        Self { engine, store, clock, channel, changes, workspace, offer, stop, running }
    }

    async fn stored(&self) -> Delivery {
        self.store.delivery(self.workspace, self.offer.id).await.unwrap().unwrap()
    }

    async fn finish(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

/// The offer of a new lead.
async fn captured(engine: &Engine, store: &MemoryStore, phone: &str) -> Delivery {
    let source = engine.directory().source("site").cloned().unwrap();
    let workspace = source.workspace_id;
    let input = CaptureInput { phone: Some(phone.into()), ..CaptureInput::default() };
    let capture = input.validate(&[], Locale::Ru, Received::at(engine.clock().now())).unwrap();
    let lead = engine.capture(CaptureRequest { source, capture, idempotency: None }).await.unwrap();
    let filter = DeliveryFilter { lead_id: Some(lead.answer.lead_id), ..DeliveryFilter::default() };
    let mut all = store.deliveries(workspace, filter, PageRequest::default()).await.unwrap().items;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// What becomes of one offer with two repetitions, as state and reason.
async fn end(answers: &[Answer], lookup: Option<Lookup>, ttl_secs: u64) -> (DeliveryState, Option<String>) {
    end_of(Play::begin(answers, lookup, ttl_secs).await).await
}

async fn end_of(mut play: Play) -> (DeliveryState, Option<String>) {
    let ended = async {
        loop {
            let delivery = play.stored().await;
            if delivery.state.is_terminal() {
                return (delivery.state, delivery.reason);
            }
            match play.changes.recv().await.unwrap() {
                Change::Delivery { verdict: "channel_paused", .. } => {
                    play.engine.resume(play.workspace, play.channel.info().id).await.unwrap();
                }
                Change::Delivery { verdict: "ask_later", .. } => play.clock.advance(Duration::from_secs(DAY)),
                Change::Delivery { .. } => play.clock.advance(Duration::from_secs(34)),
                _ => {}
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("an end");
    play.finish().await;
    ended
}

const PATIENCE: Duration = Duration::from_secs(20);
const DAY: u64 = 86_400;

#[tokio::test]
async fn what_may_have_arrived_is_ambiguous_whatever_the_last_attempt_says() {
    use Answer::{Accepts, HasNoMoney, IsBusy, IsLost, Refuses};
    use DeliveryState::{Ambiguous, Expired, Failed, Sent};

    let unknown = "outcome_unknown";
    for (answers, ttl_secs, state, reason) in [
        (&[IsLost, Accepts][..], DAY, Sent, None),
        (&[IsLost, Refuses], DAY, Ambiguous, Some(unknown)),
        (&[IsLost, IsBusy], DAY, Ambiguous, Some(unknown)),
        (&[IsLost, IsBusy, Accepts], DAY, Sent, None),
        (&[IsLost, HasNoMoney, Refuses], DAY, Ambiguous, Some(unknown)),
        (&[IsBusy, IsLost, Refuses], DAY, Ambiguous, Some(unknown)),
        (&[IsBusy, IsBusy, IsLost], DAY, Ambiguous, Some(unknown)),
        (&[IsLost], 20, Ambiguous, Some(unknown)),
        // Every outcome is known.
        (&[Refuses], DAY, Failed, Some("recipient")),
        (&[HasNoMoney, Refuses], DAY, Failed, Some("recipient")),
        (&[IsBusy], DAY, Failed, Some("retries_exhausted")),
        (&[IsBusy], 20, Expired, Some("ttl")),
    ] {
        let ended = end(answers, None, ttl_secs).await;
        assert_eq!(ended, (state, reason.map(str::to_owned)), "{answers:?} within {ttl_secs} s");
    }
}

#[tokio::test]
async fn a_provider_that_can_be_asked_is_asked_before_a_person() {
    use Answer::{IsBusy, IsLost, Refuses};
    use DeliveryState::{Ambiguous, Expired, Failed, Sent};

    let accepted = || Lookup::Accepted { provider_message_id: None };
    for (answers, lookup, ttl_secs, state, reason) in [
        (&[IsLost, Refuses][..], accepted(), DAY, Sent, None),
        (&[IsLost, IsBusy], accepted(), DAY, Sent, None),
        (&[IsLost, IsBusy], Lookup::NotAccepted, DAY, Failed, Some("retries_exhausted")),
        (&[IsLost], Lookup::NotAccepted, 20, Expired, Some("ttl")),
        (&[IsLost, Refuses], Lookup::Unknown, DAY, Ambiguous, Some("outcome_unknown")),
    ] {
        let ended = end(answers, Some(lookup.clone()), ttl_secs).await;
        assert_eq!(ended, (state, reason.map(str::to_owned)), "{answers:?}, {lookup:?}, {ttl_secs} s");
    }
}

/// A question that the layers hold back is no question: it is put later, but not for ever.
#[tokio::test]
async fn a_provider_that_could_not_be_asked_is_asked_later() {
    for (held, state, reason) in
        [(12, DeliveryState::Sent, None), (1_000, DeliveryState::Ambiguous, Some("outcome_unknown"))]
    {
        let accepted = Lookup::Accepted { provider_message_id: None };
        let play = Play::begin(&[Answer::IsLost, Answer::Refuses], Some(accepted), DAY).await;
        play.channel.held.store(held, Ordering::SeqCst);
        assert_eq!(end_of(play).await, (state, reason.map(str::to_owned)), "{held}");
    }
}

/// An offer that waits for its repetition when the lead is taken is not repeated, and what is said of it is true.
#[tokio::test]
async fn an_offer_that_is_not_wanted_any_more_and_may_have_arrived_is_ambiguous() {
    for (answer, state, reason) in [
        (Answer::IsLost, DeliveryState::Ambiguous, "outcome_unknown"),
        (Answer::IsBusy, DeliveryState::Cancelled, "protocol"),
    ] {
        let mut play = Play::begin(&[answer], None, DAY).await;
        let waits = async {
            while !matches!(play.changes.recv().await.unwrap(), Change::Delivery { verdict: "retry", .. }) {}
        };
        tokio::time::timeout(PATIENCE, waits).await.expect("a repetition");
        let lead = play.offer.lead_id.unwrap();
        play.engine.respond(play.workspace, lead, "manager", Response::Accept).await.unwrap();
        let ended = play.stored().await;
        assert_eq!((ended.state, ended.reason.as_deref()), (state, Some(reason)), "{answer:?}");
        assert!(!ended.uncertain);
        play.finish().await;
    }
}

/// Nobody can say what became of the first message. The one behind it to the same recipient waits a quarter of an hour.
#[tokio::test]
async fn an_unknown_outcome_holds_the_next_message_for_a_bounded_time() {
    let answers = [Answer::IsLost, Answer::Refuses, Answer::Accepts];
    let mut play = Play::ordered(&answers, Some(Lookup::Unknown), DAY, true).await;
    let second = captured(&play.engine, &play.store, "+7 900 000-00-01").await;
    let goes_on = async {
        loop {
            match play.changes.recv().await.unwrap() {
                Change::Delivery { delivery_id, .. } if delivery_id == second.id => return,
                Change::Delivery { delivery_id, .. } if delivery_id == play.offer.id => {
                    let first = play.stored().await;
                    if first.order_key.is_some() {
                        let wait = (first.due_at - play.clock.now()).to_std().unwrap();
                        play.clock.advance(wait);
                    }
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, goes_on).await.expect("the second message");
    let sent = play.store.delivery(play.workspace, second.id).await.unwrap().unwrap();
    assert_eq!(sent.state, DeliveryState::Sent);
    let first = play.stored().await;
    assert_eq!((first.state, first.uncertain), (DeliveryState::AwaitingReceipt, true));
    let waited = play.clock.now() - first.last_attempt_at.unwrap();
    assert_eq!(waited.num_seconds(), 900);
    play.finish().await;
}
