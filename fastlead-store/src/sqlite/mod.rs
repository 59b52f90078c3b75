//! SQLite: the embedded default. One file, one writer whose transactions are shared by everybody who
//! waits, and readers that never wait for it.

mod accounts;
mod addresses;
mod captures;
mod catalog;
mod changes;
mod counters;
mod documents;
mod drafts;
mod fault;
mod forget;
mod group;
mod identities;
mod journal;
mod list;
#[cfg(test)]
mod old_files;
#[cfg(test)]
mod plans;
mod resolve;
#[cfg(test)]
mod resolve_tests;
mod risk;
mod rows;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastlead_core::error::{Error, ErrorKind, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection, SqlitePool};

use fault::failed;
use writer::Writer;

/// The versions of the database, oldest first. A released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("addresses.sql"),
    include_str!("counters.sql"),
    include_str!("drafts.sql"),
    include_str!("documents.sql"),
    include_str!("claims.sql"),
    include_str!("people.sql"),
    include_str!("risk.sql"),
    include_str!("tenants.sql"),
    include_str!("revisions.sql"),
];

/// Where the database is and how it is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    path: PathBuf,
    readers: u32,
}

impl SqliteOptions {
    /// The file, which is made where it does not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 4 }
    }

    /// How many readers work at the same time. Default 4.
    #[must_use]
    pub const fn readers(mut self, readers: u32) -> Self {
        self.readers = readers;
        self
    }
}

/// A store in one SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file and brings it to this version.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where it cannot be opened; [`ErrorKind::Config`] where it was made by a
    /// newer version.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let fault = |error: sqlx::Error| failed("open", &error);
        let connect = SqliteConnectOptions::new()
            .filename(&options.path)
            .create_if_missing(true)
            // Of a new file. Deliveries are up to 2 KiB; what is over a quarter of a page gets one of its own.
            .page_size(8_192)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what was acknowledged survives the loss of power, not only of the process.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("temp_store", "MEMORY")
            // 8 MiB for each connection: twice as much was not faster, for the system keeps the file in memory too.
            .pragma("cache_size", "-8192")
            .pragma("wal_autocheckpoint", "1000")
            .statement_cache_capacity(256)
            .disable_statement_logging();
        make_private(&options.path).map_err(|error| {
            let message = format!("the file {} cannot be made: {}", options.path.display(), error.kind());
            Error::new(ErrorKind::Storage, message).with_operation("open")
        })?;
        let mut connection = connect.connect().await.map_err(fault)?;
        migrate(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            // A connection to a file does not go stale; asking it costs as much as a small query.
            .test_before_acquire(false)
            .connect_with(connect.read_only(true).create_if_missing(false))
            .await
            .map_err(fault)?;
        Ok(Self { writer: Writer::start(connection), readers })
    }
}

/// Makes the file readable by its owner alone, for it holds personal data; one that exists is left as it is.
/// SQLite gives its side files the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let fault = |error: sqlx::Error| failed("migrate", &error);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(fault)?;
    let row = sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(fault)?;
    let have: i64 = row.try_get(0).map_err(fault)?;
    let have = usize::try_from(have).unwrap_or(usize::MAX);
    if have > MIGRATIONS.len() {
        sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(fault)?;
        let message = format!(
            "the database has version {have}, this program knows versions up to {}; start a newer program",
            MIGRATIONS.len()
        );
        return Err(Error::new(ErrorKind::Config, message).with_operation("migrate"));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(have) {
        sqlx::raw_sql(*migration).execute(&mut *connection).await.map_err(fault)?;
        let version = format!("PRAGMA user_version = {}", index + 1);
        sqlx::raw_sql(sqlx::AssertSqlSafe(version)).execute(&mut *connection).await.map_err(fault)?;
        tracing::info!(version = index + 1, "database migrated");
    }
    sqlx::query("COMMIT").execute(connection).await.map(drop).map_err(fault)
}
