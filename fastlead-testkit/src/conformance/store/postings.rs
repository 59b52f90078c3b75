//! Postings beside decisions and beside each other, how they are listed, and what becomes of them.

use std::sync::Arc;

use fastlead_core::ErrorKind;
use fastlead_core::id::{AccountId, PostingId};
use fastlead_core::money::{Currency, Money};
use fastlead_core::port::{
    AccountEntry, CommitOutcome, Guard, LedgerAccount, PageRequest, Posting, PostingFault, Refusal,
    Transition,
};
use tokio::task::JoinSet;

use super::StoreHarness;
use super::harness::StoredRow;
use super::ledger::{balance, balanced, charge, entry, funded, known, opened, post, posted};
use super::sample::{Tenant, applied, at, begin, commit, counter, idempotency, refused, start, unique};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// A posting is made with its decision or not at all: neither is there where the guard, a reservation or the account
/// refuses, and both are where nothing does.
pub async fn a_posting_stands_and_falls_with_its_decision<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let take = |minor: i64| vec![charge(&format!("take {minor}"), buyer, source, minor)];
    let page = PageRequest::default;

    let stale = Transition { postings: take(10), ..tenant.decide(lead, 7, at(1)) };
    let full = Transition {
        reservations: vec![counter(1, 2, Some(1), None)],
        postings: take(10),
        ..tenant.decide(lead, 1, at(1))
    };
    for refusal in [refused(&*store, stale).await?, refused(&*store, full).await?] {
        ensure!(
            matches!(refusal, Refusal::Stale | Refusal::CapFull { .. }),
            "the guard and the reservations come before the postings; got {refusal:?}"
        );
        let left = balance(&*store, &tenant, buyer).await?;
        ensure!(left == 100, "a decision was refused, and its posting changed the balance to {left}");
    }
    let before = store.lead(workspace, lead).await?;
    for guard in [Guard::Version(1), Guard::Append] {
        let short = Transition {
            guard,
            postings: take(101),
            reservations: vec![counter(1, 1, None, None), unique(1, at(600))],
            idempotency: Some(idempotency(1, 1, lead, at(600))),
            deliveries: vec![tenant.delivery(Some(lead), at(1))],
            ..tenant.decide(lead, 1, at(1))
        };
        let refusal = refused(&*store, short).await?;
        let expected = Refusal::Short { account: buyer, available: Money::new(100, Currency::RUB) };
        ensure!(refusal == expected, "expected {expected:?}, got {refusal:?}");
        ensure!(store.lead(workspace, lead).await? == before, "a decision without its money was made");
        let events = store.events(workspace, lead, page()).await?.items.len();
        ensure!(events == 1, "a decision without its money is in the history: {events} events");
        ensure!(store.deliveries_of(workspace, lead).await?.is_empty(), "it sends something");
    }
    let newcomer = tenant.lead_id();
    let refusal =
        refused(&*store, Transition { postings: take(101), ..tenant.capture(newcomer, at(1)) }).await?;
    ensure!(matches!(refusal, Refusal::Short { .. }), "expected Short, got {refusal:?}");
    ensure!(store.lead(workspace, newcomer).await?.is_none(), "a lead without its money came in");

    // Everything that was refused is still free to be taken.
    let posting = charge("take 100", buyer, source, 100).about(lead);
    let decision = Transition {
        postings: vec![posting.clone()],
        reservations: vec![counter(1, 1, Some(1), None), unique(1, at(600))],
        idempotency: Some(idempotency(1, 2, lead, at(600))),
        ..tenant.decide(lead, 1, at(1))
    };
    applied(&*store, decision).await?;
    ensure!(balance(&*store, &tenant, buyer).await? == 0, "a decision was made without its posting");
    let found = store.posting(workspace, posting.id).await?;
    ensure!(found == Some(posting.clone()), "expected {posting:?}, found {found:?}");
    let version = store.lead(workspace, lead).await?.map(|record| record.state.version);
    ensure!(version == Some(2), "a posting was made without its decision: version {version:?}");
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}

/// 200 charges at once, half of them with a lead, against a balance with room for 20: exactly 20 pass, the balance is at its
/// floor and never was below, and what was refused has left nothing.
pub async fn of_two_hundred_concurrent_charges_twenty_fit_a_balance<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 150).await?;
    store.set_credit(workspace, buyer, Some(50)).await?;
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let (store, posting) = (Arc::clone(&store), charge(&format!("{number}"), buyer, source, 10));
        let decision = tenant.capture(tenant.lead_id(), start());
        tasks.spawn(async move {
            let lead = decision.lead_id;
            if number % 2 == 0 {
                let outcome = post(&*store, workspace, vec![posting]).await?;
                return Ok::<_, Violation>((None, outcome));
            }
            let decision = Transition { postings: vec![posting], ..decision };
            Ok((Some(lead), commit(&*store, decision).await?))
        });
    }
    let mut passed = 0;
    for outcome in tasks.join_all().await {
        let (lead, outcome) = outcome?;
        let there = match lead {
            Some(lead) => store.lead(workspace, lead).await?.is_some(),
            None => outcome == CommitOutcome::Applied,
        };
        ensure!(there == (outcome == CommitOutcome::Applied), "{outcome:?}, and the lead is there: {there}");
        match outcome {
            CommitOutcome::Applied => passed += 1,
            CommitOutcome::Refused(Refusal::Short { account, available }) => {
                ensure!(account == buyer && available.minor == 0, "refused with {available:?} of {account}");
            }
            CommitOutcome::Refused(refusal) => {
                return Err(Violation::new(format!("expected Short, got {refusal:?}")));
            }
        }
    }
    ensure!(passed == 20, "{passed} of 200 charges of 10 passed a balance of 150 and a credit of 50");
    ensure!(balance(&*store, &tenant, buyer).await? == -50, "the balance is not at its floor");
    let all = entries(&*store, &tenant, buyer, 500).await?;
    ensure!(all.len() == 21, "20 charges and one top-up made {} entries", all.len());
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}

/// Another workspace sees and moves nothing, even with the ids in hand; the same ids there are other things.
pub async fn another_workspace_moves_no_money<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let stranger = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let (workspace, other) = (tenant.scope.workspace_id, stranger.scope.workspace_id);
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let posting = charge("secret", buyer, source, 10);
    posted(&*store, &tenant, posting.clone()).await?;

    ensure!(known(&*store, other, buyer).await?.is_none(), "another workspace reads a balance");
    let listed = store.ledger_accounts(other, PageRequest::default()).await?.items;
    ensure!(listed.is_empty(), "another workspace lists accounts: {listed:?}");
    let listed = store.entries(other, buyer, PageRequest::default()).await?.items;
    ensure!(listed.is_empty(), "another workspace lists entries: {listed:?}");
    ensure!(store.posting(other, posting.id).await?.is_none(), "another workspace reads a posting");
    let answer = store.set_credit(other, buyer, None).await.err().map(|error| error.kind());
    ensure!(answer == Some(ErrorKind::NotFound), "another workspace's credit: {answer:?}");
    let theirs = opened(&*store, &stranger, None).await?;
    for (one, two) in [(buyer, source), (theirs, source)] {
        let foreign = charge("foreign", one, two, 5);
        let unknown = if one == buyer { (0, buyer) } else { (1, source) };
        let expected = Refusal::Unpostable {
            posting: foreign.id,
            field: format!("postings[0].entries[{}].account", unknown.0),
            fault: PostingFault::UnknownAccount(unknown.1),
        };
        let outcome = post(&*store, other, vec![foreign.clone()]).await?;
        ensure!(
            outcome == CommitOutcome::Refused(expected.clone()),
            "expected {expected:?}, got {outcome:?}"
        );
        let decision =
            Transition { postings: vec![foreign], ..stranger.capture(stranger.lead_id(), start()) };
        let refusal = refused(&*store, decision).await?;
        ensure!(refusal == expected, "with a decision: expected {expected:?}, got {refusal:?}");
    }
    ensure!(balance(&*store, &tenant, buyer).await? == 90, "another workspace changed a balance");

    // The same ids, and other things.
    for (id, credit) in [(buyer, Some(0)), (source, None)] {
        let same = LedgerAccount::new(other, id, "Theirs", Currency::RUB).with_credit(credit);
        ensure!(store.open_account(same.clone()).await? == same, "an id of another workspace is taken");
    }
    let same = charge("secret", source, buyer, 3);
    posted(&*store, &stranger, same.clone()).await?;
    ensure!(balance(&*store, &stranger, buyer).await? == 3, "the wrong account has changed");
    ensure!(balance(&*store, &tenant, buyer).await? == 90, "an account of the same id has changed");
    for (owner, expected) in [(workspace, &posting), (other, &same)] {
        let found = store.posting(owner, expected.id).await?;
        ensure!(found.as_ref() == Some(expected), "expected {expected:?}, found {found:?}");
    }
    let back = posting
        .reversal(PostingId::of(&["their back"]), start(), "reversal")
        .map_err(|_| Violation::new("a posting has no reversal"))?;
    let outcome = post(&*store, other, vec![back.clone()]).await?;
    let fault = PostingFault::NotReversible(posting.id);
    let field = "postings[0].reverses".to_owned();
    let expected = Refusal::Unpostable { posting: back.id, field, fault };
    ensure!(
        outcome == CommitOutcome::Refused(expected),
        "another workspace takes a posting back: {outcome:?}"
    );
    balanced(&*store, workspace).await?;
    balanced(&*store, other).await?;
    Ok(Verdict::Held)
}

/// All entries of an account, page by page.
async fn entries(
    store: &dyn super::FullStore,
    tenant: &Tenant,
    account: AccountId,
    limit: u32,
) -> Result<Vec<AccountEntry>, Violation> {
    let (mut all, mut page) = (Vec::new(), PageRequest { after: None, limit });
    for _ in 0..1_000 {
        let found = store.entries(tenant.scope.workspace_id, account, page.clone()).await?;
        ensure!(found.items.len() <= usize::try_from(limit).unwrap_or(0), "a page is too long");
        all.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return Ok(all);
        }
    }
    Err(Violation::new("the list of entries has no end"))
}

/// The entries of an account are listed newest first, without gaps or repeats whatever the size of the pages and whatever is
/// posted meanwhile; each says what it belongs to and what was on the account after it. So are accounts.
pub async fn entries_are_listed_newest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 1_000).await?;
    let lead = tenant.lead_id();
    let mut expected = entries(&*store, &tenant, buyer, 10).await?;
    ensure!(expected.len() == 1 && expected[0].balance.minor == 1_000, "after one top-up: {expected:?}");
    for number in 0..12_u64 {
        let minor = i64::try_from(number + 1).unwrap_or(0);
        // Moments say nothing of the order.
        let mut posting = charge(&format!("{number}"), buyer, source, minor);
        (posting.at, posting.lead) = (at(100 - number), (number % 2 == 0).then_some(lead));
        posted(&*store, &tenant, posting.clone()).await?;
        let balance = Money::new(expected[0].balance.minor - minor, Currency::RUB);
        let next = AccountEntry {
            number: number + 2,
            posting: posting.id,
            at: posting.at,
            kind: posting.kind,
            lead: posting.lead,
            reverses: None,
            amount: Money::new(-minor, Currency::RUB),
            balance,
        };
        expected.insert(0, next);
    }
    for limit in [1, 2, 5, 13, 500] {
        let found = entries(&*store, &tenant, buyer, limit).await?;
        ensure!(found == expected, "in pages of {limit}: expected {expected:?}, found {found:?}");
    }
    let page = store.entries(workspace, buyer, PageRequest { after: None, limit: 0 }).await?;
    ensure!(page.items.len() == 1, "a page of 0 has {} entries", page.items.len());
    let first = store.entries(workspace, buyer, PageRequest { after: None, limit: 3 }).await?;
    posted(&*store, &tenant, charge("meanwhile", buyer, source, 1)).await?;
    let second = store.entries(workspace, buyer, PageRequest { after: first.next, limit: 3 }).await?;
    ensure!(second.items == expected[3..6], "a page after a new entry: {:?}", second.items);

    for _ in 0..7 {
        opened(&*store, &tenant, None).await?;
    }
    let all = balanced(&*store, workspace).await?;
    let ids: Vec<_> = all.iter().map(|found| found.account.id).collect();
    ensure!(ids.len() == 9 && ids.is_sorted(), "expected nine accounts in the order of their ids: {ids:?}");
    let (mut found, mut page) = (Vec::new(), PageRequest { after: None, limit: 2 });
    for _ in 0..10 {
        let part = store.ledger_accounts(workspace, page.clone()).await?;
        found.extend(part.items);
        page.after = part.next;
        if page.after.is_none() {
            break;
        }
    }
    ensure!(found == all, "in pages of 2: expected {all:?}, found {found:?}");
    let nobody = AccountId::generate(&*tenant.ids, start());
    let found = store.balances(workspace, vec![source, nobody, buyer, source]).await?;
    let found: Vec<_> = found.iter().map(|found| found.as_ref().map(|found| found.account.id)).collect();
    ensure!(
        found == [Some(source), None, Some(buyer), Some(source)],
        "balances are answered out of order: {found:?}"
    );
    Ok(Verdict::Held)
}

/// Accounts, postings, entries and balances survive a restart, and what was posted before counts once afterwards.
pub async fn the_ledger_survives_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    store.set_credit(workspace, buyer, Some(5)).await?;
    let lead = tenant.lead_id();
    let posting = charge("before", buyer, source, 40).about(lead);
    let decision = Transition { postings: vec![posting.clone()], ..tenant.capture(lead, start()) };
    applied(&*store, decision).await?;
    let back = posting
        .reversal(PostingId::of(&["back"]), at(1), "reversal")
        .map_err(|_| Violation::new("a posting has no reversal"))?;
    posted(&*store, &tenant, back.clone()).await?;
    let before = (balanced(&*store, workspace).await?, entries(&*store, &tenant, buyer, 2).await?);
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let after = (balanced(&*store, workspace).await?, entries(&*store, &tenant, buyer, 2).await?);
    ensure!(before == after, "before the restart {before:?}, after it {after:?}");
    for expected in [&posting, &back] {
        let found = store.posting(workspace, expected.id).await?;
        ensure!(found.as_ref() == Some(expected), "expected {expected:?}, found {found:?}");
        posted(&*store, &tenant, expected.clone()).await?;
    }
    ensure!(balance(&*store, &tenant, buyer).await? == 100, "after a restart a posting counts again");
    let outcome = post(&*store, workspace, vec![charge("more", buyer, source, 106)]).await?;
    let short = Refusal::Short { account: buyer, available: Money::new(105, Currency::RUB) };
    ensure!(outcome == CommitOutcome::Refused(short), "106 of 100 and a credit of 5: {outcome:?}");
    Ok(Verdict::Held)
}

/// An account and a posting that cannot be read stop no other: whoever names them is told, everybody else posts, and lists
/// go on and name them.
pub async fn money_that_cannot_be_read_stops_no_other<H: StoreHarness>() -> Outcome {
    let (harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (buyer, source) = funded(&*store, &tenant, 100).await?;
    let (broken, _) = funded(&*store, &tenant, 50).await?;
    let (torn, last) = (charge("torn", buyer, source, 1), charge("last", buyer, source, 1));
    for posting in [&torn, &last] {
        posted(&*store, &tenant, posting.clone()).await?;
    }
    let can_be =
        harness.damage(StoredRow::Account(broken)).await && harness.damage(StoredRow::Posting(torn.id)).await;
    if !can_be {
        return Ok(Verdict::NotApplicable("a row of this store cannot be damaged"));
    }
    let stopped = |error: fastlead_core::Error| {
        Violation::new(format!("what cannot be read stops the others: {error}"))
    };
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let from = if number % 2 == 0 { buyer } else { broken };
        let (store, mut posting) = (Arc::clone(&store), charge(&format!("{number}"), from, source, 1));
        if number == 19 {
            posting = torn.clone();
        }
        let decision =
            Transition { postings: vec![posting.clone()], ..tenant.capture(tenant.lead_id(), at(1)) };
        tasks.spawn(async move {
            let answer = if number % 4 < 2 {
                post(&*store, workspace, vec![posting]).await
            } else {
                store.commit(decision).await
            };
            (from == buyer, answer)
        });
    }
    for (whole, answer) in tasks.join_all().await {
        if whole {
            let outcome = answer.map_err(stopped)?;
            ensure!(outcome == CommitOutcome::Applied, "beside what cannot be read: {outcome:?}");
        } else {
            let told = answer.as_ref().err().map(fastlead_core::Error::kind);
            ensure!(told == Some(ErrorKind::Unreadable), "who names what cannot be read is told {answer:?}");
        }
    }
    let left = store.balances(workspace, vec![buyer]).await.map_err(stopped)?;
    let left = left.into_iter().flatten().map(|found| found.balance.minor).next();
    ensure!(left == Some(88), "twelve postings of 1 were made, and {left:?} of 100 is left");
    for told in [
        store.balances(workspace, vec![buyer, broken]).await.map(drop),
        store.posting(workspace, torn.id).await.map(drop),
    ] {
        let kind = told.as_ref().err().map(fastlead_core::Error::kind);
        ensure!(kind == Some(ErrorKind::Unreadable), "who asks for it is told {told:?}");
    }
    let page = store.ledger_accounts(workspace, PageRequest::default()).await.map_err(stopped)?;
    ensure!(page.items.len() == 3, "of four accounts three can be read, listed: {:?}", page.items);
    let named: Vec<_> = page.unreadable.iter().map(|row| row.id.clone()).collect();
    ensure!(named == [broken.to_string()], "the list names {named:?}, not {broken}");
    let page = store.entries(workspace, buyer, PageRequest::default()).await.map_err(stopped)?;
    ensure!(page.items.len() == 12, "of 13 entries 12 can be read, listed: {}", page.items.len());
    let named: Vec<_> = page.unreadable.iter().map(|row| row.id.clone()).collect();
    ensure!(named == [torn.id.to_string()], "the list names {named:?}, not {}", torn.id);
    let met = store.unreadable(Some(workspace)).await?;
    for id in [broken.to_string(), torn.id.to_string()] {
        ensure!(met.iter().any(|row| row.id == id), "{id} is not among {met:?}");
    }
    Ok(Verdict::Held)
}

/// A posting that takes from several accounts at once is made for all of them or for none.
pub async fn a_posting_is_made_whole<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (rich, source) = funded(&*store, &tenant, 100).await?;
    let (poor, _) = funded(&*store, &tenant, 1).await?;
    let shared = |name: &str, share: i64| {
        let entries = vec![entry(rich, -10), entry(poor, -share), entry(source, 10 + share)];
        Posting::new(PostingId::of(&[name]), start(), "charge", entries)
    };
    let outcome = post(&*store, workspace, vec![shared("short", 2)]).await?;
    let short = Refusal::Short { account: poor, available: Money::new(1, Currency::RUB) };
    ensure!(outcome == CommitOutcome::Refused(short), "2 of 1: {outcome:?}");
    ensure!(balance(&*store, &tenant, rich).await? == 100, "half of a posting was made");
    posted(&*store, &tenant, shared("fits", 1)).await?;
    let left = (balance(&*store, &tenant, rich).await?, balance(&*store, &tenant, poor).await?);
    ensure!(left == (90, 0), "10 of 100 and 1 of 1 were taken: {left:?} are left");
    balanced(&*store, workspace).await?;
    Ok(Verdict::Held)
}
