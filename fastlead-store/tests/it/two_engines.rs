//! Two engines on one store see each other's changes.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::Channel;
use fastlead_core::contact::{Handle, Phone};
use fastlead_core::delivery::{
    Body, DeliverySpec, DeliveryState, NewDelivery, Purpose, RetrySchedule, Scope,
};
use fastlead_core::engine::{ChannelOpener, Engine};
use fastlead_core::error::Result;
use fastlead_core::id::{
    ChannelId, DeliveryId, IdentityId, PolicyId, ProjectId, SourceId, SuppressionId, WorkspaceId,
};
use fastlead_core::message::{Content, Locale, MessageClass, Recipient, Text};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    AddressKey, ChannelRecord, ChannelStatus, FormSettings, IdentityLink, LinkedBy, Project, SealedConfig,
    Source, SourceLimits, Suppression, SuppressionScope, Undone, Workspace,
};
use fastlead_core::text::Overflow;
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_testkit::conformance::store::FullStore;
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WORKSPACE: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(1));
const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(2));
const CHANNEL: ChannelId = ChannelId::from_uuid(Uuid::from_u128(3));

on_every_store! {
    what_one_engine_changes_the_other_follows
    a_running_engine_follows_by_itself
    what_another_engine_has_suppressed_is_not_sent
    memory_equals_the_store_after_changes_from_two_sides
}

#[derive(Debug)]
struct Opener;

impl ChannelOpener for Opener {
    fn open(&self, record: &ChannelRecord) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(MemoryChannel::new(record.name.clone()).with_id(record.id)))
    }
}

async fn engine(store: &Arc<impl FullStore>, clock: &Arc<ManualClock>) -> Engine {
    let built = Engine::builder(Arc::clone(store))
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
        .opener(Arc::new(Opener));
    built.build().await.unwrap()
}

fn source(number: u128, key: &str) -> Source {
    Source {
        id: SourceId::from_uuid(Uuid::from_u128(number)),
        workspace_id: WORKSPACE,
        project_id: PROJECT,
        key: key.to_owned(),
        name: key.to_owned(),
        active: true,
        locale: Locale::Ru,
        allowed_origins: Vec::new(),
        consents: Vec::new(),
        form: FormSettings::default(),
        limits: SourceLimits::default(),
        mapping: fastlead_core::lead::FieldMapping::default(),
        created_at: epoch(),
    }
}

fn channel(config: &[u8]) -> ChannelRecord {
    ChannelRecord {
        id: CHANNEL,
        workspace_id: WORKSPACE,
        kind: "memory".to_owned(),
        name: "bot".to_owned(),
        config: SealedConfig(config.to_vec()),
        webhook_token: "token".to_owned(),
        status: ChannelStatus::Active,
        created_at: epoch(),
    }
}

fn suppression(chat: &str) -> Suppression {
    Suppression {
        id: SuppressionId::from_uuid(Uuid::from_u128(70)),
        workspace_id: WORKSPACE,
        channel_id: CHANNEL,
        recipient: Recipient::Chat(chat.into()),
        scope: SuppressionScope::All,
        reason: "operator".to_owned(),
        since: epoch(),
        advertising: None,
        erased: None,
    }
}

async fn founded(store: &Arc<impl FullStore>) {
    let workspace = Workspace { id: WORKSPACE, name: "clinic".to_owned(), created_at: epoch() };
    store.put_workspace(workspace).await.unwrap();
    let project =
        Project { id: PROJECT, workspace_id: WORKSPACE, name: "site".to_owned(), created_at: epoch() };
    store.put_project(project).await.unwrap();
}

/// Everything that an engine keeps in memory comes over, in both directions, by one look.
async fn what_one_engine_changes_the_other_follows(store: impl FullStore) {
    let store = Arc::new(store);
    founded(&store).await;
    let clock = Arc::new(ManualClock::new(epoch()));
    let (one, other) = (engine(&store, &clock).await, engine(&store, &clock).await);

    store.put_source(source(10, "shop")).await.unwrap();
    store.put_channel(channel(&[1])).await.unwrap();
    let id = PolicyId::from_uuid(Uuid::from_u128(5));
    let policy = Policy::starter("bot", Recipient::Chat("1".into()));
    store.publish_policy(WORKSPACE, PROJECT, id, policy, epoch()).await.unwrap();
    one.catch_up().await.unwrap();
    let opened = one.directory().channel(CHANNEL).cloned().unwrap();
    assert!(other.directory().source("shop").is_none());
    other.catch_up().await.unwrap();
    let directory = other.directory();
    assert_eq!(directory.source("shop").unwrap().project_id, PROJECT);
    assert_eq!(directory.current_policy(PROJECT).unwrap().reference.version, 1);
    assert_eq!(directory.channel(CHANNEL).unwrap().name, "bot");

    // A pause is taken over by the channel that is at work; it keeps its breaker and its places.
    assert!(one.pause(WORKSPACE, CHANNEL, "operator").await.unwrap());
    assert!(opened.is_paused());
    let before = other.directory().channel(CHANNEL).cloned().unwrap();
    other.catch_up().await.unwrap();
    assert!(before.is_paused() && Arc::ptr_eq(&before, other.directory().channel(CHANNEL).unwrap()));
    assert!(other.resume(WORKSPACE, CHANNEL).await.unwrap());
    one.catch_up().await.unwrap();
    assert!(!opened.is_paused());
    // Another configuration is another channel.
    store.put_channel(channel(&[2])).await.unwrap();
    one.catch_up().await.unwrap();
    assert!(!Arc::ptr_eq(&opened, one.directory().channel(CHANNEL).unwrap()));

    store.put_source(source(10, "store")).await.unwrap();
    other.catch_up().await.unwrap();
    assert!(other.directory().source("shop").is_none() && other.directory().source("store").is_some());

    let held = one.suppress(suppression("100")).await.unwrap();
    other.catch_up().await.unwrap();
    assert_eq!(other.suppression(held.key(), MessageClass::Service).as_deref(), Some("operator"));
    assert!(other.lift(WORKSPACE, held.key()).await.unwrap());
    one.catch_up().await.unwrap();
    assert_eq!(one.suppression(held.key(), MessageClass::Service), None);
}

/// Nobody has to tell it: it looks once a second by its clock.
async fn a_running_engine_follows_by_itself(store: impl FullStore) {
    let store = Arc::new(store);
    founded(&store).await;
    let clock = Arc::new(ManualClock::new(epoch()));
    let running = engine(&store, &clock).await;
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let (engine, stop) = (running.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let other = engine(&store, &clock).await;
    other.suppress(suppression("100")).await.unwrap();
    let key = AddressKey::of(WORKSPACE, CHANNEL, &Recipient::Chat("100".into()));
    let followed = async {
        while running.suppression(key, MessageClass::Service).is_none() {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), followed).await.expect("the change is followed");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap();
}

/// Changes that two engines make at the same time end as what is stored, in both memories.
async fn memory_equals_the_store_after_changes_from_two_sides(store: impl FullStore) {
    let store = Arc::new(store);
    founded(&store).await;
    let clock = Arc::new(ManualClock::new(epoch()));
    let engines = [engine(&store, &clock).await, engine(&store, &clock).await];
    let chats = ["1", "2", "3"];
    let key = |chat: &str| AddressKey::of(WORKSPACE, CHANNEL, &Recipient::Chat(chat.into()));
    let mut work = tokio::task::JoinSet::new();
    for turn in 0..60_usize {
        let (engine, chat) = (engines[turn % 2].clone(), chats[turn % 3]);
        work.spawn(async move {
            let id = |base: usize| Uuid::from_u128((base + turn) as u128);
            let suppression = Suppression { id: SuppressionId::from_uuid(id(1_000)), ..suppression(chat) };
            if turn % 5 < 3 {
                engine.suppress(suppression).await.unwrap();
            } else {
                engine.lift(WORKSPACE, suppression.key()).await.unwrap();
            }
            let link = IdentityLink {
                id: IdentityId::from_uuid(id(2_000)),
                workspace_id: WORKSPACE,
                handle: Handle { messenger: "memory".to_owned(), id: chat.into() },
                phone: Phone::parse(&format!("+7900000000{}", turn % 4)).unwrap(),
                by: LinkedBy::Operator { actor: "usr_1".to_owned() },
                at: epoch(),
                undone: None,
            };
            let link = engine.link_identity(link).await.unwrap();
            if turn % 7 == 0 {
                let undone = Undone { at: epoch(), reason: "operator".to_owned(), by: None };
                engine.undo_identity(WORKSPACE, link.id, undone).await.unwrap();
            }
        });
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    let book = store.address_book().await.unwrap();
    let mut links = store.active_links().await.unwrap();
    links.sort_by_key(|link| link.id);
    for engine in &engines {
        engine.catch_up().await.unwrap();
        for chat in chats {
            let stored = book.suppression(key(chat), MessageClass::Service).map(str::to_owned);
            assert_eq!(engine.suppression(key(chat), MessageClass::Service), stored, "{chat}");
        }
        let mut known = engine.links();
        known.sort_by_key(|link| link.id);
        assert_eq!(known, links);
    }
}

/// The law's question is answered by the store: an engine that has not heard of it yet sends nothing either.
async fn what_another_engine_has_suppressed_is_not_sent(store: impl FullStore) {
    let store = Arc::new(store);
    founded(&store).await;
    store.put_channel(channel(&[1])).await.unwrap();
    let clock = Arc::new(ManualClock::new(epoch()));
    let (sending, other) = (engine(&store, &clock).await, engine(&store, &clock).await);
    let stop = CancellationToken::new();
    let run = tokio::spawn({
        let (engine, stop) = (sending.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let held = other.suppress(suppression("100")).await.unwrap();
    // The clock stands still, so that it does not follow.
    let delivery = NewDelivery {
        id: DeliveryId::from_uuid(Uuid::from_u128(900)),
        scope: Scope { workspace_id: WORKSPACE, project_id: PROJECT },
        lead_id: None,
        channel_id: CHANNEL,
        created_at: epoch(),
        due_at: epoch(),
        expires_at: fastlead_core::time::plus_seconds(epoch(), 600),
        order_key: None,
        spec: DeliverySpec {
            purpose: Purpose::Manual,
            recipient: Recipient::Chat("100".into()),
            body: Body::Fixed(Content::Text(Text::plain("hello"))),
            class: MessageClass::Service,
            retry: RetrySchedule::default(),
            overflow: Overflow::default(),
            policy: None,
        },
        lease: None,
    };
    let id = delivery.id;
    assert_eq!(sending.suppression(held.key(), MessageClass::Service), None, "it has not heard of it");
    sending.enqueue(vec![delivery]).await.unwrap();
    let ended = async {
        loop {
            let delivery = store.delivery(WORKSPACE, id).await.unwrap().unwrap();
            if delivery.state.is_terminal() {
                break delivery;
            }
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends");
    assert_eq!((ended.state, ended.reason.as_deref()), (DeliveryState::Suppressed, Some("operator")));
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap();
}
