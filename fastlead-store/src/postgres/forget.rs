//! Expired keys leave the database: nobody asks for them any more.

use fastlead_core::time::Timestamp;
use sqlx::PgPool;
use std::sync::atomic::{AtomicI64, Ordering};

/// How many keys of a kind leave at a time. More than a group can bring, so that it keeps up.
const BATCH: i64 = 512;
/// How long nothing is looked for after less than a batch was found.
const REST_MILLIS: i64 = 60_000;
/// How long a key outstays its moment: more than the clocks of two processes differ.
const GRACE_MILLIS: i64 = 3_600_000;
/// How long a counter of nothing that names no end is kept after somebody has last counted with it: 400 days, longer
/// than a year's period.
const IDLE_MILLIS: i64 = 400 * 86_400_000;

/// `$1` is the moment, `$2` the batch. A row that somebody else works on is left to the next time.
const FORGET: [&str; 4] = [
    "DELETE FROM idempotency WHERE (source_id, key) IN
       (SELECT source_id, key FROM idempotency WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM unique_keys WHERE key IN
       (SELECT key FROM unique_keys WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM counters WHERE key IN
       (SELECT key FROM counters WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM named_leases WHERE name IN
       (SELECT name FROM named_leases WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
];

const FORGET_IDLE: &str = "DELETE FROM counters WHERE key IN (SELECT key FROM counters
  WHERE until IS NULL AND value = 0 AND note IS NULL AND last_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// When to look again, by the clock of the decisions.
#[derive(Debug)]
pub(super) struct Forgetting {
    next: AtomicI64,
}

impl Forgetting {
    pub(super) const fn new() -> Self {
        Self { next: AtomicI64::new(i64::MIN) }
    }

    /// Deletes a batch where it is time to. Failing to is no fault of anybody who waits, so it is only said.
    pub(super) async fn forget(&self, pool: &PgPool, now: Timestamp) {
        let now = now.timestamp_millis();
        let next = self.next.load(Ordering::Acquire);
        // One of several writers looks.
        let looks = now >= next
            && self
                .next
                .compare_exchange(next, now + REST_MILLIS, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        if !looks {
            return;
        }
        match batch(pool, now).await {
            Ok(deleted) if deleted >= BATCH.unsigned_abs() => self.next.store(now, Ordering::Release),
            Ok(_) => {}
            Err(error) => {
                let error = super::fault::failed("forget", &error);
                tracing::warn!(%error, "expired keys could not be deleted");
            }
        }
    }
}

async fn batch(pool: &PgPool, now: i64) -> sqlx::Result<u64> {
    let mut deleted = 0;
    for statement in FORGET {
        let done = sqlx::query(statement).bind(now - GRACE_MILLIS).bind(BATCH).execute(pool).await?;
        deleted += done.rows_affected();
    }
    let done = sqlx::query(FORGET_IDLE).bind(now - IDLE_MILLIS).bind(BATCH).execute(pool).await?;
    Ok(deleted + done.rows_affected())
}
