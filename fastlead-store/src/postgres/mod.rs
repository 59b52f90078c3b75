//! PostgreSQL 14 or newer: for any number of servers and workers on one database.
//!
//! # How several engines write at once
//!
//! Everything runs under READ COMMITTED: each statement sees what was committed before it began. What must not change between a
//! look and the write that follows from it is locked first, by a statement of its own, so that the look sees what the last holder
//! of the lock has left. All transactions take their locks in this order, and of each kind in the order of keys:
//!
//! 1. **Workspaces**, by advisory locks that end with the transaction ([`locks`]). Whoever commits decisions or makes postings of a
//!    workspace holds its lock from before the look until the commit is visible. So versions of leads, unique keys, idempotency
//!    keys, counters and the ledger are decided one group after another, as if there were one writer: of two transitions that
//!    would both pass alone but not together, the second sees the first. Keys that do not exist yet need no rows to lock.
//!    Positions of events are the highest of the workspace and one, read under the same lock: they ascend in the order of commits,
//!    and whoever follows them misses nothing. That order alone makes the commits of one workspace wait for each other until they
//!    are on disk; taking the lock a little earlier costs only the look and the write beside it. Groups share it: a group is up to
//!    256 transitions.
//! 2. **The log of changes**, by the one row of `last_change` ([`locks::changes`]): changes of settings, suppressions and links are
//!    made one after another, so revisions become visible in their order. They are rare.
//! 3. **Deliveries**, then **timers**, then **inbound events**, each by row locks in the order of their ids, before they are looked
//!    at. A settlement and the beginning of an attempt need no more than these. The offers that a decision cancels are among
//!    them.
//!
//! Claims wait for nobody: they take rows with `FOR UPDATE SKIP LOCKED`, and a row that changed meanwhile is looked at again
//! before it is taken. So are rows that are forgotten. Leases by name are one row each, changed by one statement that asks who
//! has it.
//!
//! A deadlock or serialization failure is therefore not expected. Where one happens all the same, nothing was changed: a group is
//! tried again a few times, and everything else is reported as an error that may be retried. A connection that is lost while a
//! `COMMIT` is under way leaves the outcome unknown, and is reported as such and never repeated.
//!
//! # Whose clock
//!
//! [`Store::time`](fastlead_core::port::Store::time) is the database's clock. Claims and leases go by it, and the length of a lease
//! is counted from there, whatever the clock of a caller says.

mod accounts;
mod addresses;
mod aside;
mod captures;
mod catalog;
mod changes;
mod claim;
mod documents;
mod drafts;
mod erase;
mod fault;
mod forget;
mod group;
mod identities;
mod inbound;
#[cfg(feature = "billing")]
mod intents;
mod journal;
mod leads;
mod leases;
mod ledger;
mod locks;
mod options;
mod parts;
mod postings;
mod quota;
mod reading;
mod risk;
mod rows;
mod schema;
mod sessions;
mod work;
mod write;
mod writer;

use fastlead_core::error::Result;
use fastlead_core::port::UnreadableRows;
use fastlead_core::time::{Timestamp, from_millis};
use futures_util::future::BoxFuture;
use sqlx::{Connection as _, PgConnection, PgPool};

use fault::{failed, unknown};
pub use options::PostgresOptions;
use writer::Writer;

/// How often a transaction is repeated that another one has got in the way of.
const TRIES: u32 = 5;

/// A store in a PostgreSQL database, which any number of processes share. Clones share its connections.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    writer: Writer,
    pool: PgPool,
    /// What could not be read since the store was opened.
    unreadable: UnreadableRows,
    clock: Clock,
}

/// Whose clock says what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// The database's.
    Database,
    /// That of whoever asks: for tests on a clock of their own.
    Callers,
}

impl PostgresStore {
    /// Connects, and brings the database to this version.
    ///
    /// Any number of stores may be open on one database. Of several that are opened at the same time one makes the tables.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](fastlead_core::ErrorKind::Config) where the address is none, or a newer program has made the database;
    /// [`ErrorKind::Storage`](fastlead_core::ErrorKind::Storage) where it cannot be reached.
    pub async fn open(options: PostgresOptions) -> Result<Self> {
        let pool = options.connect().await?;
        let mut connection = pool.acquire().await.map_err(|error| failed("open", &error))?;
        schema::migrate(&mut connection).await?;
        aside::give_back(&mut connection).await?;
        drop(connection);
        let unreadable = UnreadableRows::default();
        let clock = options.clock;
        let writer = Writer::start(pool.clone(), unreadable.clone(), &options);
        Ok(Self { writer, pool, unreadable, clock })
    }

    /// Closes the store: what waits is still written, and all connections are closed. Other handles get an error from then on.
    ///
    /// # Errors
    /// None today.
    pub async fn close(&self) -> Result<()> {
        self.writer.close().await;
        self.pool.close().await;
        Ok(())
    }

    /// Runs `work` in a transaction of its own.
    async fn run<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send,
        F: for<'a> FnOnce(&'a mut PgConnection) -> BoxFuture<'a, Result<T>> + Send,
    {
        let mut connection = self.pool.acquire().await.map_err(|error| failed(operation, &error))?;
        // Dropped before its end, it is rolled back.
        let mut transaction = connection.begin().await.map_err(|error| failed(operation, &error))?;
        let done = work(&mut *transaction).await?;
        transaction.commit().await.map_err(|error| unknown(operation, &error))?;
        Ok(done)
    }

    /// The same for a change that is noted in the log of changes.
    async fn change<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send,
        F: for<'a> FnOnce(&'a mut PgConnection) -> BoxFuture<'a, Result<T>> + Send,
    {
        let mut connection = self.pool.acquire().await.map_err(|error| failed(operation, &error))?;
        let mut transaction = connection.begin().await.map_err(|error| failed(operation, &error))?;
        locks::changes(&mut *transaction).await.map_err(|error| failed(operation, &error))?;
        let done = work(&mut *transaction).await?;
        transaction.commit().await.map_err(|error| unknown(operation, &error))?;
        Ok(done)
    }
}

impl Clock {
    /// The present moment: `asked` where the caller's clock counts.
    async fn now(self, connection: &mut PgConnection, asked: Timestamp) -> sqlx::Result<Timestamp> {
        match self {
            Self::Callers => Ok(asked),
            Self::Database => {
                let now: i64 = sqlx::query_scalar("SELECT fastlead_now()").fetch_one(connection).await?;
                Ok(from_millis(now))
            }
        }
    }
}
