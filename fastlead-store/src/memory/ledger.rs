//! The ledger.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{AccountId, PostingId, WorkspaceId};
use fastlead_core::money::Money;
use fastlead_core::port::{
    AccountBalance, AccountEntry, CommitOutcome, Ledger, LedgerAccount, Page, PageRequest, Posting, Refusal,
    check_postings,
};
use uuid::Uuid;

use super::MemoryStore;
use super::journal::page;
use crate::book::{Book, Standing, check_credit, other_currency};

/// Accounts, postings and entries.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    accounts: BTreeMap<(WorkspaceId, AccountId), LedgerAccount>,
    book: Book,
    /// Oldest first.
    entries: HashMap<(WorkspaceId, AccountId), Vec<AccountEntry>>,
}

impl Accounts {
    /// Makes well-formed postings: all, or none.
    pub(super) fn post(&mut self, workspace: WorkspaceId, postings: &[Posting]) -> Result<(), Refusal> {
        if postings.is_empty() {
            return Ok(());
        }
        let plan = self.book.plan(workspace, postings)?;
        for entry in &plan.entries {
            let Some(posting) = plan.postings.iter().find(|posting| posting.id == entry.posting) else {
                continue;
            };
            self.entries.entry((workspace, entry.account)).or_default().push(AccountEntry {
                number: entry.number,
                posting: posting.id,
                at: posting.at,
                kind: posting.kind.clone(),
                lead: posting.lead,
                reverses: posting.reverses,
                amount: entry.amount,
                balance: entry.balance,
            });
        }
        self.book.apply(workspace, &plan);
        Ok(())
    }

    fn balance(&self, workspace: WorkspaceId, account: AccountId) -> Option<AccountBalance> {
        let key = (workspace, account);
        let (account, standing) = (self.accounts.get(&key)?.clone(), self.book.accounts.get(&key)?);
        let balance = Money::new(standing.balance, standing.currency);
        Some(AccountBalance { account, balance, entries: standing.entries })
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn open_account(&self, account: LedgerAccount) -> Result<LedgerAccount> {
        check_credit(account.credit)?;
        let ledger = &mut self.lock().ledger;
        let key = (account.workspace_id, account.id);
        if let Some(stored) = ledger.accounts.get(&key) {
            return if stored.currency == account.currency {
                Ok(stored.clone())
            } else {
                Err(other_currency())
            };
        }
        let LedgerAccount { currency, credit, .. } = account;
        ledger.book.accounts.insert(key, Standing { currency, credit, balance: 0, entries: 0 });
        ledger.accounts.insert(key, account.clone());
        Ok(account)
    }

    async fn set_credit(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        credit: Option<i64>,
    ) -> Result<CommitOutcome> {
        check_credit(credit)?;
        let ledger = &mut self.lock().ledger;
        let key = (workspace, account);
        let (Some(stored), Some(standing)) =
            (ledger.accounts.get_mut(&key), ledger.book.accounts.get_mut(&key))
        else {
            return Err(Error::new(ErrorKind::NotFound, "no such account").with_operation("set credit"));
        };
        let after = Standing { credit, ..*standing };
        if after.is_below_its_floor() {
            return Ok(CommitOutcome::Refused(Refusal::Short { account, available: after.available() }));
        }
        (stored.credit, *standing) = (credit, after);
        Ok(CommitOutcome::Applied)
    }

    async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome> {
        check_postings(&postings)?;
        let posted = self.lock().ledger.post(workspace, &postings);
        Ok(posted.map_or_else(CommitOutcome::Refused, |()| CommitOutcome::Applied))
    }

    async fn balances(
        &self,
        workspace: WorkspaceId,
        accounts: Vec<AccountId>,
    ) -> Result<Vec<Option<AccountBalance>>> {
        let data = self.lock();
        Ok(accounts.into_iter().map(|account| data.ledger.balance(workspace, account)).collect())
    }

    async fn ledger_accounts(
        &self,
        workspace: WorkspaceId,
        request: PageRequest,
    ) -> Result<Page<AccountBalance>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0);
        let ids = data
            .ledger
            .accounts
            .keys()
            .filter(|(owner, id)| *owner == workspace && after.is_none_or(|after| id.as_uuid() > after));
        let found = ids.filter_map(|(_, id)| data.ledger.balance(workspace, *id));
        Ok(page(found, &request, |found| found.account.id.as_uuid()))
    }

    async fn entries(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        request: PageRequest,
    ) -> Result<Page<AccountEntry>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0.as_u128());
        let entries = data.ledger.entries.get(&(workspace, account)).map_or(&[][..], Vec::as_slice);
        let older = |entry: &&AccountEntry| after.is_none_or(|after| u128::from(entry.number) < after);
        let entries = entries.iter().rev().filter(older).cloned();
        Ok(page(entries, &request, |entry| Uuid::from_u128(u128::from(entry.number))))
    }

    async fn posting(&self, workspace: WorkspaceId, posting: PostingId) -> Result<Option<Posting>> {
        Ok(self.lock().ledger.book.postings.get(&(workspace, posting)).cloned())
    }
}
