//! Leads at risk. A page is read in the order of its index, from its place to its last lead; the count reads what is due.
//! A lead stands in the list once, with the timer that runs out first.

use fastlead_core::decide::LeadState;
use fastlead_core::error::Result;
use fastlead_core::id::{LeadId, ProjectId, SourceId, TimerId, WorkspaceId};
use fastlead_core::port::{Cursor, LeadAtRisk, LeadSummary, Page, PageRequest, RiskFilter, place_at_risk};
use fastlead_core::time::Timestamp;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::SqliteStore;
use super::aside::left_alone;
use super::fault::failed;
use super::journal::limit;
use super::reading::{self, Origin};
use super::rows::{self, blob, integer, json, moment, optional_text, text, uuid};

/// Names of timers as they are stored, of those that are not `is_deadline`.
macro_rules! deadline {
    ($timer:literal) => {
        concat!($timer, ".name NOT IN ('\"queue\"', '\"confirm\"', '\"auction_ends\"')")
    };
}

/// Whether a timer `t` is the first deadline of a lead `l` that nobody has.
macro_rules! is_first {
    () => {
        concat!(
            deadline!("t"),
            " AND l.assigned_to IS NULL AND NOT EXISTS (
               SELECT 1 FROM timers o WHERE o.lead_id = t.lead_id AND ",
            deadline!("o"),
            " AND (o.due_at < t.due_at OR (o.due_at = t.due_at AND substr(o.id, 7) < substr(t.id, 7))))"
        )
    };
}

/// The place of a timer `t` in the list, as `timers_at_risk` has it.
macro_rules! place {
    () => {
        "printf('%012X', t.due_at) || hex(substr(t.id, 7))"
    };
}

pub(super) const AT_RISK: &str = concat!(
    "SELECT t.id, t.name, t.due_at, l.id, l.project_id, l.source_id, l.created_at, l.status, l.assigned_to, e.event, l.state
     FROM timers t CROSS JOIN leads l ON l.id = t.lead_id CROSS JOIN events e ON e.id = l.id
     WHERE t.workspace_id = ?2 AND ",
    place!(),
    " > ?4 AND ",
    place!(),
    " <= ?5 AND (coalesce(t.lease_until, t.due_at) <= ?1 OR t.lease_until = ",
    left_alone!(),
    ") AND (?3 IS NULL OR t.project_id = ?3) AND ",
    is_first!(),
    " ORDER BY ",
    place!(),
    " LIMIT ?6",
);

pub(super) const COUNT_AT_RISK: &str = concat!(
    "SELECT count(*) FROM (SELECT 1 FROM timers t CROSS JOIN leads l ON l.id = t.lead_id
       WHERE coalesce(t.lease_until, t.due_at) <= ?1 AND t.due_at <= ?1 AND ",
    is_first!(),
    " LIMIT ?2)"
);

/// A place as SQLite writes it.
fn digits(place: Cursor) -> String {
    format!("{:032X}", place.0.as_u128())
}

impl SqliteStore {
    pub(super) async fn read_at_risk(
        &self,
        workspace: WorkspaceId,
        filter: RiskFilter,
        request: PageRequest,
    ) -> Result<Page<LeadAtRisk>> {
        let limit = limit(&request);
        let last = place_at_risk(filter.until, TimerId::from_uuid(Uuid::max()));
        let rows = sqlx::query(AT_RISK)
            .bind(filter.until.timestamp_millis())
            .bind(blob(workspace.as_uuid()))
            .bind(filter.project_id.map(|id| blob(id.as_uuid())))
            .bind(request.after.map(digits).unwrap_or_default())
            .bind(digits(last))
            .bind(limit + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("list leads at risk", &error))?;
        let place = |row: &SqliteRow| {
            Some(place_at_risk(moment(row, 2).ok()?, TimerId::from_uuid(uuid(row, 0).ok()?)).0)
        };
        let entry = |row: &SqliteRow| {
            let state: LeadState = json(row, 10)?;
            uuid(row, 0)?;
            let waiting = state.offers.into_iter().filter(fastlead_core::decide::Offer::waits);
            Ok(LeadAtRisk {
                lead: LeadSummary {
                    id: LeadId::from_uuid(uuid(row, 3)?),
                    project_id: ProjectId::from_uuid(uuid(row, 4)?),
                    source_id: SourceId::from_uuid(uuid(row, 5)?),
                    created_at: moment(row, 6)?,
                    status: text(row, 7)?,
                    assigned_to: optional_text(row, 8)?,
                    capture: rows::capture(row, 9)?,
                },
                timer: json(row, 1)?,
                due_at: moment(row, 2)?,
                waits_for: waiting.map(|offer| offer.target).collect(),
            })
        };
        let from = Origin::new("leads", 3).of(workspace);
        Ok(reading::page_by(&self.unreadable, from, &rows, limit, place, entry))
    }

    pub(super) async fn count_leads_at_risk(&self, until: Timestamp, most: u32) -> Result<u64> {
        let row = sqlx::query(COUNT_AT_RISK)
            .bind(until.timestamp_millis())
            .bind(most)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| failed("count leads at risk", &error))?;
        Ok(u64::try_from(integer(&row, 0)?).unwrap_or(0))
    }
}
