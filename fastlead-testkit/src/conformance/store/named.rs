//! Leases by name: one of several engines has it.

use std::sync::Arc;

use fastlead_core::id::LeaseToken;
use fastlead_core::port::{LeaseAnswer, NamedLease};
use uuid::Uuid;

use super::StoreHarness;
use super::harness::FullStore;
use super::sample::{at, begin};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

fn holder(number: u128) -> LeaseToken {
    LeaseToken::from_uuid(Uuid::from_u128(number))
}

/// Asks for the lease at one second, until another.
async fn take(
    store: &dyn FullStore,
    name: &str,
    who: u128,
    (now, until): (u64, u64),
) -> Result<LeaseAnswer, Violation> {
    let lease = NamedLease { name: name.to_owned(), holder: holder(who), now: at(now), until: at(until) };
    Ok(store.take_lease(lease).await?)
}

/// A lease is its holder's until its end, however often others ask, and then whoever asks first has it. A holder that comes
/// too late is told who is in its place, and one in whose place nobody is renews it.
pub async fn a_named_lease_has_one_holder<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    let first = take(store, "a", 1, (0, 10)).await?;
    ensure!(first == LeaseAnswer::Taken, "a lease that nobody has is refused: {first:?}");
    for second in [1, 9] {
        let other = take(store, "a", 2, (second, second + 10)).await?;
        ensure!(
            other == LeaseAnswer::Held { until: at(10) },
            "at {second} s the lease is held until 10 s, and the answer is {other:?}"
        );
    }
    let apart = take(store, "b", 2, (1, 5)).await?;
    ensure!(apart == LeaseAnswer::Taken, "leases of other names stand in the way: {apart:?}");
    let renewed = take(store, "a", 1, (9, 20)).await?;
    ensure!(renewed == LeaseAnswer::Taken, "the holder cannot renew its lease: {renewed:?}");
    let other = take(store, "a", 2, (15, 30)).await?;
    ensure!(other == LeaseAnswer::Held { until: at(20) }, "a renewed lease ends early: {other:?}");
    let late = take(store, "a", 1, (25, 40)).await?;
    ensure!(late == LeaseAnswer::Taken, "nobody has taken it, and its holder cannot renew it: {late:?}");
    let other = take(store, "a", 2, (40, 50)).await?;
    ensure!(other == LeaseAnswer::Taken, "a lease that has ended is not given to another: {other:?}");
    let gone = take(store, "a", 1, (41, 60)).await?;
    ensure!(gone == LeaseAnswer::Held { until: at(50) }, "a former holder takes it away: {gone:?}");
    Ok(Verdict::Held)
}

/// Whoever gives a lease back makes room at once. Nobody gives back what another has.
pub async fn a_named_lease_is_given_back_by_its_holder<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    store.end_lease("a", holder(1)).await?;
    take(store, "a", 1, (0, 10)).await?;
    store.end_lease("a", holder(2)).await?;
    let other = take(store, "a", 2, (1, 20)).await?;
    ensure!(other == LeaseAnswer::Held { until: at(10) }, "somebody else has given it back: {other:?}");
    store.end_lease("a", holder(1)).await?;
    let other = take(store, "a", 2, (2, 20)).await?;
    ensure!(other == LeaseAnswer::Taken, "a lease that was given back is still held: {other:?}");
    Ok(Verdict::Held)
}

/// Thirty-two engines ask at the same moment: one has it.
pub async fn of_concurrent_takers_one_has_the_lease<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    for round in 0..20_u64 {
        let mut tasks = tokio::task::JoinSet::new();
        for who in 1..=32 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { take(&*store, "a", who, (round * 10, round * 10 + 10)).await });
        }
        let mut taken = 0;
        for answer in tasks.join_all().await {
            taken += usize::from(answer? == LeaseAnswer::Taken);
        }
        ensure!(taken == 1, "{taken} of 32 engines have the lease");
    }
    Ok(Verdict::Held)
}
