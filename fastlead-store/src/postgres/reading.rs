//! Rows that are read one by one, so that one that cannot be read stops no other.

use fastlead_core::error::{Error, Result};
use fastlead_core::id::{
    AccountId, ApiKeyId, ChannelId, DeliveryId, EventId, IdentityId, LeadId, PostingId, ProjectId, SessionId,
    SourceId, SuppressionId, TimerId, UserId, WorkspaceId,
};
use fastlead_core::port::{Cursor, Page, UnreadableRow, UnreadableRows};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::rows::{COLUMN, uuid};

/// Where rows come from: what they are called where they cannot be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    table: &'static str,
    id: usize,
    workspace: Option<WorkspaceId>,
}

impl Origin {
    /// Rows of a table with their id in column number `id`.
    pub(super) const fn new(table: &'static str, id: usize) -> Self {
        Self { table, id, workspace: None }
    }

    /// Rows of one workspace.
    pub(super) const fn of(self, workspace: WorkspaceId) -> Self {
        Self { workspace: Some(workspace), ..self }
    }

    /// The name of a row that cannot be read because of `error`.
    pub(super) fn name(self, row: &PgRow, error: &Error) -> UnreadableRow {
        let column =
            error.context().iter().find(|(name, _)| *name == COLUMN).map(|(_, column)| column.as_str());
        let column = format!("{}.{}", self.table, column.unwrap_or_else(|| error.message()));
        let own = || row.try_get("workspace_id").ok().map(WorkspaceId::from_uuid);
        UnreadableRow::new(self.table, shown(self.table, row, self.id), column)
            .of(self.workspace.or_else(own))
    }
}

/// A row's id as people and programs know it.
fn shown(table: &str, row: &PgRow, index: usize) -> String {
    if table == "policies"
        && let (Ok(project), Ok(version)) =
            (row.try_get::<Uuid, _>("project_id"), row.try_get::<i32, _>("version"))
    {
        return format!("{} version {version}", ProjectId::from_uuid(project));
    }
    if let Ok(number) = row.try_get::<i64, _>(index) {
        return number.to_string();
    }
    if let Ok(name) = row.try_get::<&str, _>(index) {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        return if is_plain { name.to_owned() } else { String::new() };
    }
    let Ok(id) = uuid(row, index) else { return String::new() };
    match table {
        "api_keys" => ApiKeyId::from_uuid(id).to_string(),
        "channels" => ChannelId::from_uuid(id).to_string(),
        "attempts" | "deliveries" => DeliveryId::from_uuid(id).to_string(),
        "events" => EventId::from_uuid(id).to_string(),
        "identities" => IdentityId::from_uuid(id).to_string(),
        "ledger_accounts" => AccountId::from_uuid(id).to_string(),
        "ledger_entries" | "ledger_postings" => PostingId::from_uuid(id).to_string(),
        "leads" => LeadId::from_uuid(id).to_string(),
        "projects" | "policy_drafts" => ProjectId::from_uuid(id).to_string(),
        "sessions" => SessionId::from_uuid(id).to_string(),
        "sources" => SourceId::from_uuid(id).to_string(),
        "suppressions" => SuppressionId::from_uuid(id).to_string(),
        "timers" => TimerId::from_uuid(id).to_string(),
        "users" => UserId::from_uuid(id).to_string(),
        "workspaces" => WorkspaceId::from_uuid(id).to_string(),
        _ => id.simple().to_string(),
    }
}

/// A row that was asked for by its name.
pub(super) fn one<T>(
    met: &UnreadableRows,
    from: Origin,
    row: &PgRow,
    read: impl FnOnce(&PgRow) -> Result<T>,
) -> Result<T> {
    read(row).map_err(|error| {
        let unreadable = from.name(row, &error);
        met.notice(&unreadable);
        unreadable.into()
    })
}

/// All rows that can be read; the others are noted.
pub(super) fn each<T>(
    met: &UnreadableRows,
    from: Origin,
    rows: &[PgRow],
    read: impl Fn(&PgRow) -> Result<T>,
) -> Vec<T> {
    rows.iter().filter_map(|row| one(met, from, row, &read).ok()).collect()
}

/// The same, and adds the others to `lost`.
pub(super) fn known<T>(
    met: &UnreadableRows,
    from: Origin,
    rows: &[PgRow],
    lost: &mut Vec<UnreadableRow>,
    read: impl Fn(&PgRow) -> Result<T>,
) -> Vec<T> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        match read(row) {
            Ok(value) => found.push(value),
            Err(error) => {
                let row = from.name(row, &error);
                met.notice(&row);
                lost.push(row);
            }
        }
    }
    found
}

/// A page of which one row more than it has was asked for. The places in the list are the ids.
pub(super) fn page<T>(
    met: &UnreadableRows,
    from: Origin,
    rows: &[PgRow],
    limit: i64,
    read: impl Fn(&PgRow) -> Result<T>,
) -> Page<T> {
    page_by(met, from, rows, limit, |row| uuid(row, from.id).ok(), read)
}

/// The same in a list with other places.
pub(super) fn page_by<T>(
    met: &UnreadableRows,
    from: Origin,
    rows: &[PgRow],
    limit: i64,
    place: impl Fn(&PgRow) -> Option<Uuid>,
    read: impl Fn(&PgRow) -> Result<T>,
) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let here = &rows[..rows.len().min(limit)];
    let mut unreadable = Vec::new();
    let items = known(met, from, here, &mut unreadable, read);
    let last = || here.iter().rev().find_map(&place).map(Cursor);
    let next = if rows.len() > limit { last() } else { None };
    Page { items, next, unreadable }
}
