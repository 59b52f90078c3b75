//! Expired keys leave the file: nobody asks for them any more.

use fastlead_core::time::Timestamp;
use sqlx::SqliteConnection;

/// How many keys of a kind leave at a time. More than a group can bring, so that it keeps up.
const BATCH: u64 = 512;
/// How long nothing is looked for after less than a batch was found.
const REST_MILLIS: i64 = 60_000;
/// How long a key outstays its moment: more than the clocks of two processes differ.
const GRACE_MILLIS: i64 = 3_600_000;
/// How long a counter of nothing that names no end is kept after somebody has last counted with it: 400 days, longer
/// than a year's period. Its target or rule is gone, or has forgotten nothing that anybody would notice.
const IDLE_MILLIS: i64 = 400 * 86_400_000;

pub(super) const FORGET: &str = "
BEGIN IMMEDIATE;
DELETE FROM idempotency WHERE (source_id, key) IN
  (SELECT source_id, key FROM idempotency WHERE until <= $1 ORDER BY until LIMIT $2);
DELETE FROM unique_keys WHERE key IN (SELECT key FROM unique_keys WHERE until <= $1 ORDER BY until LIMIT $2);
DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE until <= $1 ORDER BY until LIMIT $2);
DELETE FROM counters WHERE key IN
  (SELECT key FROM counters WHERE until IS NULL AND value = 0 AND note IS NULL AND last_at <= $3 LIMIT $2);
COMMIT";

/// When to look again, by the clock of the decisions.
#[derive(Debug)]
pub(super) struct Forgetting {
    next: i64,
}

impl Forgetting {
    pub(super) const fn new() -> Self {
        Self { next: i64::MIN }
    }

    /// Deletes a batch where it is time to. Failing to is no fault of anybody who waits, so it is only said.
    pub(super) async fn forget(&mut self, connection: &mut SqliteConnection, now: Timestamp) {
        let now = now.timestamp_millis();
        if now < self.next {
            return;
        }
        let batch = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let done = sqlx::query(FORGET).bind(now - GRACE_MILLIS).bind(batch).bind(now - IDLE_MILLIS);
        let done = done.execute(&mut *connection).await;
        match done {
            Ok(done) if done.rows_affected() >= BATCH => {}
            Ok(_) => self.next = now + REST_MILLIS,
            Err(error) => {
                tracing::warn!(%error, "expired keys could not be deleted");
                self.next = now + REST_MILLIS;
                super::writer::roll_back(connection).await;
            }
        }
    }
}
