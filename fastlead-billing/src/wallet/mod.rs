//! Prepaid money of buyers: topped up and paid back through a provider, held and spent in the ledger.

mod drive;
mod holds;
mod intent;

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::id::{AccountId, WorkspaceId};
use fastlead_core::port::{CommitOutcome, Entry, Ledger, LedgerAccount, Posting, Refusal};
use fastlead_core::time::{Clock, plus};
use fastlead_core::{Error, ErrorKind, Result};

pub use intent::{Intent, IntentId, IntentState, Intents, MemoryIntents, Purpose, taken};

use crate::fiscal::FiscalReceipt;
use crate::payment::ProviderPaymentId;
use crate::provider::{PaymentEvent, PaymentProvider};
use crate::{Currency, Money};

/// How long whoever works on an intent has it for himself: longer than any request to a provider.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// Intents that one reconciliation takes up.
const MOST_AT_ONCE: u32 = 1_000;

/// Accounts of a workspace on the other side of its wallets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The currency of all accounts.
    pub currency: Currency,
    /// Money at the provider. No floor: it goes down by what payers have paid.
    pub provider: AccountId,
    /// Money that is held for leads. Floor 0.
    pub held: AccountId,
    /// Money that is on its way back to payers. Floor 0.
    pub refunding: AccountId,
    /// Money earned. No floor.
    pub revenue: AccountId,
}

/// What became of a movement within the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It was made, now or by an earlier try.
    Done,
    /// The wallet has too little.
    Short {
        /// What it has.
        available: Money,
    },
    /// The hold does not exist, or was ended in another way: captured with another amount, or released.
    Ended,
}

/// What a reconciliation found.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Intents that became settled.
    pub settled: u32,
    /// Intents that failed for good.
    pub failed: u32,
    /// Intents that still wait for the payer or the provider, or that somebody else works on.
    pub waiting: u32,
    /// Intents whose state could not be found out, with the reason.
    pub errors: Vec<(IntentId, Error)>,
}

/// Wallets of one workspace at one provider account.
///
/// # Behavior
/// * The intent is stored before the provider is asked, under an id that the caller keeps: whoever tries again with the same
///   id continues, and money moves once.
/// * The ledger follows the provider's word alone, asked for by [`PaymentProvider::get`]; a notification is a hint.
/// * Postings have ids that follow from the intent or hold, so each counts once.
/// * May be dropped at any await point, and the process may die there: [`Wallet::reconcile`] brings every intent to its end.
/// * A refusal of the ledger never follows a payment: crediting a wallet cannot be short.
#[derive(Debug, Clone)]
pub struct Wallet {
    books: Books,
    ledger: Arc<dyn Ledger>,
    intents: Arc<dyn Intents>,
    provider: Arc<dyn PaymentProvider>,
    clock: Arc<dyn Clock>,
}

impl Wallet {
    /// Wallets of the workspace of `books`.
    pub fn new(
        books: Books,
        ledger: Arc<dyn Ledger>,
        intents: Arc<dyn Intents>,
        provider: Arc<dyn PaymentProvider>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { books, ledger, intents, provider, clock }
    }

    /// Opens the accounts of the books. Changes nothing where they are open.
    ///
    /// # Errors
    /// As [`Ledger::open_account`].
    pub async fn open_books(&self) -> Result<()> {
        let Books { workspace, currency, provider, held, refunding, revenue } = self.books;
        for (id, name, credit) in [
            (provider, "Payment provider", None),
            (held, "Held", Some(0)),
            (refunding, "Refunds under way", Some(0)),
            (revenue, "Revenue", None),
        ] {
            let account = LedgerAccount::new(workspace, id, name, currency).with_credit(credit);
            self.ledger.open_account(account).await?;
        }
        Ok(())
    }

    /// Opens a wallet. `credit` is how far below zero it may go, in minor units.
    ///
    /// # Errors
    /// As [`Ledger::open_account`].
    pub async fn open(&self, account: AccountId, name: &str, credit: i64) -> Result<LedgerAccount> {
        let Books { workspace, currency, .. } = self.books;
        let account = LedgerAccount::new(workspace, account, name, currency).with_credit(Some(credit));
        self.ledger.open_account(account).await
    }

    /// Returns the balance of a wallet; `None` where there is none.
    ///
    /// # Errors
    /// As [`Ledger::balances`].
    pub async fn balance(&self, account: AccountId) -> Result<Option<Money>> {
        let found = self.ledger.balances(self.books.workspace, vec![account]).await?;
        Ok(found.into_iter().flatten().next().map(|found| found.balance))
    }

    /// Begins a top-up or a charge ([`Purpose::TopUp`], [`Purpose::Charge`]), or continues the one with this id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the amount is not above zero in the currency of the books, the receipt does not fit it
    /// ([`FiscalReceipt::check`]) or the purpose is a refund; [`ErrorKind::Conflict`] where the id stands for something else,
    /// or somebody works on it right now; [`ErrorKind::NotFound`] where there is no such wallet; else the provider's or the
    /// store's. After an error the same call, or [`Wallet::reconcile`], continues.
    pub async fn top_up(
        &self,
        id: IntentId,
        account: AccountId,
        amount: Money,
        purpose: Purpose,
        receipt: Option<FiscalReceipt>,
    ) -> Result<Intent> {
        if matches!(purpose, Purpose::Refund { .. }) {
            return Err(invalid("a refund is no top-up"));
        }
        self.begin(id, account, amount, purpose, receipt).await
    }

    /// Begins to give back `amount` of a payment, out of the wallet that it topped up, or continues the refund with this id.
    /// The money leaves the wallet first, so that it cannot be spent meanwhile; where the provider refuses, it comes back.
    ///
    /// # Errors
    /// As [`Wallet::top_up`]; [`ErrorKind::Balance`] where the wallet has too little, and the intent has failed then;
    /// [`ErrorKind::NotFound`] where the payment has topped up no wallet.
    pub async fn refund(
        &self,
        id: IntentId,
        payment: ProviderPaymentId,
        amount: Money,
        receipt: Option<FiscalReceipt>,
    ) -> Result<Intent> {
        let paid = self.intents.of_payment(self.books.workspace, &payment).await?;
        let paid = paid.filter(|paid| paid.state == IntentState::Settled).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the payment has topped up no wallet").with_operation("refund")
        })?;
        self.begin(id, paid.account, amount, Purpose::Refund { payment }, receipt).await
    }

    async fn begin(
        &self,
        id: IntentId,
        account: AccountId,
        amount: Money,
        purpose: Purpose,
        receipt: Option<FiscalReceipt>,
    ) -> Result<Intent> {
        let now = self.clock.now();
        if amount.currency != self.books.currency || !amount.is_positive() {
            return Err(invalid("the amount is not above zero in the currency of the books"));
        }
        if self.balance(account).await?.is_none() {
            return Err(Error::new(ErrorKind::NotFound, "there is no such wallet"));
        }
        // A refund keeps the rates of its sale, which was judged at its own time.
        if let (Some(receipt), false) = (&receipt, matches!(purpose, Purpose::Refund { .. })) {
            receipt.check(amount, now).map_err(|fault| invalid(&fault.to_string()))?;
        }
        let intent = Intent {
            workspace_id: self.books.workspace,
            id,
            version: 1,
            made_at: now,
            account,
            amount,
            purpose,
            receipt,
            state: IntentState::Begun,
            payment: None,
            refund: None,
            leased_until: plus(now, LEASE),
            tries: 1,
        };
        let (stored, is_new) = self.intents.begin(intent.clone()).await?;
        if !stored.is_the_same(&intent) {
            return Err(Error::new(ErrorKind::Conflict, "the id stands for something else"));
        }
        if is_new { self.drive(stored).await } else { self.resume(stored).await }
    }

    /// Takes a hint of the provider in: asks for the state of what it names, and follows it. Unknown payments, and events
    /// that concern no wallet, change nothing.
    ///
    /// # Errors
    /// The provider's or the store's; [`ErrorKind::Conflict`] where somebody works on it right now. The provider repeats its
    /// notification then, or [`Wallet::reconcile`] finds out.
    pub async fn notified(&self, event: &PaymentEvent) -> Result<Option<Intent>> {
        let PaymentEvent::Payment(payment) = event else { return Ok(None) };
        let known = match self.intents.of_payment(self.books.workspace, payment).await? {
            Some(known) => Some(known),
            None => {
                // Its answer was lost, perhaps: the reference says whose it is.
                let found = self.provider.get(payment).await?;
                match found.reference.and_then(IntentId::new) {
                    Some(id) => self.intents.intent(self.books.workspace, &id).await?,
                    None => None,
                }
            }
        };
        match known {
            Some(known) if known.state == IntentState::Settled => Ok(Some(known)),
            Some(known) => self.resume(known).await.map(Some),
            None => Ok(None),
        }
    }

    /// Brings every intent that is not final as far as it goes: what a crash, an error or a lost notification has left.
    /// Meant to be called every few minutes.
    ///
    /// # Errors
    /// Where the store does not answer; errors of single intents are in the result. An intent whose row cannot be read is left
    /// out ([`Intents::unfinished`]).
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let mut result = Reconciled::default();
        for intent in self.intents.unfinished(self.books.workspace, MOST_AT_ONCE).await? {
            if intent.leased_until > self.clock.now() {
                result.waiting += 1;
                continue;
            }
            let id = intent.id.clone();
            match self.resume(intent).await {
                Ok(Intent { state: IntentState::Settled, .. }) => result.settled += 1,
                Ok(Intent { state: IntentState::Failed { .. }, .. }) => result.failed += 1,
                Ok(_) => result.waiting += 1,
                Err(error) => result.errors.push((id, error)),
            }
        }
        Ok(result)
    }

    /// Posts one movement from one account to another.
    async fn post(&self, posting: Posting) -> Result<CommitOutcome> {
        self.ledger.post(self.books.workspace, vec![posting]).await
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message).with_operation("begin")
}

/// Entries that move money from one account to another.
fn between(from: AccountId, to: AccountId, amount: Money) -> Result<Vec<Entry>> {
    let overflow = |_| Error::new(ErrorKind::Invalid, "the amount is too large");
    let back = Money::zero(amount.currency).checked_sub(amount).map_err(overflow)?;
    Ok(vec![Entry::new(from, back), Entry::new(to, amount)])
}

/// A refusal that cannot happen while the books are open and nobody else uses the ids of the wallet's postings.
fn refused(refusal: &Refusal) -> Error {
    Error::new(ErrorKind::Conflict, format!("the ledger refuses a posting of the wallet: {refusal:?}"))
        .with_operation("post")
}
