//! Money that is held for a lead, and then spent or released. All within the ledger: the end of a hold has one id, whether it
//! is captured or released, so that it ends once.

use fastlead_core::id::{AccountId, LeadId, PostingId};
use fastlead_core::port::{CommitOutcome, Entry, Posting, Refusal};
use fastlead_core::{Error, ErrorKind, Result};

use super::{Moved, Wallet, between, invalid, refused};
use crate::Money;

impl Wallet {
    /// Holds `amount` of a wallet under `hold`, an id that the caller keeps, such as that of a delivery.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the amount is not above zero in the currency of the books; [`ErrorKind::Conflict`] where
    /// the id stands for another hold; the store's.
    pub async fn hold(
        &self,
        hold: &str,
        account: AccountId,
        amount: Money,
        lead: Option<LeadId>,
    ) -> Result<Moved> {
        if amount.currency != self.books.currency || !amount.is_positive() {
            return Err(invalid("the amount is not above zero in the currency of the books"));
        }
        let entries = between(account, self.books.held, amount)?;
        let posting = Posting::new(held(hold), self.clock.now(), "hold", entries);
        let posting = match lead {
            Some(lead) => posting.about(lead),
            None => posting,
        };
        match self.post(posting).await? {
            CommitOutcome::Applied => Ok(Moved::Done),
            CommitOutcome::Refused(Refusal::Short { available, .. }) => Ok(Moved::Short { available }),
            CommitOutcome::Refused(refusal) => Err(refused(&refusal)),
        }
    }

    /// Spends `amount` of a hold; the rest goes back into the wallet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the amount is not above zero, or more than is held; the store's.
    pub async fn capture(&self, hold: &str, amount: Money) -> Result<Moved> {
        self.end(hold, Some(amount)).await
    }

    /// Gives the whole hold back into the wallet.
    ///
    /// # Errors
    /// The store's.
    pub async fn release(&self, hold: &str) -> Result<Moved> {
        self.end(hold, None).await
    }

    async fn end(&self, hold: &str, spent: Option<Money>) -> Result<Moved> {
        let Some(begun) = self.ledger.posting(self.books.workspace, held(hold)).await? else {
            return Ok(Moved::Ended);
        };
        let corrupt = || Error::new(ErrorKind::Unreadable, "the posting of the hold is no hold");
        let is_held = |entry: &&Entry| entry.account == self.books.held;
        let whole = begun.entries.iter().find(is_held).ok_or_else(corrupt)?.amount;
        let account = begun.entries.iter().find(|entry| !is_held(entry)).ok_or_else(corrupt)?.account;
        let entries = match spent {
            None => between(self.books.held, account, whole)?,
            Some(spent) if spent == whole => between(self.books.held, self.books.revenue, whole)?,
            Some(spent) => {
                let rest = whole.checked_sub(spent).ok().filter(Money::is_positive);
                let rest = rest
                    .filter(|_| spent.is_positive())
                    .ok_or_else(|| invalid("the amount is not above zero, or more than is held"))?;
                let mut entries = between(self.books.held, account, whole)?;
                entries.truncate(1);
                entries.extend([Entry::new(self.books.revenue, spent), Entry::new(account, rest)]);
                entries
            }
        };
        let kind = if spent.is_some() { "capture" } else { "release" };
        let id = PostingId::of(&["wallet", "end of hold", hold]);
        let posting = Posting::new(id, self.clock.now(), kind, entries);
        let posting = match begun.lead {
            Some(lead) => posting.about(lead),
            None => posting,
        };
        match self.post(posting).await? {
            CommitOutcome::Applied => Ok(Moved::Done),
            CommitOutcome::Refused(Refusal::PostingReused(_)) => Ok(Moved::Ended),
            CommitOutcome::Refused(refusal) => Err(refused(&refusal)),
        }
    }
}

fn held(hold: &str) -> PostingId {
    PostingId::of(&["wallet", "hold", hold])
}
