//! Random histories of money against a model that is small enough to be obviously right.
//!
//! Twenty buyers set money aside, get it back, pay with it and are paid back, many at once. After every step the balances
//! of each currency add up to 0, none is below its floor, and each is the sum of what was answered as posted. A refusal must
//! have been possible in some order of what went on at the same time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastlead_core::id::{AccountId, PostingId, SeededIds};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{CommitOutcome, Entry, LedgerAccount, PageRequest, Posting, Refusal, Transition};
use futures_util::future::{join_all, try_join_all};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::ledger::{balanced, post, usd};
use super::sample::{Tenant, begin, commit, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// How many histories are tried. The seed is fixed: every run tries the same ones.
const CASES: u32 = 32;

const BUYERS: usize = 20;

/// One step: what several do at the same time. Numbers that pick something are taken modulo how many there are.
type Step = Vec<Move>;

#[derive(Debug, Clone)]
enum Move {
    /// Money comes from outside.
    TopUp { buyer: usize, minor: i64 },
    /// A buyer's money is set aside, beside a decision or alone.
    SetAside { buyer: usize, minor: i64, with_lead: bool },
    /// What was set aside is given back.
    GiveBack { buyer: usize, minor: i64 },
    /// What was set aside is earned.
    Earn { buyer: usize, minor: i64, with_lead: bool },
    /// A posting that was tried before is tried again as it was.
    Again { pick: usize },
    /// A posting that was made before is taken back.
    TakeBack { pick: usize },
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    // Few buyers at a time, so that they come into each other's way.
    let buyer = prop_oneof![3 => 0..3_usize, 1 => 0..BUYERS];
    let minor = 1..60_i64;
    let one = prop_oneof![
        2 => (buyer.clone(), minor.clone()).prop_map(|(buyer, minor)| Move::TopUp { buyer, minor }),
        5 => (buyer.clone(), minor.clone(), any::<bool>())
            .prop_map(|(buyer, minor, with_lead)| Move::SetAside { buyer, minor, with_lead }),
        2 => (buyer.clone(), minor.clone()).prop_map(|(buyer, minor)| Move::GiveBack { buyer, minor }),
        2 => (buyer, minor, any::<bool>())
            .prop_map(|(buyer, minor, with_lead)| Move::Earn { buyer, minor, with_lead }),
        1 => any::<usize>().prop_map(|pick| Move::Again { pick }),
        1 => any::<usize>().prop_map(|pick| Move::TakeBack { pick }),
    ];
    prop::collection::vec(prop::collection::vec(one, 1..16), 1..10)
}

/// Random histories of postings fit the model.
pub async fn random_histories_of_money_fit_the_model<H: StoreHarness>() -> Outcome {
    let (harness, store, tenant) = begin::<H>().await?;
    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = move || {
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        // Shrinking runs more histories than there are cases; each has a number of its own.
        let numbers = AtomicU64::new(0);
        runner.run(&history(), |steps| {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let case = Case::run(&*store, Arc::clone(&tenant.ids), number, steps);
            runtime.block_on(case).map_err(|violation| TestCaseError::fail(violation.to_string()))
        })
    };
    let result = tokio::task::spawn_blocking(run).await;
    drop(harness);
    match result {
        Ok(Ok(())) => Ok(Verdict::Held),
        Ok(Err(TestError::Fail(reason, steps))) => {
            Err(Violation::new(format!("{reason}; the shortest such history: {steps:#?}")))
        }
        Ok(Err(TestError::Abort(reason))) => Err(Violation::new(format!("gave up: {reason}"))),
        Err(error) => Err(Violation::new(format!("the store panicked: {error}"))),
    }
}

#[derive(Debug, Clone, Copy)]
struct Buyer {
    currency: Currency,
    /// What the buyer can spend.
    own: AccountId,
    /// What is set aside.
    aside: AccountId,
}

/// One history on a workspace of its own.
struct Case<'a> {
    store: &'a dyn FullStore,
    tenant: Tenant,
    number: u64,
    buyers: Vec<Buyer>,
    /// Where money of a currency comes from, and where it is earned.
    outside: HashMap<Currency, (AccountId, AccountId)>,
    /// How far below zero an account may go; `None` for no floor.
    credits: HashMap<AccountId, Option<i64>>,
    balances: BTreeMap<AccountId, i64>,
    /// Everything that was tried, and whether it was made.
    tried: Vec<(Posting, bool)>,
}

impl<'a> Case<'a> {
    async fn run(
        store: &'a dyn FullStore,
        ids: Arc<SeededIds>,
        number: u64,
        steps: Vec<Step>,
    ) -> Result<(), Violation> {
        let mut case = Self {
            store,
            tenant: Tenant::new(store, ids).await?,
            number,
            buyers: Vec::new(),
            outside: HashMap::new(),
            credits: HashMap::new(),
            balances: BTreeMap::new(),
            tried: Vec::new(),
        };
        case.open().await?;
        for step in steps {
            case.step(step).await?;
        }
        case.finish().await
    }

    async fn open(&mut self) -> Result<(), Violation> {
        let mut accounts = Vec::new();
        let workspace = self.tenant.scope.workspace_id;
        let ids = Arc::clone(&self.tenant.ids);
        let mut account = |currency, credit| {
            let id = AccountId::generate(&*ids, start());
            accounts.push(LedgerAccount::new(workspace, id, "Buyer", currency).with_credit(credit));
            id
        };
        for currency in [Currency::RUB, usd()] {
            self.outside.insert(currency, (account(currency, None), account(currency, None)));
        }
        for number in 0..BUYERS {
            let currency = if number % 4 == 1 { usd() } else { Currency::RUB };
            let credit = if number % 3 == 2 { 50 } else { 0 };
            let (own, aside) = (account(currency, Some(credit)), account(currency, Some(0)));
            self.buyers.push(Buyer { currency, own, aside });
        }
        self.credits = accounts.iter().map(|account| (account.id, account.credit)).collect();
        self.balances = accounts.iter().map(|account| (account.id, 0)).collect();
        try_join_all(accounts.into_iter().map(|account| self.store.open_account(account))).await?;
        Ok(())
    }

    /// The posting of a move, and whether it goes with a lead. `None` where there is nothing to pick.
    fn posting(&self, one: &Move, place: usize) -> Option<(Posting, bool)> {
        let id = PostingId::of(&[&format!("{} {} {place}", self.number, self.tried.len())]);
        let between = |kind: &str, from, to, minor: i64, currency| {
            let entry = |account, minor| Entry::new(account, Money::new(minor, currency));
            Posting::new(id, start(), kind, vec![entry(from, -minor), entry(to, minor)])
        };
        let buyer = |number: usize| self.buyers.get(number).copied();
        Some(match *one {
            Move::TopUp { buyer: number, minor } => {
                let buyer = buyer(number)?;
                let from = self.outside.get(&buyer.currency)?.0;
                (between("top_up", from, buyer.own, minor, buyer.currency), false)
            }
            Move::SetAside { buyer: number, minor, with_lead } => {
                let buyer = buyer(number)?;
                (between("set_aside", buyer.own, buyer.aside, minor, buyer.currency), with_lead)
            }
            Move::GiveBack { buyer: number, minor } => {
                let buyer = buyer(number)?;
                (between("give_back", buyer.aside, buyer.own, minor, buyer.currency), false)
            }
            Move::Earn { buyer: number, minor, with_lead } => {
                let buyer = buyer(number)?;
                let to = self.outside.get(&buyer.currency)?.1;
                (between("earn", buyer.aside, to, minor, buyer.currency), with_lead)
            }
            Move::Again { pick } => (self.tried.get(pick.checked_rem(self.tried.len())?)?.0.clone(), false),
            Move::TakeBack { pick } => {
                let made: Vec<_> = self.tried.iter().filter(|(_, made)| *made).collect();
                let (before, _) = made.get(pick.checked_rem(made.len())?)?;
                (before.reversal(id, start(), "reversal").ok()?, false)
            }
        })
    }

    async fn step(&mut self, step: Step) -> Result<(), Violation> {
        let all = step.iter().enumerate().filter_map(|(place, one)| self.posting(one, place));
        let mut postings: Vec<(Posting, bool)> = Vec::new();
        for (posting, with_lead) in all {
            // What is tried at the same time is different, and takes back different postings.
            let apart = |(other, _): &(Posting, bool)| {
                other.id != posting.id && (other.reverses.is_none() || other.reverses != posting.reverses)
            };
            if postings.iter().all(apart) {
                postings.push((posting, with_lead));
            }
        }
        let workspace = self.tenant.scope.workspace_id;
        let case = &*self;
        let outcomes = join_all(postings.iter().map(|(posting, with_lead)| async move {
            if !with_lead {
                return Ok::<_, Violation>(post(case.store, workspace, vec![posting.clone()]).await?);
            }
            let lead = case.tenant.lead_id();
            let decision =
                Transition { postings: vec![posting.clone()], ..case.tenant.capture(lead, start()) };
            let outcome = commit(case.store, decision).await?;
            let there = case.store.lead(workspace, lead).await?.is_some();
            ensure!(
                there == (outcome == CommitOutcome::Applied),
                "{outcome:?}, and the lead is there: {there}"
            );
            Ok(outcome)
        }))
        .await;
        let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.judge(postings, outcomes)?;
        self.compare().await
    }

    fn was_made(&self, id: PostingId) -> bool {
        self.tried.iter().any(|(posting, made)| *made && posting.id == id)
    }

    /// Whether each answer was possible in some order, and what the balances are after them.
    fn judge(
        &mut self,
        postings: Vec<(Posting, bool)>,
        outcomes: Vec<CommitOutcome>,
    ) -> Result<(), Violation> {
        let (mut lowest, mut after) = (self.balances.clone(), self.balances.clone());
        for ((posting, _), outcome) in postings.iter().zip(&outcomes) {
            if *outcome == CommitOutcome::Applied && !self.was_made(posting.id) {
                for entry in &posting.entries {
                    *after.entry(entry.account).or_default() += entry.amount.minor;
                    *lowest.entry(entry.account).or_default() += entry.amount.minor.min(0);
                }
            }
        }
        for ((posting, _), outcome) in postings.iter().zip(&outcomes) {
            let before = self.was_made(posting.id);
            match outcome {
                CommitOutcome::Applied => {}
                CommitOutcome::Refused(Refusal::Short { account, available }) if !before => {
                    let wanted = posting.entries.iter().find(|entry| entry.account == *account);
                    let wanted = wanted.map_or(0, |entry| -entry.amount.minor);
                    ensure!(
                        available.minor < wanted && available.minor >= 0,
                        "{posting:?} was refused though {available:?} was available"
                    );
                    let credit = self.credits.get(account).copied().flatten();
                    let least = lowest.get(account).copied().unwrap_or_default();
                    ensure!(
                        credit.is_some_and(|credit| least - wanted < -credit),
                        "{posting:?} was refused though {least} was there at the least, with a credit of {credit:?}"
                    );
                }
                // Somebody has taken it back before; at the same time nobody has.
                CommitOutcome::Refused(Refusal::Unpostable { .. })
                    if self.tried.iter().any(|(other, made)| {
                        *made && other.reverses.is_some() && other.reverses == posting.reverses
                    }) => {}
                CommitOutcome::Refused(refusal) => {
                    return Err(Violation::new(format!(
                        "{posting:?} was refused: {refusal:?}; made before: {before}"
                    )));
                }
            }
        }
        self.balances = after;
        for ((posting, _), outcome) in postings.into_iter().zip(outcomes) {
            self.tried.push((posting, outcome == CommitOutcome::Applied));
        }
        Ok(())
    }

    /// The store's balances are the model's.
    async fn compare(&self) -> Result<(), Violation> {
        let stored = balanced(self.store, self.tenant.scope.workspace_id).await?;
        let stored: BTreeMap<_, _> =
            stored.iter().map(|found| (found.account.id, found.balance.minor)).collect();
        let differ: Vec<_> =
            self.balances.iter().filter(|(account, minor)| stored.get(account) != Some(minor)).collect();
        ensure!(
            differ.is_empty() && stored.len() == self.balances.len(),
            "the model says {differ:?}, the store {stored:?}"
        );
        Ok(())
    }

    /// The entries of every account add up to its balance, and each says the balance after it.
    async fn finish(self) -> Result<(), Violation> {
        for account in balanced(self.store, self.tenant.scope.workspace_id).await? {
            let page = PageRequest { after: None, limit: 500 };
            let (workspace, id) = (account.account.workspace_id, account.account.id);
            let entries = self.store.entries(workspace, id, page).await?.items;
            let mut running = 0;
            for (number, entry) in (1..).zip(entries.iter().rev()) {
                running += entry.amount.minor;
                ensure!(
                    entry.number == number && entry.balance.minor == running,
                    "entry {number} of {id} should leave {running}: {entry:?}"
                );
            }
            ensure!(
                running == account.balance.minor && account.entries == entries.len() as u64,
                "the {} entries of {id} add up to {running}: {account:?}",
                entries.len()
            );
        }
        Ok(())
    }
}
