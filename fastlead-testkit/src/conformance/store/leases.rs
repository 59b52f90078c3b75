//! Work under leases: who holds it, until when, and who takes over.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use fastlead_core::delivery::{DeliveryState, NewDelivery, Phase};
use fastlead_core::id::LeaseToken;
use fastlead_core::port::{BeginOutcome, Beginning, ChannelRoom, ClaimRequest, SettleOutcome, Transition};

use super::StoreHarness;
use super::sample::{applied, at, begin, begun, claimed, delivery, ended, retry, settled, settlement, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

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
            (found.state, found.attempts, found.last_attempt_at) == (DeliveryState::Pending, 0, None),
            "claiming began an attempt: {found:?}"
        );
    }
    let none = claimed(&*store, tenant.claim(at(50), 0)).await?;
    ensure!(none.is_empty(), "a limit of 0 brought {none:?}");
    let mut both = tenant.claim(at(50), 10);
    both.channels.push(ChannelRoom::new(tenant.other_channel, 10));
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
    // One that was leased with its insert, one that was claimed and begun, and two that were never begun.
    let (_, with_insert, first) = tenant.leased(&*store, start()).await?;
    let (waiting, idle) = (tenant.delivery(None, start()), tenant.delivery(None, start()));
    let held = NewDelivery { lease: Some(first), ..tenant.delivery(None, start()) };
    let unbegun = HashSet::from([idle.id, held.id]);
    store.enqueue(vec![waiting.clone(), idle, held]).await?;
    let request = ClaimRequest { lease: first, ..tenant.claim(start(), 10) };
    let got = claimed(&*store, request).await?;
    ensure!(got.len() == 2 && got.contains(&waiting.id), "expected what is not leased, got {got:?}");
    begun(&*store, waiting.id, first.token, start()).await?;
    let early = claimed(&*store, tenant.claim(at(59), 10)).await?;
    ensure!(early.is_empty(), "leased work was claimed before its lease had run out: {early:?}");

    let takeover = tenant.claim(at(60), 10);
    let token = takeover.lease.token;
    let taken = store.claim(takeover).await?.deliveries;
    ensure!(taken.len() == 4, "{} of 4 deliveries were taken over", taken.len());
    for leased in taken.iter().filter(|leased| unbegun.contains(&leased.delivery.id)) {
        ensure!(
            (leased.phase, leased.delivery.attempts) == (Phase::Send, 0),
            "what was never begun is taken over as {leased:?}"
        );
    }
    for leased in taken.iter().filter(|leased| !unbegun.contains(&leased.delivery.id)) {
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
        // Both attempts may have gone out: the outcome of the first says nothing of the second.
        begun(&*store, id, token, at(61)).await?;
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

/// An attempt begins under its lease only, and is on the record from then on.
pub async fn an_attempt_begins_under_its_lease<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, now) = (tenant.lead_id(), start());
    let offers = [tenant.delivery(Some(lead), now), tenant.delivery(Some(lead), now)];
    let [mine, cancelled] = [offers[0].id, offers[1].id];
    applied(&*store, Transition { deliveries: offers.to_vec(), ..tenant.capture(lead, now) }).await?;
    let request = tenant.claim(now, 10);
    let token = request.lease.token;
    let got = claimed(&*store, request).await?;
    ensure!(got.len() == 2, "expected both offers, got {got:?}");
    let by = Beginning::new;
    let stranger = LeaseToken::generate(&*tenant.ids, now);
    let outcome = store.begin(by(mine, stranger, at(1))).await?;
    ensure!(outcome == BeginOutcome::LeaseLost, "a stranger began an attempt");
    let found = delivery(&*store, &tenant, mine).await?;
    ensure!(
        (found.state, found.attempts) == (DeliveryState::Pending, 0),
        "a refused beginning changed the delivery: {found:?}"
    );
    begun(&*store, mine, token, at(2)).await?;
    let found = delivery(&*store, &tenant, mine).await?;
    ensure!(
        (found.state, found.attempts, found.last_attempt_at) == (DeliveryState::Sending, 1, Some(at(2))),
        "an attempt that has begun is {found:?}"
    );

    // What is leased and not begun is cancelled, and cannot be begun any more; what has begun stays.
    applied(&*store, Transition { cancel_offers: true, ..tenant.decide(lead, 1, at(3)) }).await?;
    let outcome = store.begin(by(cancelled, token, at(4))).await?;
    ensure!(outcome == BeginOutcome::LeaseLost, "a cancelled delivery was begun");
    for (id, wanted) in [(mine, DeliveryState::Sending), (cancelled, DeliveryState::Cancelled)] {
        let state = delivery(&*store, &tenant, id).await?.state;
        ensure!(state == wanted, "after the offers were cancelled, {id} is {state:?}, not {wanted:?}");
    }
    settled(&*store, settlement(mine, token, at(5), ended(DeliveryState::Sent))).await?;
    let outcome = store.begin(by(mine, token, at(6))).await?;
    ensure!(outcome == BeginOutcome::LeaseLost, "a delivery that has ended was begun again");
    Ok(Verdict::Held)
}

/// From the beginning of an attempt on the lease lasts for as long as the worker says, however late it has begun.
pub async fn an_attempt_that_begins_lengthens_its_lease<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, now) = (tenant.lead_id(), start());
    let offer = tenant.delivery(Some(lead), now);
    let id = offer.id;
    applied(&*store, Transition { deliveries: vec![offer], ..tenant.capture(lead, now) }).await?;
    let request = tenant.claim(now, 1);
    let lease = request.lease;
    let got = claimed(&*store, request).await?;
    ensure!(got.len() == 1, "expected the offer, got {got:?}");
    // It has waited for its turn until its lease had run out, and nobody else has taken it.
    let (late, until) = (lease.until + TimeDelta::seconds(1), lease.until + TimeDelta::seconds(100));
    let outcome = store.begin(Beginning::new(id, lease.token, late).lasting_until(until)).await?;
    ensure!(outcome == BeginOutcome::Begun, "a lease that nobody has taken over: {outcome:?}");
    let early = claimed(&*store, tenant.claim(until - TimeDelta::seconds(1), 1)).await?;
    ensure!(early.is_empty(), "it was claimed while its attempt is under way: {early:?}");
    let due = store.next_due(late, &[tenant.channel]).await?;
    let next = due.channels.first().map(|(_, at)| *at);
    ensure!(next == Some(until), "its lease ends at {until}, and the next moment is {next:?}");
    // A shorter one does not shorten it.
    let outcome = store.begin(Beginning::new(id, lease.token, late)).await?;
    ensure!(outcome == BeginOutcome::Begun, "the same attempt goes on: {outcome:?}");
    let early = claimed(&*store, tenant.claim(until - TimeDelta::seconds(1), 1)).await?;
    ensure!(early.is_empty(), "a lease was shortened: {early:?}");
    let taken = store.claim(tenant.claim(until, 1)).await?.deliveries;
    let [taken] = taken.as_slice() else {
        return Err(Violation::new("a lease that ended holds its delivery"));
    };
    ensure!(taken.phase == Phase::Recover, "after a crash it is taken over as {:?}", taken.phase);
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
    let (_harness, store, tenant) = begin::<H>().await?;
    let channels = [tenant.channel];
    let none = store.next_due(start(), &channels).await?.earliest();
    ensure!(none.is_none(), "an empty store names {none:?}");
    let far = NewDelivery { due_at: at(500), ..tenant.delivery(None, start()) };
    let elsewhere =
        NewDelivery { channel_id: tenant.other_channel, due_at: at(5), ..tenant.delivery(None, start()) };
    store.enqueue(vec![far, elsewhere]).await?;
    let next = |now, wanted: u64, what: &'static str| {
        let store = Arc::clone(&store);
        async move {
            let next = store.next_due(now, &channels).await?.earliest();
            ensure!(next == Some(at(wanted)), "{what}: expected {}, got {next:?}", at(wanted));
            Ok(Verdict::Held)
        }
    };
    next(start(), 500, "a delivery that is due later, and one of a channel that was not asked for").await?;
    let lead = tenant.lead_id();
    let timer = tenant.timer(TimerName::Unanswered, at(300));
    applied(&*store, Transition { timers: vec![timer], ..tenant.capture(lead, start()) }).await?;
    next(start(), 300, "a timer that is due later").await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    next(at(1), 60, "a lease that runs out").await?;
    settled(&*store, settlement(id, lease.token, at(1), retry(at(40), true))).await?;
    next(at(2), 40, "a retry").await?;
    next(at(45), 45, "something that is due already").await?;
    Ok(Verdict::Held)
}

/// Each channel's next moment is its own, whatever is due elsewhere; a channel without open work has none.
pub async fn next_due_tells_channels_apart<H: StoreHarness>() -> Outcome {
    use fastlead_core::decide::TimerName;
    let (_harness, store, tenant) = begin::<H>().await?;
    let due = |channel, after| NewDelivery {
        channel_id: channel,
        due_at: at(after),
        ..tenant.delivery(None, start())
    };
    let deliveries = [due(tenant.channel, 50), due(tenant.channel, 20), due(tenant.other_channel, 5)];
    store.enqueue(deliveries.to_vec()).await?;
    let timer = tenant.timer(TimerName::Unanswered, at(10));
    applied(&*store, Transition { timers: vec![timer], ..tenant.capture(tenant.lead_id(), start()) }).await?;
    let idle = fastlead_core::id::ChannelId::from_uuid(uuid::Uuid::from_u128(0xD1E));
    let mut next = store.next_due(at(7), &[tenant.channel, idle, tenant.other_channel]).await?;
    next.channels.sort_unstable();
    let mut expected = vec![(tenant.channel, at(20)), (tenant.other_channel, at(7))];
    expected.sort_unstable();
    ensure!(next.channels == expected, "expected {expected:?}, got {:?}", next.channels);
    ensure!(next.others == Some(at(10)), "the timers' next moment is {:?}", next.others);
    let others = store.next_due(at(7), &[idle]).await?;
    ensure!(others.channels.is_empty(), "a channel that was not asked for is named: {:?}", others.channels);
    Ok(Verdict::Held)
}
