//! Lists, counts and search of leads.
//!
//! Ids begin with the moment at which they were made, so a period and the place of a page are one range of ids. Each filter reads
//! one index: a text or a project the one that has these in it, a status the one that begins with it.

use std::collections::BTreeMap;

use fastlead_core::decide::Event;
use fastlead_core::error::Result;
use fastlead_core::id::{LeadId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::lead::{Needle, search_text};
use fastlead_core::port::{LeadCounts, LeadFilter, LeadSummary, Page, PageRequest};
use fastlead_core::time::Timestamp;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::SqliteStore;
use super::fault::failed;
use super::journal::limit;
use super::reading::{self, Origin};
use super::rows::{self, blob, integer, moment, optional_text, text, uuid};

/// The version of the database since which leads have a text that they are found by.
pub(super) const SEARCHED: usize = 18;
/// So many leads with a status are read one by one, where a text is looked for in them.
const FEW: i64 = 5_000;
/// Whether a status has more leads than [`FEW`]; it looks at no more than that.
pub(super) const SHARE: &str = "SELECT count(*) FROM (SELECT 1 FROM leads INDEXED BY leads_by_status
    WHERE workspace_id = ?1 AND status = ?2 LIMIT ?3)";
/// Leads whose text is filled in at a time.
const FILLED: i64 = 500;

/// The leads of a filter, in its order. They are found in one index alone, and only those that fit are read.
///
/// Parameters: 1 the workspace, 2 and 3 the range of ids, 4 the project, 5 the source, 6 the status, 7 the text, 8 how many.
pub(super) fn list_leads(filter: &LeadFilter, status: Share) -> String {
    let order = if filter.oldest_first { "ASC" } else { "DESC" };
    let (index, fits) = way(filter, status);
    format!(
        "SELECT l.id, l.project_id, l.source_id, l.created_at, l.status, l.assigned_to, e.event
         FROM leads f INDEXED BY {index} CROSS JOIN leads l ON l.id = f.id CROSS JOIN events e ON e.id = f.id
         WHERE {fits} ORDER BY f.id {order} LIMIT ?8"
    )
}

/// How many of the leads have the status of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// No more than [`FEW`]: each can be read.
    Few,
    /// More, or nobody has asked.
    Many,
}

/// The index that a filter reads, and its conditions on the lead `f` in it and on the whole lead `l`.
fn way(filter: &LeadFilter, share: Share) -> (&'static str, String) {
    let by_project = filter.project_id.is_some() || filter.source_id.is_some();
    let (index, status) = match (&filter.text, &filter.status) {
        (Some(_), Some(_)) if share == Share::Few => ("leads_by_status", "f.status = ?6"),
        (Some(_), Some(_)) => ("leads_by_text", "l.status = ?6"),
        (None, Some(_)) => ("leads_by_status", "f.status = ?6"),
        (Some(_), None) => ("leads_by_text", "?6 IS NULL"),
        (None, None) if by_project => ("leads_by_text", "?6 IS NULL"),
        (None, None) => ("leads_by_workspace", "?6 IS NULL"),
    };
    let text = match (&filter.text, index) {
        (Some(_), "leads_by_text") => "instr(f.search, ?7) > 0",
        (Some(_), _) => "instr(l.search, ?7) > 0",
        (None, _) => "?7 IS NULL",
    };
    let project = if by_project {
        "(?4 IS NULL OR f.project_id = ?4) AND (?5 IS NULL OR f.source_id = ?5)"
    } else {
        "?4 IS NULL AND ?5 IS NULL"
    };
    let fits =
        format!("f.workspace_id = ?1 AND f.id >= ?2 AND f.id < ?3 AND {project} AND {text} AND {status}");
    (index, fits)
}

/// How many leads of a filter there are in each status: all of them by the index of statuses, those with a text one by one.
pub(super) fn count_leads(filter: &LeadFilter) -> String {
    if filter.text.is_none() {
        return "SELECT status, count(*) FROM leads INDEXED BY leads_by_status
                WHERE workspace_id = ?1 AND id >= ?2 AND id < ?3 AND (?4 IS NULL OR project_id = ?4)
                  AND (?5 IS NULL OR source_id = ?5) AND ?6 IS NULL AND ?7 IS NULL AND ?8 IS NOT NULL GROUP BY status"
            .to_owned();
    }
    let (index, fits) = way(filter, Share::Many);
    format!(
        "SELECT l.status, 1 FROM leads f INDEXED BY {index} CROSS JOIN leads l ON l.id = f.id
         WHERE {fits} ORDER BY f.id DESC LIMIT ?8"
    )
}

/// The first id of a moment.
fn first_id(at: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0).min((1 << 48) - 1);
    (u128::from(millis) << 80).to_be_bytes()
}

/// The ids that a page may have: from the first, which is in it, to the second, which is not.
fn range(filter: &LeadFilter, request: &PageRequest) -> (Vec<u8>, Vec<u8>) {
    let mut from = filter.since.map_or([0; 16], first_id);
    // Greater than every id: no id has only ones.
    let mut to = filter.until.map_or([0xFF; 16], first_id);
    if let Some(cursor) = request.after {
        let place = cursor.0.as_u128();
        if filter.oldest_first {
            from = from.max(place.saturating_add(1).to_be_bytes());
        } else {
            to = to.min(place.to_be_bytes());
        }
    }
    (from.to_vec(), to.to_vec())
}

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

fn query(sql: String, workspace: WorkspaceId, filter: LeadFilter, request: &PageRequest, rows: i64) -> Query {
    let (from, to) = range(&filter, request);
    sqlx::query(AssertSqlSafe(sql))
        .bind(blob(workspace.as_uuid()))
        .bind(from)
        .bind(to)
        .bind(filter.project_id.map(|id| blob(id.as_uuid())))
        .bind(filter.source_id.map(|id| blob(id.as_uuid())))
        .bind(filter.status)
        .bind(filter.text.as_ref().map(Needle::expose).map(str::to_owned))
        .bind(rows)
}

impl SqliteStore {
    pub(super) async fn list_leads(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        request: PageRequest,
    ) -> Result<Page<LeadSummary>> {
        let limit = limit(&request);
        let share = self.share(workspace, &filter).await?;
        let sql = list_leads(&filter, share);
        let rows = query(sql, workspace, filter, &request, limit + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("list leads", &error))?;
        let from = Origin::new("leads", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, summary))
    }

    /// Matters only where both a text and a status are asked for.
    async fn share(&self, workspace: WorkspaceId, filter: &LeadFilter) -> Result<Share> {
        let (Some(status), Some(_)) = (&filter.status, &filter.text) else { return Ok(Share::Many) };
        let row = sqlx::query(SHARE)
            .bind(blob(workspace.as_uuid()))
            .bind(status.clone())
            .bind(FEW + 1)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| failed("list leads", &error))?;
        Ok(if integer(&row, 0)? > FEW { Share::Many } else { Share::Few })
    }

    pub(super) async fn count_leads_by_status(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        most: u32,
    ) -> Result<LeadCounts> {
        let filter = LeadFilter { status: None, oldest_first: false, ..filter };
        let (sql, is_text) = (count_leads(&filter), filter.text.is_some());
        let rows = query(sql, workspace, filter, &PageRequest::default(), i64::from(most) + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("count leads", &error))?;
        let complete = !is_text || rows.len() <= usize::try_from(most).unwrap_or(usize::MAX);
        let counted = if complete { &rows[..] } else { &rows[..rows.len() - 1] };
        let mut by_status = BTreeMap::new();
        for row in counted {
            let count = u64::try_from(integer(row, 1)?).unwrap_or(0);
            *by_status.entry(text(row, 0)?).or_default() += count;
        }
        Ok(LeadCounts { by_status, complete })
    }
}

fn summary(row: &SqliteRow) -> Result<LeadSummary> {
    Ok(LeadSummary {
        id: LeadId::from_uuid(uuid(row, 0)?),
        project_id: ProjectId::from_uuid(uuid(row, 1)?),
        source_id: SourceId::from_uuid(uuid(row, 2)?),
        created_at: moment(row, 3)?,
        status: text(row, 4)?,
        assigned_to: optional_text(row, 5)?,
        capture: rows::capture(row, 6)?,
    })
}

/// Fills in what leads of earlier versions are found by. One that cannot be read is found by nothing.
pub(super) async fn fill_search(connection: &mut SqliteConnection) -> Result<()> {
    let fault = |error: sqlx::Error| failed("migrate", &error);
    let mut last = vec![0; 16];
    loop {
        let rows = sqlx::query(
            "SELECT l.id, e.event FROM leads l CROSS JOIN events e ON e.id = l.id WHERE l.id > ?1 ORDER BY l.id LIMIT ?2",
        )
        .bind(&last)
        .bind(FILLED)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = rows::any_bytes(end, 0)?;
        for row in &rows {
            let event = text(row, 1).ok().and_then(|event| serde_json::from_str::<Event>(&event).ok());
            let Some(Event::Captured(capture)) = event else { continue };
            sqlx::query("UPDATE leads SET search = ?2 WHERE id = ?1")
                .bind(rows::any_bytes(row, 0)?)
                .bind(search_text(&capture).into_inner())
                .execute(&mut *connection)
                .await
                .map_err(fault)?;
        }
    }
}
