//! What a posting must be, and what it does to the balances of its accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastlead_core::ErrorKind;
use fastlead_core::id::{AccountId, LeadId, PostingId, WorkspaceId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{
    AccountBalance, CommitOutcome, Entry, LedgerAccount, PageRequest, Posting, PostingFault, Refusal,
};

use super::sample::{Tenant, at, begin, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

pub(super) fn usd() -> Currency {
    "USD".parse().unwrap_or(Currency::RUB)
}

pub(super) fn entry(account: AccountId, minor: i64) -> Entry {
    Entry::new(account, Money::new(minor, Currency::RUB))
}

/// Takes so many kopecks from one account and gives them to another.
pub(super) fn charge(name: &str, from: AccountId, to: AccountId, minor: i64) -> Posting {
    Posting::new(PostingId::of(&[name]), start(), "charge", vec![entry(from, -minor), entry(to, minor)])
}

/// Opens an account in roubles with this credit.
pub(super) async fn opened(
    store: &dyn FullStore,
    tenant: &Tenant,
    credit: Option<i64>,
) -> Result<AccountId, Violation> {
    let id = AccountId::generate(&*tenant.ids, start());
    let account = LedgerAccount::new(tenant.scope.workspace_id, id, "Anna's office", Currency::RUB);
    store.open_account(account.with_credit(credit)).await?;
    Ok(id)
}

/// A buyer's account with so many kopecks on it, and the account that they came from, which has no floor.
pub(super) async fn funded(
    store: &dyn FullStore,
    tenant: &Tenant,
    minor: i64,
) -> Result<(AccountId, AccountId), Violation> {
    let (buyer, source) = (opened(store, tenant, Some(0)).await?, opened(store, tenant, None).await?);
    posted(store, tenant, charge(&format!("top up {buyer}"), source, buyer, minor)).await?;
    Ok((buyer, source))
}

/// Posts until there is a definite answer.
pub(super) async fn post(
    store: &dyn FullStore,
    workspace: WorkspaceId,
    postings: Vec<Posting>,
) -> fastlead_core::Result<CommitOutcome> {
    loop {
        match store.post(workspace, postings.clone()).await {
            Err(error) if error.kind() == ErrorKind::Overloaded => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
}

/// Posts what must be posted.
pub(super) async fn posted(
    store: &dyn FullStore,
    tenant: &Tenant,
    posting: Posting,
) -> Result<(), Violation> {
    let outcome = post(store, tenant.scope.workspace_id, vec![posting.clone()]).await?;
    ensure!(outcome == CommitOutcome::Applied, "expected {posting:?} to be posted, got {outcome:?}");
    Ok(())
}

/// Posts what must be refused, and returns why it was.
async fn refused(
    store: &dyn FullStore,
    tenant: &Tenant,
    postings: Vec<Posting>,
) -> Result<Refusal, Violation> {
    match post(store, tenant.scope.workspace_id, postings.clone()).await? {
        CommitOutcome::Refused(refusal) => Ok(refusal),
        CommitOutcome::Applied => Err(Violation::new(format!("expected a refusal of {postings:?}"))),
    }
}

pub(super) async fn known(
    store: &dyn FullStore,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Option<AccountBalance>, Violation> {
    let mut found = store.balances(workspace, vec![account]).await?;
    ensure!(found.len() == 1, "asked for one balance, got {}", found.len());
    Ok(found.remove(0))
}

/// What is on an account, which must exist.
pub(super) async fn balance(
    store: &dyn FullStore,
    tenant: &Tenant,
    account: AccountId,
) -> Result<i64, Violation> {
    let found = known(store, tenant.scope.workspace_id, account).await?;
    let found = found.ok_or_else(|| Violation::new(format!("{account} is gone")))?;
    Ok(found.balance.minor)
}

/// Every account of a workspace, whose balances must add up to 0 in each currency and keep to their floors.
pub(super) async fn balanced(
    store: &dyn FullStore,
    workspace: WorkspaceId,
) -> Result<Vec<AccountBalance>, Violation> {
    let mut page = PageRequest { after: None, limit: 500 };
    let mut all = Vec::new();
    loop {
        let found = store.ledger_accounts(workspace, page.clone()).await?;
        all.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for AccountBalance { account, balance, .. } in &all {
        *sums.entry(balance.currency).or_default() += i128::from(balance.minor);
        ensure!(
            account.credit.is_none_or(|credit| i128::from(balance.minor) >= -i128::from(credit)),
            "{} has {balance:?} with a credit of {:?}",
            account.id,
            account.credit
        );
    }
    ensure!(sums.values().all(|sum| *sum == 0), "the balances add up to {sums:?}");
    Ok(all)
}

fn field(answer: fastlead_core::Result<CommitOutcome>) -> Result<String, Violation> {
    match answer {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let field = error.context().iter().find(|(name, _)| *name == "field");
            field
                .map(|(_, field)| field.clone())
                .ok_or_else(|| Violation::new("a malformed posting is refused without its field"))
        }
        answer => Err(Violation::new(format!("a malformed posting: expected Invalid, got {answer:?}"))),
    }
}

/// A posting whose sum is not 0, or that is malformed otherwise, is refused with its field, alone and with a decision, and
/// nothing changes.
pub async fn a_posting_has_a_sum_of_zero<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let third = opened(&*store, &tenant, None).await?;
    let of = |entries: Vec<Entry>| Posting::new(PostingId::of(&["malformed"]), start(), "charge", entries);
    let whole = charge("whole", source, buyer, 1);
    for (malformed, named) in [
        (of(vec![entry(buyer, -5), entry(source, 6)]), "entries"),
        (of(vec![entry(buyer, 5)]), "entries"),
        (of(vec![entry(buyer, -5), entry(source, 5), entry(third, 0)]), "entries[2].amount"),
        (of(vec![entry(buyer, -5), entry(source, 6), entry(buyer, -1)]), "entries[2].account"),
        (of(vec![entry(buyer, -5), Entry::new(source, Money::new(5, usd()))]), "entries"),
        (Posting::new(PostingId::of(&["m"]), start(), "A person", whole.entries.clone()), "kind"),
    ] {
        let answer = post(&*store, workspace, vec![whole.clone(), malformed.clone()]).await;
        let told = field(answer)?;
        ensure!(told == format!("postings[1].{named}"), "{malformed:?}: the field is {told}");
        let lead = tenant.lead_id();
        let mut decision = tenant.capture(lead, start());
        decision.postings = vec![malformed.clone()];
        let told = field(store.commit(decision).await)?;
        ensure!(told == format!("postings[0].{named}"), "{malformed:?} with a decision: the field is {told}");
        ensure!(store.lead(workspace, lead).await?.is_none(), "a lead came in with {malformed:?}");
    }
    ensure!(balance(&*store, &tenant, buyer).await? == 100, "a malformed posting changed a balance");
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}

/// The same posting again changes nothing and is no fault: alone, within one commit, later, with its entries in another
/// order, and from fifty at once.
pub async fn a_posting_counts_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let once = charge("once", buyer, source, 60);
    let mut turned = once.clone();
    turned.at = at(60);
    turned.entries.reverse();
    for postings in [vec![once.clone()], vec![once.clone()], vec![turned.clone(), once.clone()]] {
        let outcome = post(&*store, workspace, postings).await?;
        ensure!(outcome == CommitOutcome::Applied, "the same posting again: {outcome:?}");
        let left = balance(&*store, &tenant, buyer).await?;
        ensure!(left == 40, "60 of 100 were taken, and posted again: {left} are left");
    }
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (store, again) = (Arc::clone(&store), charge("at once", buyer, source, 30));
        let mut decision = tenant.capture(tenant.lead_id(), start());
        tasks.spawn(async move {
            if number % 2 == 0 {
                return post(&*store, workspace, vec![again]).await.map_err(Violation::from);
            }
            decision.postings = vec![again];
            super::sample::commit(&*store, decision).await
        });
    }
    for outcome in tasks.join_all().await {
        let outcome = outcome?;
        ensure!(outcome == CommitOutcome::Applied, "of fifty equal postings one got {outcome:?}");
    }
    let left = balance(&*store, &tenant, buyer).await?;
    ensure!(left == 10, "30 of 40 were taken by fifty equal postings: {left} are left");
    let found = store.posting(workspace, once.id).await?;
    ensure!(found == Some(once.clone()), "expected {once:?} as it was first posted, found {found:?}");
    let entries = store.entries(workspace, buyer, PageRequest::default()).await?.items.len();
    ensure!(entries == 3, "three postings made {entries} entries");
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}

/// Another posting under an id that is taken is refused with that id, whatever differs.
pub async fn another_posting_under_the_same_id_is_refused<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let third = opened(&*store, &tenant, None).await?;
    let first = charge("taken", buyer, source, 10);
    posted(&*store, &tenant, first.clone()).await?;
    let lead: LeadId = tenant.lead_id();
    let others = [
        charge("taken", buyer, source, 11),
        charge("taken", buyer, third, 10),
        charge("taken", source, buyer, 10),
        Posting::new(first.id, start(), "fee", first.entries.clone()),
        first.clone().about(lead),
    ];
    for other in others {
        let expected = Refusal::PostingReused(first.id);
        let refusal = refused(&*store, &tenant, vec![other.clone()]).await?;
        ensure!(refusal == expected, "{other:?}: expected {expected:?}, got {refusal:?}");
        // With one before it that would be fine, and both in one commit.
        let before = charge("before", buyer, source, 1);
        let refusal = refused(&*store, &tenant, vec![before, other]).await?;
        ensure!(refusal == expected, "after another: expected {expected:?}, got {refusal:?}");
    }
    let (one, two) = (charge("new", buyer, source, 1), charge("new", buyer, source, 2));
    let (id, refusal) = (one.id, refused(&*store, &tenant, vec![one, two]).await?);
    ensure!(refusal == Refusal::PostingReused(id), "two of one id in one commit: {refusal:?}");
    let left = balance(&*store, &tenant, buyer).await?;
    ensure!(left == 90, "refused postings changed a balance to {left}");
    balanced(&*store, tenant.scope.workspace_id).await?;
    Ok(Verdict::Held)
}

/// An account goes down to its floor and no further; the refusal says what is available, the postings before it in the same
/// commit included. An account without a floor goes on.
pub async fn an_account_stays_above_its_floor<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let short = |minor| Refusal::Short { account: buyer, available: Money::new(minor, Currency::RUB) };
    let refusal = refused(&*store, &tenant, vec![charge("a", buyer, source, 101)]).await?;
    ensure!(refusal == short(100), "101 of 100: expected {:?}, got {refusal:?}", short(100));
    let both = vec![charge("b", buyer, source, 60), charge("c", buyer, source, 41)];
    let refusal = refused(&*store, &tenant, both).await?;
    ensure!(refusal == short(40), "60 and 41 of 100: expected {:?}, got {refusal:?}", short(40));
    ensure!(balance(&*store, &tenant, buyer).await? == 100, "a refused commit changed a balance");
    let outcome =
        post(&*store, workspace, vec![charge("d", source, buyer, 1), charge("e", buyer, source, 101)])
            .await?;
    ensure!(outcome == CommitOutcome::Applied, "what was put there first cannot be taken: {outcome:?}");
    ensure!(balance(&*store, &tenant, buyer).await? == 0, "an account does not go down to its floor");
    store.set_credit(workspace, buyer, Some(50)).await?;
    posted(&*store, &tenant, charge("f", buyer, source, 30)).await?;
    let refusal = refused(&*store, &tenant, vec![charge("g", buyer, source, 21)]).await?;
    ensure!(refusal == short(20), "51 of a credit of 50: expected {:?}, got {refusal:?}", short(20));
    posted(&*store, &tenant, charge("h", source, buyer, 5)).await?;
    ensure!(balance(&*store, &tenant, buyer).await? == -25, "a balance below zero is wrong");
    ensure!(balance(&*store, &tenant, source).await? == 25, "the other side of a balance is wrong");
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}

/// A balance that would not fit into 64 bits is refused and names its field, on both sides.
pub async fn an_overflow_is_refused<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (buyer, source) = funded(&*store, &tenant, i64::MAX).await?;
    let third = opened(&*store, &tenant, None).await?;
    let (over, under) = (charge("over", third, buyer, 1), charge("under", source, third, 2));
    for (posting, account, line) in [(over, buyer, 1), (under, source, 0)] {
        let refusal = refused(&*store, &tenant, vec![posting.clone()]).await?;
        let expected = Refusal::Unpostable {
            posting: posting.id,
            field: format!("postings[0].entries[{line}].amount"),
            fault: PostingFault::Overflow(account),
        };
        ensure!(refusal == expected, "expected {expected:?}, got {refusal:?}");
    }
    // The lowest number of all is a balance like any other.
    posted(&*store, &tenant, charge("lowest", source, third, 1)).await?;
    ensure!(balance(&*store, &tenant, source).await? == i64::MIN, "the lowest balance is wrong");
    posted(&*store, &tenant, charge("back", buyer, source, i64::MAX)).await?;
    ensure!(balance(&*store, &tenant, buyer).await? == 0, "the highest balance is wrong");
    balanced(&*store, tenant.scope.workspace_id).await?;
    Ok(Verdict::Held)
}

/// An amount in another currency than its account's, and an account that does not exist, are refused with their field.
/// A posting in two currencies, each with a sum of 0, is made.
pub async fn a_posting_has_the_currencies_of_its_accounts<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let mut dollars = Vec::new();
    for _ in 0..2 {
        let id = AccountId::generate(&*tenant.ids, start());
        let account = LedgerAccount::new(workspace, id, "Dollars", usd()).with_credit(None);
        store.open_account(account).await?;
        dollars.push(id);
    }
    let unpostable = |posting: &Posting, field: &str, fault| Refusal::Unpostable {
        posting: posting.id,
        field: format!("postings[1].{field}"),
        fault,
    };
    let fine = charge("fine", buyer, source, 1);
    let mixed = charge("mixed", buyer, dollars[0], 5);
    let fault = PostingFault::OtherCurrency { account: dollars[0], currency: usd() };
    let refusal = refused(&*store, &tenant, vec![fine.clone(), mixed.clone()]).await?;
    let expected = unpostable(&mixed, "entries[1].amount", fault);
    ensure!(refusal == expected, "expected {expected:?}, got {refusal:?}");
    let nobody = AccountId::generate(&*tenant.ids, start());
    let lost = charge("lost", nobody, source, 5);
    let refusal = refused(&*store, &tenant, vec![fine, lost.clone()]).await?;
    let expected = unpostable(&lost, "entries[0].account", PostingFault::UnknownAccount(nobody));
    ensure!(refusal == expected, "expected {expected:?}, got {refusal:?}");
    ensure!(balance(&*store, &tenant, buyer).await? == 100, "a refused commit changed a balance");
    let mut exchange = charge("exchange", buyer, source, 90);
    let dollar = |account, minor| Entry::new(account, Money::new(minor, usd()));
    exchange.entries.extend([dollar(dollars[0], -1), dollar(dollars[1], 1)]);
    posted(&*store, &tenant, exchange).await?;
    let found = known(&*store, workspace, dollars[0]).await?.map(|found| found.balance);
    ensure!(found == Some(Money::new(-1, usd())), "a dollar was taken: {found:?}");
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}

/// A posting is taken back once, by one with the opposite entries; nothing else is a reversal.
pub async fn a_posting_is_taken_back_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let mistake = charge("mistake", buyer, source, 70);
    let overflow = |_| Violation::new("a posting has no reversal");
    let back = mistake.reversal(PostingId::of(&["back"]), at(1), "reversal").map_err(overflow)?;
    let not_reversible = |posting: &Posting| Refusal::Unpostable {
        posting: posting.id,
        field: "postings[0].reverses".to_owned(),
        fault: PostingFault::NotReversible(mistake.id),
    };
    let refusal = refused(&*store, &tenant, vec![back.clone()]).await?;
    ensure!(refusal == not_reversible(&back), "a reversal of nothing: {refusal:?}");
    posted(&*store, &tenant, mistake.clone()).await?;
    let mut half = charge("half", source, buyer, 35);
    half.reverses = Some(mistake.id);
    let refusal = refused(&*store, &tenant, vec![half.clone()]).await?;
    ensure!(refusal == not_reversible(&half), "a reversal by half: {refusal:?}");
    for _ in 0..2 {
        posted(&*store, &tenant, back.clone()).await?;
    }
    let again = mistake.reversal(PostingId::of(&["again"]), at(2), "reversal").map_err(overflow)?;
    let refusal = refused(&*store, &tenant, vec![again.clone()]).await?;
    ensure!(refusal == not_reversible(&again), "a second reversal: {refusal:?}");
    let left = balance(&*store, &tenant, buyer).await?;
    ensure!(left == 100, "a posting was taken back and the account has {left} of 100");
    let found = store.posting(tenant.scope.workspace_id, back.id).await?;
    ensure!(found == Some(back.clone()), "expected {back:?}, found {found:?}");
    // What was taken back in error can be posted anew, and both at once.
    let anew = back.reversal(PostingId::of(&["anew"]), at(3), "reversal").map_err(overflow)?;
    let last = anew.reversal(PostingId::of(&["last"]), at(3), "reversal").map_err(overflow)?;
    let outcome = post(&*store, tenant.scope.workspace_id, vec![anew, last]).await?;
    ensure!(outcome == CommitOutcome::Applied, "a posting and its reversal in one commit: {outcome:?}");
    balanced(&*store, tenant.scope.workspace_id).await?;
    Ok(Verdict::Held)
}

/// An account that is opened again stays as it is; its credit changes when it is told to, and never to less than what the
/// account is below zero.
pub async fn an_account_is_opened_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let id = AccountId::generate(&*tenant.ids, start());
    let account = LedgerAccount::new(workspace, id, "Anna", Currency::RUB).with_credit(Some(500));
    ensure!(store.open_account(account.clone()).await? == account, "an account is opened as another one");
    let source = opened(&*store, &tenant, None).await?;
    posted(&*store, &tenant, charge("a", id, source, 200)).await?;
    let again = LedgerAccount::new(workspace, id, "Oleg", Currency::RUB).with_credit(None);
    let stored = store.open_account(again).await?;
    ensure!(stored == account, "opened again, {account:?} became {stored:?}");
    let found = known(&*store, workspace, id).await?;
    let expected =
        AccountBalance { account: account.clone(), balance: Money::new(-200, Currency::RUB), entries: 1 };
    ensure!(found.as_ref() == Some(&expected), "expected {expected:?}, found {found:?}");
    let other = store.open_account(LedgerAccount::new(workspace, id, "Anna", usd())).await;
    let kind = other.as_ref().err().map(fastlead_core::Error::kind);
    ensure!(kind == Some(ErrorKind::Conflict), "opened again in dollars: {other:?}");
    let negative = LedgerAccount::new(workspace, id, "Anna", Currency::RUB).with_credit(Some(-1));
    for answer in [
        store.open_account(negative).await.map(drop),
        store.set_credit(workspace, id, Some(-1)).await.map(drop),
    ] {
        let kind = answer.as_ref().err().map(fastlead_core::Error::kind);
        ensure!(kind == Some(ErrorKind::Invalid), "a credit below 0: {answer:?}");
    }

    let outcome = store.set_credit(workspace, id, Some(199)).await?;
    let short = Refusal::Short { account: id, available: Money::new(-1, Currency::RUB) };
    ensure!(outcome == CommitOutcome::Refused(short), "a credit of 199 for who owes 200: {outcome:?}");
    for credit in [Some(200), None, Some(300)] {
        let outcome = store.set_credit(workspace, id, credit).await?;
        ensure!(outcome == CommitOutcome::Applied, "a credit of {credit:?} for who owes 200: {outcome:?}");
        let found = known(&*store, workspace, id).await?.map(|found| found.account);
        let expected = account.clone().with_credit(credit);
        ensure!(found.as_ref() == Some(&expected), "expected {expected:?}, found {found:?}");
    }
    let refusal = refused(&*store, &tenant, vec![charge("b", id, source, 101)]).await?;
    let short = Refusal::Short { account: id, available: Money::new(100, Currency::RUB) };
    ensure!(refusal == short, "101 of 100: expected {short:?}, got {refusal:?}");
    let nobody = AccountId::generate(&*tenant.ids, start());
    let answer = store.set_credit(workspace, nobody, None).await;
    let kind = answer.as_ref().err().map(fastlead_core::Error::kind);
    ensure!(kind == Some(ErrorKind::NotFound), "the credit of nobody: {answer:?}");
    Ok(Verdict::Held)
}
