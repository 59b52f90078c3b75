//! Rates and holds, which all engines on the database keep together. Whoever asks about a scope waits for those who asked
//! before: an advisory lock of the transaction.

use async_trait::async_trait;
use fastlead_core::allowance::Arrival;
use fastlead_core::error::Result;
use fastlead_core::port::{Quota, QuotaAnswer, QuotaHold, QuotaKey, QuotaRequest};
use fastlead_core::quota::{Decision, Kept, decide, place};
use fastlead_core::time::{Timestamp, plus};
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::rows::{clean, get, key, optional_moment};

/// Number of rows that leave with each permit, which brings two at the most.
const SWEPT: i64 = 8;

/// The first key of the locks of scopes: named leases and migrations have others.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1903128419, hashtext($1))";
const READ: &str = "SELECT key, arrival, held_until FROM quota WHERE scope = $1 AND key = ANY($2)";
const HELD: &str = "SELECT key, held_until FROM quota WHERE scope = $1 AND held_until IS NOT NULL";
const WRITE: &str = "INSERT INTO quota (scope, key, arrival, held_until, gone_at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (scope, key) DO UPDATE
  SET arrival = excluded.arrival, held_until = excluded.held_until, gone_at = excluded.gone_at";
/// Rows that somebody else has locked are left to the next one.
const SWEEP: &str = "DELETE FROM quota WHERE (scope, key) IN
  (SELECT scope, key FROM quota WHERE gone_at <= $1 ORDER BY gone_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

async fn read(
    connection: &mut PgConnection,
    scope: &str,
    keys: impl Iterator<Item = QuotaKey>,
) -> Result<Vec<(QuotaKey, Kept)>> {
    let keys: Vec<Uuid> = keys.map(|key| Uuid::from_bytes(key.0)).collect();
    let rows = sqlx::query(READ).bind(scope).bind(keys).fetch_all(connection).await;
    let rows = rows.map_err(|error| failed("read quota", &error))?;
    rows.iter().map(kept).collect()
}

fn kept(row: &PgRow) -> Result<(QuotaKey, Kept)> {
    let arrival = get::<Option<i64>>(row, 1)?.map(Arrival);
    Ok((QuotaKey(key(row, 0)?), Kept { arrival, held_until: optional_moment(row, 2)? }))
}

async fn write(connection: &mut PgConnection, scope: &str, key: QuotaKey, kept: Kept) -> Result<()> {
    let gone = kept.arrival.map(Arrival::moment).max(kept.held_until);
    let gone = gone.map_or(Timestamp::MIN_UTC, |gone| plus(gone, Arrival::SKEW));
    sqlx::query(WRITE)
        .bind(scope)
        .bind(Uuid::from_bytes(key.0))
        .bind(kept.arrival.map(|arrival| arrival.0))
        .bind(kept.held_until.map(|until| until.timestamp_millis()))
        .bind(gone.timestamp_millis().saturating_add(1))
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failed("write quota", &error))
}

#[async_trait]
impl Quota for PostgresStore {
    async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
        let fault = |error: sqlx::Error| failed("take quota", &error);
        let scope = clean(request.scope);
        let mut connection = self.pool.acquire().await.map_err(fault)?;
        let mut transaction = connection.begin().await.map_err(fault)?;
        sqlx::query(LOCK).bind(&*scope).execute(&mut *transaction).await.map_err(fault)?;
        let now = self.clock.now(&mut transaction, request.now).await.map_err(fault)?;
        let keys = request.limits.iter().map(|limit| limit.key).chain([QuotaKey::SCOPE]);
        let found = read(&mut transaction, &scope, keys).await?;
        let of =
            |key| found.iter().find(|(found, _)| *found == key).map_or_else(Kept::default, |(_, kept)| *kept);
        // What was only looked at is let go with the connection.
        let taken = match decide(&QuotaRequest { now, ..request }, of) {
            Decision::Granted(taken) if taken.is_empty() => return Ok(QuotaAnswer::Granted),
            Decision::Granted(taken) => taken,
            Decision::Refused(answer) => return Ok(answer),
        };
        for (key, arrival) in taken {
            write(&mut transaction, &scope, key, Kept { arrival: Some(arrival), ..of(key) }).await?;
        }
        let swept = sqlx::query(SWEEP).bind(now.timestamp_millis()).bind(SWEPT);
        swept.execute(&mut *transaction).await.map_err(fault)?;
        transaction.commit().await.map_err(fault)?;
        Ok(QuotaAnswer::Granted)
    }

    async fn hold(&self, wanted: QuotaHold<'_>) -> Result<()> {
        let fault = |error: sqlx::Error| failed("hold quota", &error);
        let scope = clean(wanted.scope);
        let mut connection = self.pool.acquire().await.map_err(fault)?;
        let mut transaction = connection.begin().await.map_err(fault)?;
        sqlx::query(LOCK).bind(&*scope).execute(&mut *transaction).await.map_err(fault)?;
        let now = self.clock.now(&mut transaction, wanted.now).await.map_err(fault)?;
        let rows = sqlx::query(HELD).bind(&*scope).fetch_all(&mut *transaction).await.map_err(fault)?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            let of = QuotaKey(key(row, 0)?);
            held.extend(optional_moment(row, 1)?.map(|until| (of, until)));
        }
        let (key, until) = place(&QuotaHold { now, ..wanted }, held);
        let found = read(&mut transaction, &scope, [key].into_iter()).await?;
        let arrival = found.first().and_then(|(_, kept)| kept.arrival);
        write(&mut transaction, &scope, key, Kept { arrival, held_until: Some(until) }).await?;
        transaction.commit().await.map_err(fault)
    }
}
