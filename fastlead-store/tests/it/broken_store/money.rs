//! The ledger of the broken store.

use std::collections::{HashMap, HashSet};

use fastlead_core::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{AccountId, PostingId, WorkspaceId};
use fastlead_core::money::Money;
use fastlead_core::port::{
    AccountBalance, AccountEntry, CommitOutcome, Ledger, LedgerAccount, Page, PageRequest, Posting, Refusal,
    UnreadableRow,
};
use fastlead_testkit::conformance::store::StoredRow;

use super::flaw::{BrokenStore, Flaw};

/// What a flaw needs to know of the money that went by.
#[derive(Debug, Default)]
pub(super) struct Seen {
    accounts: HashMap<AccountId, LedgerAccount>,
    tried: HashMap<PostingId, u32>,
    owners: HashMap<PostingId, WorkspaceId>,
    damaged_accounts: HashSet<AccountId>,
    damaged_postings: HashSet<PostingId>,
}

fn row(table: &str, id: impl ToString, workspace: WorkspaceId) -> UnreadableRow {
    UnreadableRow::new(table, id.to_string(), format!("{table}.currency")).of(Some(workspace))
}

impl BrokenStore {
    pub(super) fn damage_money(&self, row: StoredRow) -> bool {
        let money = &mut self.seen.lock().unwrap().money;
        match row {
            StoredRow::Account(id) => money.damaged_accounts.insert(id),
            StoredRow::Posting(id) => money.damaged_postings.insert(id),
            _ => false,
        }
    }

    /// The rows of the workspace's ledger that count as damaged.
    pub(super) fn unread_money(&self, workspace: WorkspaceId) -> Vec<UnreadableRow> {
        let money = &self.seen.lock().unwrap().money;
        let accounts = money.damaged_accounts.iter().map(|id| row("ledger_accounts", id, workspace));
        let postings = money.damaged_postings.iter().map(|id| row("ledger_postings", id, workspace));
        accounts.chain(postings).collect()
    }

    /// The row of an account that counts as damaged; with a flaw one is enough for all.
    fn unread_account(&self, workspace: WorkspaceId, account: AccountId) -> Option<UnreadableRow> {
        let damaged = &self.seen.lock().unwrap().money.damaged_accounts;
        let all = self.has(Flaw::FailsTheBatch) && !damaged.is_empty();
        (all || damaged.contains(&account)).then(|| row("ledger_accounts", account, workspace))
    }

    fn unread_posting(&self, workspace: WorkspaceId, posting: PostingId) -> Option<UnreadableRow> {
        let damaged = self.seen.lock().unwrap().money.damaged_postings.contains(&posting);
        damaged.then(|| row("ledger_postings", posting, workspace))
    }

    /// Whose an account really is.
    fn owner(&self, workspace: WorkspaceId, account: AccountId) -> WorkspaceId {
        let owner = self.seen.lock().unwrap().money.accounts.get(&account).map(|known| known.workspace_id);
        owner.filter(|_| self.has(Flaw::ShowsEveryAccount)).unwrap_or(workspace)
    }

    /// What is posted in place of what was asked for, or an answer at once.
    pub(super) async fn before_posting(
        &self,
        workspace: WorkspaceId,
        mut postings: Vec<Posting>,
    ) -> Result<std::result::Result<(WorkspaceId, Vec<Posting>), CommitOutcome>> {
        for posting in &postings {
            let accounts =
                posting.entries.iter().filter_map(|entry| self.unread_account(workspace, entry.account));
            if let Some(row) = accounts.chain(self.unread_posting(workspace, posting.id)).next() {
                return Err(row.into());
            }
        }
        if self.has(Flaw::LooksBeforePosting)
            && let Some(refusal) = self.looks_short(workspace, &postings).await?
        {
            return Ok(Err(CommitOutcome::Refused(refusal)));
        }
        let mut owner = workspace;
        for posting in &mut postings {
            self.worsen_posting(posting);
            if let Some(entry) = posting.entries.first() {
                owner = self.owner(workspace, entry.account);
            }
            self.seen.lock().unwrap().money.owners.entry(posting.id).or_insert(owner);
        }
        if self.has(Flaw::PostsByHalf) {
            for posting in &mut postings {
                let Some(short) = self.short_entry(workspace, posting).await? else { continue };
                // What is short is left out, and the others get less.
                let left_out = posting.entries.remove(short).amount.minor;
                if let Some(last) = posting.entries.last_mut() {
                    last.amount.minor += left_out;
                }
            }
        }
        Ok(Ok((owner, postings)))
    }

    fn worsen_posting(&self, posting: &mut Posting) {
        match self.flaw {
            Flaw::BalancesTheUnbalanced => {
                let sum: i64 = posting.entries.iter().map(|entry| entry.amount.minor).sum();
                if let Some(last) = posting.entries.last_mut() {
                    last.amount.minor -= sum;
                }
            }
            Flaw::PostsTwice => {
                let mut seen = self.seen.lock().unwrap();
                let tried = seen.money.tried.entry(posting.id).or_default();
                *tried += 1;
                if *tried > 1 {
                    posting.id = PostingId::of(&[&posting.id.hex(), &tried.to_string()]);
                }
            }
            Flaw::ReversesAnything => posting.reverses = None,
            _ => {}
        }
    }

    /// As who reads a balance, thinks, and then posts.
    async fn looks_short(&self, workspace: WorkspaceId, postings: &[Posting]) -> Result<Option<Refusal>> {
        for posting in postings {
            let known = self.inner.posting(workspace, posting.id).await?.is_some();
            if let (false, Some(place)) = (known, self.short_entry(workspace, posting).await?) {
                let account = posting.entries[place].account;
                let available = self.available(workspace, account).await?;
                return Ok(available.map(|available| Refusal::Short { account, available }));
            }
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        Ok(None)
    }

    async fn available(&self, workspace: WorkspaceId, account: AccountId) -> Result<Option<Money>> {
        let found = self.inner.balances(workspace, vec![account]).await?.remove(0);
        let known = self.seen.lock().unwrap().money.accounts.get(&account).cloned();
        let credit = known.and_then(|known| known.credit);
        let minor = |found: &AccountBalance| Some(found.balance.minor + credit?);
        Ok(found.and_then(|found| Some(Money::new(minor(&found)?, found.balance.currency))))
    }

    /// The place of the first entry that its account has not got.
    async fn short_entry(&self, workspace: WorkspaceId, posting: &Posting) -> Result<Option<usize>> {
        for (place, entry) in posting.entries.iter().enumerate() {
            let available = self.available(workspace, entry.account).await?;
            if available.is_some_and(|available| available.minor + entry.amount.minor < 0) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    pub(super) fn after_posting(&self, outcome: CommitOutcome) -> CommitOutcome {
        let swallowed = matches!(
            (&outcome, self.flaw),
            (CommitOutcome::Refused(Refusal::PostingReused(_)), Flaw::TakesAnyForTheSame)
                | (CommitOutcome::Refused(Refusal::Unpostable { .. }), Flaw::SwallowsFaults)
        );
        if swallowed { CommitOutcome::Applied } else { outcome }
    }

    /// Whether the good store is told of no floor.
    fn is_bottomless(&self) -> bool {
        self.has(Flaw::ForgetsTheFloor) || self.has(Flaw::LooksBeforePosting)
    }

    /// What was said of the credit, where the good store was told of none.
    fn with_its_credit(&self, mut account: LedgerAccount) -> LedgerAccount {
        let seen = self.seen.lock().unwrap();
        let known = seen.money.accounts.get(&account.id);
        if let Some(known) = known.filter(|_| self.is_bottomless()) {
            account.credit = known.credit;
        }
        account
    }

    fn shown(&self, mut found: AccountBalance) -> AccountBalance {
        found.account = self.with_its_credit(found.account);
        found
    }
}

#[async_trait]
impl Ledger for BrokenStore {
    async fn open_account(&self, account: LedgerAccount) -> Result<LedgerAccount> {
        let (workspace, id, credit) = (account.workspace_id, account.id, account.credit);
        self.seen.lock().unwrap().money.accounts.entry(id).or_insert_with(|| account.clone());
        let credit_told = if self.is_bottomless() && credit >= Some(0) { None } else { credit };
        let stored = self.inner.open_account(account.with_credit(credit_told)).await?;
        if self.has(Flaw::ReopensAccounts) {
            self.inner.set_credit(workspace, id, credit).await?;
            return Ok(stored.with_credit(credit));
        }
        Ok(self.with_its_credit(stored))
    }

    async fn set_credit(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        credit: Option<i64>,
    ) -> Result<CommitOutcome> {
        if self.has(Flaw::KeepsCredit) && credit >= Some(0) {
            return Ok(CommitOutcome::Applied);
        }
        if self.is_bottomless() {
            if let Some(known) = self.seen.lock().unwrap().money.accounts.get_mut(&account) {
                known.credit = credit;
            }
            return Ok(CommitOutcome::Applied);
        }
        self.inner.set_credit(self.owner(workspace, account), account, credit).await
    }

    async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome> {
        match self.before_posting(workspace, postings).await? {
            Ok((owner, postings)) => Ok(self.after_posting(self.inner.post(owner, postings).await?)),
            Err(answer) => Ok(answer),
        }
    }

    async fn balances(
        &self,
        workspace: WorkspaceId,
        accounts: Vec<AccountId>,
    ) -> Result<Vec<Option<AccountBalance>>> {
        let mut all = Vec::new();
        for account in accounts {
            if let Some(row) = self.unread_account(workspace, account) {
                return Err(row.into());
            }
            let found = self.inner.balances(self.owner(workspace, account), vec![account]).await?;
            all.extend(found.into_iter().map(|found| found.map(|found| self.shown(found))));
        }
        Ok(all)
    }

    async fn ledger_accounts(
        &self,
        workspace: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<AccountBalance>> {
        let later = page.after.is_some();
        let mut found = self.inner.ledger_accounts(workspace, page).await?;
        let mut whole = Vec::new();
        for item in found.items {
            match self.unread_account(workspace, item.account.id) {
                Some(row) if !self.has(Flaw::HidesTheUnreadable) => found.unreadable.push(row),
                Some(_) => {}
                None => whole.push(self.shown(item)),
            }
        }
        found.items = whole;
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn entries(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<AccountEntry>> {
        let later = page.after.is_some();
        let mut found = self.inner.entries(self.owner(workspace, account), account, page).await?;
        let unread = found.items.iter().filter_map(|entry| self.unread_posting(workspace, entry.posting));
        found.unreadable = unread.collect();
        found.items.retain(|entry| self.unread_posting(workspace, entry.posting).is_none());
        if self.has(Flaw::ListsOldestFirst) {
            found.items.reverse();
        }
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn posting(&self, workspace: WorkspaceId, posting: PostingId) -> Result<Option<Posting>> {
        if let Some(row) = self.unread_posting(workspace, posting) {
            return Err(row.into());
        }
        let owner = self.seen.lock().unwrap().money.owners.get(&posting).copied();
        let owner = owner.filter(|_| self.has(Flaw::ShowsEveryAccount)).unwrap_or(workspace);
        self.inner.posting(owner, posting).await
    }
}
