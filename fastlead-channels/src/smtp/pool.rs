//! Connections that are kept open between mails. No task of its own and no clock: what is too old
//! is dropped when the next mail asks, by the moment that mail brings along.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastlead_core::time::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::{Connection, Progress};
use super::config::Server;
use super::error::{Failure, Phase, Trouble};

/// Servers close idle connections after minutes (RFC 5321 section 4.5.3.2.7); ours go before that.
const IDLE_MAX_SECS: i64 = 60;
/// Many servers limit the mails of one connection; 100 is the usual figure.
const MAILS_PER_CONNECTION: u32 = 100;
/// A living server answers RSET at once, and for a dead one there is the next connection.
const RESET_PATIENCE: Duration = Duration::from_secs(2);

/// The connections of one account.
pub(super) struct Pool {
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    mails: u32,
    since: Timestamp,
}

/// A connection for the time of one mail. Dropped, it is closed; [`Lease::give_back`] keeps it.
pub(super) struct Lease<'a> {
    pub(super) connection: Connection,
    mails: u32,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    /// At most `max` connections at once.
    pub(super) fn new(max: u32) -> Self {
        let permits = Semaphore::new(usize::try_from(max).unwrap_or(1));
        Self { permits, idle: Mutex::new(Vec::new()) }
    }

    /// A place for one more connection. The caller limits the wait.
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, Trouble> {
        // The semaphore is never closed; were it, there would be no place either.
        self.permits.acquire().await.map_err(|_| Trouble::new(Phase::Wait, Failure::Timeout))
    }

    /// A connection that is ready for a mail: a kept one that still answers, else a new one.
    pub(super) async fn lease(
        &self,
        server: &Server,
        now: Timestamp,
        progress: &Progress,
    ) -> Result<Lease<'_>, Trouble> {
        let permit = self.permit().await?;
        while let Some(Idle { mut connection, mails, .. }) = self.take_idle(now) {
            if connection.answers_reset(RESET_PATIENCE, progress).await {
                return Ok(Lease { connection, mails, pool: self, _permit: permit });
            }
        }
        let connection = Connection::open(server, progress).await?;
        Ok(Lease { connection, mails: 0, pool: self, _permit: permit })
    }

    fn take_idle(&self, now: Timestamp) -> Option<Idle> {
        let mut idle = self.lock();
        idle.retain(|kept| (now - kept.since).num_seconds().abs() < IDLE_MAX_SECS);
        idle.pop()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// Keeps the connection for the next mail.
    pub(super) fn give_back(self, now: Timestamp) {
        let mails = self.mails + 1;
        if mails < MAILS_PER_CONNECTION {
            self.pool.lock().push(Idle { connection: self.connection, mails, since: now });
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("free", &self.permits.available_permits())
            .field("idle", &self.lock().len())
            .finish()
    }
}
