//! Leads at risk. A page is read in the order of its index, from its place to its last lead; the count reads what is due.
//! A lead stands in the list once, with the timer that runs out first.

use fastlead_core::decide::LeadState;
use fastlead_core::error::Result;
use fastlead_core::id::{LeadId, ProjectId, SourceId, TimerId, WorkspaceId};
use fastlead_core::port::{LeadAtRisk, LeadSummary, Page, PageRequest, RiskFilter, place_at_risk};
use fastlead_core::time::Timestamp;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::PostgresStore;
use super::aside::left_alone;
use super::fault::failed;
use super::journal::limit;
use super::reading::{self, Origin};
use super::rows::{self, get, json, moment, uuid};

/// Whether a timer `t` is the first deadline of a lead `l` that nobody has.
macro_rules! is_first {
    () => {
        "t.deadline AND l.assigned_to IS NULL AND NOT EXISTS (
           SELECT 1 FROM timers o WHERE o.lead_id = t.lead_id AND o.deadline AND o.place < t.place)"
    };
}

const AT_RISK: &str = concat!(
    "SELECT t.id, t.name, t.due_at, l.id, l.project_id, l.source_id, l.created_at, l.status, l.assigned_to, e.event, l.state
     FROM timers t JOIN leads l ON l.id = t.lead_id JOIN events e ON e.id = l.id
     WHERE t.workspace_id = $2 AND t.place > $4 AND t.place <= $5
       AND (coalesce(t.lease_until, t.due_at) <= $1 OR t.lease_until = ",
    left_alone!(),
    ") AND ($3 IS NULL OR t.project_id = $3) AND ",
    is_first!(),
    " ORDER BY t.place LIMIT $6",
);

const COUNT_AT_RISK: &str = concat!(
    "SELECT count(*) FROM (SELECT 1 FROM timers t JOIN leads l ON l.id = t.lead_id
       WHERE coalesce(t.lease_until, t.due_at) <= $1 AND t.due_at <= $1 AND ",
    is_first!(),
    " LIMIT $2) AS found"
);

impl PostgresStore {
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
            .bind(workspace.as_uuid())
            .bind(filter.project_id.map(|id| id.as_uuid()))
            .bind(request.after.map_or(Uuid::nil(), |cursor| cursor.0))
            .bind(last.0)
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list leads at risk", &error))?;
        let place =
            |row: &PgRow| Some(place_at_risk(moment(row, 2).ok()?, TimerId::from_uuid(uuid(row, 0).ok()?)).0);
        let entry = |row: &PgRow| {
            let state: LeadState = json(row, 10)?;
            uuid(row, 0)?;
            let waiting = state.offers.into_iter().filter(fastlead_core::decide::Offer::waits);
            Ok(LeadAtRisk {
                lead: LeadSummary {
                    id: LeadId::from_uuid(uuid(row, 3)?),
                    project_id: ProjectId::from_uuid(uuid(row, 4)?),
                    source_id: SourceId::from_uuid(uuid(row, 5)?),
                    created_at: moment(row, 6)?,
                    status: get::<String>(row, 7)?,
                    assigned_to: get::<Option<String>>(row, 8)?,
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
            .bind(i64::from(most))
            .fetch_one(&self.pool)
            .await
            .map_err(|error| failed("count leads at risk", &error))?;
        Ok(u64::try_from(get::<i64>(&row, 0)?).unwrap_or(0))
    }
}
