//! What many leads share is counted exactly, and leads that wait are found.

use std::sync::Arc;

use fastlead_core::decide::{Counter, LeadState, LeadStatus};
use fastlead_core::port::{CommitOutcome, Refusal, Reservation, Transition};
use fastlead_core::time::Timestamp;
use tokio::task::JoinSet;

use super::sample::{Tenant, applied, at, begin, commit, counter, counter_id, refused, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

async fn read(store: &dyn FullStore, number: u8, now: Timestamp) -> Result<Counter, Violation> {
    let mut found = store.counters(vec![counter_id(number)], now).await?;
    ensure!(found.len() == 1, "asked for one counter, got {}", found.len());
    Ok(found.remove(0))
}

/// Commits a new lead with these changes of counters.
async fn change(
    store: &dyn FullStore,
    tenant: &Tenant,
    reservations: Vec<Reservation>,
    now: Timestamp,
) -> Result<(), Violation> {
    applied(store, Transition { reservations, ..tenant.capture(tenant.lead_id(), now) }).await
}

/// A counter goes up and down, keeps its note, and gives back no more than was taken.
pub async fn a_counter_counts_and_never_goes_below_nothing<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    ensure!(
        read(&*store, 1, start()).await? == Counter::default(),
        "a counter says something before it is used"
    );
    let noted = Reservation::Counter {
        id: counter_id(1),
        amount: 3,
        limit: None,
        note: Some("anna".to_owned()),
        until: None,
    };
    change(&*store, &tenant, vec![noted, counter(2, 1, Some(1), None)], start()).await?;
    change(&*store, &tenant, vec![counter(1, 4, None, None)], at(1)).await?;
    let expected = Counter { value: 7, note: Some("anna".to_owned()), last_at: Some(at(1)), until: None };
    let found = read(&*store, 1, at(1)).await?;
    ensure!(found == expected, "after 3 and 4: {found:?}");
    change(&*store, &tenant, vec![counter(1, -5, None, None)], at(2)).await?;
    let found = read(&*store, 1, at(2)).await?;
    ensure!(found.value == 2 && found.last_at == Some(at(1)), "after giving 5 of 7 back: {found:?}");
    change(&*store, &tenant, vec![counter(1, -5, None, None)], at(3)).await?;
    let found = read(&*store, 1, at(3)).await?;
    ensure!(found.value == 0, "after giving back more than was taken: {found:?}");
    let ids = vec![counter_id(2), counter_id(3), counter_id(1)];
    let values: Vec<i64> = store.counters(ids, at(3)).await?.iter().map(|counter| counter.value).collect();
    ensure!(values == [1, 0, 0], "counters are answered out of order: {values:?}");
    Ok(Verdict::Held)
}

/// From its moment on a counter says nothing, and counts from nothing again.
pub async fn a_counter_is_forgotten_at_its_moment<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    change(&*store, &tenant, vec![counter(1, 2, Some(2), Some(at(60)))], start()).await?;
    ensure!(read(&*store, 1, at(59)).await?.value == 2, "a counter was forgotten too early");
    ensure!(read(&*store, 1, at(60)).await? == Counter::default(), "a counter was not forgotten");
    change(&*store, &tenant, vec![counter(1, 2, Some(2), Some(at(120)))], at(60)).await?;
    let found = read(&*store, 1, at(61)).await?;
    ensure!(found.value == 2 && found.until == Some(at(120)), "after its moment it counts on: {found:?}");
    Ok(Verdict::Held)
}

/// What is given back after a counter's moment changes nothing: neither what it said before, which a process whose
/// clock is behind still asks for, nor that it is forgotten.
pub async fn what_is_given_back_too_late_changes_nothing<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    change(&*store, &tenant, vec![counter(1, 2, Some(2), Some(at(60)))], start()).await?;
    let before = read(&*store, 1, at(59)).await?;
    change(&*store, &tenant, vec![counter(1, -1, None, None), counter(2, -1, None, None)], at(61)).await?;
    let after = read(&*store, 1, at(59)).await?;
    ensure!(
        before == after,
        "given back after its moment, the counter before it is {after:?}, not {before:?}"
    );
    ensure!(read(&*store, 1, at(61)).await? == Counter::default(), "a counter was not forgotten");
    ensure!(read(&*store, 2, at(61)).await? == Counter::default(), "giving back made a counter");
    change(&*store, &tenant, vec![counter(1, 2, Some(2), Some(at(120)))], at(61)).await?;
    let found = read(&*store, 1, at(61)).await?;
    ensure!(found.value == 2 && found.until == Some(at(120)), "after its moment it counts on: {found:?}");
    Ok(Verdict::Held)
}

/// A change beyond the limit is refused with the counter's value, and changes nothing; giving back makes
/// room.
pub async fn a_full_counter_refuses_and_says_its_value<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    change(&*store, &tenant, vec![counter(1, 19, Some(20), None)], start()).await?;
    let lead = tenant.lead_id();
    let both = vec![counter(2, 1, None, None), counter(1, 2, Some(20), None)];
    let refusal = refused(&*store, Transition { reservations: both, ..tenant.capture(lead, at(1)) }).await?;
    let Refusal::CapFull { id, counter: said } = refusal else {
        return Err(Violation::new(format!("expected CapFull, got {refusal:?}")));
    };
    ensure!(id == counter_id(1) && said.value == 19, "the wrong counter or value: {id:?} {said:?}");
    ensure!(read(&*store, 2, at(1)).await?.value == 0, "a refused transition changed a counter");
    ensure!(store.lead(tenant.scope.workspace_id, lead).await?.is_none(), "a refused lead is there");
    change(&*store, &tenant, vec![counter(1, 1, Some(20), None)], at(2)).await?;
    // Without a limit, and downwards, nothing is refused.
    change(&*store, &tenant, vec![counter(1, 5, None, None)], at(3)).await?;
    change(&*store, &tenant, vec![counter(1, -6, Some(20), None)], at(4)).await?;
    change(&*store, &tenant, vec![counter(1, 1, Some(20), None)], at(5)).await?;
    let found = read(&*store, 1, at(5)).await?;
    ensure!(found.value == 20, "expected 20, found {found:?}");
    Ok(Verdict::Held)
}

/// 200 leads at once against a limit of 20: exactly 20 pass, and the counter says 20.
pub async fn of_two_hundred_concurrent_leads_twenty_fit_a_limit<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let reservations = vec![counter(1, 1, Some(20), Some(at(600))), counter(2, 1, None, None)];
        let transition = Transition { reservations, ..tenant.capture(tenant.lead_id(), start()) };
        let store = Arc::clone(&store);
        tasks.spawn(async move { commit(&*store, transition).await });
    }
    let mut passed = 0;
    for outcome in tasks.join_all().await {
        match outcome? {
            CommitOutcome::Applied => passed += 1,
            CommitOutcome::Refused(Refusal::CapFull { counter, .. }) => {
                ensure!(counter.value == 20, "refused at {} of 20", counter.value);
            }
            CommitOutcome::Refused(refusal) => {
                return Err(Violation::new(format!("expected CapFull, got {refusal:?}")));
            }
        }
    }
    ensure!(passed == 20, "{passed} of 200 leads passed a limit of 20");
    let (limited, free) = (read(&*store, 1, start()).await?, read(&*store, 2, start()).await?);
    ensure!(
        limited.value == 20 && free.value == 20,
        "20 passed; counted {} and {}",
        limited.value,
        free.value
    );
    Ok(Verdict::Held)
}

/// What was counted is still counted after the process has died.
pub async fn counters_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let noted = Reservation::Counter {
        id: counter_id(1),
        amount: 2,
        limit: Some(2),
        note: Some("anna".to_owned()),
        until: Some(at(600)),
    };
    change(&*store, &tenant, vec![noted], start()).await?;
    let before = read(&*store, 1, start()).await?;
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let after = read(&*store, 1, start()).await?;
    ensure!(before == after && after.value == 2, "a restart changed a counter from {before:?} to {after:?}");
    Ok(Verdict::Held)
}

/// Leads that wait are listed by project, oldest first, in pages; no others are.
pub async fn waiting_leads_are_listed_oldest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let stranger = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let queued = |version| LeadState { version, status: LeadStatus::Queued, ..LeadState::default() };
    let mut waiting = Vec::new();
    for number in 0..5 {
        let lead = tenant.lead_id();
        applied(&*store, Transition { state: queued(1), ..tenant.capture(lead, at(number)) }).await?;
        waiting.push(lead);
        let open = tenant.lead_id();
        applied(&*store, tenant.capture(open, at(number))).await?;
    }
    let foreign = stranger.lead_id();
    applied(&*store, Transition { state: queued(1), ..stranger.capture(foreign, at(0)) }).await?;
    // One leaves the queue.
    let gone = waiting.remove(2);
    applied(&*store, tenant.decide(gone, 1, at(9))).await?;

    let all = store.waiting(tenant.scope, None, 10).await?;
    ensure!(all == waiting, "expected {waiting:?}, got {all:?}");
    let first = store.waiting(tenant.scope, None, 2).await?;
    let rest = store.waiting(tenant.scope, first.last().copied(), 10).await?;
    ensure!([first, rest].concat() == waiting, "pages have gaps or repeats");
    let theirs = store.waiting(stranger.scope, None, 10).await?;
    ensure!(theirs == [foreign], "another project's waiting leads: {theirs:?}");
    Ok(Verdict::Held)
}
