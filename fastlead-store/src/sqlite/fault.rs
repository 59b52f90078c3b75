//! Storage errors without values.

use fastlead_core::error::{Error, ErrorKind, RetryHint};

/// The database failed before anything was committed.
pub(super) fn failed(operation: &'static str, error: &sqlx::Error) -> Error {
    let message = match error {
        sqlx::Error::Database(database) => {
            let code = database.code().map(|code| code.into_owned()).unwrap_or_default();
            format!("sqlite refused (code {code})")
        }
        sqlx::Error::Io(io) => format!("sqlite could not be reached: {}", io.kind()),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} cannot be read"),
        sqlx::Error::PoolTimedOut => "no reader was free in time".to_owned(),
        _ => "sqlite failed".to_owned(),
    };
    tracing::debug!(%error, operation, "sqlite error");
    Error::new(ErrorKind::Storage, message).with_operation(operation)
}

/// Something in the database cannot be read back.
pub(super) fn unreadable(what: &'static str) -> Error {
    Error::new(ErrorKind::Storage, format!("{what} cannot be read back")).with_operation("read")
}

/// Something cannot be written as JSON.
pub(super) fn unwritable(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what} cannot be written as JSON")).with_operation("write")
}

/// The writer has ended.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Storage, "the store is closed").with_retry(RetryHint::Never)
}
