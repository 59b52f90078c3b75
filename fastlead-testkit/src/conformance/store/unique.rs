//! Keys that only one lead may hold.

use std::sync::Arc;

use fastlead_core::port::{CommitOutcome, Refusal, Transition};

use super::StoreHarness;
use super::sample::{applied, at, begin, commit, key, refused, start, unique};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// A key belongs to the lead that took it until the reservation ends, and to nobody from then on.
pub async fn a_key_is_held_until_its_moment<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (first, second) = (tenant.lead_id(), tenant.lead_id());
    applied(&*store, Transition { reservations: vec![unique(1, at(60))], ..tenant.capture(first, start()) })
        .await?;
    let take = |now| Transition { reservations: vec![unique(1, at(600))], ..tenant.capture(second, now) };
    for now in [start(), at(59)] {
        let refusal = refused(&*store, take(now)).await?;
        ensure!(refusal == Refusal::Duplicate(first), "expected Duplicate({first}), got {refusal:?}");
        let holder = store.holder(vec![key(9), key(1)], now).await?;
        ensure!(holder == Some(first), "the holder at {now} is {holder:?}, not {first}");
    }
    let holder = store.holder(vec![key(9), key(1)], at(60)).await?;
    ensure!(holder.is_none(), "a key is held by {holder:?} at the moment when it is free again");
    applied(
        &*store,
        Transition { reservations: vec![unique(2, at(600))], ..tenant.capture(tenant.lead_id(), at(1)) },
    )
    .await?;
    applied(&*store, take(at(60))).await?;
    let third =
        Transition { reservations: vec![unique(1, at(900))], ..tenant.capture(tenant.lead_id(), at(61)) };
    let refusal = refused(&*store, third).await?;
    ensure!(refusal == Refusal::Duplicate(second), "the key did not pass to the next lead: {refusal:?}");
    Ok(Verdict::Held)
}

/// The lead that holds a key may take it again, and hold it longer.
pub async fn the_holder_may_take_its_key_again<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, Transition { reservations: vec![unique(1, at(60))], ..tenant.capture(lead, start()) })
        .await?;
    applied(&*store, Transition { reservations: vec![unique(1, at(120))], ..tenant.decide(lead, 1, at(1)) })
        .await?;
    let other =
        Transition { reservations: vec![unique(1, at(600))], ..tenant.capture(tenant.lead_id(), at(90)) };
    let refusal = refused(&*store, other).await?;
    ensure!(refusal == Refusal::Duplicate(lead), "expected Duplicate({lead}), got {refusal:?}");
    Ok(Verdict::Held)
}

/// One of several keys held by another lead is enough for a refusal, and then none of them is taken.
pub async fn one_of_several_keys_is_enough<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(
        &*store,
        Transition {
            reservations: vec![unique(1, at(60)), unique(2, at(60))],
            ..tenant.capture(lead, start())
        },
    )
    .await?;
    let mixed = Transition {
        reservations: vec![unique(3, at(60)), unique(2, at(60))],
        ..tenant.capture(tenant.lead_id(), at(1))
    };
    let refusal = refused(&*store, mixed).await?;
    ensure!(refusal == Refusal::Duplicate(lead), "expected Duplicate({lead}), got {refusal:?}");
    let free =
        Transition { reservations: vec![unique(3, at(60))], ..tenant.capture(tenant.lead_id(), at(1)) };
    let outcome = commit(&*store, free).await?;
    ensure!(outcome == CommitOutcome::Applied, "a refused lead kept a key: {outcome:?}");
    Ok(Verdict::Held)
}

/// Of a thousand leads that want one key at once, one gets it and the others are told which.
pub async fn of_a_thousand_concurrent_leads_one_gets_the_key<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let store = Arc::clone(&store);
        let lead = tenant.lead_id();
        let delivery = tenant.delivery(Some(lead), start());
        let transition = Transition {
            reservations: vec![unique(1, at(60))],
            deliveries: vec![delivery],
            ..tenant.capture(lead, start())
        };
        tasks.spawn(async move { Ok::<_, Violation>((lead, commit(&*store, transition).await?)) });
    }
    let (mut winners, mut told) = (Vec::new(), Vec::new());
    for result in tasks.join_all().await {
        match result? {
            (lead, CommitOutcome::Applied) => winners.push(lead),
            (_, CommitOutcome::Refused(Refusal::Duplicate(of))) => told.push(of),
            (_, other) => {
                return Err(Violation::new(format!("expected Applied or Duplicate, got {other:?}")));
            }
        }
    }
    let [winner] = winners.as_slice() else {
        return Err(Violation::new(format!("{} of 1,000 leads got the key", winners.len())));
    };
    ensure!(told.iter().all(|of| of == winner), "a lead was told of a holder that does not hold the key");
    let due = store.claim(tenant.claim(start(), 10)).await?.deliveries;
    ensure!(
        due.len() == 1 && due[0].delivery.lead_id == Some(*winner),
        "{} deliveries are due after one accepted lead",
        due.len()
    );
    Ok(Verdict::Held)
}
