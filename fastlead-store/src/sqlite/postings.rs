//! Postings of a group: one look at the accounts and postings that its members name, one set of changes. A group without
//! postings makes neither of these two calls.

use std::collections::HashSet;

use fastlead_core::error::Result;
use fastlead_core::id::{AccountId, LeadId, PostingId, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{Entry, Posting, UnreadableRows};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::group::bound;
use super::list::{List, id, int, maybe_id, text};
use super::reading::Origin;
use super::rows::{integer, moment, optional_integer, optional_uuid, text as column_text, unread, uuid};
use crate::book::Standing;
use crate::known_ledger::{KnownLedger, Name, Named, names};

/// Looks, within the transaction.
pub(super) const LOOK_AT_LEDGER: &str = concat!(
    "SELECT 1, a.workspace_id, a.id, NULL, a.credit, a.currency, a.balance, a.entries, NULL, NULL, NULL
  FROM json_each($1) j CROSS JOIN ledger_accounts a ON a.workspace_id = ",
    id!("$4", 0),
    " AND a.id = ",
    id!("$4", 1),
    "
UNION ALL SELECT 2, p.workspace_id, p.id, p.lead_id, p.at, p.kind, e.amount, NULL, p.reverses, e.account_id, e.currency
  FROM json_each($2) j CROSS JOIN ledger_postings p ON p.workspace_id = ",
    id!("$5", 0),
    " AND p.id = ",
    id!("$5", 1),
    "
  LEFT JOIN ledger_entries e ON e.workspace_id = p.workspace_id AND e.posting_id = p.id
UNION ALL SELECT 3, p.workspace_id, p.reverses, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM json_each($3) j CROSS JOIN ledger_postings p ON p.workspace_id = ",
    id!("$6", 0),
    " AND p.reverses = ",
    id!("$6", 1),
);

/// Makes the postings, and brings the balances to what they are after all of them.
pub(super) const WRITE_LEDGER: &str = concat!(
    "INSERT INTO ledger_postings (workspace_id, id, at, kind, lead_id, reverses)
  SELECT ",
    id!("$4", 0),
    ", ",
    id!("$4", 1),
    ", ",
    int!("$4", 2),
    ", ",
    text!("$4", 3),
    ", ",
    maybe_id!("$4", 4),
    ", ",
    maybe_id!("$4", 5),
    "
  FROM json_each($1) j;
INSERT INTO ledger_entries (workspace_id, account_id, number, posting_id, line, amount, currency, balance)
  SELECT ",
    id!("$5", 0),
    ", ",
    id!("$5", 1),
    ", ",
    int!("$5", 2),
    ", ",
    id!("$5", 3),
    ", ",
    int!("$5", 4),
    ", ",
    int!("$5", 5),
    ", ",
    text!("$5", 6),
    ", ",
    int!("$5", 7),
    "
  FROM json_each($2) j;
UPDATE ledger_accounts SET balance = ",
    int!("$6", 2),
    ", entries = ",
    int!("$6", 3),
    " FROM json_each($3) j
  WHERE ledger_accounts.workspace_id = ",
    id!("$6", 0),
    " AND ledger_accounts.id = ",
    id!("$6", 1),
);

/// What is asked of the ledger.
#[derive(Debug, Default)]
pub(super) struct LedgerQuestions {
    asked: HashSet<Name>,
    lists: [List; 3],
}

impl LedgerQuestions {
    /// Asks about everything that these postings name, once.
    pub(super) fn ask(&mut self, workspace: WorkspaceId, postings: &[Posting]) -> Result<()> {
        for name in names(workspace, postings) {
            let (named, workspace, id) = name;
            if self.asked.insert(name) {
                let [accounts, postings, reversed] = &mut self.lists;
                let list = match named {
                    Named::Account => accounts,
                    Named::Posting => postings,
                    Named::Reversed => reversed,
                };
                list.row(2).id(workspace).id(id).end()?;
            }
        }
        Ok(())
    }

    /// Looks, unless nothing was asked.
    pub(super) async fn look(self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<SqliteRow>> {
        if self.asked.is_empty() {
            return Ok(Vec::new());
        }
        bound(LOOK_AT_LEDGER, self.lists).fetch_all(connection).await
    }
}

impl KnownLedger {
    /// Reads what [`LedgerQuestions::look`] has seen. A row that cannot be read fails those alone who have named it.
    pub(super) fn read(rows: &[SqliteRow], met: &UnreadableRows) -> Self {
        let mut known = Self::default();
        for row in rows {
            let kind = integer(row, 0).unwrap_or_default();
            let Err(error) = known.add(kind, row) else { continue };
            let (named, table) = match kind {
                1 => (Named::Account, "ledger_accounts"),
                2 => (Named::Posting, "ledger_postings"),
                _ => (Named::Reversed, "ledger_postings"),
            };
            let unread = Origin::new(table, 2).name(row, &error);
            met.notice(&unread);
            // The key of what was asked for is equal to what was asked, so that it can always be read.
            if let (Ok(workspace), Ok(id)) = (uuid(row, 1), uuid(row, 2)) {
                known.unread.insert((named, workspace, id), unread);
            }
        }
        known
    }

    fn add(&mut self, kind: i64, row: &SqliteRow) -> Result<()> {
        let workspace = WorkspaceId::from_uuid(uuid(row, 1)?);
        match kind {
            1 => {
                let standing = standing(row, 5, 4, 6)?;
                self.book.accounts.insert((workspace, AccountId::from_uuid(uuid(row, 2)?)), standing);
            }
            2 => {
                let id = PostingId::from_uuid(uuid(row, 2)?);
                let entry = Entry::new(AccountId::from_uuid(uuid(row, 9)?), money(row, 6, 10)?);
                let lead = optional_uuid(row, 3)?.map(LeadId::from_uuid);
                let reverses = optional_uuid(row, 8)?.map(PostingId::from_uuid);
                let (at, kind) = (moment(row, 4)?, column_text(row, 5)?);
                let stored = self.book.postings.entry((workspace, id)).or_insert_with(|| {
                    let mut posting = Posting::new(id, at, kind, Vec::new());
                    (posting.lead, posting.reverses) = (lead, reverses);
                    posting
                });
                stored.entries.push(entry);
            }
            _ => drop(self.book.reversed.insert((workspace, PostingId::from_uuid(uuid(row, 2)?)))),
        }
        Ok(())
    }

    /// What members have posted, written down; `None` where none has.
    pub(super) fn changes(&self) -> Result<Option<LedgerChanges>> {
        if self.postings.is_empty() {
            return Ok(None);
        }
        let mut lists: [List; 3] = Default::default();
        for (workspace, posting) in &self.postings {
            lists[0]
                .row(6)
                .id(workspace.as_uuid())
                .id(posting.id.as_uuid())
                .int(posting.at.timestamp_millis())
                .text(&posting.kind)
                .maybe_id(posting.lead.map(|lead| lead.as_uuid()))
                .maybe_id(posting.reverses.map(|reversed| reversed.as_uuid()))
                .end()?;
        }
        for (workspace, entry) in &self.entries {
            lists[1]
                .row(8)
                .id(workspace.as_uuid())
                .id(entry.account.as_uuid())
                .int(i64::try_from(entry.number).unwrap_or(i64::MAX))
                .id(entry.posting.as_uuid())
                .int(i64::from(entry.line))
                .int(entry.amount.minor)
                .text(entry.amount.currency.as_str())
                .int(entry.balance.minor)
                .end()?;
        }
        for key in &self.accounts {
            let Some(standing) = self.book.accounts.get(key) else { continue };
            lists[2]
                .row(4)
                .id(key.0.as_uuid())
                .id(key.1.as_uuid())
                .int(standing.balance)
                .int(i64::try_from(standing.entries).unwrap_or(i64::MAX))
                .end()?;
        }
        Ok(Some(LedgerChanges { lists }))
    }
}

/// What a group changes of ledgers.
#[derive(Debug)]
pub(super) struct LedgerChanges {
    lists: [List; 3],
}

impl LedgerChanges {
    /// Makes the changes; the transaction stays open.
    pub(super) async fn write(self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        bound(WRITE_LEDGER, self.lists).execute(connection).await.map(drop)
    }
}

/// An account whose currency, credit and balance stand in these columns, and the number of its entries behind the balance.
pub(super) fn standing(row: &SqliteRow, currency: usize, credit: usize, balance: usize) -> Result<Standing> {
    let below_zero = |limit: Option<i64>| limit.is_some_and(|limit| limit < 0);
    Ok(Standing {
        currency: read_currency(row, currency)?,
        credit: match optional_integer(row, credit)? {
            limit if below_zero(limit) => return Err(unread(row, credit)),
            limit => limit,
        },
        balance: integer(row, balance)?,
        entries: u64::try_from(integer(row, balance + 1)?).map_err(|_| unread(row, balance + 1))?,
    })
}

/// An amount whose minor units and currency stand in these columns.
pub(super) fn money(row: &SqliteRow, minor: usize, currency: usize) -> Result<Money> {
    Ok(Money::new(integer(row, minor)?, read_currency(row, currency)?))
}

fn read_currency(row: &SqliteRow, index: usize) -> Result<Currency> {
    column_text(row, index)?.parse().map_err(|_| unread(row, index))
}
