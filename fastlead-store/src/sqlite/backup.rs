//! Copies of a database: made while a server works on it, and put back where none does.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastlead_core::error::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};
use tempfile::NamedTempFile;

use super::fault::failed;
use super::lock::FileLock;
use super::{MIGRATIONS, too_new, version};

const RESTORE: &str = "restore";

/// Contents of a copy, counted in the copy itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Number of leads.
    pub leads: u64,
    /// Number of events in the histories of leads.
    pub events: u64,
    /// Number of deliveries.
    pub deliveries: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// Copies a database into a new file, also while a server works on it.
///
/// # Behavior
/// - The copy is the database at one moment: all of each transaction before it, and nothing of those after it.
/// - It is written beside the target under another name, flushed, read through (SQLite's integrity check), and only
///   then given its name. What has the name `target` is whole.
/// - The file is for its owner alone, and has no free pages: what was deleted is not in it.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is no database; [`ErrorKind::Conflict`] where the target exists;
/// [`ErrorKind::Storage`] where it cannot be read or written, or the copy is not whole.
pub async fn back_up(database: &Path, target: &Path) -> Result<Backup> {
    const OPERATION: &str = "backup";
    refuse_existing(target, OPERATION)?;
    let source = existing(database, OPERATION)?;
    let fault = |error: sqlx::Error| failed(OPERATION, &error);
    let connect = SqliteConnectOptions::new()
        .filename(&source)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    let mut connection = connect.connect().await.map_err(fault)?;
    let before = count(&mut connection, "leads").await?;
    let copy = beside(target, OPERATION)?;
    let path = copy.path().to_str().ok_or_else(|| {
        let message = format!("the name of {} is not UTF-8", target.display());
        Error::new(ErrorKind::Invalid, message).with_operation(OPERATION)
    })?;
    sqlx::query("VACUUM INTO ?1").bind(path).execute(&mut connection).await.map_err(fault)?;
    sqlx::Connection::close(connection).await.map_err(fault)?;
    let backup = check(copy.path(), OPERATION).await?;
    // Leads are never deleted, so the copy has all that were there before it was begun.
    if backup.leads < before {
        let message = format!("the copy has {} leads, the database had {before}", backup.leads);
        return Err(Error::new(ErrorKind::Storage, message).with_operation(OPERATION));
    }
    keep(copy, target, OPERATION)?;
    Ok(backup)
}

/// Puts a copy back as a database that does not exist yet.
///
/// # Behavior
/// - The copy is copied beside the database, flushed, read through (SQLite's integrity check), and only then given its
///   name. Where anything fails there is no database, as before.
/// - The lock of the database is held meanwhile.
///
/// # Errors
/// [`ErrorKind::Conflict`] where a server has the database open, or it exists, or a log of an earlier one stands
/// there; [`ErrorKind::NotFound`] where there is no copy; [`ErrorKind::Config`] where the copy is of a newer program
/// or no database of FastLead as it makes them; [`ErrorKind::Storage`] where it is not whole, or cannot be read or written.
pub async fn restore(backup: &Path, database: &Path) -> Result<Backup> {
    const OPERATION: &str = RESTORE;
    let target = named(database, OPERATION)?;
    let _lock = FileLock::take(target.clone()).await?;
    refuse_existing(&target, OPERATION)?;
    for log in ["-wal", "-journal"] {
        // SQLite would take it for the log of the restored file.
        refuse_existing(&with_suffix(&target, log), OPERATION)?;
    }
    let source = existing(backup, OPERATION)?;
    for log in ["-wal", "-journal"] {
        let log = with_suffix(&source, log);
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            let message = format!(
                "{} stands beside the copy, so this is a database in use or a part of one; make a copy with `fastlead \
                 backup`",
                log.display()
            );
            return Err(Error::new(ErrorKind::Conflict, message).with_operation(OPERATION));
        }
    }
    let mut copy = beside(&target, OPERATION)?;
    let copied = File::open(&source).and_then(|mut from| std::io::copy(&mut from, copy.as_file_mut()));
    copied.map_err(|error| fault_of(&target, &error, OPERATION))?;
    let restored = check(copy.path(), OPERATION).await?;
    keep(copy, &target, OPERATION)?;
    Ok(restored)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn fault_of(path: &Path, error: &std::io::Error, operation: &'static str) -> Error {
    Error::new(ErrorKind::Storage, format!("{}: {error}", path.display())).with_operation(operation)
}

/// The file behind all symbolic links.
fn existing(path: &Path, operation: &'static str) -> Result<PathBuf> {
    let real = path.canonicalize().ok().filter(|path| path.is_file());
    real.ok_or_else(|| {
        let message = format!("there is no file {}", path.display());
        Error::new(ErrorKind::NotFound, message).with_operation(operation)
    })
}

/// A file that need not exist, in a folder that does, behind all symbolic links.
fn named(path: &Path, operation: &'static str) -> Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let name = path.file_name().ok_or_else(|| {
        let message = format!("{} is no name of a file", path.display());
        Error::new(ErrorKind::Invalid, message).with_operation(operation)
    })?;
    let folder = folder(path).canonicalize().map_err(|error| fault_of(path, &error, operation))?;
    Ok(folder.join(name))
}

fn refuse_existing(path: &Path, operation: &'static str) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{} exists, and nothing is overwritten; move it away first", path.display());
    Err(Error::new(ErrorKind::Conflict, message).with_operation(operation))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in the folder of `target`, for its owner alone, which is removed unless it is kept.
fn beside(target: &Path, operation: &'static str) -> Result<NamedTempFile> {
    let made = tempfile::Builder::new().prefix(".fastlead-").suffix(".partial").tempfile_in(folder(target));
    made.map_err(|error| fault_of(target, &error, operation))
}

/// Gives a file its name, unless something has that name, and makes both durable.
fn keep(copy: NamedTempFile, target: &Path, operation: &'static str) -> Result<()> {
    let kept = copy.persist_noclobber(target).map_err(|error| error.error);
    let durable = kept.and_then(|_| sync_folder(folder(target)));
    durable.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let message = format!("{} was made meanwhile, and nothing is overwritten", target.display());
            Error::new(ErrorKind::Conflict, message).with_operation(operation)
        }
        _ => fault_of(target, &error, operation),
    })
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
const fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Flushes a copy that nobody writes to any more, and reads all of it.
async fn check(path: &Path, operation: &'static str) -> Result<Backup> {
    let fault = |error: sqlx::Error| failed(operation, &error);
    let flushed = File::options().read(true).write(true).open(path).and_then(|file| {
        file.sync_all()?;
        file.metadata()
    });
    let bytes = flushed.map_err(|error| fault_of(path, &error, operation))?.len();
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true)
        .create_if_missing(false)
        .disable_statement_logging();
    let mut connection = connect.connect().await.map_err(fault)?;
    let found = version(&mut connection).await?;
    if found > MIGRATIONS.len() {
        return Err(too_new(found));
    }
    if found == 0 {
        let message = "the copy is no database of FastLead";
        return Err(Error::new(ErrorKind::Config, message).with_operation(operation));
    }
    let verdict: String =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await.map_err(fault)?;
    if verdict != "ok" {
        let message = format!("the copy is damaged: {verdict}");
        return Err(Error::new(ErrorKind::Storage, message).with_operation(operation));
    }
    if operation == RESTORE {
        has_the_schema(&mut connection, found).await?;
    }
    let backup = Backup {
        leads: count(&mut connection, "leads").await?,
        events: count(&mut connection, "events").await?,
        deliveries: count(&mut connection, "deliveries").await?,
        bytes,
    };
    sqlx::Connection::close(connection).await.map_err(fault)?;
    Ok(backup)
}

/// Checks that a database of a version has what the migrations up to it have made: a file that somebody has edited may lack
/// the triggers that keep postings and events as they are, and have others. Texts are compared of triggers alone, because
/// versions of SQLite write those of tables that were altered in different ways.
async fn has_the_schema(connection: &mut SqliteConnection, version: usize) -> Result<()> {
    let fault = |error: sqlx::Error| failed(RESTORE, &error);
    let empty = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let mut made = empty.connect().await.map_err(fault)?;
    for migration in MIGRATIONS.iter().take(version) {
        sqlx::raw_sql(*migration).execute(&mut made).await.map_err(fault)?;
    }
    let (wanted, found) = (schema(&mut made).await.map_err(fault)?, schema(connection).await.map_err(fault)?);
    // An index or a table that somebody has added does no harm.
    let acts = |added: &&(String, String, String)| matches!(added.0.as_str(), "trigger" | "view");
    let differs = wanted.difference(&found).next().or_else(|| found.difference(&wanted).find(acts));
    let Some((kind, name, _)) = differs else { return Ok(()) };
    let message = format!(
        "the {kind} `{name}` of the copy is missing, is not FastLead's, or was changed; take a copy that was made with \
         `fastlead backup` and not edited"
    );
    Err(Error::new(ErrorKind::Config, message).with_operation(RESTORE))
}

/// Kind, name and, of triggers, text of everything in a schema but what SQLite makes by itself.
async fn schema(connection: &mut SqliteConnection) -> sqlx::Result<BTreeSet<(String, String, String)>> {
    let all = sqlx::query_as(
        r"SELECT type, name, iif(type = 'trigger', sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'",
    );
    Ok(all.fetch_all(connection).await?.into_iter().collect())
}

async fn count(connection: &mut SqliteConnection, table: &'static str) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {table}");
    let counted = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(connection).await;
    counted.map(|number| u64::try_from(number).unwrap_or(0)).map_err(|error| failed("count", &error))
}
