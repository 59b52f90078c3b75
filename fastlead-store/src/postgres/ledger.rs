//! The ledger. How postings are made is in [`super::postings`].

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{AccountId, LeadId, PostingId, WorkspaceId};
use fastlead_core::money::Money;
use fastlead_core::port::{
    AccountBalance, AccountEntry, CommitOutcome, Entry, Ledger, LedgerAccount, Page, PageRequest, Posting,
    Refusal,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::journal::limit;
use super::postings::{money, standing};
use super::reading::{self, Origin};
use super::rows::{clean, get, moment, unread, uuid};
use crate::book::{Standing, check_credit, other_currency};

/// The columns of an account, in the order in which [`account`] reads them.
const ACCOUNT: &str = "a.id, a.workspace_id, a.name, a.currency, a.credit, a.balance, a.entries";
const ACCOUNTS: Origin = Origin::new("ledger_accounts", 0);

/// Reads one account, which nobody posts to or changes until the end of the transaction.
fn one_account() -> String {
    format!("SELECT {ACCOUNT} FROM ledger_accounts a WHERE a.workspace_id = $1 AND a.id = $2 FOR UPDATE")
}

fn some_accounts() -> String {
    format!("SELECT {ACCOUNT} FROM ledger_accounts a WHERE a.workspace_id = $1 AND a.id = ANY($2)")
}

/// Before the first page: smaller than every id.
fn all_accounts() -> String {
    format!(
        "SELECT {ACCOUNT} FROM ledger_accounts a
           WHERE a.workspace_id = $1 AND a.id > $2 ORDER BY a.id LIMIT $3"
    )
}

const ENTRIES: &str =
    "SELECT e.number, e.posting_id, p.at, p.kind, p.lead_id, p.reverses, e.amount, e.currency, e.balance
  FROM ledger_entries e LEFT JOIN ledger_postings p ON p.workspace_id = e.workspace_id AND p.id = e.posting_id
  WHERE e.workspace_id = $1 AND e.account_id = $2 AND e.number < $3 ORDER BY e.number DESC LIMIT $4";

const POSTING: &str = "SELECT p.id, p.at, p.kind, p.lead_id, p.reverses, e.account_id, e.amount, e.currency
  FROM ledger_postings p LEFT JOIN ledger_entries e ON e.workspace_id = p.workspace_id AND e.posting_id = p.id
  WHERE p.workspace_id = $1 AND p.id = $2 ORDER BY e.line";

const OPEN: &str = "INSERT INTO ledger_accounts (workspace_id, id, name, currency, credit, balance, entries)
  VALUES ($1, $2, $3, $4, $5, 0, 0) ON CONFLICT DO NOTHING";

const SET_CREDIT: &str = "UPDATE ledger_accounts SET credit = $3 WHERE workspace_id = $1 AND id = $2";

fn account(row: &PgRow) -> Result<AccountBalance> {
    let Standing { currency, credit, balance, entries } = standing(row, 3)?;
    let (id, workspace) = (AccountId::from_uuid(uuid(row, 0)?), WorkspaceId::from_uuid(uuid(row, 1)?));
    let account = LedgerAccount::new(workspace, id, get::<String>(row, 2)?, currency).with_credit(credit);
    Ok(AccountBalance { account, balance: Money::new(balance, currency), entries })
}

fn entry(row: &PgRow) -> Result<AccountEntry> {
    let amount = money(row, 6, 7)?;
    Ok(AccountEntry {
        number: u64::try_from(get::<i64>(row, 0)?).map_err(|_| unread(row, 0))?,
        posting: PostingId::from_uuid(uuid(row, 1)?),
        at: moment(row, 2)?,
        kind: get::<String>(row, 3)?,
        lead: get::<Option<Uuid>>(row, 4)?.map(LeadId::from_uuid),
        reverses: get::<Option<Uuid>>(row, 5)?.map(PostingId::from_uuid),
        amount,
        balance: Money::new(get::<i64>(row, 8)?, amount.currency),
    })
}

async fn read_account(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    account: AccountId,
    operation: &'static str,
) -> Result<Option<PgRow>> {
    sqlx::query(AssertSqlSafe(one_account()))
        .bind(workspace.as_uuid())
        .bind(account.as_uuid())
        .fetch_optional(connection)
        .await
        .map_err(|error| failed(operation, &error))
}

#[async_trait]
impl Ledger for PostgresStore {
    async fn open_account(&self, new: LedgerAccount) -> Result<LedgerAccount> {
        check_credit(new.credit)?;
        let met = self.unreadable.clone();
        self.run("open account", move |connection| {
            Box::pin(async move {
                sqlx::query(OPEN)
                    .bind(new.workspace_id.as_uuid())
                    .bind(new.id.as_uuid())
                    .bind(clean(&new.name))
                    .bind(new.currency.as_str().to_owned())
                    .bind(new.credit)
                    .execute(&mut *connection)
                    .await
                    .map_err(|error| failed("open account", &error))?;
                let row = read_account(connection, new.workspace_id, new.id, "open account").await?;
                let Some(row) = row else {
                    return Err(Error::new(ErrorKind::Internal, "the account was not stored")
                        .with_operation("open account"));
                };
                let stored = reading::one(&met, ACCOUNTS.of(new.workspace_id), &row, account)?.account;
                if stored.currency == new.currency { Ok(stored) } else { Err(other_currency()) }
            })
        })
        .await
    }

    async fn set_credit(
        &self,
        workspace: WorkspaceId,
        id: AccountId,
        credit: Option<i64>,
    ) -> Result<CommitOutcome> {
        check_credit(credit)?;
        let met = self.unreadable.clone();
        self.run("set credit", move |connection| {
            Box::pin(async move {
                let row = read_account(connection, workspace, id, "set credit").await?;
                let Some(row) = row else {
                    return Err(
                        Error::new(ErrorKind::NotFound, "no such account").with_operation("set credit")
                    );
                };
                let found = reading::one(&met, ACCOUNTS.of(workspace), &row, |row| standing(row, 3))?;
                let after = Standing { credit, ..found };
                if after.is_below_its_floor() {
                    let available = after.available();
                    return Ok(CommitOutcome::Refused(Refusal::Short { account: id, available }));
                }
                sqlx::query(SET_CREDIT)
                    .bind(workspace.as_uuid())
                    .bind(id.as_uuid())
                    .bind(credit)
                    .execute(connection)
                    .await
                    .map_err(|error| failed("set credit", &error))?;
                Ok(CommitOutcome::Applied)
            })
        })
        .await
    }

    async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome> {
        self.writer.post(workspace, postings).await
    }

    async fn balances(
        &self,
        workspace: WorkspaceId,
        accounts: Vec<AccountId>,
    ) -> Result<Vec<Option<AccountBalance>>> {
        let ids: Vec<Uuid> = accounts.iter().map(|account| account.as_uuid()).collect();
        let rows = sqlx::query(AssertSqlSafe(some_accounts()))
            .bind(workspace.as_uuid())
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("read balances", &error))?;
        let from = ACCOUNTS.of(workspace);
        let mut found = std::collections::HashMap::with_capacity(rows.len());
        for row in &rows {
            let read = reading::one(&self.unreadable, from, row, account)?;
            found.insert(read.account.id, read);
        }
        Ok(accounts.iter().map(|account| found.get(account).cloned()).collect())
    }

    async fn ledger_accounts(
        &self,
        workspace: WorkspaceId,
        request: PageRequest,
    ) -> Result<Page<AccountBalance>> {
        let limit = limit(&request);
        let rows = sqlx::query(AssertSqlSafe(all_accounts()))
            .bind(workspace.as_uuid())
            .bind(request.after.map_or(Uuid::nil(), |cursor| cursor.0))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list accounts", &error))?;
        Ok(reading::page(&self.unreadable, ACCOUNTS.of(workspace), &rows, limit, account))
    }

    async fn entries(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        request: PageRequest,
    ) -> Result<Page<AccountEntry>> {
        let limit = limit(&request);
        let before = request.after.map(|cursor| i64::try_from(cursor.0.as_u128()).unwrap_or(i64::MAX));
        let rows = sqlx::query(ENTRIES)
            .bind(workspace.as_uuid())
            .bind(account.as_uuid())
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list entries", &error))?;
        let from = Origin::new("ledger_entries", 1).of(workspace);
        let place = |row: &PgRow| Some(Uuid::from_u128(u128::try_from(get::<i64>(row, 0).ok()?).ok()?));
        Ok(reading::page_by(&self.unreadable, from, &rows, limit, place, entry))
    }

    async fn posting(&self, workspace: WorkspaceId, posting: PostingId) -> Result<Option<Posting>> {
        let rows = sqlx::query(POSTING)
            .bind(workspace.as_uuid())
            .bind(posting.as_uuid())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("read a posting", &error))?;
        let from = Origin::new("ledger_postings", 0).of(workspace);
        let head = |row: &PgRow| {
            let mut found = Posting::new(posting, moment(row, 1)?, get::<String>(row, 2)?, Vec::new());
            found.lead = get::<Option<Uuid>>(row, 3)?.map(LeadId::from_uuid);
            found.reverses = get::<Option<Uuid>>(row, 4)?.map(PostingId::from_uuid);
            Ok(found)
        };
        let line = |row: &PgRow| Ok(Entry::new(AccountId::from_uuid(uuid(row, 5)?), money(row, 6, 7)?));
        let Some(first) = rows.first() else { return Ok(None) };
        let mut found = reading::one(&self.unreadable, from, first, head)?;
        for row in &rows {
            found.entries.push(reading::one(&self.unreadable, from, row, line)?);
        }
        Ok(Some(found))
    }
}
