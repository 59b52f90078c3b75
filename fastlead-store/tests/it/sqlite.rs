//! The SQLite store keeps the contract, and what only a file can promise.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use fastlead_core::contact::{Contact, Phone};
use fastlead_core::decide::{
    CounterId, Event, LeadState, LeadStatus, Reason, TimerName, Trace, TraceStep, UniqueKey, Verdict,
};
use fastlead_core::delivery::{
    Body, DeliverySpec, DeliveryState, Lease, NewDelivery, Purpose, RetrySchedule, Scope,
};
use fastlead_core::id::{
    ChannelId, DeliveryId, LeadId, LeaseToken, PolicyId, ProjectId, RandomIds, SourceId, TimerId, WorkspaceId,
};
use fastlead_core::lead::{Attribution, Capture, Received};
use fastlead_core::message::{Locale, MessageClass, Recipient};
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    CaptureAnswer, CaptureVerdict, CommitOutcome, IdempotencyRecord, NewTimer, Refusal, Reservation,
    SettleOutcome, Settled, Settlement, Store, Transition,
};
use fastlead_core::text::Overflow;
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};
use fastlead_core::{ErrorKind, RetryHint, async_trait};
use fastlead_store::{SqliteOptions, SqliteStore};
use fastlead_testkit::conformance::store::{FullStore, StoreHarness, StoredRow};
use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
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

    async fn damage(&self, row: StoredRow) -> bool {
        let (id, damage) = match row {
            StoredRow::Delivery(id) => (id.as_uuid(), "UPDATE deliveries SET spec = '{' WHERE id = ?1"),
            StoredRow::Account(id) => (
                id.as_uuid(),
                "DROP TRIGGER ledger_accounts_keep_their_currency; UPDATE ledger_accounts SET currency = 'rub' WHERE id = ?1",
            ),
            StoredRow::Posting(id) => (
                id.as_uuid(),
                "DROP TRIGGER ledger_postings_stay; UPDATE ledger_postings SET lead_id = x'01' WHERE id = ?1",
            ),
            _ => return false,
        };
        let path = self.folder.path().join("fastlead.db");
        let connect = SqliteConnectOptions::new().filename(path);
        let mut connection = SqliteConnection::connect_with(&connect).await.unwrap();
        let done = sqlx::query(damage).bind(id.as_bytes().to_vec()).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        done.rows_affected() == 1
    }

    fn gives_back(&self) -> bool {
        true
    }
}

fastlead_testkit::store_conformance!(keeps_the_contract, Sqlite);

pub(crate) fn start() -> Timestamp {
    from_millis(1_767_225_600_000)
}

/// One tenant whose captures look like those of a busy form.
pub(crate) struct Site {
    pub(crate) scope: Scope,
    source_id: SourceId,
    pub(crate) channel_id: ChannelId,
    policy: PolicyRef,
}

impl Site {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn delivery(&self, lead_id: LeadId, chat: &str) -> NewDelivery {
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
            candidates: Vec::new(),
            cap: None,
        }
    }

    /// A new lead with everything that a capture brings: two leased deliveries, a timer, both keys.
    pub(crate) fn capture(&self, unique: u128, idempotency: u128) -> Transition {
        let now = start();
        let lead_id = LeadId::generate(&RandomIds, now);
        let capture = Capture {
            contact: Contact {
                name: Some("Вера".into()),
                phone: Some(Phone::parse("+7 900 000-00-00").unwrap()),
                ..Contact::default()
            },
            comment: Some("Хочу записаться, \"завтра\"\nпосле 18:00".into()),
            fields: std::iter::once(("page".to_owned(), "https://example.com/price".into())).collect(),
            attribution: Attribution::default(),
            consents: Vec::new(),
            locale: Locale::Ru,
            received: Received::at(now),
            notes: Vec::new(),
            automated: None,
            enrichment: Vec::new(),
            person: None,
            erased_at: None,
        };
        let mut trace = Trace::new(self.policy);
        trace.steps = ["dedupe", "route.targets[0]", "route.targets[0].destinations[0]", "escalation[0]"]
            .map(Self::step)
            .to_vec();
        Transition {
            deliveries: vec![self.delivery(lead_id, "1"), self.delivery(lead_id, "2")],
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
            ..Transition::new_lead(
                self.scope,
                self.source_id,
                lead_id,
                Event::Captured(Box::new(capture)),
                now,
                trace,
                LeadState { version: 1, status: LeadStatus::Open, ..LeadState::default() },
            )
        }
    }
}

async fn raw(folder: &TempDir) -> SqliteConnection {
    let file = SqliteConnectOptions::new().filename(folder.path().join("fastlead.db"));
    SqliteConnection::connect_with(&file).await.unwrap()
}

async fn count(folder: &TempDir, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let mut connection = raw(folder).await;
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).await);
    sqlx::query("PRAGMA user_version = 99").execute(&mut raw(&folder).await).await.unwrap();
    let error = SqliteStore::open(options(&folder)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("version 99"), "{error}");
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut raw(&folder).await).await.unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_a_storage_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SqliteOptions::new(folder.path().join("missing").join("fastlead.db"));
    let error = SqliteStore::open(missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let site = Site::new();
    store.commit(site.capture(1, 1)).await.unwrap();
    for name in ["fastlead.db", "fastlead.db-wal", "fastlead.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The file and its log are copied while the store is open: what a process that dies now leaves behind.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_the_file_at_that_instant() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let site = Site::new();
    for number in 0..20 {
        let capture = site.capture(number, number);
        assert_eq!(store.commit(capture.clone()).await.unwrap(), CommitOutcome::Applied);
        let left_behind = tempfile::tempdir().unwrap();
        for name in ["fastlead.db", "fastlead.db-wal"] {
            std::fs::copy(folder.path().join(name), left_behind.path().join(name)).unwrap();
        }
        let after = open(&left_behind).await;
        let (workspace, lead) = (site.scope.workspace_id, capture.lead_id);
        let found = after.lead(workspace, lead).await.unwrap().unwrap();
        assert_eq!(Event::Captured(Box::new(found.capture)), capture.event);
        for delivery in &capture.deliveries {
            let found = after.delivery(workspace, delivery.id).await.unwrap().unwrap();
            assert_eq!((found.state, found.spec), (DeliveryState::Pending, delivery.spec.clone()));
        }
        let again = Transition { at: plus_seconds(start(), 1), ..capture.clone() };
        let answer = capture.idempotency.unwrap().answer;
        let replayed = CommitOutcome::Refused(Refusal::Replayed(answer));
        assert_eq!(after.commit(again).await.unwrap(), replayed);
    }
}

/// A member that SQLite refuses fails alone, whoever shares its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_member_fails_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let site = Site::new();
    let first = site.capture(0, 0);
    store.commit(first.clone()).await.unwrap();
    let mut captures: Vec<Transition> = (1..=200).map(|number| site.capture(number, number)).collect();
    // The id of a delivery that exists already.
    captures[100].deliveries[1].id = first.deliveries[0].id;
    let bad = captures[100].lead_id;
    let enqueued = site.delivery(first.lead_id, "3");
    let commits = join_all(captures.iter().map(|capture| store.commit(capture.clone())));
    let settle = store.settle(Settlement {
        delivery_id: first.deliveries[0].id,
        token: first.deliveries[0].lease.unwrap().token,
        at: start(),
        outcome: Settled::Ended { state: DeliveryState::Sent, reason: None, provider_message_id: None },
        attempt: None,
        pause: None,
    });
    let (commits, settled, added) = tokio::join!(commits, settle, store.enqueue(vec![enqueued.clone()]));
    assert_eq!(settled.unwrap(), SettleOutcome::Settled);
    added.unwrap();
    for (capture, outcome) in captures.iter().zip(commits) {
        if capture.lead_id == bad {
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Storage, RetryHint::Never), "{error}");
            assert!(store.lead(site.scope.workspace_id, bad).await.unwrap().is_none());
        } else {
            assert_eq!(outcome.unwrap(), CommitOutcome::Applied);
        }
    }
    assert_eq!(count(&folder, "leads").await, 200);
    assert_eq!(count(&folder, "deliveries").await, 401);
}

/// Two handles are two processes to SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_one_file_agree_on_one_winner() {
    let folder = tempfile::tempdir().unwrap();
    let second = SqliteStore::open(options(&folder).shared()).await.unwrap();
    let stores = [open(&folder).await, second];
    let site = Arc::new(Site::new());
    let tasks = (0..100_u32).map(|number| {
        let (store, site) = (stores[usize::from(number % 2 == 1)].clone(), Arc::clone(&site));
        tokio::spawn(async move {
            loop {
                match store.commit(site.capture(7, u128::from(number))).await.unwrap() {
                    CommitOutcome::Refused(Refusal::Contended) => {}
                    outcome => return outcome,
                }
            }
        })
    });
    let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CommitOutcome::Applied).count(), 1);
    let duplicates: HashSet<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            CommitOutcome::Refused(Refusal::Duplicate(lead)) => Some(*lead),
            _ => None,
        })
        .collect();
    assert_eq!(duplicates.len(), 1, "{outcomes:?}");
    assert_eq!(count(&folder, "leads").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_leave_the_file_some_time_after_they_expired() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let site = Site::new();
    join_all((0..600).map(|number| store.commit(site.capture(number, number)))).await;
    assert_eq!((count(&folder, "unique_keys").await, count(&folder, "idempotency").await), (600, 600));
    let later = |number, seconds| {
        let capture = site.capture(number, number);
        store.commit(Transition { at: plus_seconds(start(), seconds), ..capture })
    };
    // The unique keys have been free for more than an hour, the idempotency keys live for a day. Keys leave
    // between two transactions, so the second one is answered after the first batch has left.
    for number in [600, 601, 602] {
        later(number, 3_600 + 600).await.unwrap();
    }
    assert_eq!(count(&folder, "idempotency").await, 603);
    assert!(count(&folder, "unique_keys").await <= 3);
    for number in [603, 604, 605] {
        later(number, 100_000).await.unwrap();
    }
    assert!(count(&folder, "idempotency").await <= 6);
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
                    pause: None,
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

/// Nothing is left of what was given back of a counter that is not there any more: no store would ever forget it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_of_a_forgotten_counter_makes_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let site = Site::new();
    let counter = |number, amount, until| Reservation::Counter {
        id: CounterId([number; 16]),
        amount,
        limit: None,
        note: None,
        until,
    };
    let take = Transition {
        reservations: vec![counter(1, 1, Some(plus_seconds(start(), 60)))],
        ..site.capture(1, 1)
    };
    store.commit(take).await.unwrap();
    let give_back = Transition {
        at: plus_seconds(start(), 61),
        reservations: vec![counter(1, -1, None), counter(2, -1, None)],
        ..site.capture(2, 2)
    };
    store.commit(give_back).await.unwrap();
    let mut connection = raw(&folder).await;
    let without: i64 = sqlx::query_scalar("SELECT count(*) FROM counters WHERE until IS NULL")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!((without, count(&folder, "counters").await), (0, 1));
}
