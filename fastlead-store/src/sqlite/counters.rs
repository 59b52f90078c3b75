//! Counters as rows, and the leads that wait for them.

use std::collections::HashMap;

use fastlead_core::decide::{Counter, CounterId, UniqueKey};
use fastlead_core::delivery::Scope;
use fastlead_core::error::Result;
use fastlead_core::id::LeadId;
use fastlead_core::time::Timestamp;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{blob, bytes, integer, optional_moment, optional_text, uuid};

pub(super) const COUNTERS: &str = "SELECT c.key, c.value, c.note, c.last_at, c.until
  FROM json_each(?1) j CROSS JOIN counters c ON c.key = unhex(j.value)";

pub(super) const HOLDER: &str =
    "SELECT lead_id, key FROM unique_keys WHERE key = ?1 AND until > ?2 AND typeof(until) = 'integer'";

pub(super) const WAITING: &str = "SELECT id FROM leads
  WHERE project_id = ?1 AND workspace_id = ?2 AND status = 'queued' AND id > ?3 ORDER BY id LIMIT ?4";

/// A counter whose value, note and moments stand in four columns from `first` on.
pub(super) fn counter(row: &SqliteRow, first: usize) -> Result<Counter> {
    Ok(Counter {
        value: integer(row, first)?,
        note: optional_text(row, first + 1)?,
        last_at: optional_moment(row, first + 2)?,
        until: optional_moment(row, first + 3)?,
    })
}

impl SqliteStore {
    pub(super) async fn read_counters(&self, ids: &[CounterId], now: Timestamp) -> Result<Vec<Counter>> {
        let keys: Vec<String> = ids.iter().map(|id| hex(*id)).collect();
        let keys = super::rows::to_json(&keys, "counters")?;
        let rows = sqlx::query(COUNTERS).bind(keys).fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| failed("read counters", &error))?;
        let mut found = HashMap::with_capacity(rows.len());
        // One that cannot be read counts from nothing again: a lead is not refused for it, and the next change mends it.
        let read = |row: &SqliteRow| Ok((CounterId(bytes(row, 0)?), counter(row, 1)?));
        found.extend(reading::each(&self.unreadable, Origin::new("counters", 0), &rows, read));
        Ok(ids.iter().map(|id| found.get(id).cloned().unwrap_or_default().at(now)).collect())
    }

    pub(super) async fn read_holder(&self, keys: &[UniqueKey], now: Timestamp) -> Result<Option<LeadId>> {
        for key in keys {
            let row = sqlx::query(HOLDER)
                .bind(key.0.to_vec())
                .bind(now.timestamp_millis())
                .fetch_optional(&self.readers)
                .await
                .map_err(|error| failed("read a unique key", &error))?;
            // One that cannot be read holds nothing: the lead comes in, at the worst a second time.
            let held = row.map(|row| {
                reading::one(&self.unreadable, Origin::new("unique_keys", 1), &row, |row| uuid(row, 0))
            });
            if let Some(Ok(lead)) = held {
                return Ok(Some(LeadId::from_uuid(lead)));
            }
        }
        Ok(None)
    }

    pub(super) async fn read_waiting(
        &self,
        scope: Scope,
        after: Option<LeadId>,
        limit: u32,
    ) -> Result<Vec<LeadId>> {
        let after = after.map(|lead| blob(lead.as_uuid())).unwrap_or_default();
        let rows = sqlx::query(WAITING)
            .bind(blob(scope.project_id.as_uuid()))
            .bind(blob(scope.workspace_id.as_uuid()))
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("read waiting leads", &error))?;
        let from = Origin::new("leads", 0).of(scope.workspace_id);
        Ok(reading::each(&self.unreadable, from, &rows, |row| uuid(row, 0).map(LeadId::from_uuid)))
    }
}

fn hex(id: CounterId) -> String {
    uuid::Uuid::from_bytes(id.0).simple().to_string()
}
