//! The tables, and their versions.

use fastlead_core::error::{Error, ErrorKind, Result};
use sqlx::{Connection as _, PgConnection};

use super::fault::failed;

/// The versions of the database, oldest first. A released one never changes.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// By this number those lock each other out who bring a database to their version.
const MIGRATING: i64 = 0x0066_6173_746c_6561;

/// Brings the database to this version, in one transaction.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<()> {
    let fault = |error: sqlx::Error| failed("migrate", &error);
    let mut transaction = connection.begin().await.map_err(fault)?;
    // Building an index over many rows takes as long as it takes.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await.map_err(fault)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATING)
        .execute(&mut *transaction)
        .await
        .map_err(fault)?;
    let created = "CREATE TABLE IF NOT EXISTS schema_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL)";
    sqlx::query(created).execute(&mut *transaction).await.map_err(fault)?;
    let found: Option<i64> = sqlx::query_scalar("SELECT version FROM schema_version")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(fault)?;
    let have = usize::try_from(found.unwrap_or(0)).unwrap_or(usize::MAX);
    if have > MIGRATIONS.len() {
        let message = format!(
            "the database has version {have}, this program knows versions up to {}; start a newer program",
            MIGRATIONS.len()
        );
        return Err(Error::new(ErrorKind::Config, message).with_operation("migrate"));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(have) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(fault)?;
        tracing::info!(version = index + 1, "database migrated");
    }
    let version = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    sqlx::query("INSERT INTO schema_version (version) VALUES ($1) ON CONFLICT (one) DO UPDATE SET version = excluded.version")
        .bind(version)
        .execute(&mut *transaction)
        .await
        .map_err(fault)?;
    transaction.commit().await.map_err(fault)
}
