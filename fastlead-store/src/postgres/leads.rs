//! Lists, counts and search of leads.

use std::collections::BTreeMap;

use fastlead_core::error::Result;
use fastlead_core::id::{LeadId, ProjectId, SourceId, WorkspaceId};
use fastlead_core::lead::Needle;
use fastlead_core::port::{LeadCounts, LeadFilter, LeadSummary, Page, PageRequest};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, Postgres};

use super::PostgresStore;
use super::fault::failed;
use super::journal::{conditions, limit};
use super::reading::{self, Origin};
use super::rows::{self, get, moment, uuid};

/// What a filter narrows a list of leads `l` to. Parameters: 1 the workspace, 2 the place of the page, 3 the project, 4 the
/// source, 5 the status, 6 and 7 the period, 8 the text, 9 how many.
fn narrowed(filter: &LeadFilter, after: bool) -> String {
    let place = if filter.oldest_first { "l.id > $2" } else { "l.id < $2" };
    let narrow = [
        (after, place),
        (filter.project_id.is_some(), "l.project_id = $3"),
        (filter.source_id.is_some(), "l.source_id = $4"),
        (filter.status.is_some(), "l.status = $5"),
        (filter.since.is_some(), "l.created_at >= $6"),
        (filter.until.is_some(), "l.created_at < $7"),
        (filter.text.is_some(), "position($8 in l.search) > 0"),
    ];
    format!("l.workspace_id = $1{}", conditions(&narrow))
}

type Query = sqlx::query::Query<'static, Postgres, PgArguments>;

fn query(sql: String, workspace: WorkspaceId, filter: LeadFilter, request: &PageRequest, rows: i64) -> Query {
    sqlx::query(AssertSqlSafe(sql))
        .bind(workspace.as_uuid())
        .bind(request.after.map(|cursor| cursor.0))
        .bind(filter.project_id.map(|id| id.as_uuid()))
        .bind(filter.source_id.map(|id| id.as_uuid()))
        .bind(filter.status)
        .bind(filter.since.map(|at| at.timestamp_millis()))
        .bind(filter.until.map(|at| at.timestamp_millis()))
        .bind(filter.text.as_ref().map(Needle::expose).map(str::to_owned))
        .bind(rows)
}

impl PostgresStore {
    pub(super) async fn list_leads(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        request: PageRequest,
    ) -> Result<Page<LeadSummary>> {
        let limit = limit(&request);
        let order = if filter.oldest_first { "ASC" } else { "DESC" };
        let sql = format!(
            "SELECT l.id, l.project_id, l.source_id, l.created_at, l.status, l.assigned_to, e.event
             FROM leads l JOIN events e ON e.id = l.id WHERE {} ORDER BY l.id {order} LIMIT $9",
            narrowed(&filter, request.after.is_some())
        );
        let rows = query(sql, workspace, filter, &request, limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list leads", &error))?;
        let from = Origin::new("leads", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, summary))
    }

    pub(super) async fn count_leads_by_status(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        most: u32,
    ) -> Result<LeadCounts> {
        let filter = LeadFilter { status: None, oldest_first: false, ..filter };
        let narrowed = narrowed(&filter, false);
        let is_text = filter.text.is_some();
        let sql = if is_text {
            format!("SELECT l.status, 1::bigint FROM leads l WHERE {narrowed} ORDER BY l.id DESC LIMIT $9")
        } else {
            format!("SELECT l.status, count(*) FROM leads l WHERE {narrowed} GROUP BY l.status")
        };
        let rows = query(sql, workspace, filter, &PageRequest::default(), i64::from(most) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("count leads", &error))?;
        let complete = !is_text || rows.len() <= usize::try_from(most).unwrap_or(usize::MAX);
        let counted = if complete { &rows[..] } else { &rows[..rows.len() - 1] };
        let mut by_status = BTreeMap::new();
        for row in counted {
            let count = u64::try_from(get::<i64>(row, 1)?).unwrap_or(0);
            *by_status.entry(get::<String>(row, 0)?).or_default() += count;
        }
        Ok(LeadCounts { by_status, complete })
    }
}

fn summary(row: &PgRow) -> Result<LeadSummary> {
    Ok(LeadSummary {
        id: LeadId::from_uuid(uuid(row, 0)?),
        project_id: ProjectId::from_uuid(uuid(row, 1)?),
        source_id: SourceId::from_uuid(uuid(row, 2)?),
        created_at: moment(row, 3)?,
        status: get::<String>(row, 4)?,
        assigned_to: get::<Option<String>>(row, 5)?,
        capture: rows::capture(row, 6)?,
    })
}
