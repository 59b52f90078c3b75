//! Storage errors without values.

use fastlead_core::error::{Error, ErrorKind, RetryHint};

/// The database failed before anything was committed.
pub(super) fn failed(operation: &'static str, error: &sqlx::Error) -> Error {
    let message = match error {
        // SQLite's own messages name tables and columns, never values.
        sqlx::Error::Database(database) => {
            let code = database.code().map(std::borrow::Cow::into_owned).unwrap_or_default();
            format!("sqlite refused: {} (code {code})", database.message())
        }
        sqlx::Error::Io(io) => format!("sqlite could not be reached: {}", io.kind()),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} cannot be read"),
        sqlx::Error::PoolClosed => "the store is closed".to_owned(),
        sqlx::Error::PoolTimedOut => "no reader was free in time".to_owned(),
        _ => "sqlite failed".to_owned(),
    };
    tracing::debug!(%error, operation, "sqlite error");
    Error::new(ErrorKind::Storage, message).with_operation(operation)
}

/// The database failed, and the changes may be on disk or not.
pub(super) fn unknown(operation: &'static str, error: &sqlx::Error) -> Error {
    failed(operation, error).with_retry(RetryHint::UNKNOWN)
}

/// Whether an error of a statement proves that its transaction was not committed, once that was rolled
/// back. Errors of the disk do not: a commit may have reached it before the error.
pub(super) fn leaves_no_doubt(error: &sqlx::Error) -> bool {
    // https://sqlite.org/rescode.html; the low byte is the primary code.
    const ERROR: u32 = 1;
    const TOOBIG: u32 = 18;
    const CONSTRAINT: u32 = 19;
    const MISMATCH: u32 = 20;
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<u32>().ok());
            code.is_some_and(|code| matches!(code & 0xff, ERROR | TOOBIG | CONSTRAINT | MISMATCH))
        }
        // Never reached the database.
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

/// Something cannot be written as JSON.
pub(super) fn unwritable(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what} cannot be written as JSON")).with_operation("write")
}

/// The writer has ended.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Storage, "the store is closed").with_retry(RetryHint::Never)
}

/// The writer has ended with the answer: the runtime was stopped.
pub(super) fn unanswered() -> Error {
    Error::new(ErrorKind::Storage, "the store was closed while it wrote").with_retry(RetryHint::UNKNOWN)
}
