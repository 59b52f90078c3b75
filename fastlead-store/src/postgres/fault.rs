//! Storage errors without values.

use fastlead_core::error::{Error, ErrorKind, RetryHint};

/// Under which name an error of [`failed`] says that the same may pass at once.
const MAY_PASS: &str = "may_pass";

/// The database failed before anything was committed.
pub(super) fn failed(operation: &'static str, error: &sqlx::Error) -> Error {
    let (message, retry) = match error {
        // The database's messages name tables and columns; what it says of values stands in the detail, which is left out.
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let retry = if is_temporary(&code) { RetryHint::SAFE } else { RetryHint::Never };
            (format!("postgres refused (code {code})"), retry)
        }
        sqlx::Error::Io(io) => (format!("postgres could not be reached: {}", io.kind()), RetryHint::SAFE),
        sqlx::Error::Tls(_) => {
            ("the connection to postgres cannot be made secure".to_owned(), RetryHint::Never)
        }
        sqlx::Error::ColumnDecode { index, .. } => {
            (format!("column {index} cannot be read"), RetryHint::Never)
        }
        sqlx::Error::PoolClosed => ("the store is closed".to_owned(), RetryHint::Never),
        sqlx::Error::PoolTimedOut => ("no connection was free in time".to_owned(), RetryHint::SAFE),
        _ => ("postgres failed".to_owned(), RetryHint::Never),
    };
    tracing::debug!(code = code(error), operation, "postgres error");
    let told = Error::new(ErrorKind::Storage, message).with_operation(operation).with_retry(retry);
    match error {
        sqlx::Error::Io(_) => told.with_context(MAY_PASS, "connection lost"),
        _ => match code(error) {
            Some(code) if passes_now(&code) => told.with_context(MAY_PASS, code),
            _ => told,
        },
    }
}

/// The database failed while a `COMMIT` was under way: the changes may be on disk or not, unless it says that they are not.
pub(super) fn unknown(operation: &'static str, error: &sqlx::Error) -> Error {
    let failed = failed(operation, error);
    if leaves_no_doubt(error) { failed } else { failed.with_retry(RetryHint::UNKNOWN) }
}

fn code(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(database) = error else { return None };
    database.code().map(std::borrow::Cow::into_owned)
}

/// Whether the same would pass now: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn passes_now(code: &str) -> bool {
    // Another transaction was in the way: serialization_failure, deadlock_detected, unique_violation (somebody has inserted the row
    // since it was looked for). Or the server has ended the connection, before the commit.
    matches!(code, "40001" | "40P01" | "23505" | "57P01" | "57P02" | "57P03") || code.starts_with("08")
}

/// Whether nothing was changed, and the same transaction may be tried again at once.
pub(super) fn may_pass_now(error: &Error) -> bool {
    error.retry() != RetryHint::UNKNOWN && error.context().iter().any(|(name, _)| *name == MAY_PASS)
}

/// Whether the same may pass a little later: of the classes "connection exception", "transaction rollback", "insufficient
/// resources" and "operator intervention" (a statement that took too long, a server that stops).
fn is_temporary(code: &str) -> bool {
    ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

/// Whether the database itself says that it has refused: its transaction is rolled back. Where the connection or the server
/// ended ("operator intervention", "connection exception") a commit may have been on its way.
pub(super) fn leaves_no_doubt(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            code(error).is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08"))
        }
        // Never reached the database.
        sqlx::Error::Encode(_) | sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}

/// Whether the fault lies with the connection or the server, so that no other member of a group would do better.
pub(super) fn concerns_all(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => code(error).is_some_and(|code| is_temporary(&code)),
        sqlx::Error::Encode(_) => false,
        _ => true,
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
