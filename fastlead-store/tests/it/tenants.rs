//! Many tenants: work of one costs nothing for the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::Channel as _;
use fastlead_core::delivery::{Body, DeliverySpec, NewDelivery, Purpose, RetrySchedule, Scope};
use fastlead_core::engine::Engine;
use fastlead_core::id::{ChannelId, DeliveryId, ProjectId, WorkspaceId};
use fastlead_core::message::{Content, MessageClass, Recipient, Text};
use fastlead_core::text::Overflow;
use fastlead_core::time::{Clock, ManualClock, Timestamp, epoch, plus_seconds};
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::broken_store::{BrokenStore, Flaw};

const TENANTS: u128 = 200;

fn workspace(number: u128) -> WorkspaceId {
    WorkspaceId::from_uuid(Uuid::from_u128(1_000 + number))
}

fn message(engine: &Engine, number: u128, channel: ChannelId, due_at: Timestamp) -> NewDelivery {
    let now = engine.clock().now();
    NewDelivery {
        id: DeliveryId::generate(&**engine.ids(), now),
        scope: Scope {
            workspace_id: workspace(number),
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
        },
        lead_id: None,
        channel_id: channel,
        created_at: now,
        due_at,
        expires_at: plus_seconds(now, 86_400),
        order_key: None,
        spec: DeliverySpec {
            purpose: Purpose::Manual,
            recipient: Recipient::Chat("1".into()),
            body: Body::Fixed(Content::Text(Text::plain("hello"))),
            class: MessageClass::Service,
            retry: RetrySchedule::default(),
            overflow: Overflow::default(),
            policy: None,
        },
        lease: None,
    }
}

/// A message is claimed on its own channel, and no claim names a channel that has nothing to do: neither when it is
/// put in, nor when its moment comes.
#[tokio::test]
async fn the_dispatcher_looks_at_the_channels_concerned_alone() {
    let clock = Arc::new(ManualClock::new(epoch()));
    let store = BrokenStore::new(Flaw::None);
    let engine = Engine::builder(Arc::new(store.clone()))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .follow_every(None)
        .build()
        .await
        .unwrap();
    let channels: Vec<_> =
        (0..TENANTS).map(|number| Arc::new(MemoryChannel::new(format!("bot-{number}")))).collect();
    for (number, channel) in channels.iter().enumerate() {
        engine.attach(workspace(number as u128), Arc::clone(channel) as _, false).unwrap();
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let arrived = |of: usize, count: usize| {
        let channel = Arc::clone(&channels[of]);
        async move {
            let all = async {
                while channel.inbox().all().len() < count {
                    tokio::task::yield_now().await
                }
            };
            tokio::time::timeout(Duration::from_secs(20), all).await.expect("the message arrives");
        }
    };
    engine.enqueue(vec![message(&engine, 0, channels[0].info().id, clock.now())]).await.unwrap();
    arrived(0, 1).await;
    let before = store.claims().len();
    assert!(before > 0);
    for (of, after) in [(17, 0), (42, 60), (3, 30)] {
        let due_at = plus_seconds(clock.now(), after);
        engine.enqueue(vec![message(&engine, of as u128, channels[of].info().id, due_at)]).await.unwrap();
    }
    arrived(17, 1).await;
    clock.advance(Duration::from_secs(30));
    arrived(3, 1).await;
    clock.advance(Duration::from_secs(30));
    arrived(42, 1).await;
    let named: BTreeSet<ChannelId> = store.claims()[before..].iter().flatten().copied().collect();
    let concerned: BTreeSet<ChannelId> = [0, 3, 17, 42].map(|of: usize| channels[of].info().id).into();
    assert!(named.is_subset(&concerned), "{} channels were looked at for the work of three", named.len());
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}
