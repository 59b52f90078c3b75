//! Leads at risk. Only timers within the window are read, by the index of what is due; a lead stands in the
//! list once, with the timer that runs out first.

use fastlead_core::decide::{Event, LeadState};
use fastlead_core::error::Result;
use fastlead_core::id::{LeadId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::port::{
    LeadAtRisk, LeadSummary, Page, PageRequest, RiskFilter, parts_of_place, place_at_risk,
};
use fastlead_core::time::Timestamp;

use super::SqliteStore;
use super::fault::{failed, unreadable};
use super::journal::limit;
use super::rows::{blob, integer, json, moment, optional_text, text, uuid};

/// Names of timers as they are stored, of those that are not `is_deadline`.
macro_rules! deadline {
    ($timer:literal) => {
        concat!($timer, ".name NOT IN ('\"queue\"', '\"confirm\"', '\"auction_ends\"')")
    };
}

/// The timers of leads that nobody has, due until `?1`, each the first of its lead.
macro_rules! first_timers {
    () => {
        concat!(
            "FROM timers t CROSS JOIN leads l ON l.id = t.lead_id
             WHERE coalesce(t.lease_until, t.due_at) <= ?1 AND t.due_at <= ?1 AND ",
            deadline!("t"),
            " AND l.assigned_to IS NULL AND NOT EXISTS (
               SELECT 1 FROM timers o WHERE o.lead_id = t.lead_id AND ",
            deadline!("o"),
            " AND (o.due_at < t.due_at OR (o.due_at = t.due_at AND substr(o.id, 7) < substr(t.id, 7))))"
        )
    };
}

pub(super) const AT_RISK: &str = concat!(
    "SELECT k.id, k.name, k.due_at, l.id, l.project_id, l.source_id, l.created_at, l.status, l.assigned_to, e.event, l.state
     FROM (SELECT t.id, t.name, t.due_at, t.lead_id ",
    first_timers!(),
    " AND t.workspace_id = ?2 AND (?3 IS NULL OR t.project_id = ?3)
      AND (t.due_at > ?4 OR (t.due_at = ?4 AND substr(t.id, 7) > ?5))
      ORDER BY t.due_at, substr(t.id, 7) LIMIT ?6) k
     CROSS JOIN leads l ON l.id = k.lead_id CROSS JOIN events e ON e.id = l.id
     ORDER BY k.due_at, substr(k.id, 7)",
);

pub(super) const COUNT_AT_RISK: &str =
    concat!("SELECT count(*) FROM (SELECT 1 ", first_timers!(), " LIMIT ?2)");

impl SqliteStore {
    pub(super) async fn read_at_risk(
        &self,
        workspace: WorkspaceId,
        filter: RiskFilter,
        request: PageRequest,
    ) -> Result<Page<LeadAtRisk>> {
        let limit = limit(&request);
        let (after, rest) = request.after.map_or((i64::MIN, [0; 10]), |place| {
            let (at, rest) = parts_of_place(place);
            (at.timestamp_millis(), rest)
        });
        let rows = sqlx::query(AT_RISK)
            .bind(filter.until.timestamp_millis())
            .bind(blob(workspace.as_uuid()))
            .bind(filter.project_id.map(|id| blob(id.as_uuid())))
            .bind(after)
            .bind(rest.to_vec())
            .bind(limit + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("list leads at risk", &error))?;
        let entry = |row| {
            let Event::Captured(capture) = json(row, 9, "events.event")? else {
                return Err(unreadable("a lead's capture"));
            };
            let state: LeadState = json(row, 10, "leads.state")?;
            let timer = fastlead_core::id::TimerId::from_uuid(uuid(row, 0)?);
            let due_at = moment(row, 2)?;
            let waiting = state.offers.into_iter().filter(fastlead_core::decide::Offer::waits);
            let found = LeadAtRisk {
                lead: LeadSummary {
                    id: LeadId::from_uuid(uuid(row, 3)?),
                    project_id: ProjectId::from_uuid(uuid(row, 4)?),
                    source_id: SourceId::from_uuid(uuid(row, 5)?),
                    created_at: moment(row, 6)?,
                    status: text(row, 7)?,
                    assigned_to: optional_text(row, 8)?,
                    capture: *capture,
                },
                timer: json(row, 1, "timers.name")?,
                due_at,
                waits_for: waiting.map(|offer| offer.target).collect(),
            };
            Ok((place_at_risk(due_at, timer), found))
        };
        let mut items = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > most;
        items.truncate(most);
        let next = items.last().map(|(place, _)| *place).filter(|_| more);
        Ok(Page { items: items.into_iter().map(|(_, found)| found).collect(), next })
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
