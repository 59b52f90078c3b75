//! What was captured, oldest first, for whoever replays it.

use fastlead_core::error::Result;
use fastlead_core::id::{EventId, LeadId, SourceId, WorkspaceId};
use fastlead_core::port::{CaptureFilter, Page, PageRequest, StoredCapture};
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::fault::failed;
use super::journal::{least_id, limit};
use super::reading::{self, Origin};
use super::rows::{self, json, moment, uuid};

/// Ids begin with the moment at which they were made, so that the index finds the first one.
const CAPTURES: &str = "SELECT e.id, e.lead_id, l.source_id, e.at, e.event, l.state
    FROM events e JOIN leads l ON l.id = e.lead_id
    WHERE e.captured AND e.workspace_id = $1 AND e.id > $3 AND e.id < $6 AND e.at >= $4 AND e.at < $5 AND l.project_id = $2
    ORDER BY e.id LIMIT $7";

impl PostgresStore {
    pub(super) async fn read_captures(
        &self,
        workspace: WorkspaceId,
        filter: CaptureFilter,
        request: PageRequest,
    ) -> Result<Page<StoredCapture>> {
        let limit = limit(&request);
        let after = request.after.map_or_else(|| least_id(filter.since), |cursor| cursor.0);
        let rows = sqlx::query(CAPTURES)
            .bind(workspace.as_uuid())
            .bind(filter.project_id.as_uuid())
            .bind(after)
            .bind(filter.since.timestamp_millis())
            .bind(filter.until.timestamp_millis())
            .bind(least_id(filter.until))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list captures", &error))?;
        let read = |row: &PgRow| {
            let capture = rows::capture(row, 4)?;
            let source = capture.received.source_id;
            Ok(StoredCapture {
                id: EventId::from_uuid(uuid(row, 0)?),
                lead_id: LeadId::from_uuid(uuid(row, 1)?),
                source_id: source.map_or_else(|| uuid(row, 2).map(SourceId::from_uuid), Ok)?,
                at: moment(row, 3)?,
                capture,
                state: json(row, 5)?,
            })
        };
        let from = Origin::new("events", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, read))
    }
}
