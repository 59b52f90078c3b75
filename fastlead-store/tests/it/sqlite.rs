//! The SQLite store keeps the contract, and what only a file can promise.

use std::sync::Arc;
use std::time::Instant;

use fastlead_core::async_trait;
use fastlead_core::contact::{Contact, Phone};
use fastlead_core::decide::{
    Event, LeadState, LeadStatus, Reason, TimerName, Trace, TraceStep, UniqueKey, Verdict,
};
use fastlead_core::delivery::{
    Body, DeliverySpec, DeliveryState, Lease, NewDelivery, Purpose, RetrySchedule, Scope,
};
use fastlead_core::id::{
    ChannelId, DeliveryId, EventId, LeadId, LeaseToken, PolicyId, ProjectId, RandomIds, SourceId, TimerId,
    WorkspaceId,
};
use fastlead_core::lead::{Attribution, Capture, Received};
use fastlead_core::message::{Locale, MessageClass, Recipient};
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    CaptureAnswer, CaptureVerdict, CommitOutcome, Guard, IdempotencyRecord, NewTimer, Reservation,
    SettleOutcome, Settled, Settlement, Store, Transition,
};
use fastlead_core::text::Overflow;
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};
use fastlead_store::{SqliteOptions, SqliteStore};
use fastlead_testkit::conformance::store::{FullStore, StoreHarness};
use futures_util::future::join_all;
use tempfile::TempDir;

struct Sqlite {
    folder: TempDir,
    store: Option<SqliteStore>,
}

fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions::new(folder.path().join("fastlead.db"))
}

async fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(options(folder)).await.unwrap()
}

#[async_trait]
impl StoreHarness for Sqlite {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        Self { folder, store: Some(store) }
    }

    fn store(&self) -> Arc<dyn FullStore> {
        Arc::new(self.store.clone().expect("open between two calls"))
    }

    async fn reopen(&mut self) -> bool {
        self.store = None;
        self.store = Some(open(&self.folder).await);
        true
    }
}

fastlead_testkit::store_conformance!(keeps_the_contract, Sqlite);

fn start() -> Timestamp {
    from_millis(1_767_225_600_000)
}

/// One tenant whose captures look like those of a busy form.
struct Site {
    scope: Scope,
    source_id: SourceId,
    channel_id: ChannelId,
    policy: PolicyRef,
}

impl Site {
    fn new() -> Self {
        let now = start();
        Self {
            scope: Scope {
                workspace_id: WorkspaceId::generate(&RandomIds, now),
                project_id: ProjectId::generate(&RandomIds, now),
            },
            source_id: SourceId::generate(&RandomIds, now),
            channel_id: ChannelId::generate(&RandomIds, now),
            policy: PolicyRef { id: PolicyId::generate(&RandomIds, now), version: 1 },
        }
    }

    fn delivery(&self, lead_id: LeadId, chat: &str) -> NewDelivery {
        let now = start();
        NewDelivery {
            id: DeliveryId::generate(&RandomIds, now),
            scope: self.scope,
            lead_id: Some(lead_id),
            channel_id: self.channel_id,
            created_at: now,
            due_at: now,
            expires_at: plus_seconds(now, 86_400),
            order_key: None,
            spec: DeliverySpec {
                purpose: Purpose::Offer { target: "anna".into(), step: 0 },
                recipient: Recipient::Chat(chat.into()),
                body: Body::Template { name: "lead".into(), locale: Locale::Ru, offer_buttons: true },
                class: MessageClass::Service,
                retry: RetrySchedule::default(),
                overflow: Overflow::Split,
                policy: Some(self.policy),
            },
            lease: Some(Lease { token: LeaseToken::generate(&RandomIds, now), until: plus_seconds(now, 60) }),
        }
    }

    fn step(rule: &str) -> TraceStep {
        TraceStep {
            rule: rule.to_owned(),
            subject: Some("anna".to_owned()),
            verdict: Verdict::Chosen,
            reason: Some(Reason::ConditionHeld),
        }
    }

    /// A new lead with everything that a capture brings: two leased deliveries, a timer, both keys.
    fn capture(&self, unique: u128, idempotency: u128) -> Transition {
        let now = start();
        let lead_id = LeadId::generate(&RandomIds, now);
        let capture = Capture {
            contact: Contact {
                name: Some("Вера".into()),
                phone: Some(Phone::parse("+7 900 000-00-00").unwrap()),
                email: None,
                handles: Vec::new(),
            },
            comment: Some("Хочу записаться, \"завтра\"\nпосле 18:00".into()),
            fields: std::iter::once(("page".to_owned(), "https://example.com/price".into())).collect(),
            attribution: Attribution::default(),
            consents: Vec::new(),
            locale: Locale::Ru,
            received: Received::at(now),
        };
        let mut trace = Trace::new(self.policy);
        trace.steps = ["dedupe", "route.targets[0]", "route.targets[0].destinations[0]", "escalation[0]"]
            .map(Self::step)
            .to_vec();
        Transition {
            scope: self.scope,
            source_id: self.source_id,
            lead_id,
            guard: Guard::New,
            event_id: EventId::from_uuid(lead_id.as_uuid()),
            event: Event::Captured(Box::new(capture)),
            at: now,
            trace,
            state: LeadState { version: 1, status: LeadStatus::Open, ..LeadState::default() },
            deliveries: vec![self.delivery(lead_id, "1"), self.delivery(lead_id, "2")],
            cancel_offers: false,
            clear_timers: false,
            timers: vec![NewTimer {
                id: TimerId::generate(&RandomIds, now),
                name: TimerName::Unanswered,
                due_at: plus_seconds(now, 600),
            }],
            reservations: vec![Reservation::Unique {
                key: UniqueKey(unique.to_be_bytes()),
                until: plus_seconds(now, 600),
            }],
            idempotency: Some(IdempotencyRecord {
                key: idempotency.to_be_bytes(),
                request: [7; 16],
                answer: CaptureAnswer { lead_id, verdict: CaptureVerdict::Accepted },
                until: plus_seconds(now, 86_400),
            }),
            settlement: None,
            inbound: None,
            fired: None,
        }
    }
}

/// How fast it is in this build: `cargo test -p fastlead-store --release --test it throughput -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn throughput_of_captures_and_settlements() {
    const WAITERS: usize = 64;
    let each: usize = if cfg!(debug_assertions) { 20 } else { 1_000 };
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let site = Arc::new(Site::new());
    let begun = Instant::now();
    let tasks = (0..WAITERS).map(|waiter| {
        let (store, site) = (store.clone(), Arc::clone(&site));
        tokio::spawn(async move {
            let mut settlements = Vec::new();
            for number in 0..each {
                let key = (waiter * each + number) as u128;
                let transition = site.capture(key, key);
                settlements.extend(transition.deliveries.iter().map(|delivery| Settlement {
                    delivery_id: delivery.id,
                    token: delivery.lease.unwrap().token,
                    at: start(),
                    outcome: Settled::Ended {
                        state: DeliveryState::Sent,
                        reason: None,
                        provider_message_id: Some(delivery.id.hex()),
                    },
                    attempt: None,
                }));
                assert_eq!(store.commit(transition).await.unwrap(), CommitOutcome::Applied);
            }
            settlements
        })
    });
    let settlements: Vec<Settlement> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    let captured = begun.elapsed();
    let begun = Instant::now();
    let count = settlements.len();
    let mut lots = vec![Vec::new(); 256];
    for (index, settlement) in settlements.into_iter().enumerate() {
        lots[index % 256].push(settlement);
    }
    let tasks = lots.into_iter().map(|lot| {
        let store = store.clone();
        tokio::spawn(async move {
            for settlement in lot {
                assert_eq!(store.settle(settlement).await.unwrap(), SettleOutcome::Settled);
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let settled = begun.elapsed();
    let leads = WAITERS * each;
    let size: u64 = std::fs::metadata(folder.path().join("fastlead.db")).unwrap().len();
    println!(
        "{leads} captures: {:.0}/s; {count} settlements: {:.0}/s; {} bytes per lead",
        leads as f64 / captured.as_secs_f64(),
        count as f64 / settled.as_secs_f64(),
        size / leads as u64,
    );
}
