//! Files of earlier versions are opened, and the work in them goes on.

use fastlead_core::decide::Event;
use fastlead_core::delivery::{DeliveryState, Lease, Phase};
use fastlead_core::id::{
    AccountId, ChannelId, DeliveryId, LeadId, LeaseToken, PostingId, RandomIds, WorkspaceId,
};
use fastlead_core::lead::{CaptureInput, Needle, Received};
use fastlead_core::message::{Locale, MessageClass, Recipient};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{
    AddressKey, Addresses as _, ChannelRoom, ClaimRequest, CommitOutcome, Entry, Identities as _,
    Journal as _, LeadFilter, Ledger as _, LedgerAccount, PageRequest, Posting, Store as _,
};
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::leads::SEARCHED;
use super::rows::blob;
use super::{MIGRATIONS, SqliteOptions, SqliteStore};

fn start() -> Timestamp {
    from_millis(1_767_225_600_000)
}

/// A file as the program of this version has left it.
async fn file(folder: &tempfile::TempDir, version: usize) -> (SqliteOptions, SqliteConnection) {
    let path = folder.path().join("fastlead.db");
    let connect = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&connect).await.unwrap();
    for migration in &MIGRATIONS[..version] {
        sqlx::raw_sql(*migration).execute(&mut connection).await.unwrap();
    }
    let sql = format!("PRAGMA user_version = {version}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    (SqliteOptions::new(path), connection)
}

async fn delivery(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    state: DeliveryState,
    uncertain: bool,
    due_at: Timestamp,
) -> DeliveryId {
    let id = DeliveryId::generate(&RandomIds, due_at);
    let spec = r#"{"purpose":{"type":"manual"},"recipient":{"chat":"790000000"},
        "body":{"body":"template","name":"t","locale":"ru","offer_buttons":false},
        "class":"service","overflow":"split","policy":null}"#;
    sqlx::query(
        "INSERT INTO deliveries (id, workspace_id, project_id, channel_id, purpose, state, created_at, due_at,
           expires_at, updated_at, attempts, parts_sent, checks, uncertain, order_key, spec)
         VALUES (?1, ?2, ?2, ?3, 'manual', ?4, ?5, ?5, ?6, ?5, 1, 0, 0, ?7, ?8, ?9)",
    )
    .bind(blob(id.as_uuid()))
    .bind(blob(WorkspaceId::generate(&RandomIds, due_at).as_uuid()))
    .bind(blob(channel.as_uuid()))
    .bind(state.number())
    .bind(due_at.timestamp_millis())
    .bind(plus_seconds(due_at, 86_400).timestamp_millis())
    .bind(uncertain)
    .bind(vec![7_u8; 16])
    .bind(spec)
    .execute(connection)
    .await
    .unwrap();
    id
}

#[tokio::test]
async fn work_of_an_earlier_version_is_claimed_in_its_order() {
    for version in 1..MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let (options, mut connection) = file(&folder, version).await;
        let channel = ChannelId::generate(&RandomIds, start());
        let at = |seconds| plus_seconds(start(), seconds);
        let owed = delivery(&mut connection, channel, DeliveryState::AwaitingReceipt, false, at(0)).await;
        let unknown = delivery(&mut connection, channel, DeliveryState::AwaitingReceipt, true, at(1)).await;
        let cut_off = delivery(&mut connection, channel, DeliveryState::Sending, false, at(2)).await;
        delivery(&mut connection, channel, DeliveryState::Failed, false, at(0)).await;
        if version >= 3 {
            let counters =
                "INSERT INTO counters VALUES (x'01', 0, NULL, NULL, NULL), (x'02', 1, NULL, 7, NULL)";
            sqlx::query(counters).execute(&mut connection).await.unwrap();
        }
        sqlx::query(
            "INSERT INTO timers VALUES (x'01', x'02', x'03', x'04', '\"unanswered\"', 5, NULL, NULL)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();

        let store = SqliteStore::open(options).await.unwrap();
        let counters: i64 =
            sqlx::query_scalar("SELECT count(*) FROM counters").fetch_one(&store.readers).await.unwrap();
        // Version 6 has cleared away what counts nothing, and no later one makes it.
        let wanted = match version {
            0..3 => 0,
            3..6 => 1,
            _ => 2,
        };
        assert_eq!(counters, wanted, "version {version}");
        let deadlines = "SELECT count(*) FROM timers INDEXED BY timers_at_risk
             WHERE workspace_id = x'02' AND name NOT IN ('\"queue\"', '\"confirm\"', '\"auction_ends\"')";
        let deadlines: i64 = sqlx::query_scalar(deadlines).fetch_one(&store.readers).await.unwrap();
        assert_eq!(deadlines, 1, "version {version}");
        assert_eq!(store.next_due(start(), &[channel]).await.unwrap().earliest(), Some(at(0)));
        let claim = ClaimRequest {
            now: at(60),
            lease: Lease { token: LeaseToken::generate(&RandomIds, start()), until: at(120) },
            channels: vec![ChannelRoom::new(channel, 10)],
            timers: 0,
            inbound: 0,
        };
        let claimed = store.claim(claim).await.unwrap().deliveries;
        let claimed: Vec<_> = claimed.iter().map(|leased| (leased.delivery.id, leased.phase)).collect();
        let wanted = [(unknown, Phase::Confirm), (cut_off, Phase::Recover), (owed, Phase::Confirm)];
        assert_eq!(claimed, wanted, "version {version}");
    }
}

/// What came in before links of identities were kept is listed, and an address suppressed then stays so.
#[tokio::test]
async fn what_people_said_to_an_earlier_version_is_listed() {
    for version in 2..MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let (options, mut connection) = file(&folder, version).await;
        let channel = ChannelId::generate(&RandomIds, start());
        let workspace = WorkspaceId::generate(&RandomIds, start());
        sqlx::query("INSERT INTO channels VALUES (?1, ?2, 'telegram', 'bot', x'00', 't', '\"active\"', 0)")
            .bind(blob(channel.as_uuid()))
            .bind(blob(workspace.as_uuid()))
            .execute(&mut connection)
            .await
            .unwrap();
        let peer = r#"{"chat":"7","user":"7","display_name":"Вера","language":"ru"}"#;
        let kinds = [
            format!(r#"{{"type":"started","from":{peer},"payload":"anna"}}"#),
            r#"{"type":"receipt","message":{"provider":"1"},"status":"delivered"}"#.to_owned(),
            format!(r#"{{"type":"message","from":{peer},"text":"Здравствуйте"}}"#),
        ];
        for (number, kind) in kinds.iter().enumerate() {
            let event = format!(
                r#"{{"provider_event_id":"{number}","occurred_at":"2026-01-01T00:00:00Z","kind":{kind}}}"#
            );
            sqlx::query(
                "INSERT INTO inbound (channel_id, provider_event_id, event, received_at, done) VALUES (?1, ?2, ?3, 0, 1)",
            )
            .bind(blob(channel.as_uuid()))
            .bind(number.to_string())
            .bind(event)
            .execute(&mut connection)
            .await
            .unwrap();
        }
        let chat = Recipient::Chat("7".into());
        let key = AddressKey::of(workspace, channel, &chat);
        let doc = format!(
            r#"{{"id":"sup_{0}","workspace_id":"{workspace}","channel_id":"{channel}","recipient":{{"chat":"7"}},
                "scope":"all","reason":"blocked","since":"2026-01-01T00:00:00Z"}}"#,
            "0190b6f45d3c7000a000000000000001"
        );
        sqlx::query("INSERT INTO suppressions VALUES (?1, x'01', ?2, ?3)")
            .bind(key.0.to_vec())
            .bind(blob(workspace.as_uuid()))
            .bind(doc)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();

        let store = SqliteStore::open(options).await.unwrap();
        let said = store.spoken(workspace, channel, PageRequest::default()).await.unwrap().items;
        let said: Vec<_> = said.iter().map(|record| record.event.provider_event_id.as_str()).collect();
        assert_eq!(said, ["2", "0"], "version {version}");
        assert!(store.active_links().await.unwrap().is_empty());
        let book = store.address_book().await.unwrap();
        assert_eq!(book.suppression(key, MessageClass::Service), Some("blocked"), "version {version}");
        assert_eq!(store.narrow(workspace, key).await.unwrap(), None);
        assert!(store.address_book().await.unwrap().is_empty(), "version {version}");
    }
}

/// A file of any earlier version gets a ledger, and the next start finds what was posted.
#[tokio::test]
async fn an_earlier_version_gets_a_ledger() {
    for version in 1..MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let (options, connection) = file(&folder, version).await;
        connection.close().await.unwrap();
        let store = SqliteStore::open(options.clone()).await.unwrap();
        let workspace = WorkspaceId::generate(&RandomIds, start());
        let accounts = [(); 2].map(|()| AccountId::generate(&RandomIds, start()));
        for account in accounts {
            let account = LedgerAccount::new(workspace, account, "Revenue", Currency::RUB).with_credit(None);
            store.open_account(account).await.unwrap();
        }
        let amounts = [(accounts[0], -5), (accounts[1], 5)];
        let entries =
            amounts.map(|(account, minor)| Entry::new(account, Money::new(minor, Currency::RUB))).to_vec();
        let posting = Posting::new(PostingId::of(&["first"]), start(), "charge", entries);
        let posted = store.post(workspace, vec![posting.clone()]).await.unwrap();
        assert_eq!(posted, CommitOutcome::Applied, "version {version}");
        store.close().await.unwrap();
        let store = SqliteStore::open(options).await.unwrap();
        assert_eq!(store.posting(workspace, posting.id).await.unwrap(), Some(posting), "version {version}");
    }
}

/// A lead of an earlier version is found by a part of its name and of its phone number.
#[tokio::test]
async fn leads_of_an_earlier_version_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (options, mut connection) = file(&folder, SEARCHED - 1).await;
    let workspace = WorkspaceId::generate(&RandomIds, start());
    let input = CaptureInput {
        name: Some("Алёна Пример".into()),
        phone: Some("+7 900 000-12-34".into()),
        ..CaptureInput::default()
    };
    let capture = input.validate(&[], Locale::Ru, Received::at(start())).unwrap();
    let event = serde_json::to_string(&Event::Captured(Box::new(capture))).unwrap();
    for event in [event.as_str(), "{"] {
        let lead = LeadId::generate(&RandomIds, start());
        sqlx::query("INSERT INTO leads VALUES (?1, ?2, ?2, ?2, ?3, 1, 'open', NULL, ?2, 1, '{}')")
            .bind(blob(lead.as_uuid()))
            .bind(blob(workspace.as_uuid()))
            .bind(start().timestamp_millis())
            .execute(&mut connection)
            .await
            .unwrap();
        let sql = "INSERT INTO events (id, workspace_id, lead_id, at, event, trace) VALUES (?1, ?2, ?1, ?3, ?4, '{}')";
        sqlx::query(sql)
            .bind(blob(lead.as_uuid()))
            .bind(blob(workspace.as_uuid()))
            .bind(start().timestamp_millis())
            .bind(event)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
    let store = SqliteStore::open(options).await.unwrap();
    for (typed, found) in [("алена", 1), ("8 900 000-12", 1), ("олег", 0)] {
        let filter = LeadFilter { text: Needle::new(typed), ..LeadFilter::default() };
        let page = store.leads(workspace, filter, PageRequest::default()).await.unwrap();
        assert_eq!(page.items.len(), found, "{typed}");
    }
}
