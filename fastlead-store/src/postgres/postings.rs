//! Postings of a group: one look at the accounts and postings that its members name, one set of changes. The locks of the
//! workspaces are held, so nobody else posts meanwhile. A group without postings makes none of these calls.

use std::collections::HashSet;

use fastlead_core::error::Result;
use fastlead_core::id::{AccountId, LeadId, PostingId, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{Entry, Posting, UnreadableRows};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::reading::Origin;
use super::rows::{clean, get, moment, unread, uuid};
use crate::book::Standing;
use crate::known_ledger::{KnownLedger, Name, Named, names};

/// Looks, within the transaction. The rows of accounts stay locked: their credit is changed elsewhere.
const ACCOUNTS: &str = "SELECT a.workspace_id, a.id, a.currency, a.credit, a.balance, a.entries
  FROM unnest($1::uuid[], $2::uuid[]) AS j(workspace_id, id)
  JOIN ledger_accounts a ON a.workspace_id = j.workspace_id AND a.id = j.id ORDER BY a.workspace_id, a.id FOR UPDATE OF a";

const POSTINGS: &str =
    "SELECT p.workspace_id, p.id, p.lead_id, p.at, p.kind, p.reverses, e.account_id, e.amount, e.currency
  FROM unnest($1::uuid[], $2::uuid[]) AS j(workspace_id, id)
  JOIN ledger_postings p ON p.workspace_id = j.workspace_id AND p.id = j.id
  LEFT JOIN ledger_entries e ON e.workspace_id = p.workspace_id AND e.posting_id = p.id";

const REVERSED: &str =
    "SELECT p.workspace_id, p.reverses FROM unnest($1::uuid[], $2::uuid[]) AS j(workspace_id, id)
  JOIN ledger_postings p ON p.workspace_id = j.workspace_id AND p.reverses = j.id";

const INSERT_POSTINGS: &str = "INSERT INTO ledger_postings (workspace_id, id, at, kind, lead_id, reverses)
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::uuid[])";

const INSERT_ENTRIES: &str =
    "INSERT INTO ledger_entries (workspace_id, account_id, number, posting_id, line, amount, currency, balance)
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::integer[], $6::bigint[], $7::text[], $8::bigint[])";

const UPDATE_ACCOUNTS: &str = "UPDATE ledger_accounts a SET balance = j.balance, entries = j.entries
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS j(workspace_id, id, balance, entries)
  WHERE a.workspace_id = j.workspace_id AND a.id = j.id";

/// What is asked of the ledger.
#[derive(Debug, Default)]
pub(super) struct LedgerQuestions {
    asked: HashSet<Name>,
}

impl LedgerQuestions {
    /// Asks about everything that these postings name, once.
    pub(super) fn ask(&mut self, workspace: WorkspaceId, postings: &[Posting]) {
        self.asked.extend(names(workspace, postings));
    }

    fn of(&self, kind: Named) -> (Vec<Uuid>, Vec<Uuid>) {
        let asked = self.asked.iter().filter(|(named, ..)| *named == kind);
        asked.map(|(_, workspace, id)| (*workspace, *id)).unzip()
    }

    /// Looks, unless nothing was asked. A row that cannot be read fails those alone who have named it.
    pub(super) async fn look(
        self,
        connection: &mut PgConnection,
        met: &UnreadableRows,
    ) -> sqlx::Result<KnownLedger> {
        let mut known = KnownLedger::default();
        let kinds = [
            (Named::Account, ACCOUNTS, "ledger_accounts", account as Read),
            (Named::Posting, POSTINGS, "ledger_postings", posting as Read),
            (Named::Reversed, REVERSED, "ledger_postings", reversed as Read),
        ];
        for (named, statement, table, read) in kinds {
            let (workspaces, ids) = self.of(named);
            if ids.is_empty() {
                continue;
            }
            let rows = sqlx::query(statement).bind(workspaces).bind(ids).fetch_all(&mut *connection).await?;
            for row in &rows {
                let Err(error) = read(row, &mut known) else { continue };
                let unread = Origin::new(table, 1).name(row, &error);
                met.notice(&unread);
                if let (Ok(workspace), Ok(id)) = (uuid(row, 0), uuid(row, 1)) {
                    known.unread.insert((named, workspace, id), unread);
                }
            }
        }
        Ok(known)
    }
}

type Read = fn(&PgRow, &mut KnownLedger) -> Result<()>;

fn account(row: &PgRow, known: &mut KnownLedger) -> Result<()> {
    let key = (WorkspaceId::from_uuid(uuid(row, 0)?), AccountId::from_uuid(uuid(row, 1)?));
    known.book.accounts.insert(key, standing(row, 2)?);
    Ok(())
}

fn posting(row: &PgRow, known: &mut KnownLedger) -> Result<()> {
    let (workspace, id) = (WorkspaceId::from_uuid(uuid(row, 0)?), PostingId::from_uuid(uuid(row, 1)?));
    let entry = Entry::new(AccountId::from_uuid(uuid(row, 6)?), money(row, 7, 8)?);
    let lead = get::<Option<Uuid>>(row, 2)?.map(LeadId::from_uuid);
    let reverses = get::<Option<Uuid>>(row, 5)?.map(PostingId::from_uuid);
    let (at, kind) = (moment(row, 3)?, get::<String>(row, 4)?);
    let stored = known.book.postings.entry((workspace, id)).or_insert_with(|| {
        let mut posting = Posting::new(id, at, kind, Vec::new());
        (posting.lead, posting.reverses) = (lead, reverses);
        posting
    });
    stored.entries.push(entry);
    Ok(())
}

fn reversed(row: &PgRow, known: &mut KnownLedger) -> Result<()> {
    known.book.reversed.insert((WorkspaceId::from_uuid(uuid(row, 0)?), PostingId::from_uuid(uuid(row, 1)?)));
    Ok(())
}

/// An account whose currency, credit, balance and number of entries stand in four columns from `first` on.
pub(super) fn standing(row: &PgRow, first: usize) -> Result<Standing> {
    let credit: Option<i64> = get(row, first + 1)?;
    if credit.is_some_and(|credit| credit < 0) {
        return Err(unread(row, first + 1));
    }
    Ok(Standing {
        currency: currency(row, first)?,
        credit,
        balance: get(row, first + 2)?,
        entries: u64::try_from(get::<i64>(row, first + 3)?).map_err(|_| unread(row, first + 3))?,
    })
}

/// An amount whose minor units and currency stand in these columns.
pub(super) fn money(row: &PgRow, minor: usize, of: usize) -> Result<Money> {
    Ok(Money::new(get(row, minor)?, currency(row, of)?))
}

fn currency(row: &PgRow, index: usize) -> Result<Currency> {
    get::<&str>(row, index)?.parse().map_err(|_| unread(row, index))
}

/// Writes what members have posted; the transaction stays open.
pub(super) async fn write(known: &KnownLedger, connection: &mut PgConnection) -> sqlx::Result<()> {
    if known.postings.is_empty() {
        return Ok(());
    }
    let rows = &known.postings;
    let of = |value: fn(&Posting) -> Uuid| rows.iter().map(|(_, posting)| value(posting)).collect::<Vec<_>>();
    let maybe = |value: fn(&Posting) -> Option<Uuid>| {
        rows.iter().map(|(_, posting)| value(posting)).collect::<Vec<_>>()
    };
    sqlx::query(INSERT_POSTINGS)
        .bind(rows.iter().map(|(workspace, _)| workspace.as_uuid()).collect::<Vec<_>>())
        .bind(of(|posting| posting.id.as_uuid()))
        .bind(rows.iter().map(|(_, posting)| posting.at.timestamp_millis()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, posting)| clean(&posting.kind)).collect::<Vec<_>>())
        .bind(maybe(|posting| posting.lead.map(|lead| lead.as_uuid())))
        .bind(maybe(|posting| posting.reverses.map(|reversed| reversed.as_uuid())))
        .execute(&mut *connection)
        .await?;
    let rows = &known.entries;
    sqlx::query(INSERT_ENTRIES)
        .bind(rows.iter().map(|(workspace, _)| workspace.as_uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.account.as_uuid()).collect::<Vec<_>>())
        .bind(
            rows.iter().map(|(_, entry)| i64::try_from(entry.number).unwrap_or(i64::MAX)).collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|(_, entry)| entry.posting.as_uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| i32::try_from(entry.line).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.amount.minor).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.amount.currency.as_str().to_owned()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, entry)| entry.balance.minor).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    let rows: Vec<_> =
        known.accounts.iter().filter_map(|key| Some((key, known.book.accounts.get(key)?))).collect();
    sqlx::query(UPDATE_ACCOUNTS)
        .bind(rows.iter().map(|(key, _)| key.0.as_uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(key, _)| key.1.as_uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, standing)| standing.balance).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|(_, standing)| i64::try_from(standing.entries).unwrap_or(i64::MAX))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map(drop)
}
