//! Work under leases: who holds it, until when, and who takes over.

use std::collections::HashSet;
use std::sync::Arc;

use fastlead_core::delivery::{DeliveryState, NewDelivery, Phase};
use fastlead_core::id::LeaseToken;
use fastlead_core::port::{ClaimRequest, SettleOutcome};

use super::StoreHarness;
use super::sample::{at, begin, claimed, delivery, ended, retry, settled, settlement, start};
use crate::conformance::{Outcome, Verdict, ensure};

/// Sixteen claimers share 500 deliveries: each is leased exactly once, and none is left.
pub async fn concurrent_claimers_share_the_work<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let tenant = Arc::new(tenant);
    store.enqueue((0..500).map(|_| tenant.delivery(None, start())).collect()).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, tenant) = (Arc::clone(&store), Arc::clone(&tenant));
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let ids = claimed(&*store, tenant.claim(at(1), 7)).await?;
                if ids.is_empty() {
                    return Ok(mine);
                }
                mine.extend(ids);
                ensure!(mine.len() <= 500, "one claimer was given more deliveries than there are");
                tokio::task::yield_now().await;
            }
        });
    }
    let mut leased = Vec::new();
    for mine in tasks.join_all().await {
        leased.extend(mine?);
    }
    let distinct: HashSet<_> = leased.iter().collect();
    ensure!(
        distinct.len() == leased.len(),
        "{} deliveries were leased to two claimers",
        leased.len() - distinct.len()
    );
    ensure!(distinct.len() == 500, "{} of 500 deliveries were leased", distinct.len());
    Ok(Verdict::Held)
}

/// A claim takes at most each channel's limit, longest due first, nothing that is not due, and
/// nothing of a channel that was not asked for.
pub async fn a_claim_takes_the_longest_due_within_its_limits<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let due = |seconds| NewDelivery { due_at: at(seconds), ..tenant.delivery(None, start()) };
    let (late, early, middle, future) = (due(30), due(10), due(20), due(100));
    let other = NewDelivery { channel_id: tenant.other_channel, ..due(5) };
    let ids = [early.id, middle.id, late.id];
    store.enqueue(vec![late, early, middle, future, other.clone()]).await?;
    let first = store.claim(tenant.claim(at(50), 2)).await?.deliveries;
    let got: Vec<_> = first.iter().map(|leased| leased.delivery.id).collect();
    ensure!(got == ids[..2], "expected the two longest due in order, got {got:?}");
    for leased in &first {
        let found = delivery(&*store, &tenant, leased.delivery.id).await?;
        ensure!(found == leased.delivery, "claimed {:?}, stored {found:?}", leased.delivery);
        ensure!(leased.phase == Phase::Send, "new work is claimed in phase {:?}", leased.phase);
        ensure!(
            (found.state, found.attempts, found.last_attempt_at) == (DeliveryState::Sending, 1, Some(at(50))),
            "a claimed delivery is {found:?}"
        );
    }
    let none = claimed(&*store, tenant.claim(at(50), 0)).await?;
    ensure!(none.is_empty(), "a limit of 0 brought {none:?}");
    let mut both = tenant.claim(at(50), 10);
    both.channels.push((tenant.other_channel, 10));
    let rest: HashSet<_> = claimed(&*store, both).await?.into_iter().collect();
    ensure!(
        rest == HashSet::from([ids[2], other.id]),
        "expected what was left of both channels, got {rest:?}"
    );
    Ok(Verdict::Held)
}

/// A lease that runs out while sending is taken over in phase `Recover`; the attempt counts as it was.
pub async fn a_lease_that_ran_out_is_taken_over<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    // One that was leased with its insert, and one that was claimed.
    let (_, with_insert, first) = tenant.leased(&*store, start()).await?;
    let waiting = tenant.delivery(None, start());
    store.enqueue(vec![waiting.clone()]).await?;
    let request = ClaimRequest { lease: first, ..tenant.claim(start(), 10) };
    let got = claimed(&*store, request).await?;
    ensure!(got == [waiting.id], "expected only the delivery that is not leased, got {got:?}");
    let early = claimed(&*store, tenant.claim(at(59), 10)).await?;
    ensure!(early.is_empty(), "leased work was claimed before its lease had run out: {early:?}");

    let takeover = tenant.claim(at(60), 10);
    let token = takeover.lease.token;
    let taken = store.claim(takeover).await?.deliveries;
    ensure!(taken.len() == 2, "{} of 2 deliveries were taken over", taken.len());
    for leased in &taken {
        ensure!(
            leased.phase == Phase::Recover,
            "a dead worker's delivery is claimed in phase {:?}",
            leased.phase
        );
        let found = &leased.delivery;
        ensure!(
            (found.state, found.attempts, found.last_attempt_at)
                == (DeliveryState::Sending, 1, Some(start())),
            "taking over changed the record of the attempt: {found:?}"
        );
    }
    for id in [with_insert, waiting.id] {
        let late = store.settle(settlement(id, first.token, at(61), ended(DeliveryState::Sent))).await?;
        ensure!(late == SettleOutcome::LeaseLost, "a worker that woke late overwrote the one that took over");
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            found.state == DeliveryState::Sending,
            "a refused settlement changed the state to {:?}",
            found.state
        );
        let attempts = store.attempts(tenant.scope.workspace_id, id).await?;
        ensure!(attempts.is_empty(), "a refused settlement left an attempt behind");
        settled(&*store, settlement(id, token, at(61), ended(DeliveryState::Delivered))).await?;
    }
    Ok(Verdict::Held)
}

/// Only the holder of the lease settles, and only once.
pub async fn only_the_holder_settles<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let waiting = tenant.delivery(None, at(600));
    store.enqueue(vec![waiting.clone()]).await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    let stranger = LeaseToken::generate(&*tenant.ids, start());
    let by = |id, token| settlement(id, token, at(1), ended(DeliveryState::Failed));
    for (who, id, token) in
        [("a stranger", id, stranger), ("somebody without a lease", waiting.id, lease.token)]
    {
        let outcome = store.settle(by(id, token)).await?;
        ensure!(outcome == SettleOutcome::LeaseLost, "{who} settled a delivery");
    }
    ensure!(
        delivery(&*store, &tenant, id).await?.state == DeliveryState::Sending,
        "a stranger changed the state"
    );
    ensure!(
        delivery(&*store, &tenant, waiting.id).await?.state == DeliveryState::Pending,
        "a stranger changed the state"
    );
    settled(&*store, settlement(id, lease.token, at(1), ended(DeliveryState::Delivered))).await?;
    let again = store.settle(by(id, lease.token)).await?;
    ensure!(again == SettleOutcome::LeaseLost, "a lease settled twice");
    ensure!(
        delivery(&*store, &tenant, id).await?.state == DeliveryState::Delivered,
        "the second settlement was recorded"
    );

    // The lease of an attempt is worth nothing for the next one.
    let (_, id, old) = tenant.leased(&*store, start()).await?;
    settled(&*store, settlement(id, old.token, at(1), retry(at(2), true))).await?;
    let got = claimed(&*store, tenant.claim(at(2), 10)).await?;
    ensure!(got == [id], "expected the retried delivery, got {got:?}");
    let outcome = store.settle(by(id, old.token)).await?;
    ensure!(outcome == SettleOutcome::LeaseLost, "the lease of the first attempt settled the second");
    Ok(Verdict::Held)
}

/// What has outlived its lifetime is claimed all the same: somebody has to record that it expired.
pub async fn expired_deliveries_are_claimed<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let short = NewDelivery { expires_at: at(10), ..tenant.delivery(None, start()) };
    store.enqueue(vec![short.clone()]).await?;
    let got = claimed(&*store, tenant.claim(at(3_600), 1)).await?;
    ensure!(got == [short.id], "an expired delivery was left lying: {got:?}");
    Ok(Verdict::Held)
}

/// The next due moment is the earliest at which a claim could bring something.
pub async fn next_due_names_the_next_moment<H: StoreHarness>() -> Outcome {
    use fastlead_core::decide::TimerName;
    use fastlead_core::port::Transition;

    let (_harness, store, tenant) = begin::<H>().await?;
    let channels = [tenant.channel];
    let none = store.next_due(start(), &channels).await?;
    ensure!(none.is_none(), "an empty store names {none:?}");
    let far = NewDelivery { due_at: at(500), ..tenant.delivery(None, start()) };
    let elsewhere =
        NewDelivery { channel_id: tenant.other_channel, due_at: at(5), ..tenant.delivery(None, start()) };
    store.enqueue(vec![far, elsewhere]).await?;
    let next = |now, wanted: u64, what: &'static str| {
        let store = Arc::clone(&store);
        async move {
            let next = store.next_due(now, &channels).await?;
            ensure!(next == Some(at(wanted)), "{what}: expected {}, got {next:?}", at(wanted));
            Ok(Verdict::Held)
        }
    };
    next(start(), 500, "a delivery that is due later, and one of a channel that was not asked for").await?;
    let lead = tenant.lead_id();
    let timer = tenant.timer(TimerName::Unanswered, at(300));
    super::sample::applied(&*store, Transition { timers: vec![timer], ..tenant.capture(lead, start()) })
        .await?;
    next(start(), 300, "a timer that is due later").await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    next(at(1), 60, "a lease that runs out").await?;
    settled(&*store, settlement(id, lease.token, at(1), retry(at(40), true))).await?;
    next(at(2), 40, "a retry").await?;
    next(at(45), 45, "something that is due already").await?;
    Ok(Verdict::Held)
}
