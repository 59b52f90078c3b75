//! What postings do to accounts: whether they can be made, and what the accounts say afterwards. Pure; every store
//! asks it, with the accounts and postings that it has.

use std::collections::{BTreeMap, HashMap, HashSet};

use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{AccountId, PostingId, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{Posting, PostingFault, Refusal};

/// An account as postings see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) currency: Currency,
    pub(crate) credit: Option<i64>,
    pub(crate) balance: i64,
    /// How many entries it has.
    pub(crate) entries: u64,
}

impl Standing {
    /// What could be taken. Where somebody is refused for it, it is less than an amount, and fits.
    pub(crate) fn available(&self) -> Money {
        let available = self.balance.saturating_add(self.credit.unwrap_or(i64::MAX));
        Money::new(available, self.currency)
    }

    /// Whether it is further below zero than its credit allows.
    pub(crate) fn is_below_its_floor(&self) -> bool {
        self.credit.is_some_and(|credit| self.balance < credit.saturating_neg())
    }
}

/// Refuses a credit below 0.
pub(crate) fn check_credit(credit: Option<i64>) -> Result<()> {
    if credit.is_none_or(|credit| credit >= 0) {
        return Ok(());
    }
    let message = "the credit of an account is 0 or more";
    Err(Error::new(ErrorKind::Invalid, message).with_operation("post").with_context("field", "credit"))
}

/// An account is opened again in another currency.
pub(crate) fn other_currency() -> Error {
    let message = "the account exists in another currency";
    Error::new(ErrorKind::Conflict, message).with_operation("open account").with_context("field", "currency")
}

/// The accounts and postings that are known.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) accounts: HashMap<(WorkspaceId, AccountId), Standing>,
    pub(crate) postings: HashMap<(WorkspaceId, PostingId), Posting>,
    /// Postings that were taken back.
    pub(crate) reversed: HashSet<(WorkspaceId, PostingId)>,
}

/// Postings that can be made together. Nothing has changed yet.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// Those that are new, in their order.
    pub(crate) postings: Vec<&'a Posting>,
    /// Their entries, in the order in which they are made.
    pub(crate) entries: Vec<NewEntry>,
    /// The accounts afterwards.
    accounts: BTreeMap<AccountId, Standing>,
}

/// An entry that is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEntry {
    pub(crate) posting: PostingId,
    /// Its place among the entries of its posting.
    pub(crate) line: u32,
    pub(crate) account: AccountId,
    /// Its number among the entries of its account.
    pub(crate) number: u64,
    pub(crate) amount: Money,
    /// The balance of the account after it.
    pub(crate) balance: Money,
}

impl Book {
    /// Says what well-formed postings of a workspace change, or why they cannot be made.
    pub(crate) fn plan<'a>(
        &self,
        workspace: WorkspaceId,
        postings: &'a [Posting],
    ) -> Result<Plan<'a>, Refusal> {
        let mut plan = Plan::default();
        for (place, posting) in postings.iter().enumerate() {
            let own = plan.postings.iter().copied().find(|own| own.id == posting.id);
            match own.or_else(|| self.postings.get(&(workspace, posting.id))) {
                Some(stored) if stored.is_the_same(posting) => {}
                Some(_) => return Err(Refusal::PostingReused(posting.id)),
                None => self.add(workspace, place, posting, &mut plan)?,
            }
        }
        Ok(plan)
    }

    fn add<'a>(
        &self,
        workspace: WorkspaceId,
        place: usize,
        posting: &'a Posting,
        plan: &mut Plan<'a>,
    ) -> Result<(), Refusal> {
        let unpostable = |field: &str, fault| Refusal::Unpostable {
            posting: posting.id,
            field: format!("postings[{place}].{field}"),
            fault,
        };
        if let Some(reversed) = posting.reverses
            && !self.may_reverse(workspace, reversed, posting, plan)
        {
            return Err(unpostable("reverses", PostingFault::NotReversible(reversed)));
        }
        for (line, entry) in posting.entries.iter().enumerate() {
            let account = entry.account;
            let field = |name: &str| format!("entries[{line}].{name}");
            let known = plan.accounts.get(&account).or_else(|| self.accounts.get(&(workspace, account)));
            let Some(standing) = known.copied() else {
                return Err(unpostable(&field("account"), PostingFault::UnknownAccount(account)));
            };
            if standing.currency != entry.amount.currency {
                let currency = standing.currency;
                let fault = PostingFault::OtherCurrency { account, currency };
                return Err(unpostable(&field("amount"), fault));
            }
            let Some(balance) = standing.balance.checked_add(entry.amount.minor) else {
                // Below the lowest number is below every floor.
                return Err(match standing.credit {
                    Some(_) if entry.amount.minor < 0 => {
                        Refusal::Short { account, available: standing.available() }
                    }
                    _ => unpostable(&field("amount"), PostingFault::Overflow(account)),
                });
            };
            let after = Standing { balance, entries: standing.entries.saturating_add(1), ..standing };
            if entry.amount.minor < 0 && after.is_below_its_floor() {
                return Err(Refusal::Short { account, available: standing.available() });
            }
            plan.accounts.insert(account, after);
            plan.entries.push(NewEntry {
                posting: posting.id,
                line: u32::try_from(line).unwrap_or(u32::MAX),
                account,
                number: after.entries,
                amount: entry.amount,
                balance: Money::new(balance, standing.currency),
            });
        }
        plan.postings.push(posting);
        Ok(())
    }

    /// Whether `posting` takes back all of one that nobody has taken back before.
    fn may_reverse(
        &self,
        workspace: WorkspaceId,
        reversed: PostingId,
        posting: &Posting,
        plan: &Plan<'_>,
    ) -> bool {
        let own = plan.postings.iter().copied().find(|own| own.id == reversed);
        let before = own.or_else(|| self.postings.get(&(workspace, reversed)));
        before.is_some_and(|before| posting.is_opposite_of(before))
            && !self.reversed.contains(&(workspace, reversed))
            && !plan.postings.iter().any(|own| own.reverses == Some(reversed))
    }

    /// Makes the postings of a plan of this book.
    pub(crate) fn apply(&mut self, workspace: WorkspaceId, plan: &Plan<'_>) {
        for posting in &plan.postings {
            self.postings.insert((workspace, posting.id), (*posting).clone());
            self.reversed.extend(posting.reverses.map(|reversed| (workspace, reversed)));
        }
        for (account, standing) in &plan.accounts {
            self.accounts.insert((workspace, *account), *standing);
        }
    }
}
