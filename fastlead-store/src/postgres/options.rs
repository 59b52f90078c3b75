//! Where the database is and how it is used.

use std::str::FromStr as _;
use std::time::Duration;

use fastlead_core::error::{Error, ErrorKind, Result};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};

use super::Clock;
use super::fault::failed;

/// Where the database is and how it is used.
///
/// ```
/// use std::time::Duration;
///
/// use fastlead_store::PostgresOptions;
///
/// let options = PostgresOptions::new("postgres://fastlead@db.example.com/fastlead?sslmode=verify-full")
///     .connections(16)
///     .statement_timeout(Duration::from_secs(10));
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    url: String,
    connections: u32,
    statement_timeout: Duration,
    acquire_timeout: Duration,
    pub(super) writers: usize,
    pub(super) group: usize,
    pub(super) clock: Clock,
}

/// The address holds a password.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connections, statement_timeout, acquire_timeout, writers, group, clock, .. } = self;
        f.debug_struct("PostgresOptions")
            .field("url", &"[redacted]")
            .field("connections", connections)
            .field("statement_timeout", statement_timeout)
            .field("acquire_timeout", acquire_timeout)
            .field("writers", writers)
            .field("group", group)
            .field("clock", clock)
            .finish()
    }
}

impl PostgresOptions {
    /// The address: `postgres://user:password@host:5432/database`.
    ///
    /// `?sslmode=verify-full` asks for TLS and checks the server's certificate; without it TLS is used where the server offers it, and
    /// nothing is checked. `?host=/folder` names a Unix socket. What the address leaves out is taken from the `PG…` variables of the
    /// environment (<https://www.postgresql.org/docs/current/libpq-envars.html>).
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: 10,
            statement_timeout: Duration::from_secs(30),
            acquire_timeout: Duration::from_secs(10),
            writers: 2,
            group: 256,
            clock: Clock::Database,
        }
    }

    /// How many connections the store has at the most, at least 4 and two more than it has writers. Default 10. All servers together must stay below the database's
    /// `max_connections`.
    #[must_use]
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// How long a statement may take before the database ends it, waiting for locks included. Default 30 seconds.
    #[must_use]
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long is waited for a free connection. Default 10 seconds.
    #[must_use]
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How many groups of commits are written at the same time, at least 1. Default 2.
    #[must_use]
    pub const fn writers(mut self, writers: usize) -> Self {
        self.writers = writers;
        self
    }

    /// How many commits share a transaction at the most, at least 1. Default 256.
    #[must_use]
    pub const fn group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }

    /// Goes by the clock of whoever asks instead of the database's, and tells nobody the time: for tests and simulations on a clock
    /// of their own. Several machines on one database must not do so.
    #[must_use]
    pub const fn by_callers_clock(mut self) -> Self {
        self.clock = Clock::Callers;
        self
    }

    pub(super) async fn connect(&self) -> Result<PgPool> {
        let wrong = |_| {
            // What the parser says quotes the address, and with it the password.
            let message =
                "the address of the database is none; it looks like `postgres://user@host/database`";
            Error::new(ErrorKind::Config, message).with_operation("open")
        };
        let timeout = format!("{}ms", self.statement_timeout.as_millis().max(1));
        let connect = PgConnectOptions::from_str(&self.url)
            .map_err(wrong)?
            .application_name("fastlead")
            .statement_cache_capacity(256)
            .options([
                ("statement_timeout", timeout.as_str()),
                // A server that stands still in the middle of a transaction keeps nobody waiting for good.
                ("idle_in_transaction_session_timeout", timeout.as_str()),
                ("default_transaction_isolation", "read committed"),
                // An answer is durable, whatever the database's own setting is.
                ("synchronous_commit", "on"),
            ])
            .disable_statement_logging();
        PgPoolOptions::new()
            .max_connections(
                self.connections
                    .max(4)
                    .max(u32::try_from(self.writers).unwrap_or(u32::MAX).saturating_add(2)),
            )
            .acquire_timeout(self.acquire_timeout)
            .connect_with(connect)
            .await
            .map_err(|error| failed("open", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_in_no_message() {
        let options = PostgresOptions::new("postgres:/user:hunter2@[::1/fastlead");
        assert!(!format!("{options:?}").contains("hunter2"));
        let error = options.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
