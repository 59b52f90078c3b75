//! The end of a store: what waits is written, and everything is moved from the log into the main file.

use std::sync::Arc;

use fastlead_core::error::{Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tokio::sync::watch;

use super::fault::failed;
use super::lock::FileLock;

/// How a store was closed; `None` while it is open.
type Closed = Option<std::result::Result<(), String>>;

/// The writer's end. It keeps the lock of the file for as long as the writer may write.
#[derive(Debug)]
pub(super) struct Ending {
    asked: watch::Receiver<bool>,
    closed: watch::Sender<Closed>,
    lock: Option<FileLock>,
}

/// The handles' end.
#[derive(Debug, Clone)]
pub(super) struct Closer {
    ask: Arc<watch::Sender<bool>>,
    closed: watch::Receiver<Closed>,
}

/// Makes both ends.
pub(super) fn ends(lock: Option<FileLock>) -> (Closer, Ending) {
    let (ask, asked) = watch::channel(false);
    let (say, closed) = watch::channel(None);
    (Closer { ask: Arc::new(ask), closed }, Ending { asked, closed: say, lock })
}

impl Closer {
    /// Asks the writer to end, and waits until it has.
    ///
    /// # Errors
    /// Where something is left in the log.
    pub(super) async fn close(&self) -> Result<()> {
        self.ask.send_replace(true);
        let fault = |message: String| Error::new(ErrorKind::Storage, message).with_operation("close");
        let mut closed = self.closed.clone();
        let closed = closed.wait_for(Option::is_some).await.map(|closed| closed.clone());
        match closed {
            Ok(Some(closed)) => closed.map_err(fault),
            Ok(None) | Err(_) => Err(fault("the writer ended before it had closed the database".to_owned())),
        }
    }
}

impl Ending {
    /// Waits until somebody asks the writer to end; for ever where all handles were dropped without a word.
    pub(super) async fn asked(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Closes the connection of the writer. Where that was asked for, the log is emptied into the main file first.
    pub(super) async fn finish(self, mut connection: SqliteConnection) {
        let asked = *self.asked.borrow();
        let emptied = if asked { empty_log(&mut connection).await } else { Ok(()) };
        if let Err(error) = sqlx::Connection::close(connection).await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
        // Whoever opens the file next must find the lock free.
        drop(self.lock);
        self.closed.send_replace(Some(emptied));
    }
}

/// Moves everything from the log into the main file, flushed, and makes the log empty.
async fn empty_log(connection: &mut SqliteConnection) -> std::result::Result<(), String> {
    match truncate(connection).await.map_err(|error| error.message().to_owned())? {
        true => Ok(()),
        false => Err(
            "another program reads the database, so the newest leads are still in its -wal file; keep both \
                      files together"
                .to_owned(),
        ),
    }
}

/// The same, without waiting long for readers. Answers whether it is empty.
pub(super) async fn try_empty_log(connection: &mut SqliteConnection) -> Result<bool> {
    let patience = |millis: u32| format!("PRAGMA busy_timeout = {millis}");
    let set = |error: sqlx::Error| failed("checkpoint", &error);
    sqlx::raw_sql(AssertSqlSafe(patience(100))).execute(&mut *connection).await.map_err(set)?;
    let emptied = truncate(&mut *connection).await;
    sqlx::raw_sql(AssertSqlSafe(patience(super::PATIENCE_MILLIS))).execute(connection).await.map_err(set)?;
    emptied
}

async fn truncate(connection: &mut SqliteConnection) -> Result<bool> {
    let fault = |error: sqlx::Error| failed("checkpoint", &error);
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await.map_err(fault)?;
    row.try_get::<i64, _>(0).map(|busy| busy == 0).map_err(fault)
}
