//! What a decision does to the work of its lead: offers, timers, and the work that led to it.

use std::collections::HashSet;
use std::sync::Arc;

use fastlead_core::decide::{Event, TimerName};
use fastlead_core::delivery::{DeliveryState, NewDelivery, Purpose};
use fastlead_core::id::LeaseToken;
use fastlead_core::port::{CommitOutcome, Refusal, Settled, Transition};

use super::StoreHarness;
use super::sample::{
    applied, at, begin, begun, claimed, commit, delivery, ended, idempotency, refused, settled, settlement,
    start, unique,
};
use crate::conformance::{Outcome, Verdict, ensure};

/// Cancelled offers are the lead's own, and only those that nobody has begun to send. One that was tried and may have
/// arrived ends as what it is.
pub async fn cancelled_offers_are_not_sent<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, other) = (tenant.lead_id(), tenant.lead_id());
    let offer = tenant.delivery(Some(lead), start());
    let later = NewDelivery { due_at: at(600), ..tenant.delivery(Some(lead), start()) };
    let sending = NewDelivery { lease: Some(tenant.lease(start())), ..tenant.delivery(Some(lead), start()) };
    let mut reply = tenant.delivery(Some(lead), start());
    reply.spec.purpose = Purpose::AutoReply;
    let foreign = tenant.delivery(Some(other), start());
    let another = || NewDelivery { id: tenant.delivery(None, start()).id, ..sending.clone() };
    let (unknown, tried) = (another(), another());
    let deliveries =
        vec![offer.clone(), later.clone(), sending.clone(), reply.clone(), unknown.clone(), tried.clone()];
    applied(&*store, Transition { deliveries, ..tenant.capture(lead, start()) }).await?;
    applied(&*store, Transition { deliveries: vec![foreign.clone()], ..tenant.capture(other, start()) })
        .await?;
    if let Some(lease) = sending.lease {
        begun(&*store, sending.id, lease.token, start()).await?;
    }
    for (new, uncertain) in [(&unknown, true), (&tried, false)] {
        let Some(lease) = new.lease else { continue };
        begun(&*store, new.id, lease.token, start()).await?;
        let again = Settled::Retry {
            due_at: at(600),
            reason: "unavailable".to_owned(),
            counted: true,
            parts_sent: 0,
            uncertain,
        };
        settled(&*store, settlement(new.id, lease.token, start(), again)).await?;
    }
    let fresh = tenant.delivery(Some(lead), at(1));
    let cancel =
        Transition { cancel_offers: true, deliveries: vec![fresh.clone()], ..tenant.decide(lead, 1, at(1)) };
    applied(&*store, cancel).await?;
    for id in [offer.id, later.id, tried.id] {
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            (found.state, found.updated_at) == (DeliveryState::Cancelled, at(1)),
            "a cancelled offer is {found:?}"
        );
    }
    let found = delivery(&*store, &tenant, unknown.id).await?;
    ensure!(
        (found.state, found.reason.as_deref(), found.uncertain)
            == (DeliveryState::Ambiguous, Some("outcome_unknown"), false),
        "an offer that is not wanted any more and may have arrived is {found:?}"
    );
    ensure!(
        delivery(&*store, &tenant, sending.id).await?.state == DeliveryState::Sending,
        "an offer that is being sent was cancelled"
    );
    let got: HashSet<_> = claimed(&*store, tenant.claim(at(2), 10)).await?.into_iter().collect();
    let wanted = HashSet::from([reply.id, foreign.id, fresh.id]);
    ensure!(got == wanted, "expected everything but the cancelled offers, {wanted:?}, got {got:?}");
    Ok(Verdict::Held)
}

/// A timer replaces the one of the same name, and clearing clears the lead's own, before new ones are set.
pub async fn timers_are_replaced_and_cleared<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, other) = (tenant.lead_id(), tenant.lead_id());
    let timers =
        vec![tenant.timer(TimerName::Escalate(0), at(10)), tenant.timer(TimerName::Unanswered, at(20))];
    applied(&*store, Transition { timers: timers.clone(), ..tenant.capture(lead, start()) }).await?;
    let foreign = tenant.timer(TimerName::Escalate(0), at(10));
    applied(&*store, Transition { timers: vec![foreign], ..tenant.capture(other, start()) }).await?;

    let moved = tenant.timer(TimerName::Escalate(0), at(100));
    applied(&*store, Transition { timers: vec![moved], ..tenant.decide(lead, 1, at(1)) }).await?;
    let due = store.claim(tenant.claim_timers(at(30), 10)).await?.timers;
    let ids: HashSet<_> = due.iter().map(|timer| timer.id).collect();
    ensure!(
        ids == HashSet::from([timers[1].id, foreign.id]),
        "the replaced timer is due at its old moment: {due:?}"
    );

    let set = tenant.timer(TimerName::Escalate(1), at(40));
    let clear = Transition { clear_timers: true, timers: vec![set], ..tenant.decide(lead, 2, at(31)) };
    applied(&*store, clear).await?;
    let due = store.claim(tenant.claim_timers(at(1_000), 10)).await?.timers;
    let ids: HashSet<_> = due.iter().map(|timer| timer.id).collect();
    ensure!(
        ids == HashSet::from([set.id, foreign.id]),
        "expected the new timer and the other lead's, got {due:?}"
    );
    Ok(Verdict::Held)
}

/// A timer fires once: it is leased to one, longest due first within the limit, and gone with the decision it led to.
pub async fn a_timer_fires_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    let (timer, later) =
        (tenant.timer(TimerName::Escalate(0), at(10)), tenant.timer(TimerName::Unanswered, at(20)));
    applied(&*store, Transition { timers: vec![later, timer], ..tenant.capture(lead, start()) }).await?;
    let early = store.claim(tenant.claim_timers(at(9), 10)).await?.timers;
    ensure!(early.is_empty(), "a timer fired before its moment");
    let request = tenant.claim_timers(at(30), 1);
    let dead = request.lease.token;
    let due = store.claim(request).await?.timers;
    ensure!(due.len() == 1 && due[0].id == timer.id, "expected the longest due timer, got {due:?}");
    ensure!(due[0].token == dead, "the timer is leased with another token");
    let rest = store.claim(tenant.claim_timers(at(30), 10)).await?.timers;
    ensure!(
        rest.len() == 1 && rest[0].id == later.id,
        "a leased timer was claimed by another worker: {rest:?}"
    );

    // The worker dies, another takes over, and the first wakes late.
    let request = tenant.claim_timers(at(90), 10);
    let token = request.lease.token;
    let due = store.claim(request).await?.timers;
    ensure!(due.iter().any(|found| found.id == timer.id), "a dead worker's timer was not taken over");
    let fired = |token, version| Transition {
        fired: Some((timer.id, token)),
        ..tenant.decide(lead, version, at(91))
    };
    for (who, token) in [("a late worker", dead), ("a stranger", LeaseToken::generate(&*tenant.ids, start()))]
    {
        let refusal = refused(&*store, fired(token, 1)).await?;
        ensure!(refusal == Refusal::LeaseLost, "{who} fired a timer: {refusal:?}");
    }
    let refusal = refused(&*store, fired(token, 7)).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");
    applied(&*store, fired(token, 1)).await?;
    let refusal = refused(&*store, fired(token, 2)).await?;
    ensure!(refusal == Refusal::LeaseLost, "a timer fired twice: {refusal:?}");
    let due = store.claim(tenant.claim_timers(at(10_000), 10)).await?.timers;
    ensure!(due.iter().all(|found| found.id != timer.id), "a timer that has fired is due again");
    Ok(Verdict::Held)
}

/// The end of a delivery and the decision it leads to are recorded together or not at all.
pub async fn a_settlement_stands_and_falls_with_its_decision<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, id, lease) = tenant.leased(&*store, start()).await?;
    let event = Event::DeliveryEnded {
        delivery_id: id,
        target: Some("anna".to_owned()),
        channel_id: tenant.channel,
        state: DeliveryState::Failed,
        reason: Some("recipient".to_owned()),
    };
    let lost = |version| Transition {
        event: event.clone(),
        settlement: Some(settlement(id, lease.token, at(1), ended(DeliveryState::Failed))),
        ..tenant.decide(lead, version, at(1))
    };
    let refusal = refused(&*store, lost(7)).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        found.state == DeliveryState::Sending,
        "the decision was refused, but the delivery is {:?}",
        found.state
    );
    let attempts = store.attempts(tenant.scope.workspace_id, id).await?;
    ensure!(attempts.is_empty(), "the decision was refused, but its attempt was recorded");

    // The lease still holds: the decision made anew brings its settlement.
    applied(&*store, lost(1)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        found.state == DeliveryState::Failed,
        "the decision was applied, but the delivery is {:?}",
        found.state
    );
    let refusal = refused(&*store, lost(2)).await?;
    ensure!(refusal == Refusal::LeaseLost, "one lease ended a delivery twice: {refusal:?}");
    let version = store.lead(tenant.scope.workspace_id, lead).await?.map(|record| record.state.version);
    ensure!(version == Some(2), "a refused settlement let its decision through: version {version:?}");
    Ok(Verdict::Held)
}

/// Of two workers that settle one delivery with decisions of their own, one passes.
pub async fn of_concurrent_settlements_one_passes<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, id, lease) = tenant.leased(&*store, start()).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let settlement = settlement(id, lease.token, at(1), ended(DeliveryState::Failed));
        // Appended events have no version to fail at: only the lease decides.
        let guard = fastlead_core::port::Guard::Append;
        let transition = Transition { guard, settlement: Some(settlement), ..tenant.decide(lead, 1, at(1)) };
        let store = Arc::clone(&store);
        tasks.spawn(async move { commit(&*store, transition).await });
    }
    let mut passed = 0;
    for outcome in tasks.join_all().await {
        match outcome? {
            CommitOutcome::Applied => passed += 1,
            CommitOutcome::Refused(refusal) => {
                ensure!(refusal == Refusal::LeaseLost, "expected LeaseLost, got {refusal:?}");
            }
        }
    }
    ensure!(passed == 1, "{passed} of 32 settlements under one lease passed");
    let attempts = store.attempts(tenant.scope.workspace_id, id).await?;
    ensure!(attempts.len() == 1, "{} attempts were recorded instead of 1", attempts.len());
    Ok(Verdict::Held)
}

/// Where several checks would fail, the first in the contract's order gives the answer.
pub async fn refusals_come_in_the_promised_order<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (holder, id, lease) = tenant.leased(&*store, start()).await?;
    let record = idempotency(1, 1, holder, at(600));
    let first = Transition {
        reservations: vec![unique(1, at(600))],
        idempotency: Some(record.clone()),
        ..tenant.decide(holder, 1, start())
    };
    applied(&*store, first).await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let mut all = Transition {
        settlement: Some(settlement(
            id,
            LeaseToken::generate(&*tenant.ids, start()),
            at(1),
            ended(DeliveryState::Sent),
        )),
        idempotency: Some(record.clone()),
        reservations: vec![unique(1, at(600))],
        ..tenant.decide(lead, 7, at(1))
    };
    let refusal = refused(&*store, all.clone()).await?;
    ensure!(refusal == Refusal::LeaseLost, "a lost lease comes first; got {refusal:?}");
    all.settlement = None;
    let refusal = refused(&*store, all.clone()).await?;
    ensure!(refusal == Refusal::Replayed(record.answer), "then the idempotency key; got {refusal:?}");
    all.idempotency = None;
    let refusal = refused(&*store, all.clone()).await?;
    ensure!(refusal == Refusal::Stale, "then the guard; got {refusal:?}");
    all = Transition { reservations: all.reservations, ..tenant.decide(lead, 1, at(1)) };
    let refusal = refused(&*store, all).await?;
    ensure!(refusal == Refusal::Duplicate(holder), "then the reservations; got {refusal:?}");
    settled(&*store, settlement(id, lease.token, at(1), ended(DeliveryState::Sent))).await?;
    Ok(Verdict::Held)
}
