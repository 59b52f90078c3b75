//! Engines that share a quota keep an account's rate together.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::ErrorKind;
use fastlead_core::channel::{Channel, Rate};
use fastlead_core::engine::Engine;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, WorkspaceId};
use fastlead_core::layer::{RatePolicy, ResiliencePolicy, RetryPolicy};
use fastlead_core::message::{Content, MessageClass, OutboundMessage, Part, Recipient, Text};
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_testkit::conformance::store::FullStore;
use fastlead_testkit::memory::MemoryChannel;
use fastlead_testkit::sim::Fault;
use uuid::Uuid;

const WORKSPACE: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(1));
const CHANNEL: ChannelId = ChannelId::from_uuid(Uuid::from_u128(3));

on_every_store! {
    three_engines_keep_the_rate_of_an_account
    a_second_engine_leaves_alone_who_has_told_the_first_to_wait
}

/// One of several engines on the store, with the account `bot`.
async fn engine(store: &Arc<impl FullStore>, clock: &Arc<ManualClock>, bot: &MemoryChannel) -> Engine {
    let at_once = RatePolicy { max_wait_millis: 0, ..RatePolicy::default() };
    let once = RetryPolicy { max_attempts: NonZeroU32::MIN, ..RetryPolicy::default() };
    let built = Engine::builder(Arc::clone(store))
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
        .resilience(ResiliencePolicy { rate: at_once, retry: once, ..ResiliencePolicy::default() })
        .quota(Arc::clone(store) as _);
    let engine = built.build().await.unwrap();
    engine.attach(WORKSPACE, Arc::new(bot.clone()), false).unwrap();
    engine
}

fn bot(rate: Option<Rate>) -> MemoryChannel {
    let bot = MemoryChannel::new("bot").with_id(CHANNEL);
    let mut able = bot.capabilities();
    able.account_rate = rate;
    bot.with_capabilities(able)
}

async fn send(engine: &Engine, chat: &str, number: u128) -> Result<()> {
    let message = OutboundMessage {
        delivery_id: DeliveryId::from_uuid(Uuid::from_u128(number)),
        attempt: 1,
        part: Part::WHOLE,
        recipient: Recipient::Chat(chat.into()),
        content: Content::Text(Text::plain("hello")),
        class: MessageClass::Service,
        attempted_at: epoch(),
        expires_at: None,
    };
    let directory = engine.directory();
    directory.channel(CHANNEL).unwrap().channel.send(&message).await.map(drop)
}

/// Each of them alone would send five a second.
async fn three_engines_keep_the_rate_of_an_account(store: impl FullStore) {
    let (store, clock) = (Arc::new(store), Arc::new(ManualClock::new(epoch())));
    let bot = bot(Some(Rate::per_second(5)));
    let mut engines = Vec::new();
    for _ in 0..3 {
        engines.push(engine(&store, &clock, &bot).await);
    }
    let mut number = 0;
    for _ in 0..50 {
        let mut asked = tokio::task::JoinSet::new();
        for engine in &engines {
            number += 1;
            let (engine, number) = (engine.clone(), number);
            asked.spawn(async move { send(&engine, &number.to_string(), number).await });
        }
        for sent in asked.join_all().await {
            let refused = sent.err().map(|error| error.kind());
            assert!(refused.is_none_or(|kind| kind == ErrorKind::RateLimited), "{refused:?}");
        }
        clock.advance(Duration::from_millis(100));
    }
    assert_eq!(bot.inbox().all().len(), 25, "in five seconds");
}

/// Of the account as a whole once two of its recipients are refused, whichever engine has asked.
async fn a_second_engine_leaves_alone_who_has_told_the_first_to_wait(store: impl FullStore) {
    let (store, clock) = (Arc::new(store), Arc::new(ManualClock::new(epoch())));
    let bot = bot(None);
    let (one, other) = (engine(&store, &clock, &bot).await, engine(&store, &clock, &bot).await);
    let kind = |sent: Result<()>| sent.err().map(|error| error.kind());
    bot.faults().push(Fault::RateLimited { after_secs: 40 });
    assert_eq!(kind(send(&one, "anna", 1).await), Some(ErrorKind::RateLimited));
    assert_eq!(kind(send(&other, "anna", 2).await), Some(ErrorKind::Paused));
    assert_eq!(kind(send(&other, "boris", 3).await), None);
    bot.faults().push(Fault::RateLimited { after_secs: 10 });
    assert_eq!(kind(send(&other, "vera", 4).await), Some(ErrorKind::RateLimited));
    for engine in [&one, &other] {
        assert_eq!(kind(send(engine, "boris", 5).await), Some(ErrorKind::Paused));
    }
    clock.advance(Duration::from_secs(40));
    assert_eq!(kind(send(&one, "boris", 6).await), None);
    assert_eq!(kind(send(&other, "anna", 7).await), None);
}
