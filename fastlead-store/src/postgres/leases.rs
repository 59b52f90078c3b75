//! Leases by name: one row each.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::LeaseToken;
use fastlead_core::port::{LeaseAnswer, Leases, NamedLease};
use fastlead_core::time::from_millis;

use super::PostgresStore;
use super::fault::failed;
use super::rows::clean;

/// Takes the lease where nobody else has it. Nothing comes back where somebody has.
const TAKE: &str = "INSERT INTO named_leases AS l (name, holder, until) VALUES ($1, $2, $4)
  ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE l.holder = excluded.holder OR l.until <= $3
  RETURNING until";

#[async_trait]
impl Leases for PostgresStore {
    async fn take_lease(&self, lease: NamedLease) -> Result<LeaseAnswer> {
        let fault = |error: sqlx::Error| failed("take lease", &error);
        let NamedLease { name, holder, now, until } = lease;
        let name = clean(&name);
        let mut connection = self.pool.acquire().await.map_err(fault)?;
        let by_clock = self.clock.now(&mut connection, now).await.map_err(fault)?;
        let until = (by_clock + (until - now)).timestamp_millis();
        loop {
            let taken: Option<i64> = sqlx::query_scalar(TAKE)
                .bind(&*name)
                .bind(holder.as_uuid())
                .bind(by_clock.timestamp_millis())
                .bind(until)
                .fetch_optional(&mut *connection)
                .await
                .map_err(fault)?;
            if taken.is_some() {
                return Ok(LeaseAnswer::Taken);
            }
            let held: Option<i64> = sqlx::query_scalar("SELECT until FROM named_leases WHERE name = $1")
                .bind(&*name)
                .fetch_optional(&mut *connection)
                .await
                .map_err(fault)?;
            // Given back since: it is free.
            if let Some(held) = held {
                return Ok(LeaseAnswer::Held { until: from_millis(held) });
            }
        }
    }

    async fn end_lease(&self, name: &str, holder: LeaseToken) -> Result<()> {
        sqlx::query("DELETE FROM named_leases WHERE name = $1 AND holder = $2")
            .bind(&*clean(name))
            .bind(holder.as_uuid())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(|error| failed("end lease", &error))
    }
}
