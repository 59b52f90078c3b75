//! A busy day of the real store, which says of everything what it begins and when it is acknowledged.

use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastlead_core::channel::{InboundEvent, InboundKind, Peer};
use fastlead_core::decide::{Event, LeadState, LeadStatus};
use fastlead_core::delivery::{DeliveryState, Lease, NewDelivery};
use fastlead_core::id::{
    ChannelId, DeliveryId, EventId, LeadId, LeaseToken, ProjectId, RandomIds, WorkspaceId,
};
use fastlead_core::port::{
    BeginOutcome, Beginning, Catalog as _, ChannelRoom, ClaimRequest, CommitOutcome, Guard, InboundBatch,
    InboundRef, Project, SettleOutcome, Settled, Settlement, Store as _, Transition,
};
use fastlead_core::time::{Timestamp, plus_seconds};
use fastlead_store::{SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection as _, SqliteConnection};

use crate::sqlite::{Site, start};

/// Something that must be in the database once it was acknowledged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// A lead with all of its deliveries and one timer.
    Lead { workspace: WorkspaceId, lead: LeadId, deliveries: Vec<DeliveryId> },
    /// The lead was decided on again: it is accepted, and has no timer.
    Accepted { lead: LeadId },
    /// The delivery was added.
    Delivery { delivery: DeliveryId },
    /// An attempt of the delivery has begun.
    Begun { delivery: DeliveryId },
    /// The delivery is sent.
    Sent { delivery: DeliveryId },
    /// An event of the provider is on record.
    Inbound { channel: ChannelId, number: u64 },
    /// The project exists.
    Project { project: ProjectId },
}

/// A line that the day writes down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Mark {
    /// From now on the fact may be in the database.
    Begun { number: u64, fact: Fact },
    /// From now on it must be.
    Acknowledged { number: u64 },
}

/// Adds projects past the store, with SQLite's own setting of when it flushes: `OFF`, `NORMAL` or `FULL`.
pub(crate) async fn work_with_synchronous(folder: &Path, synchronous: &str) {
    let marks = Marks::beside(folder);
    let path = folder.join("fastlead.db");
    SqliteStore::open(SqliteOptions::new(&path)).await.unwrap().close().await.unwrap();
    let connect = SqliteConnectOptions::new()
        .filename(&path)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("synchronous", synchronous.to_owned())
        .pragma("wal_autocheckpoint", "20");
    let mut connection = SqliteConnection::connect_with(&connect).await.unwrap();
    let workspace = Site::new().scope.workspace_id;
    for number in 0..60 {
        let project = ProjectId::generate(&RandomIds, start());
        let name = format!("Project {number}");
        let record = Project { id: project, workspace_id: workspace, name, created_at: start() };
        let insert = sqlx::query("INSERT INTO projects VALUES (?1, ?2, ?3)")
            .bind(project.as_uuid().as_bytes().to_vec())
            .bind(workspace.as_uuid().as_bytes().to_vec())
            .bind(serde_json::to_string(&record).unwrap())
            .execute(&mut connection);
        marks.acknowledged(Fact::Project { project }, insert).await.unwrap();
    }
}

/// The file of marks. Each is one call, so that the recorder has it in its place among the calls of the store.
struct Marks {
    file: Mutex<std::fs::File>,
    next: AtomicU64,
}

impl Marks {
    fn beside(folder: &Path) -> Self {
        let file = std::fs::File::options().append(true).create(true).open(folder.join("marks")).unwrap();
        Self { file: Mutex::new(file), next: AtomicU64::new(0) }
    }

    fn write(&self, mark: &Mark) {
        let line = serde_json::to_string(mark).unwrap();
        self.file.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }

    async fn acknowledged<T>(&self, fact: Fact, work: impl Future<Output = T>) -> T {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.write(&Mark::Begun { number, fact });
        let done = work.await;
        self.write(&Mark::Acknowledged { number });
        done
    }
}

pub(crate) fn lead_fact(capture: &Transition) -> Fact {
    Fact::Lead {
        workspace: capture.scope.workspace_id,
        lead: capture.lead_id,
        deliveries: capture.deliveries.iter().map(|delivery| delivery.id).collect(),
    }
}

pub(crate) fn inbound(number: u64) -> InboundEvent {
    let from = Peer { chat: "1".into(), user: "1".into(), display_name: None, language: None };
    InboundEvent {
        provider_event_id: format!("event-{number}"),
        occurred_at: start(),
        kind: InboundKind::Message { from, text: "Здравствуйте".into() },
    }
}

pub(crate) fn sent(delivery: DeliveryId, token: LeaseToken) -> Settlement {
    Settlement {
        delivery_id: delivery,
        token,
        at: start(),
        outcome: Settled::Ended {
            state: DeliveryState::Sent,
            reason: None,
            provider_message_id: Some("17".to_owned()),
        },
        attempt: None,
        pause: None,
    }
}

fn accepted(capture: &Transition) -> Transition {
    let id = EventId::generate(&RandomIds, start());
    Transition {
        guard: Guard::Version(1),
        event_id: id,
        event: Event::Reviewed { approved: true },
        state: LeadState { version: 2, status: LeadStatus::Accepted, ..LeadState::default() },
        clear_timers: true,
        deliveries: Vec::new(),
        timers: Vec::new(),
        reservations: Vec::new(),
        idempotency: None,
        ..capture.clone()
    }
}

/// Works through a day on the file `fastlead.db` of a folder, and writes marks beside it.
pub(crate) async fn work(folder: &Path, seed: u64, leads: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let marks = Marks::beside(folder);
    let site = Site::new();
    let mut captured = 0;
    let mut sessions = 0;
    while captured < leads {
        let store = SqliteStore::open(SqliteOptions::new(folder.join("fastlead.db"))).await.unwrap();
        let project = ProjectId::generate(&RandomIds, start());
        let record = Project {
            id: project,
            workspace_id: site.scope.workspace_id,
            name: format!("Session {sessions}"),
            created_at: start(),
        };
        marks.acknowledged(Fact::Project { project }, store.put_project(record)).await.unwrap();
        let until = captured + leads.div_ceil(3);
        while captured < until {
            let many = random.random_range(1..9);
            hour(&store, &marks, &site, captured, many, &mut random).await;
            captured += many;
        }
        // Every other time the store is only dropped, as by a program that does not stop in good order.
        if sessions % 2 == 0 {
            store.close().await.unwrap();
        }
        sessions += 1;
    }
}

async fn hour(
    store: &SqliteStore,
    marks: &Marks,
    site: &Site,
    first: usize,
    many: usize,
    random: &mut StdRng,
) {
    let number = |index: usize| u128::try_from(first + index).unwrap();
    let captures: Vec<Transition> =
        (0..many).map(|index| site.capture(number(index), number(index))).collect();
    // Together, so that they share transactions.
    let commits =
        captures.iter().map(|capture| marks.acknowledged(lead_fact(capture), store.commit(capture.clone())));
    for outcome in join_all(commits).await {
        assert_eq!(outcome.unwrap(), CommitOutcome::Applied);
    }
    let settles = captures.iter().filter(|_| random.random_bool(0.5)).map(|capture| {
        let delivery = &capture.deliveries[0];
        let settlement = sent(delivery.id, delivery.lease.unwrap().token);
        marks.acknowledged(Fact::Sent { delivery: delivery.id }, store.settle(settlement))
    });
    for outcome in join_all(settles).await {
        assert_eq!(outcome.unwrap(), SettleOutcome::Settled);
    }
    let last = &captures[many - 1];
    let fact = Fact::Accepted { lead: last.lead_id };
    let outcome = marks.acknowledged(fact, store.commit(accepted(last))).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Applied);

    // A message that is written for later is claimed, begun and sent, one transaction each.
    let added = NewDelivery { lease: None, ..site.delivery(captures[0].lead_id, "3") };
    let fact = Fact::Delivery { delivery: added.id };
    marks.acknowledged(fact, store.enqueue(vec![added.clone()])).await.unwrap();
    let now = plus_seconds(start(), 1);
    for leased in claim_all(store, site.channel_id, now, 0).await.deliveries {
        let (id, token) = (leased.delivery.id, leased.lease.token);
        let beginning = Beginning::new(id, token, now);
        let begun = marks.acknowledged(Fact::Begun { delivery: id }, store.begin(beginning)).await.unwrap();
        assert_eq!(begun, BeginOutcome::Begun);
        let done = marks.acknowledged(Fact::Sent { delivery: id }, store.settle(sent(id, token))).await;
        assert_eq!(done.unwrap(), SettleOutcome::Settled);
    }

    let number = u64::try_from(first).unwrap();
    let (channel, event) = (site.channel_id, inbound(number));
    let batch = InboundBatch {
        channel_id: channel,
        events: vec![event.clone()],
        cursor: Some(format!("cursor-{number}")),
        at: start(),
        lease: lease(start()),
    };
    let record = store.record_inbound(batch);
    let new = marks.acknowledged(Fact::Inbound { channel, number }, record).await.unwrap();
    assert_eq!(new.len(), 1);
    let reference = InboundRef { channel_id: channel, provider_event_id: event.provider_event_id };
    store.finish_inbound(reference).await.unwrap();
}

/// Claims what is due at `now`.
pub(crate) async fn claim_all(
    store: &SqliteStore,
    channel: ChannelId,
    now: Timestamp,
    timers: u32,
) -> fastlead_core::port::Claimed {
    let channels = vec![ChannelRoom::new(channel, 1_000)];
    let request = ClaimRequest { now, lease: lease(now), channels, timers, inbound: 0 };
    store.claim(request).await.unwrap()
}

/// A lease of ten minutes.
pub(crate) fn lease(now: Timestamp) -> Lease {
    Lease { token: LeaseToken::generate(&RandomIds, now), until: plus_seconds(now, 600) }
}
