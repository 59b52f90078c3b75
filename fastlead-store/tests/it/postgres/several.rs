//! Several stores on one database, as those of several servers, and what the database itself holds.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::ErrorKind;
use fastlead_core::decide::{CounterId, UniqueKey};
use fastlead_core::delivery::{DeliveryState, Lease, NewDelivery, OrderKey};
use fastlead_core::id::{AccountId, DeliveryId, LeadId, LeaseToken, PostingId, RandomIds};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{
    BeginOutcome, Beginning, ChannelRoom, ClaimRequest, CommitOutcome, Entry, Journal as _, LeaseAnswer,
    Leases as _, Ledger as _, LedgerAccount, NamedLease, PageRequest, Posting, Refusal, Reservation,
    SettleOutcome, Settled, Settlement, Store as _, Transition,
};
use fastlead_core::time::{Clock as _, SystemClock, plus_seconds};
use fastlead_store::{PostgresOptions, PostgresStore};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;

use super::cluster::Database;
use crate::sqlite::{Site, start};

/// Three stores whose transactions are small, so that many are under way at a time.
async fn three(database: &Database) -> [PostgresStore; 3] {
    let open = || async { PostgresStore::open(database.options().writers(3).group(4)).await.unwrap() };
    [open().await, open().await, open().await]
}

async fn raw(database: &Database) -> PgConnection {
    PgConnection::connect(&database.url()).await.unwrap()
}

async fn count(database: &Database, what: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {what}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut raw(database).await).await.unwrap()
}

/// Six hundred leads over three stores: a limit of twenty takes twenty, a key has one holder, and whoever follows the
/// events meanwhile sees each of them once, in ascending order.
#[tokio::test(flavor = "multi_thread")]
async fn limits_keys_and_positions_are_exact_across_stores() {
    const LEADS: u32 = 600;
    let database = Database::new().await;
    let stores = three(&database).await;
    let site = Arc::new(Site::new());
    let mut tasks = JoinSet::new();
    for number in 0..LEADS {
        let (store, site) = (stores[number as usize % 3].clone(), Arc::clone(&site));
        tasks.spawn(async move {
            let mut capture = site.capture(u128::from(number), u128::from(number));
            capture.reservations.push(match number % 2 {
                0 => Reservation::Counter {
                    id: CounterId([1; 16]),
                    amount: 1,
                    limit: Some(20),
                    note: None,
                    until: None,
                },
                _ => Reservation::Unique { key: UniqueKey([9; 16]), until: plus_seconds(start(), 600) },
            });
            (
                number % 2,
                loop {
                    match store.commit(capture.clone()).await.unwrap() {
                        CommitOutcome::Refused(Refusal::Contended) => {}
                        outcome => break outcome,
                    }
                },
            )
        });
    }
    let (mut position, mut seen) = (0, HashSet::new());
    let mut applied = [0, 0];
    let mut ended = false;
    while !ended {
        ended = tasks.is_empty();
        let batch = stores[0].events_since(site.scope.workspace_id, position, 7).await.unwrap();
        for event in &batch.events {
            assert!(event.position > position, "positions ascend");
            position = event.position;
            assert!(seen.insert(event.id), "an event was seen twice");
        }
        ended &= !batch.more;
        while let Some(done) = tasks.try_join_next() {
            let (kind, outcome) = done.unwrap();
            match outcome {
                CommitOutcome::Applied => applied[kind as usize] += 1,
                CommitOutcome::Refused(Refusal::CapFull { .. }) => assert_eq!(kind, 0),
                CommitOutcome::Refused(Refusal::Duplicate(_)) => assert_eq!(kind, 1),
                other => panic!("{other:?}"),
            }
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(applied, [20, 1]);
    assert_eq!(seen.len(), 21, "whoever follows misses nothing");
    assert_eq!(count(&database, "leads").await, 21);
}

/// Each of several hundred deliveries is sent once by one of three stores, and those of one key in their order.
#[tokio::test(flavor = "multi_thread")]
async fn three_stores_share_the_work_and_keep_the_order() {
    let database = Database::new().await;
    let stores = three(&database).await;
    let site = Arc::new(Site::new());
    let lead = LeadId::generate(&RandomIds, start());
    let new = |number: u32| NewDelivery {
        lease: None,
        order_key: (number % 3 == 0).then_some(OrderKey([(number % 5) as u8; 16])),
        created_at: plus_seconds(start(), u64::from(number)),
        ..site.delivery(lead, "1")
    };
    let all: Vec<NewDelivery> = (0..300).map(new).collect();
    stores[0].enqueue(all.clone()).await.unwrap();
    let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for worker in 0..6 {
        let (store, site, sent) = (stores[worker % 3].clone(), Arc::clone(&site), Arc::clone(&sent));
        tasks.spawn(async move {
            while sent.lock().unwrap().len() < 300 {
                let now = plus_seconds(start(), 1_000);
                let lease =
                    Lease { token: LeaseToken::generate(&RandomIds, now), until: plus_seconds(now, 600) };
                let channels = vec![ChannelRoom::new(site.channel_id, 5)];
                let request = ClaimRequest { now, lease, channels, timers: 0, inbound: 0 };
                for leased in store.claim(request).await.unwrap().deliveries {
                    let id = leased.delivery.id;
                    let begun = store.begin(Beginning::new(id, lease.token, now)).await.unwrap();
                    assert_eq!(begun, BeginOutcome::Begun);
                    sent.lock().unwrap().push(id);
                    let outcome = Settled::Ended {
                        state: DeliveryState::Sent,
                        reason: None,
                        provider_message_id: None,
                    };
                    let settlement = Settlement {
                        delivery_id: id,
                        token: lease.token,
                        at: now,
                        outcome,
                        attempt: None,
                        pause: None,
                    };
                    assert_eq!(store.settle(settlement).await.unwrap(), SettleOutcome::Settled);
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let all_done = async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap()
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_done).await.expect("all are sent");
    let sent = sent.lock().unwrap();
    let distinct: HashSet<&DeliveryId> = sent.iter().collect();
    assert_eq!((sent.len(), distinct.len()), (300, 300), "each is sent once");
    for key in 0..5_u8 {
        let of_key = |delivery: &&NewDelivery| delivery.order_key == Some(OrderKey([key; 16]));
        let asked: Vec<DeliveryId> = all.iter().filter(of_key).map(|delivery| delivery.id).collect();
        let went: Vec<DeliveryId> = sent.iter().copied().filter(|id| asked.contains(id)).collect();
        assert_eq!(went, asked, "the order of key {key}");
    }
}

/// What was stored is not changed by any statement; a person's words are taken out of events by an erasure alone.
#[tokio::test]
async fn events_and_postings_are_append_only() {
    let database = Database::new().await;
    let store = database.open().await;
    let site = Site::new();
    let workspace = site.scope.workspace_id;
    let [buyer, revenue] = [(); 2].map(|()| AccountId::generate(&RandomIds, start()));
    for (id, credit) in [(buyer, Some(0)), (revenue, None)] {
        let account = LedgerAccount::new(workspace, id, "Account", Currency::RUB).with_credit(credit);
        store.open_account(account).await.unwrap();
    }
    let entry = |account, minor| Entry::new(account, Money::new(minor, Currency::RUB));
    let entries = vec![entry(buyer, 100), entry(revenue, -100)];
    let posting = Posting::new(PostingId::of(&["top up"]), start(), "top_up", entries);
    let capture = Transition { postings: vec![posting], ..site.capture(1, 1) };
    assert_eq!(store.commit(capture).await.unwrap(), CommitOutcome::Applied);
    let mut connection = raw(&database).await;
    for statement in [
        "UPDATE events SET event = '{}'",
        "UPDATE events SET position = 7",
        "DELETE FROM events",
        "TRUNCATE events",
        "SET fastlead.erasing = 'on'; UPDATE events SET trace = '{}'",
        "SET fastlead.erasing = 'on'; DELETE FROM events",
        "UPDATE ledger_postings SET at = 0",
        "DELETE FROM ledger_postings",
        "TRUNCATE ledger_postings",
        "UPDATE ledger_entries SET amount = 1",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
        "UPDATE ledger_accounts SET currency = 'USD'",
        "UPDATE ledger_accounts SET balance = -1 WHERE credit = 0",
        "DELETE FROM ledger_accounts",
    ] {
        let done = sqlx::raw_sql(statement).execute(&mut connection).await;
        assert!(done.is_err(), "{statement} was allowed");
    }
    let history = store.events_since(workspace, 0, 10).await.unwrap();
    assert_eq!((history.events.len(), history.unreadable.len()), (1, 0));
    let balances = store.balances(workspace, vec![buyer]).await.unwrap();
    assert_eq!(balances[0].as_ref().unwrap().balance.minor, 100);
    assert_eq!(store.entries(workspace, buyer, PageRequest::default()).await.unwrap().items.len(), 1);
}

/// A caller whose clock is an hour fast gets no lease of an hour, takes nothing that is not due, and ends nobody's lease.
#[tokio::test]
async fn leases_and_due_moments_go_by_the_clock_of_the_database() {
    let database = Database::new().await;
    let store = PostgresStore::open(PostgresOptions::new(database.url())).await.unwrap();
    let site = Site::new();
    let told = store.time().await.unwrap().expect("it has a clock of its own");
    let apart = (told - SystemClock.now()).num_seconds().abs();
    assert!(apart < 60, "on one machine both clocks are one, and {apart} s apart");
    let fast = plus_seconds(told, 3_600);
    let lease =
        |seconds| Lease { token: LeaseToken::generate(&RandomIds, fast), until: plus_seconds(fast, seconds) };
    let delivery = |due| NewDelivery {
        created_at: fast,
        due_at: due,
        lease: None,
        ..site.delivery(LeadId::generate(&RandomIds, told), "1")
    };
    let (due, early) = (delivery(told), delivery(plus_seconds(told, 1_800)));
    let held = NewDelivery { lease: Some(lease(60)), ..delivery(told) };
    store.enqueue(vec![due.clone(), early, held.clone()]).await.unwrap();
    let channels = vec![ChannelRoom::new(site.channel_id, 10)];
    let request = ClaimRequest { now: fast, lease: lease(60), channels, timers: 0, inbound: 0 };
    let claimed = store.claim(request).await.unwrap().deliveries;
    assert_eq!(claimed.iter().map(|leased| leased.delivery.id).collect::<Vec<_>>(), [due.id]);
    let rest = (claimed[0].lease.until - told).num_seconds();
    assert!((50..=120).contains(&rest), "a lease of a minute lasts {rest} s");
    let until: i64 = sqlx::query_scalar("SELECT lease_until FROM deliveries WHERE id = $1")
        .bind(held.id.as_uuid())
        .fetch_one(&mut raw(&database).await)
        .await
        .unwrap();
    let rest = (until - told.timestamp_millis()) / 1_000;
    assert!((50..=120).contains(&rest), "a lease that came with its delivery lasts {rest} s");
    let holder = |number| LeaseToken::from_uuid(uuid::Uuid::from_u128(number));
    let named = |number, now| NamedLease {
        name: "poll:1".to_owned(),
        holder: holder(number),
        now,
        until: plus_seconds(now, 60),
    };
    assert_eq!(store.take_lease(named(1, told)).await.unwrap(), LeaseAnswer::Taken);
    let other = store.take_lease(named(2, fast)).await.unwrap();
    assert!(matches!(other, LeaseAnswer::Held { .. }), "a fast clock ends another's lease: {other:?}");
}

/// Many servers start at once on an empty database: one makes the tables, and all are served.
#[tokio::test(flavor = "multi_thread")]
async fn stores_that_are_opened_together_agree_on_the_tables() {
    let database = Database::empty().await;
    let opened = join_all((0..6).map(|_| database.open())).await;
    let site = Site::new();
    for (store, number) in opened.iter().zip(0..) {
        assert_eq!(store.commit(site.capture(number, number)).await.unwrap(), CommitOutcome::Applied);
    }
    let mut connection = raw(&database).await;
    sqlx::query("UPDATE schema_version SET version = 99").execute(&mut connection).await.unwrap();
    let error = PostgresStore::open(database.options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("version 99"), "{error}");
}

/// Connections are cut again and again while leads come in: what was answered as taken in is there, once, and what was
/// answered with an error says whether it may have been.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_cut_connections() {
    let database = Database::new().await;
    let stores = three(&database).await;
    let site = Arc::new(Site::new());
    let mut tasks = JoinSet::new();
    for number in 0..300_u128 {
        let (store, site) = (stores[usize::try_from(number % 3).unwrap()].clone(), Arc::clone(&site));
        tasks.spawn(async move {
            let capture = site.capture(number, number);
            for _ in 0..50 {
                match store.commit(capture.clone()).await {
                    // The key of the request tells that it was taken in by an attempt whose answer was lost.
                    Ok(CommitOutcome::Applied | CommitOutcome::Refused(Refusal::Replayed(_))) => {
                        return capture;
                    }
                    Ok(CommitOutcome::Refused(Refusal::Contended)) => {}
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Storage, "{error}"),
                }
                tokio::task::yield_now().await;
            }
            panic!("a lead never came in");
        });
    }
    let mut connection = raw(&database).await;
    let mut captures = Vec::new();
    while let Some(done) = tasks.join_next().await {
        captures.push(done.unwrap());
        if captures.len() % 20 == 0 {
            sqlx::query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5",
            )
            .execute(&mut connection)
            .await
            .unwrap();
        }
    }
    assert_eq!(captures.len(), 300);
    for capture in &captures {
        // The first statement on a connection that was cut finds that out.
        let mut found = stores[0].lead(site.scope.workspace_id, capture.lead_id).await;
        for _ in 0..20 {
            if found.is_ok() {
                break;
            }
            found = stores[0].lead(site.scope.workspace_id, capture.lead_id).await;
        }
        assert!(found.unwrap().is_some(), "a lead that was acknowledged is gone");
    }
    assert_eq!(count(&database, "leads").await, 300);
    assert_eq!(count(&database, "events").await, 300);
    assert_eq!(count(&database, "deliveries").await, 600);
}

/// A member that the database refuses fails alone, whoever shares its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_member_fails_nobody_else() {
    let database = Database::new().await;
    let store = database.open().await;
    let site = Site::new();
    let first = site.capture(0, 0);
    store.commit(first.clone()).await.unwrap();
    let mut captures: Vec<Transition> = (1..=100).map(|number| site.capture(number, number)).collect();
    // The id of a delivery that exists already.
    captures[50].deliveries[1].id = first.deliveries[0].id;
    let outcomes = join_all(captures.iter().map(|capture| store.commit(capture.clone()))).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(outcome) => assert_eq!((outcome, number == 50), (CommitOutcome::Applied, false)),
            Err(error) => assert_eq!((error.kind(), number), (ErrorKind::Storage, 50)),
        }
    }
    assert_eq!(count(&database, "leads").await, 100);
}
