//! Files of earlier versions are opened, and the work in them goes on.

use fastlead_core::delivery::{DeliveryState, Lease, Phase};
use fastlead_core::id::{ChannelId, DeliveryId, LeaseToken, RandomIds, WorkspaceId};
use fastlead_core::port::{ChannelRoom, ClaimRequest, Store as _};
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

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
        connection.close().await.unwrap();

        let store = SqliteStore::open(options).await.unwrap();
        let counters: i64 =
            sqlx::query_scalar("SELECT count(*) FROM counters").fetch_one(&store.readers).await.unwrap();
        assert_eq!(counters, i64::from(version >= 3), "version {version}");
        assert_eq!(store.next_due(start(), &[channel]).await.unwrap(), Some(at(0)));
        let claim = ClaimRequest {
            now: at(60),
            lease: Lease { token: LeaseToken::generate(&RandomIds, start()), until: at(120) },
            channels: vec![ChannelRoom::new(channel, 10)],
            timers: 0,
        };
        let claimed = store.claim(claim).await.unwrap().deliveries;
        let claimed: Vec<_> = claimed.iter().map(|leased| (leased.delivery.id, leased.phase)).collect();
        let wanted = [(unknown, Phase::Confirm), (cut_off, Phase::Recover), (owed, Phase::Confirm)];
        assert_eq!(claimed, wanted, "version {version}");
    }
}
