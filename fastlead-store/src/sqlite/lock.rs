//! The lock that keeps a second server off a database file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastlead_core::error::{Error, ErrorKind, Result, RetryHint};

/// How long a lock that is held is waited for: a store that was dropped, or a process that was killed, may not have
/// ended yet.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Exclusive lock on `<database>.lock`. The kernel releases it when the file is closed, and so when the process dies
/// in any way. The file stays behind, for whoever removed it would let two others hold a lock each.
#[derive(Debug)]
pub(super) struct FileLock {
    _open: File,
}

impl FileLock {
    /// Takes the lock of a database, and waits a few seconds for whoever holds it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] that names the file and the process that holds the lock; [`ErrorKind::Storage`] where
    /// the lock file cannot be made.
    pub(super) async fn take(database: PathBuf) -> Result<Self> {
        let taken = tokio::task::spawn_blocking(move || take(&database)).await;
        taken.map_err(|_| Error::new(ErrorKind::Storage, "taking the lock was interrupted"))?
    }
}

/// The lock file of a database.
fn lock_file(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

#[allow(
    clippy::disallowed_methods,
    reason = "on a thread for blocking work; another process gives no event, and `File::lock` waits without an end"
)]
fn take(database: &Path) -> Result<FileLock> {
    let path = lock_file(database);
    let cannot = |error: std::io::Error| {
        let message = format!("the lock file {} cannot be used: {error}", path.display());
        Error::new(ErrorKind::Storage, message).with_operation("lock")
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(cannot)?;
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK_AGAIN),
            Err(TryLockError::WouldBlock) => return Err(held(database, &mut file)),
            // Some network file systems have no locks. SQLite's own locks are missing there as well.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                tracing::warn!(
                    file = %path.display(),
                    "this file system has no locks: nothing keeps a second server off the database"
                );
                return Ok(FileLock { _open: file });
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
    }
    write_holder(&mut file).map_err(cannot)?;
    Ok(FileLock { _open: file })
}

/// Who holds the lock, for the sentence that others get.
fn write_holder(file: &mut File) -> std::io::Result<()> {
    let process = std::process::id();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let line = match host.trim() {
        "" => format!("process {process}\n"),
        host => format!("process {process} on {host}\n"),
    };
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line.as_bytes())
}

fn held(database: &Path, file: &mut File) -> Error {
    let mut line = String::new();
    // Where locks are mandatory the line cannot be read; the sentence says less then.
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(200).read_to_string(&mut line));
    let holder = match line.trim() {
        line if read.is_ok() && line.starts_with("process ") => line,
        _ => "another process",
    };
    let message = format!(
        "the database {} is in use by {holder}: stop that first, two servers on one file would not hear of each \
         other's changes",
        database.display()
    );
    Error::new(ErrorKind::Conflict, message).with_retry(RetryHint::Never).with_operation("lock")
}
