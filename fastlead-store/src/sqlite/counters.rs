//! Counters as rows, and the leads that wait for them.

use std::collections::HashMap;

use fastlead_core::decide::{Counter, CounterId, UniqueKey};
use fastlead_core::delivery::Scope;
use fastlead_core::error::Result;
use fastlead_core::id::LeadId;
use fastlead_core::time::{Timestamp, from_millis};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::fault::{failed, unreadable};
use super::rows::{blob, integer, uuid};

pub(super) const COUNTERS: &str = "SELECT c.key, c.value, c.note, c.last_at, c.until
  FROM json_each(?1) j CROSS JOIN counters c ON c.key = unhex(j.value)";

pub(super) const HOLDER: &str = "SELECT lead_id FROM unique_keys WHERE key = ?1 AND until > ?2";

pub(super) const WAITING: &str = "SELECT id FROM leads
  WHERE project_id = ?1 AND workspace_id = ?2 AND status = 'queued' AND id > ?3 ORDER BY id LIMIT ?4";

/// A counter whose value, note and moments stand in four columns from `first` on.
pub(super) fn counter(row: &SqliteRow, first: usize) -> Result<Counter> {
    let moment = |column: usize| {
        let millis: Option<i64> = row.try_get(column).map_err(|_| unreadable("a counter's moment"))?;
        Ok(millis.map(from_millis))
    };
    Ok(Counter {
        value: integer(row, first)?,
        note: row.try_get(first + 1).map_err(|_| unreadable("counters.note"))?,
        last_at: moment(first + 2)?,
        until: moment(first + 3)?,
    })
}

impl SqliteStore {
    pub(super) async fn read_counters(&self, ids: &[CounterId], now: Timestamp) -> Result<Vec<Counter>> {
        let keys: Vec<String> = ids.iter().map(|id| hex(*id)).collect();
        let keys = super::rows::to_json(&keys, "counters")?;
        let rows = sqlx::query(COUNTERS).bind(keys).fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| failed("read counters", &error))?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(CounterId(uuid(row, 0)?.into_bytes()), counter(row, 1)?);
        }
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
            if let Some(row) = row {
                return uuid(&row, 0).map(|lead| Some(LeadId::from_uuid(lead)));
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
        rows.iter().map(|row| uuid(row, 0).map(LeadId::from_uuid)).collect()
    }
}

fn hex(id: CounterId) -> String {
    uuid::Uuid::from_bytes(id.0).simple().to_string()
}
