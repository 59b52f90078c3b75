//! Rows that are stored and cannot be read: set aside, counted, named, and no reason for anything else to stop.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::id::{DeliveryId, LeaseToken, TimerId, WorkspaceId};
use crate::port::InboundRef;

/// How many rows are remembered by name. More than these are counted and logged all the same.
const MOST: usize = 10_000;

/// A stored row that this program cannot read. Names it, and tells nothing of what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct UnreadableRow {
    /// The table, such as `deliveries`.
    pub table: String,
    /// The row: its id as it is shown elsewhere, such as `dlv_…`; hexadecimal digits where the table has no such ids.
    pub id: String,
    /// What of it cannot be read, such as `deliveries.spec`, or what it needs and cannot have.
    pub column: String,
    /// Whose it is, where that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
}

impl UnreadableRow {
    /// A row of a table, named by its id, of which `column` cannot be read.
    pub fn new(table: impl Into<String>, id: impl Into<String>, column: impl Into<String>) -> Self {
        Self { table: table.into(), id: id.into(), column: column.into(), workspace_id: None }
    }

    /// Says whose it is.
    #[must_use]
    pub const fn of(mut self, workspace: Option<WorkspaceId>) -> Self {
        self.workspace_id = workspace;
        self
    }
}

/// What is answered where the row itself was asked for.
impl From<UnreadableRow> for Error {
    fn from(row: UnreadableRow) -> Self {
        let message = format!("row {} of `{}` cannot be read: `{}`", row.id, row.table, row.column);
        Self::new(ErrorKind::Unreadable, message).with_operation("read")
    }
}

/// The unreadable rows that a store has met since it was opened. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct UnreadableRows {
    met: Arc<Mutex<BTreeSet<UnreadableRow>>>,
}

impl UnreadableRows {
    /// Notes a row. The first time, it is logged by its name and counted in `fastlead_unreadable_rows_total`.
    pub fn notice(&self, row: &UnreadableRow) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.contains(row) {
            return;
        }
        if met.len() < MOST {
            met.insert(row.clone());
        }
        drop(met);
        crate::meter::unreadable_row(&row.table);
        tracing::error!(table = %row.table, id = %row.id, column = %row.column, "a stored row cannot be read; it is set aside");
    }

    /// Those of a workspace; of `None` all, those too whose workspace cannot be read.
    pub fn of(&self, workspace: Option<WorkspaceId>) -> Vec<UnreadableRow> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = |row: &&UnreadableRow| workspace.is_none() || row.workspace_id == workspace;
        met.iter().filter(mine).cloned().collect()
    }
}

/// Work that cannot be done because something that it needs cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetAside {
    /// A delivery, under the lease with which it was claimed.
    Delivery(DeliveryId, LeaseToken),
    /// A timer, under the lease with which it was claimed.
    Timer(TimerId, LeaseToken),
    /// An inbound event that waits.
    Inbound(InboundRef),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomIds;
    use crate::time::epoch;

    #[test]
    fn a_row_is_noted_once_and_told_to_its_workspace_alone() {
        let (mine, other) =
            (WorkspaceId::generate(&RandomIds, epoch()), WorkspaceId::generate(&RandomIds, epoch()));
        let rows = UnreadableRows::default();
        let row = UnreadableRow::new("leads", "lead_1", "leads.state").of(Some(mine));
        let nobodys = UnreadableRow::new("leads", "lead_2", "leads.state");
        for row in [&row, &row, &nobodys] {
            rows.notice(row);
        }
        assert_eq!(rows.of(Some(mine)), std::slice::from_ref(&row));
        assert!(rows.of(Some(other)).is_empty());
        assert_eq!(rows.of(None).len(), 2);
        let error = Error::from(row);
        assert_eq!(error.kind(), ErrorKind::Unreadable);
        assert_eq!(error.message(), "row lead_1 of `leads` cannot be read: `leads.state`");
    }
}
