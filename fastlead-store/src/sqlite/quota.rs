//! Rates and holds in a table. Each permit is a transaction: a server that has the file alone counts in memory instead.

use fastlead_core::allowance::Arrival;
use fastlead_core::async_trait;
use fastlead_core::error::Result;
use fastlead_core::port::{Quota, QuotaAnswer, QuotaHold, QuotaKey, QuotaLimit, QuotaRequest};
use fastlead_core::quota::{Decision, Kept, decide, place};
use fastlead_core::time::{Timestamp, plus};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::fault::failed;
use super::rows::{bytes, optional_integer, optional_moment};

/// Number of rows that leave with each permit, which brings two at the most.
const SWEPT: i64 = 8;

const READ: &str = "SELECT key, arrival, held_until FROM quota
    WHERE scope = ?1 AND key IN (SELECT unhex(value) FROM json_each(?2))";
const HELD: &str = "SELECT key, held_until FROM quota WHERE scope = ?1 AND held_until IS NOT NULL";
const WRITE: &str = "INSERT INTO quota (scope, key, arrival, held_until, gone_at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (scope, key) DO UPDATE
    SET arrival = excluded.arrival, held_until = excluded.held_until, gone_at = excluded.gone_at";
const SWEEP: &str = "DELETE FROM quota WHERE (scope, key) IN
    (SELECT scope, key FROM quota WHERE gone_at <= ?1 ORDER BY gone_at LIMIT ?2)";

/// A request that outlives its caller.
struct Owned {
    scope: String,
    limits: Vec<QuotaLimit>,
    now: Timestamp,
}

async fn read(
    connection: &mut SqliteConnection,
    scope: &str,
    keys: impl Iterator<Item = QuotaKey>,
) -> Result<Vec<(QuotaKey, Kept)>> {
    let names: Vec<String> = keys.map(|key| hex::encode(key.0)).collect();
    let names = serde_json::Value::from(names).to_string();
    let rows = sqlx::query(READ).bind(scope).bind(names).fetch_all(connection).await;
    let rows = rows.map_err(|error| failed("read quota", &error))?;
    rows.iter().map(kept).collect()
}

fn kept(row: &SqliteRow) -> Result<(QuotaKey, Kept)> {
    let arrival = optional_integer(row, 1)?.map(Arrival);
    Ok((QuotaKey(bytes(row, 0)?), Kept { arrival, held_until: optional_moment(row, 2)? }))
}

async fn write(connection: &mut SqliteConnection, scope: &str, key: QuotaKey, kept: Kept) -> Result<()> {
    let gone = kept.arrival.map(Arrival::moment).max(kept.held_until);
    let gone = gone.map_or(Timestamp::MIN_UTC, |gone| plus(gone, Arrival::SKEW));
    sqlx::query(WRITE)
        .bind(scope)
        .bind(key.0.to_vec())
        .bind(kept.arrival.map(|arrival| arrival.0))
        .bind(kept.held_until.map(|until| until.timestamp_millis()))
        .bind(gone.timestamp_millis() + 1)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failed("write quota", &error))
}

async fn take(connection: &mut SqliteConnection, owned: &Owned) -> Result<QuotaAnswer> {
    let Owned { scope, limits, now } = owned;
    let keys = limits.iter().map(|limit| limit.key).chain([QuotaKey::SCOPE]);
    let found = read(&mut *connection, scope, keys).await?;
    let of =
        |key| found.iter().find(|(found, _)| *found == key).map_or_else(Kept::default, |(_, kept)| *kept);
    let taken = match decide(&QuotaRequest { scope, limits, now: *now }, of) {
        Decision::Granted(taken) => taken,
        Decision::Refused(answer) => return Ok(answer),
    };
    if taken.is_empty() {
        return Ok(QuotaAnswer::Granted);
    }
    for (key, arrival) in taken {
        write(&mut *connection, scope, key, Kept { arrival: Some(arrival), ..of(key) }).await?;
    }
    let swept = sqlx::query(SWEEP).bind(now.timestamp_millis()).bind(SWEPT).execute(connection).await;
    swept.map_err(|error| failed("sweep quota", &error))?;
    Ok(QuotaAnswer::Granted)
}

async fn hold(connection: &mut SqliteConnection, hold: &QuotaHold<'_>) -> Result<()> {
    let rows = sqlx::query(HELD).bind(hold.scope).fetch_all(&mut *connection).await;
    let rows = rows.map_err(|error| failed("read quota", &error))?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let key = QuotaKey(bytes(row, 0)?);
        held.extend(optional_moment(row, 1)?.map(|until| (key, until)));
    }
    let (key, until) = place(hold, held);
    let found = read(&mut *connection, hold.scope, [key].into_iter()).await?;
    let arrival = found.first().and_then(|(_, kept)| kept.arrival);
    write(connection, hold.scope, key, Kept { arrival, held_until: Some(until) }).await
}

#[async_trait]
impl Quota for SqliteStore {
    async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
        let owned =
            Owned { scope: request.scope.to_owned(), limits: request.limits.to_vec(), now: request.now };
        self.writer.run(move |connection| Box::pin(async move { take(connection, &owned).await })).await
    }

    async fn hold(&self, wanted: QuotaHold<'_>) -> Result<()> {
        let (scope, key) = (wanted.scope.to_owned(), wanted.key);
        let (delay, now) = (wanted.delay, wanted.now);
        self.writer
            .run(move |connection| {
                Box::pin(async move { hold(connection, &QuotaHold { scope: &scope, key, delay, now }).await })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::allowance::Allowance;
    use fastlead_core::channel::Rate;
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;
    use crate::sqlite::SqliteOptions;

    #[tokio::test]
    async fn what_says_nothing_any_more_leaves_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("fastlead.db"));
        let store = SqliteStore::open(options).await.unwrap();
        let take = async |number: u32, second| {
            let allowance = Some(Allowance::within(Rate::per_second(1)));
            let limits = [QuotaLimit { key: QuotaKey::of(&[&number.to_le_bytes()]), allowance }];
            let request = QuotaRequest { scope: "a", limits: &limits, now: plus_seconds(epoch(), second) };
            assert_eq!(store.take(request).await.unwrap(), QuotaAnswer::Granted);
        };
        let rows = async || {
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM quota");
            count.fetch_one(&store.readers).await.unwrap()
        };
        for number in 0..40 {
            take(number, 0).await;
        }
        let held = QuotaHold {
            scope: "a",
            key: QuotaKey::of(&[b"held"]),
            delay: std::time::Duration::from_secs(600),
            now: epoch(),
        };
        store.hold(held).await.unwrap();
        take(100, 50).await;
        assert_eq!(rows().await, 42, "nothing has gone within the minute by which clocks may differ");
        for number in 0..5 {
            take(200 + number, 62).await;
        }
        assert_eq!(rows().await, 7, "of the first forty nothing is left");
        for number in 0..5 {
            take(300 + number, 700).await;
        }
        assert_eq!(rows().await, 5);
    }
}
