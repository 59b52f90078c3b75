//! Asking providers for news: whose cursor it is, and what is said when it fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, InboundEvent, InboundKind, Lookup, Peer, PollBatch, Poller,
    SendReceipt, SentReference,
};
use fastlead_core::engine::Engine;
use fastlead_core::error::{Error, ErrorKind, Result, RetryHint};
use fastlead_core::id::{ChannelId, WorkspaceId};
use fastlead_core::message::{OutboundMessage, Recipient};
use fastlead_core::policy::Policy;
use fastlead_core::time::{Clock, ManualClock, Timestamp, epoch};
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_testkit::conformance::store::FullStore;
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

on_every_store! {
    another_account_does_not_go_on_from_the_cursor_of_the_first
    a_cursor_that_the_provider_refuses_is_left_aside
    news_that_move_no_cursor_are_no_busy_loop
    trouble_of_a_poller_is_seen_and_its_owner_is_told_once
}

/// A bot that is polled: it answers as it is told, and then keeps silent.
#[derive(Debug, Clone)]
struct Polled {
    inner: MemoryChannel,
    account: &'static str,
    answers: Arc<Mutex<VecDeque<Result<PollBatch>>>>,
    /// The cursors that it was asked with.
    asked: Arc<Mutex<Vec<Option<String>>>>,
    /// When it was asked.
    asked_at: Arc<Mutex<Vec<Timestamp>>>,
}

impl Polled {
    fn new(account: &'static str, answers: impl IntoIterator<Item = Result<PollBatch>>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self {
            // One channel, whatever its bot is.
            inner: MemoryChannel::new("bot").with_id(ChannelId::from_uuid(Uuid::from_u128(7))),
            account,
            answers,
            asked: Arc::default(),
            asked_at: Arc::default(),
        }
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Channel for Polled {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        (capabilities.account_rate, capabilities.recipient_rate) = (None, None);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        self.inner.send(message).await
    }

    async fn check(&self) -> Result<()> {
        self.inner.check().await
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        self.inner.lookup(sent).await
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        Some(self)
    }
}

#[async_trait]
impl Poller for Polled {
    fn account(&self) -> String {
        self.account.to_owned()
    }

    async fn poll(&self, cursor: Option<&str>, _: Duration, now: Timestamp) -> Result<PollBatch> {
        self.asked_at.lock().unwrap().push(now);
        self.asked.lock().unwrap().push(cursor.map(str::to_owned));
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn news(number: u32, cursor: Option<&str>) -> Result<PollBatch> {
    let from = Peer { chat: "1".into(), user: "1".into(), display_name: None, language: None };
    let event = InboundEvent {
        provider_event_id: number.to_string(),
        occurred_at: epoch(),
        kind: InboundKind::Message { from, text: "hello".into() },
    };
    Ok(PollBatch { events: vec![event], cursor: cursor.map(str::to_owned) })
}

struct World {
    engine: Engine,
    clock: Arc<ManualClock>,
    mail: MemoryChannel,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start(store: impl FullStore, bot: &Polled) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let mail = MemoryChannel::new("mail");
        let mut policy = Policy::starter("mail", Recipient::Chat("7".into()));
        policy.alerts = policy.targets.keys().cloned().collect();
        let engine = Engine::builder(Arc::new(store))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .channel(Arc::new(bot.clone()))
            .channel(Arc::new(mail.clone()))
            .project("clinic", policy)
            .source("site")
            .build()
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Self { engine, clock, mail, stop, running }
    }

    fn workspace(&self) -> WorkspaceId {
        self.engine.directory().source("site").unwrap().workspace_id
    }

    /// Lets time pass, a second at a time, until `done`. Returns how many seconds that took.
    async fn passes_until(&self, what: &str, done: impl Fn() -> bool + Sync) -> u64 {
        let mut seconds = 0;
        let passing = async {
            loop {
                for _ in 0..50 {
                    if done() {
                        return seconds;
                    }
                    tokio::task::yield_now().await;
                }
                // The store of this test works on threads of its own: an answer from it gives them time.
                self.engine.catch_up().await.unwrap();
                self.clock.advance(Duration::from_secs(1));
                seconds += 1;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), passing).await.unwrap_or_else(|_| panic!("{what}"))
    }

    /// Waits until `done`, at this moment: no time passes.
    async fn until(&self, what: &str, done: impl Fn() -> bool + Sync) {
        let waiting = async {
            while !done() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("{what}"));
    }

    async fn finish(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.running).await.unwrap().unwrap();
    }
}

/// The token of a bot is replaced by that of another one: its waiting news are asked for from their beginning. With the
/// first token again it goes on where nobody has been since.
async fn another_account_does_not_go_on_from_the_cursor_of_the_first(store: impl FullStore) {
    let first = Polled::new("111", [news(99, Some("100"))]);
    let world = World::start(store, &first).await;
    world.until("the first bot goes on", || first.asked().len() == 2).await;
    assert_eq!(first.asked(), [None, Some("100".to_owned())]);

    let second = Polled::new("222", [news(5, Some("6"))]);
    world.engine.attach(world.workspace(), Arc::new(second.clone()), false).unwrap();
    world.until("the second bot is asked", || second.asked().len() == 2).await;
    assert_eq!(second.asked(), [None, Some("6".to_owned())]);

    // Another token of the same account is the same account.
    let renewed = Polled::new("222", []);
    world.engine.attach(world.workspace(), Arc::new(renewed.clone()), false).unwrap();
    world.until("the bot with a new token is asked", || renewed.asked().len() == 1).await;
    assert_eq!(renewed.asked(), [Some("6".to_owned())]);
    world.finish().await;
}

/// A cursor that cannot be gone on from would else stop the poller for good.
async fn a_cursor_that_the_provider_refuses_is_left_aside(store: impl FullStore) {
    let refused = || Err(Error::new(ErrorKind::Invalid, "no such cursor").with_retry(RetryHint::Never));
    let bot = Polled::new("111", [news(1, Some("2147483648")), refused(), news(2, Some("3"))]);
    let world = World::start(store, &bot).await;
    world.passes_until("the poller goes on", || bot.asked().len() == 4).await;
    let cursors = [None, Some("2147483648"), None, Some("3")].map(|cursor| cursor.map(str::to_owned));
    assert_eq!(bot.asked(), cursors);
    world.finish().await;
}

/// The last update id that there is comes again and again: it is recognised, and asked for with a rest between.
async fn news_that_move_no_cursor_are_no_busy_loop(store: impl FullStore) {
    let bot = Polled::new("111", (0..4).map(|_| news(2_147_483_647, None)));
    let world = World::start(store, &bot).await;
    let took = world.passes_until("it is asked five times", || bot.asked().len() == 5).await;
    assert!(took >= 15, "5 questions within {took} s");
    world.finish().await;
}

async fn trouble_of_a_poller_is_seen_and_its_owner_is_told_once(store: impl FullStore) {
    let wrong = || Error::new(ErrorKind::Config, "a webhook is set").with_retry(RetryHint::Never);
    let fails = |count: usize| (0..count).map(move |_| Err(wrong().with_provider_code("409")));
    let bot = Polled::new("111", fails(4));
    let world = World::start(store, &bot).await;
    let trouble = || {
        world.engine.directory().channel(bot.inner.info().id).and_then(|channel| channel.polling_trouble())
    };
    world.passes_until("it has failed four times", || bot.asked().len() == 5).await;
    let seen = trouble().unwrap();
    assert_eq!((seen.kind, seen.provider_code.as_deref()), (ErrorKind::Config, Some("409")));
    let asked_at = bot.asked_at.lock().unwrap().clone();
    assert!((asked_at[0]..asked_at[1]).contains(&seen.since), "{} is not the first failure", seen.since);
    assert!(seen.message.contains("webhook"));
    world.passes_until("the owner is told", || !world.mail.inbox().all().is_empty()).await;
    // It goes well for a while, and it is over; what comes after that is told again.
    let quiet = (0..20).map(|number| news(number, Some("9")));
    bot.answers.lock().unwrap().extend(quiet);
    world.engine.attach(world.workspace(), Arc::new(bot.clone()), false).unwrap();
    world.passes_until("it is well again", || trouble().is_none()).await;
    let told = world.mail.inbox().all();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].to, "7");
    world.finish().await;
}
