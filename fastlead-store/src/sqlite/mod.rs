//! SQLite: the embedded default. One file, one writer whose transactions are shared by everybody who
//! waits, and readers that never wait for it.

mod accounts;
mod addresses;
mod aside;
mod backup;
mod captures;
mod catalog;
mod changes;
mod close;
mod counters;
mod documents;
mod drafts;
mod erase;
mod fault;
mod forget;
mod group;
mod identities;
#[cfg(feature = "billing")]
mod intents;
mod journal;
mod leads;
mod ledger;
mod list;
mod lock;
#[cfg(test)]
mod old_files;
mod parts;
#[cfg(test)]
mod plans;
mod postings;
mod quota;
mod reading;
mod risk;
mod rows;
mod sessions;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::port::UnreadableRows;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection, SqlitePool};

pub use backup::{Backup, back_up, restore};
use fault::failed;
use lock::FileLock;
use writer::Writer;

use crate::named::NamedLeases;

/// For how many milliseconds a connection waits for another one.
const PATIENCE_MILLIS: u32 = 5_000;

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
    include_str!("leases.sql"),
    include_str!("aside.sql"),
    include_str!("positions.sql"),
    include_str!("parts.sql"),
    include_str!("access.sql"),
    include_str!("changes.sql"),
    include_str!("ledger.sql"),
    include_str!("intents.sql"),
    include_str!("quota.sql"),
    include_str!("search.sql"),
];

/// Where the database is and how it is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    path: PathBuf,
    readers: u32,
    shared: bool,
}

impl SqliteOptions {
    /// The file, which is made where it does not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 4, shared: false }
    }

    /// How many readers work at the same time. Default 4.
    #[must_use]
    pub const fn readers(mut self, readers: u32) -> Self {
        self.readers = readers;
        self
    }

    /// Opens the file also where a server has it open: for tools that read, or that write what no server keeps in
    /// memory. Such a store takes no lock and keeps nobody off the file.
    ///
    /// A file of an earlier version is still brought to this one, unless a server has it open.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.shared = true;
        self
    }
}

/// A store in one SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    /// What could not be read since the file was opened.
    unreadable: UnreadableRows,
    /// Of the engines of this process: no other one serves from the file.
    named: NamedLeases,
}

impl SqliteStore {
    /// Opens the file and brings it to this version.
    ///
    /// Unless [`SqliteOptions::shared`] was said, the store holds an exclusive lock on `<file>.lock` until the last
    /// handle is gone and the writer has ended, or the process has. A lock that is held is waited for, up to five
    /// seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where it cannot be opened; [`ErrorKind::Conflict`] where another store serves from it;
    /// [`ErrorKind::Config`] where it was made by a newer version, or cannot be served from: it has two names, or is
    /// no file.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let fault = |error: sqlx::Error| failed("open", &error);
        let path = file(&options.path)?;
        let lock = match options.shared {
            true => None,
            false => {
                refuse_second_name(&path)?;
                Some(FileLock::take(path.clone()).await?)
            }
        };
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            // Of a new file. Deliveries are up to 2 KiB; what is over a quarter of a page gets one of its own.
            .page_size(8_192)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what was acknowledged survives the loss of power, not only of the process; tests/it/power tries it.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(u64::from(PATIENCE_MILLIS)))
            // What is deleted or replaced is overwritten with zeros: somebody's data that were erased are nowhere in the file.
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY")
            // 8 MiB for each connection: twice as much was not faster, for the system keeps the file in memory too.
            .pragma("cache_size", "-8192")
            .pragma("wal_autocheckpoint", "1000")
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let mut connection = connect.connect().await.map_err(fault)?;
        if lock.is_some() {
            migrate(&mut connection).await?;
            aside::give_back(&mut connection).await?;
        } else {
            match version(&mut connection).await? {
                found if found > MIGRATIONS.len() => return Err(too_new(found)),
                found if found < MIGRATIONS.len() => {
                    // No server of an earlier version may have the file open while it changes.
                    let _lock = FileLock::take(path).await?;
                    migrate(&mut connection).await?;
                }
                _ => {}
            }
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            // A connection to a file does not go stale; asking it costs as much as a small query.
            .test_before_acquire(false)
            .connect_with(connect.read_only(true).create_if_missing(false))
            .await
            .map_err(fault)?;
        let unreadable = UnreadableRows::default();
        let writer = Writer::start(connection, unreadable.clone(), lock);
        Ok(Self { writer, readers, unreadable, named: NamedLeases::default() })
    }

    /// Closes the store: what waits is still written, everything is moved from the log (`-wal`) into the main file,
    /// and the lock is released. Afterwards the main file alone holds every lead. Other handles get an error from
    /// then on.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] where another program reads the file, so that the log could not be emptied. Nothing is
    /// lost by that: the file and its log belong together, as while the store is open.
    pub async fn close(&self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await
    }
}

/// The file itself, made where it does not exist, behind all symbolic links: its lock and its log stand beside it,
/// whatever name it was opened by.
fn file(path: &Path) -> Result<PathBuf> {
    // SQLite's name of a database in memory, of which every connection would have its own.
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let message = "this store needs a file; in memory there is `MemoryStore`";
        return Err(Error::new(ErrorKind::Config, message).with_operation("open"));
    }
    let made = make_private(path).and_then(|()| path.canonicalize());
    let path = made.map_err(|error| {
        let message = format!("the file {} cannot be made or found: {error}", path.display());
        Error::new(ErrorKind::Storage, message).with_operation("open")
    })?;
    if path.is_file() {
        return Ok(path);
    }
    let message = format!("{} is no file", path.display());
    Err(Error::new(ErrorKind::Config, message).with_operation("open"))
}

/// Refuses a file with two names (hard links): each name would have a lock and a log of its own, and whoever opened
/// the file by the other one would destroy it.
#[cfg(unix)]
fn refuse_second_name(path: &Path) -> Result<()> {
    let found = std::fs::metadata(path).map(|found| std::os::unix::fs::MetadataExt::nlink(&found));
    match found {
        Ok(0 | 1) => Ok(()),
        Ok(names) => {
            let message = format!(
                "the file {} has {names} names (hard links), and opened by two of them it would be destroyed; remove \
                 the others, or serve from a copy",
                path.display()
            );
            Err(Error::new(ErrorKind::Config, message).with_operation("open"))
        }
        Err(error) => {
            let message = format!("the file {} cannot be looked at: {error}", path.display());
            Err(Error::new(ErrorKind::Storage, message).with_operation("open"))
        }
    }
}

#[cfg(not(unix))]
const fn refuse_second_name(_: &Path) -> Result<()> {
    Ok(())
}

/// Makes the file readable by its owner alone, for it holds personal data; one that exists is left as it is.
/// SQLite gives its side files the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => match path.try_exists() {
            Ok(true) => Ok(()),
            // A symbolic link that leads to nothing yet.
            Ok(false) => options.create_new(false).create(true).open(path).map(drop),
            Err(error) => Err(error),
        },
        made => made.map(drop),
    }
}

/// The version of the schema in the file; 0 in a new one.
async fn version(connection: &mut SqliteConnection) -> Result<usize> {
    let version = sqlx::query_scalar::<_, i64>("PRAGMA user_version").fetch_one(connection).await;
    let version = version.map_err(|error| failed("migrate", &error))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// A file that was made by a newer program.
fn too_new(version: usize) -> Error {
    let message = format!(
        "the database has version {version}, this program knows versions up to {}; start a newer program",
        MIGRATIONS.len()
    );
    Error::new(ErrorKind::Config, message).with_operation("migrate")
}

async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let fault = |error: sqlx::Error| failed("migrate", &error);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(fault)?;
    let have = version(&mut *connection).await?;
    if have > MIGRATIONS.len() {
        sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(fault)?;
        return Err(too_new(have));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(have) {
        sqlx::raw_sql(*migration).execute(&mut *connection).await.map_err(fault)?;
        let version = format!("PRAGMA user_version = {}", index + 1);
        sqlx::raw_sql(sqlx::AssertSqlSafe(version)).execute(&mut *connection).await.map_err(fault)?;
        if index + 1 == leads::SEARCHED {
            leads::fill_search(&mut *connection).await?;
        }
        tracing::info!(version = index + 1, "database migrated");
    }
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(fault)?;
    if (1..MIGRATIONS.len()).contains(&have) {
        // Earlier versions have left what they deleted in free pages.
        sqlx::query("VACUUM").execute(connection).await.map_err(fault)?;
    }
    Ok(())
}
