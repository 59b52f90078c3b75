//! New leads, the guards of a decision, and what a refusal leaves behind: nothing.

use std::sync::Arc;

use fastlead_core::decide::TimerName;
use fastlead_core::delivery::{Delivery, DeliveryState, NewDelivery};
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{CommitOutcome, Guard, LeadRecord, PageRequest, Refusal, Transition};

use super::StoreHarness;
use super::sample::{
    applied, at, begin, capture, claimed, commit, delivery, idempotency, order_key, refused, start, unique,
};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// The delivery that a store has to keep for `new`.
fn expected(new: &NewDelivery) -> Delivery {
    Delivery {
        id: new.id,
        scope: new.scope,
        lead_id: new.lead_id,
        channel_id: new.channel_id,
        spec: new.spec.clone(),
        state: DeliveryState::Pending,
        reason: None,
        created_at: new.created_at,
        due_at: new.due_at,
        expires_at: new.expires_at,
        updated_at: new.created_at,
        attempts: 0,
        parts_sent: 0,
        checks: 0,
        uncertain: false,
        last_attempt_at: None,
        provider_message_id: None,
        order_key: new.order_key,
        unwanted: false,
    }
}

/// A new lead, its deliveries, its timer and its first event read back as they were committed.
pub async fn a_new_lead_reads_back_with_its_work<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    let base = tenant.capture(lead, start());
    let deliveries = vec![
        NewDelivery { lease: Some(tenant.lease(start())), ..tenant.delivery(Some(lead), start()) },
        NewDelivery { due_at: at(30), order_key: Some(order_key(1)), ..tenant.delivery(Some(lead), start()) },
    ];
    let timer = tenant.timer(TimerName::Escalate(0), at(60));
    let transition = Transition { deliveries: deliveries.clone(), timers: vec![timer], ..base.clone() };
    applied(&*store, transition).await?;

    let record = store.lead(tenant.scope.workspace_id, lead).await?;
    let wanted = LeadRecord {
        id: lead,
        scope: tenant.scope,
        source_id: tenant.source,
        created_at: start(),
        policy: tenant.policy,
        capture: capture(start()),
        state: base.state.clone(),
    };
    ensure!(record.as_ref() == Some(&wanted), "expected {wanted:?}, read {record:?}");
    for new in &deliveries {
        let found = delivery(&*store, &tenant, new.id).await?;
        ensure!(found == expected(new), "expected {:?}, read {found:?}", expected(new));
    }
    let of_lead = store.deliveries_of(tenant.scope.workspace_id, lead).await?;
    let mut wanted: Vec<_> = deliveries.iter().map(expected).collect();
    wanted.sort_by_key(|delivery| delivery.id);
    ensure!(of_lead == wanted, "expected the deliveries of the lead {wanted:?}, read {of_lead:?}");
    let events = store.events(tenant.scope.workspace_id, lead, PageRequest::default()).await?.items;
    ensure!(events.len() == 1, "a new lead has {} events instead of 1", events.len());
    let event = &events[0];
    ensure!(
        (event.id, event.lead_id, event.at) == (base.event_id, lead, start()),
        "the event reads back with other ids or another moment: {event:?}"
    );
    ensure!(event.event == base.event && event.trace == base.trace, "event or trace changed: {event:?}");
    let timers = store.claim(tenant.claim_timers(at(60), 10)).await?.timers;
    let [read] = timers.as_slice() else {
        return Err(Violation::new(format!("expected one timer, found {timers:?}")));
    };
    ensure!(
        (read.id, read.scope, read.lead_id, read.name, read.due_at)
            == (timer.id, tenant.scope, lead, TimerName::Escalate(0), at(60)),
        "the timer reads back differently: {read:?}"
    );
    Ok(Verdict::Held)
}

/// A lead is created once; a second transition that would create it is stale.
pub async fn a_lead_is_created_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let refusal = refused(&*store, tenant.capture(lead, at(1))).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");
    Ok(Verdict::Held)
}

/// A decision passes only at the version it was made for.
pub async fn a_decision_passes_only_at_its_version<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, missing) = (tenant.lead_id(), tenant.lead_id());
    applied(&*store, tenant.capture(lead, start())).await?;
    for version in [0, 2] {
        let refusal = refused(&*store, tenant.decide(lead, version, at(1))).await?;
        ensure!(
            refusal == Refusal::Stale,
            "version {version} of a lead at version 1: expected Stale, got {refusal:?}"
        );
    }
    let refusal = refused(&*store, tenant.decide(missing, 0, at(1))).await?;
    ensure!(refusal == Refusal::Stale, "a lead that does not exist: expected Stale, got {refusal:?}");
    let decision = tenant.decide(lead, 1, at(2));
    applied(&*store, decision.clone()).await?;
    let record = store.lead(tenant.scope.workspace_id, lead).await?;
    let state = record.as_ref().map(|record| &record.state);
    ensure!(state == Some(&decision.state), "expected {:?}, read {state:?}", decision.state);
    ensure!(
        record.is_some_and(|record| record.created_at == start()),
        "a decision changed when the lead was captured"
    );
    Ok(Verdict::Held)
}

/// A lead is pinned to the policy that decided last, and an appended event changes that as little as the state.
pub async fn a_lead_is_pinned_to_the_policy_that_decided_last<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let newer = PolicyRef { version: tenant.policy.version + 1, ..tenant.policy };
    let mut decision = tenant.decide(lead, 1, at(1));
    decision.trace.policy = newer;
    applied(&*store, decision).await?;
    applied(&*store, Transition { guard: Guard::Append, ..tenant.decide(lead, 9, at(2)) }).await?;
    let record = store.lead(tenant.scope.workspace_id, lead).await?;
    let pinned = record.map(|record| record.policy);
    ensure!(pinned == Some(newer), "decided by {newer:?}, and pinned to {pinned:?}");
    Ok(Verdict::Held)
}

/// Of many decisions made for the same version at once, one passes and the others are stale.
pub async fn of_concurrent_decisions_one_passes<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (store, decision) = (Arc::clone(&store), tenant.decide(lead, 1, at(1)));
        tasks.spawn(async move { commit(&*store, decision).await });
    }
    let mut passed = 0;
    for outcome in tasks.join_all().await {
        match outcome? {
            CommitOutcome::Applied => passed += 1,
            CommitOutcome::Refused(refusal) => {
                ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}")
            }
        }
    }
    ensure!(passed == 1, "{passed} of 64 decisions for the same version passed");
    let events = store.events(tenant.scope.workspace_id, lead, PageRequest::default()).await?.items;
    ensure!(events.len() == 2, "the history has {} events instead of 2", events.len());
    Ok(Verdict::Held)
}

/// An appended event is added to the history of a lead that exists, and the state stays.
pub async fn an_appended_event_leaves_the_state<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let before = store.lead(tenant.scope.workspace_id, lead).await?;
    let append = Transition { guard: Guard::Append, ..tenant.decide(lead, 9, at(1)) };
    applied(&*store, append.clone()).await?;
    let after = store.lead(tenant.scope.workspace_id, lead).await?;
    ensure!(before == after, "an appended event changed the lead from {before:?} to {after:?}");
    let events = store.events(tenant.scope.workspace_id, lead, PageRequest::default()).await?.items;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    ensure!(ids.len() == 2 && ids[1] == append.event_id, "expected the appended event second, found {ids:?}");
    let missing = Transition { guard: Guard::Append, ..tenant.decide(tenant.lead_id(), 0, at(2)) };
    let refusal = refused(&*store, missing).await?;
    ensure!(refusal == Refusal::Stale, "appending to no lead: expected Stale, got {refusal:?}");
    Ok(Verdict::Held)
}

/// What a refused transition carries is nowhere: no event, delivery, timer, reservation, key.
pub async fn a_refused_transition_changes_nothing<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, other) = (tenant.lead_id(), tenant.lead_id());
    let offer = tenant.delivery(Some(lead), start());
    let timer = tenant.timer(TimerName::Unanswered, at(1));
    let first = tenant.capture(lead, start());
    applied(&*store, Transition { deliveries: vec![offer.clone()], timers: vec![timer], ..first }).await?;
    let before = store.lead(tenant.scope.workspace_id, lead).await?;

    let extra = tenant.delivery(Some(lead), at(1));
    let stale = Transition {
        deliveries: vec![extra.clone()],
        cancel_offers: true,
        clear_timers: true,
        timers: vec![tenant.timer(TimerName::Escalate(0), at(1))],
        reservations: vec![unique(1, at(600))],
        idempotency: Some(idempotency(1, 1, lead, at(600))),
        ..tenant.decide(lead, 7, at(1))
    };
    let refusal = refused(&*store, stale).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");

    ensure!(
        store.lead(tenant.scope.workspace_id, lead).await? == before,
        "a refused transition changed the lead"
    );
    let ghost = store.delivery(tenant.scope.workspace_id, extra.id).await?;
    ensure!(ghost.is_none(), "a refused transition left a delivery behind");
    let events = store.events(tenant.scope.workspace_id, lead, PageRequest::default()).await?.items;
    ensure!(events.len() == 1, "a refused transition left an event behind");
    let timers = store.claim(tenant.claim_timers(at(2), 10)).await?.timers;
    ensure!(
        timers.len() == 1 && timers[0].id == timer.id,
        "a refused transition set or cleared timers: {timers:?}"
    );
    let due = claimed(&*store, tenant.claim(at(2), 10)).await?;
    ensure!(due == [offer.id], "a refused transition changed the due deliveries to {due:?}");
    // The reservation and the key are free: another lead takes both.
    let free = Transition {
        reservations: vec![unique(1, at(600))],
        idempotency: Some(idempotency(1, 2, other, at(600))),
        ..tenant.capture(other, at(2))
    };
    let outcome = commit(&*store, free).await?;
    ensure!(
        outcome == CommitOutcome::Applied,
        "a refused transition left a reservation or key behind: {outcome:?}"
    );
    Ok(Verdict::Held)
}
