//! The ledger of a workspace: accounts, postings between them, and their balances.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Page, PageRequest};
use super::store::CommitOutcome;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{AccountId, LeadId, PostingId, WorkspaceId};
use crate::money::{Currency, Money, MoneyError};
use crate::time::Timestamp;

/// How many postings one commit may have.
const MOST_POSTINGS: usize = 100;
/// How many bytes a kind may have.
const MOST_OF_A_KIND: usize = 64;

/// Keeps the money of workspaces: accounts, and postings between them.
///
/// A posting that belongs to a decision about a lead goes with it, in [`Transition::postings`]; all others come here.
/// Money never uses reservations.
///
/// # Behavior
/// * Append-only: no posting is ever changed or deleted, by nobody. A mistake is taken back by another posting, see
///   [`Posting::reversal`].
/// * The balances of all accounts of a workspace add up to 0 in each currency, at every moment.
/// * No balance is ever below what the account's credit allows, whoever posts at the same time.
/// * Workspaces are apart: an account or a posting of another workspace is unknown, and two workspaces may use the same
///   ids for different things.
/// * The ledger holds no personal data and hinders no erasure: [`Store::erase`] leaves it as it is. A posting names a lead
///   by its id, which says nothing once the lead is erased; kinds are codes, and an account is called after what it is for.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::id::{AccountId, WorkspaceId};
/// use fastlead_core::money::Money;
/// use fastlead_core::port::Ledger;
///
/// async fn balance(ledger: &dyn Ledger, of: WorkspaceId, account: AccountId) -> Result<Option<Money>> {
///     let balances = ledger.balances(of, vec![account]).await?;
///     Ok(balances.into_iter().next().flatten().map(|account| account.balance))
/// }
/// ```
///
/// [`Store::erase`]: super::Store::erase
/// [`Transition::postings`]: super::Transition::postings
#[async_trait]
pub trait Ledger: Debug + Send + Sync + 'static {
    /// Opens an account with a balance of 0. Returns the account as it is stored.
    ///
    /// # Behavior
    /// * Idempotent: an account that exists stays as it is, its name and its credit too.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the credit is below 0; [`ErrorKind::Conflict`] where the account exists in another
    /// currency.
    async fn open_account(&self, account: LedgerAccount) -> Result<LedgerAccount>;

    /// Changes how far below zero an account may go: minor units, `None` for no floor.
    ///
    /// # Behavior
    /// * Refused with [`Refusal::Short`] where the account is further below zero than that already. What is available is
    ///   below zero then, by what is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the credit is below 0; [`ErrorKind::NotFound`] where there is no such account.
    ///
    /// [`Refusal::Short`]: super::Refusal::Short
    async fn set_credit(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        credit: Option<i64>,
    ) -> Result<CommitOutcome>;

    /// Makes postings, in one transaction: all of them or none.
    ///
    /// # Behavior
    /// * One after another, in their order: each must be possible after those before it.
    /// * Linearizable with all other postings, those of decisions included.
    /// * A posting whose id is stored with the same content ([`Posting::is_the_same`]) is skipped, so that it counts once.
    ///   With other content it is refused as [`Refusal::PostingReused`].
    /// * A posting that takes an account below what its credit allows is refused as [`Refusal::Short`]. An entry above zero
    ///   is never refused so.
    /// * Refused as [`Refusal::Unpostable`]: an account that is unknown in this workspace, an amount in another currency
    ///   than its account's, a balance that does not fit into 64 bits, a reversal that is none ([`PostingFault`]).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where a posting is malformed, with the `field`: see [`Posting::check`];
    /// [`ErrorKind::Unreadable`] where an account or a posting that is named cannot be read; otherwise as
    /// [`Store::commit`](super::Store::commit).
    ///
    /// [`Refusal::PostingReused`]: super::Refusal::PostingReused
    /// [`Refusal::Short`]: super::Refusal::Short
    /// [`Refusal::Unpostable`]: super::Refusal::Unpostable
    async fn post(&self, workspace: WorkspaceId, postings: Vec<Posting>) -> Result<CommitOutcome>;

    /// The balances of accounts, all of one moment, in the order of `accounts`; `None` for one that is unknown.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] where one of them cannot be read.
    async fn balances(
        &self,
        workspace: WorkspaceId,
        accounts: Vec<AccountId>,
    ) -> Result<Vec<Option<AccountBalance>>>;

    /// The accounts of a workspace with their balances, in the order of their ids. A page is of one moment.
    async fn ledger_accounts(
        &self,
        workspace: WorkspaceId,
        page: PageRequest,
    ) -> Result<Page<AccountBalance>>;

    /// The entries of an account, newest first, each with the balance after it. Of an unknown account there are none.
    async fn entries(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        page: PageRequest,
    ) -> Result<Page<AccountEntry>>;

    /// One posting.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] where it cannot be read.
    async fn posting(&self, workspace: WorkspaceId, posting: PostingId) -> Result<Option<Posting>>;
}

/// An account of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct LedgerAccount {
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// Its id, chosen by whoever opens it.
    pub id: AccountId,
    /// What it is called, such as `Revenue`: what it is for, or a company. No name of a person, who could not be erased.
    pub name: String,
    /// The one currency of all its entries.
    pub currency: Currency,
    /// How far below zero it may go, in minor units, 0 or more. `None` for no floor: for the accounts on the other side, such
    /// as revenue or what is under way at a payment provider.
    pub credit: Option<i64>,
}

impl LedgerAccount {
    /// An account that cannot go below zero.
    pub fn new(
        workspace_id: WorkspaceId,
        id: AccountId,
        name: impl Into<String>,
        currency: Currency,
    ) -> Self {
        Self { workspace_id, id, name: name.into(), currency, credit: Some(0) }
    }

    /// Says how far below zero it may go: minor units, `None` for no floor.
    #[must_use]
    pub fn with_credit(self, credit: Option<i64>) -> Self {
        Self { credit, ..self }
    }
}

/// An account with what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AccountBalance {
    /// The account.
    pub account: LedgerAccount,
    /// The sum of its entries.
    pub balance: Money,
    /// How many entries it has.
    pub entries: u64,
}

/// Money that moves between accounts, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Posting {
    /// Its id, unique in the workspace. Follows from what it is for, see [`PostingId::of`], so that whoever tries again
    /// posts the same once.
    pub id: PostingId,
    /// When it was made.
    pub at: Timestamp,
    /// What it is: a stable code, such as `charge`. 1 to 64 bytes of `a` to `z`, `0` to `9`, `_`, `-` and `.`.
    pub kind: String,
    /// The lead that it is about.
    pub lead: Option<LeadId>,
    /// The posting that it takes back, all of it.
    pub reverses: Option<PostingId>,
    /// What it changes: 2 to 100 entries, one for each account, whose sum is 0 in each currency.
    pub entries: Vec<Entry>,
}

/// What a posting changes of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// The account.
    pub account: AccountId,
    /// By how much its balance goes up; below zero where it goes down. Never 0.
    pub amount: Money,
}

impl Entry {
    /// An entry of an account.
    pub const fn new(account: AccountId, amount: Money) -> Self {
        Self { account, amount }
    }
}

impl PostingId {
    /// The id of the posting that is for this: the same parts, the same id. Such as
    /// `PostingId::of(&["charge", "sale_17"])`.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new_with_prefix(b"fastlead.posting");
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        // Version 8: bytes of the maker's own choice (RFC 9562, section 5.8).
        Self::from_uuid(uuid::Builder::from_custom_bytes(id).into_uuid())
    }
}

impl Posting {
    /// How many entries a posting may have.
    pub const MOST_ENTRIES: usize = 100;

    /// A posting that is about no lead and takes nothing back.
    pub fn new(id: PostingId, at: Timestamp, kind: impl Into<String>, entries: Vec<Entry>) -> Self {
        Self { id, at, kind: kind.into(), lead: None, reverses: None, entries }
    }

    /// Says which lead it is about.
    #[must_use]
    pub fn about(self, lead: LeadId) -> Self {
        Self { lead: Some(lead), ..self }
    }

    /// The posting that takes this one back: the same entries with opposite signs, about the same lead.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] where an amount is the lowest of all, which has no opposite.
    pub fn reversal(
        &self,
        id: PostingId,
        at: Timestamp,
        kind: impl Into<String>,
    ) -> Result<Self, MoneyError> {
        let back = |entry: &Entry| {
            let amount = Money::zero(entry.amount.currency).checked_sub(entry.amount)?;
            Ok(Entry::new(entry.account, amount))
        };
        let entries = self.entries.iter().map(back).collect::<Result<_, MoneyError>>()?;
        Ok(Self { lead: self.lead, reverses: Some(self.id), ..Self::new(id, at, kind, entries) })
    }

    /// Whether another posting says the same: of the same kind, about the same, with the same entries in any order. When it
    /// was made is no part of that: who tries again does so later.
    pub fn is_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.lead == other.lead
            && self.reverses == other.reverses
            && self.amounts() == other.amounts()
    }

    /// Whether the entries of another posting are these with opposite signs, in any order.
    pub fn is_opposite_of(&self, other: &Self) -> bool {
        let back = |(account, amount): (&AccountId, &Money)| {
            Some((*account, Money::zero(amount.currency).checked_sub(*amount).ok()?))
        };
        let back: Option<BTreeMap<_, _>> = other.amounts().iter().map(back).collect();
        back.is_some_and(|back| back == self.amounts())
    }

    fn amounts(&self) -> BTreeMap<AccountId, Money> {
        self.entries.iter().map(|entry| (entry.account, entry.amount)).collect()
    }

    /// Checks all that can be said without knowing the accounts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with the context `field` such as `entries[1].amount`, where:
    /// * there are fewer than 2 entries or more than [`Self::MOST_ENTRIES`];
    /// * an amount is 0 or has no opposite, or an account has two entries;
    /// * the sum is not 0 in each currency, or does not fit into 64 bits on the way;
    /// * the kind is no code, the id has no digit but 0, or the posting takes itself back.
    pub fn check(&self) -> Result<()> {
        self.fault().map_or(Ok(()), |(field, message)| Err(malformed(field, message)))
    }

    fn fault(&self) -> Option<(String, &'static str)> {
        if self.id.as_uuid().is_nil() {
            return Some(("id".to_owned(), "the id of a posting is not all zeros"));
        }
        if self.reverses == Some(self.id) {
            return Some(("reverses".to_owned(), "a posting cannot take itself back"));
        }
        let code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        if !(1..=MOST_OF_A_KIND).contains(&self.kind.len()) || !self.kind.bytes().all(code) {
            return Some((
                "kind".to_owned(),
                "a kind is a code of 1 to 64 small letters, digits, `_`, `-`, `.`",
            ));
        }
        if !(2..=Self::MOST_ENTRIES).contains(&self.entries.len()) {
            return Some(("entries".to_owned(), "a posting has 2 to 100 entries"));
        }
        let mut accounts = BTreeSet::new();
        let mut sums: BTreeMap<Currency, Money> = BTreeMap::new();
        for (place, Entry { account, amount }) in self.entries.iter().enumerate() {
            if !accounts.insert(account) {
                return Some((format!("entries[{place}].account"), "an account has one entry in a posting"));
            }
            if amount.minor == 0 {
                return Some((format!("entries[{place}].amount"), "an entry changes something"));
            }
            if amount.minor == i64::MIN {
                return Some((format!("entries[{place}].amount"), "an amount has an opposite"));
            }
            let sum = sums.entry(amount.currency).or_insert(Money::zero(amount.currency));
            match sum.checked_add(*amount) {
                Ok(more) => *sum = more,
                Err(_) => return Some((format!("entries[{place}].amount"), "the sum is too large")),
            }
        }
        let balanced = sums.values().all(|sum| sum.minor == 0);
        (!balanced).then(|| ("entries".to_owned(), "the sum of the entries is 0 in each currency"))
    }
}

/// Checks the postings of one commit: each by itself, and that there are no more than 100.
///
/// # Errors
/// As [`Posting::check`]; the `field` begins with the posting, such as `postings[0].entries[1].amount`.
pub fn check_postings(postings: &[Posting]) -> Result<()> {
    if postings.len() > MOST_POSTINGS {
        return Err(malformed("postings".to_owned(), "a commit has at most 100 postings"));
    }
    let fault = |(place, posting): (usize, &Posting)| {
        posting.fault().map(|(field, message)| malformed(format!("postings[{place}].{field}"), message))
    };
    postings.iter().enumerate().find_map(fault).map_or(Ok(()), Err)
}

fn malformed(field: String, message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).with_operation("post").with_context("field", field)
}

/// Why a well-formed posting cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostingFault {
    /// The workspace has no such account.
    UnknownAccount(AccountId),
    /// The account has another currency than the entry.
    OtherCurrency {
        /// The account.
        account: AccountId,
        /// The account's currency.
        currency: Currency,
    },
    /// The balance of the account would not fit into 64 bits.
    Overflow(AccountId),
    /// The posting that is to be taken back is unknown, was taken back before, or has other entries than the opposite ones.
    NotReversible(PostingId),
}

/// An entry of an account as it is stored, with what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AccountEntry {
    /// Its number among the entries of the account: 1, 2, 3 and so on, in the order in which they were made.
    pub number: u64,
    /// The posting that it belongs to.
    pub posting: PostingId,
    /// When that was made.
    pub at: Timestamp,
    /// What that is: a stable code.
    pub kind: String,
    /// The lead that it is about.
    pub lead: Option<LeadId>,
    /// The posting that it takes back.
    pub reverses: Option<PostingId>,
    /// By how much the balance has gone up; below zero where it has gone down.
    pub amount: Money,
    /// The balance after it.
    pub balance: Money,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomIds;
    use crate::time::epoch;

    fn account() -> AccountId {
        AccountId::generate(&RandomIds, epoch())
    }

    fn rub(minor: i64) -> Money {
        Money::new(minor, Currency::RUB)
    }

    fn posting(entries: &[(AccountId, Money)]) -> Posting {
        let entries = entries.iter().map(|(account, amount)| Entry::new(*account, *amount)).collect();
        Posting::new(PostingId::of(&["test"]), epoch(), "charge", entries)
    }

    fn field(posting: &Posting) -> Option<String> {
        let error = posting.check().err()?;
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let field = error.context().iter().find(|(name, _)| *name == "field");
        Some(field.map(|(_, field)| field.clone()).unwrap())
    }

    #[test]
    fn a_malformed_posting_names_its_field() {
        let (a, b, c) = (account(), account(), account());
        let usd = |minor| Money::new(minor, "USD".parse().unwrap());
        let whole = posting(&[(a, rub(-5)), (b, rub(5))]);
        assert_eq!(field(&whole), None);
        assert_eq!(field(&posting(&[(a, rub(-5)), (b, rub(2)), (c, rub(3))])), None);
        let (max, min) = (rub(i64::MAX), rub(-i64::MAX));
        assert_eq!(field(&posting(&[(a, max), (b, min)])), None);
        for (entries, named) in [
            (vec![], "entries"),
            (vec![(a, rub(0))], "entries"),
            (vec![(a, rub(-5)), (b, rub(6))], "entries"),
            (vec![(a, rub(-5)), (b, usd(5))], "entries"),
            (vec![(a, rub(-5)), (b, rub(5)), (c, rub(0))], "entries[2].amount"),
            (vec![(a, rub(-5)), (b, rub(10)), (a, rub(-5))], "entries[2].account"),
            (vec![(a, max), (b, max), (c, min)], "entries[1].amount"),
            (vec![(a, rub(i64::MIN)), (b, max), (c, rub(1))], "entries[0].amount"),
        ] {
            assert_eq!(field(&posting(&entries)).as_deref(), Some(named), "{entries:?}");
        }
        let many = (0..101).map(|number| (account(), rub(if number == 0 { -100 } else { 1 })));
        assert_eq!(field(&posting(&many.collect::<Vec<_>>())).as_deref(), Some("entries"));
        for kind in ["", "Charge", "Vera K.", "плата", &"a".repeat(65)] {
            let posting = Posting { kind: kind.to_owned(), ..whole.clone() };
            assert_eq!(field(&posting).as_deref(), Some("kind"), "{kind}");
        }
        let itself = Posting { reverses: Some(whole.id), ..whole.clone() };
        assert_eq!(field(&itself).as_deref(), Some("reverses"));
        let second = Posting { kind: String::new(), ..whole.clone() };
        let error = check_postings(&[whole, second]).unwrap_err();
        assert_eq!(error.context(), [("field", "postings[1].kind".to_owned())]);
    }

    #[test]
    fn the_same_is_said_in_any_order_and_later() {
        let (a, b, c) = (account(), account(), account());
        let first = posting(&[(a, rub(-5)), (b, rub(2)), (c, rub(3))]);
        let turned = posting(&[(c, rub(3)), (a, rub(-5)), (b, rub(2))]);
        assert!(first.is_the_same(&turned));
        assert!(first.is_the_same(&Posting { at: Timestamp::MAX_UTC, ..turned.clone() }));
        assert!(!first.is_the_same(&Posting { kind: "fee".to_owned(), ..turned.clone() }));
        let lead = LeadId::generate(&RandomIds, epoch());
        assert!(!first.is_the_same(&turned.clone().about(lead)));
        assert!(!first.is_the_same(&posting(&[(a, rub(-5)), (b, rub(3)), (c, rub(2))])));
        let back = turned.reversal(PostingId::of(&["back"]), epoch(), "reversal").unwrap();
        assert_eq!(back.reverses, Some(turned.id));
        assert!(back.is_opposite_of(&first) && first.is_opposite_of(&back) && back.check().is_ok());
        assert!(!first.is_opposite_of(&turned));
        let lowest = posting(&[(a, rub(i64::MIN)), (b, rub(5))]);
        assert_eq!(lowest.reversal(back.id, epoch(), "reversal"), Err(MoneyError::Overflow));
    }

    #[test]
    fn an_id_follows_from_its_parts() {
        assert_eq!(PostingId::of(&["charge", "sale_17"]), PostingId::of(&["charge", "sale_17"]));
        assert_ne!(PostingId::of(&["charge", "sale_17"]), PostingId::of(&["charges", "ale_17"]));
        assert_ne!(PostingId::of(&["charge"]), PostingId::of(&["charge", ""]));
    }
}
