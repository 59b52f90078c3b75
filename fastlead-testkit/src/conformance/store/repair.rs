//! What an operator mends: one delivery, or everything that a channel has missed.

use fastlead_core::ErrorKind;
use fastlead_core::delivery::{DeliveryState, NewDelivery};
use fastlead_core::id::{DeliveryId, WorkspaceId};
use fastlead_core::port::{Recovery, Refusal, Revival, Transition};

use super::StoreHarness;
use super::sample::{
    applied, at, begin, begun, claimed, delivery, ended, refused, settled, settlement, start,
};
use crate::conformance::{Outcome, Verdict, ensure};

/// A delivery that has failed, expired or is ambiguous can be made due again with a new lifetime
/// and a new schedule; any other is a conflict, and nobody else's is found.
pub async fn retry_makes_a_failed_delivery_due<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    for state in [DeliveryState::Failed, DeliveryState::Expired, DeliveryState::Ambiguous] {
        let id = tenant.ended(&*store, state, start()).await?;
        let answer = store.retry(workspace, id, at(100), at(900)).await?;
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(answer == found, "retry answered {answer:?} and stored {found:?}");
        ensure!(
            (found.state, found.due_at, found.expires_at, found.updated_at)
                == (DeliveryState::Pending, at(100), at(900), at(100)),
            "a retried {state:?} delivery is {found:?}"
        );
        // A person has looked; whether the earlier attempts have arrived is as unknown as before.
        let uncertain = state == DeliveryState::Ambiguous;
        ensure!(
            found.uncertain == uncertain && found.reason.is_none(),
            "a retried {state:?} delivery is {found:?}"
        );
        let request = tenant.claim(at(100), 10);
        let token = request.lease.token;
        let got = store.claim(request).await?.deliveries;
        ensure!(
            got.len() == 1 && got[0].delivery.id == id,
            "a retried {state:?} delivery is not due: {got:?}"
        );
        ensure!(
            got[0].delivery.attempts == 0,
            "the schedule of a retried {state:?} delivery begins after attempt {}",
            got[0].delivery.attempts
        );
        settled(&*store, settlement(id, token, at(101), ended(DeliveryState::Delivered))).await?;
    }
    for state in
        [DeliveryState::Delivered, DeliveryState::Sent, DeliveryState::Suppressed, DeliveryState::Cancelled]
    {
        let id = tenant.ended(&*store, state, start()).await?;
        let error = store.retry(workspace, id, at(100), at(900)).await.err().map(|error| error.kind());
        ensure!(
            error == Some(ErrorKind::Conflict),
            "retrying a {state:?} delivery: expected Conflict, got {error:?}"
        );
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(found.state == state, "a refused retry changed {state:?} to {:?}", found.state);
    }
    let (_, sending, _) = tenant.leased(&*store, at(100)).await?;
    let error = store.retry(workspace, sending, at(100), at(900)).await.err().map(|error| error.kind());
    ensure!(
        error == Some(ErrorKind::Conflict),
        "retrying what is being sent: expected Conflict, got {error:?}"
    );

    let failed = tenant.ended(&*store, DeliveryState::Failed, start()).await?;
    let missing = DeliveryId::generate(&*tenant.ids, start());
    let stranger = WorkspaceId::generate(&*tenant.ids, start());
    for (workspace, id) in [(workspace, missing), (stranger, failed)] {
        let error = store.retry(workspace, id, at(100), at(900)).await.err().map(|error| error.kind());
        ensure!(error == Some(ErrorKind::NotFound), "expected NotFound, got {error:?}");
    }
    Ok(Verdict::Held)
}

/// What one channel has failed to deliver since a moment is read page by page, oldest first, and nothing else is.
pub async fn what_was_lost_is_listed_oldest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let before = tenant.ended(&*store, DeliveryState::Failed, start()).await?;
    let mut lost = Vec::new();
    for index in 0..25_u64 {
        let state = if index % 2 == 0 { DeliveryState::Failed } else { DeliveryState::Expired };
        lost.push(tenant.ended(&*store, state, at(100 + index)).await?);
    }
    let mut left_alone = vec![(before, DeliveryState::Failed)];
    for state in [
        DeliveryState::Ambiguous,
        DeliveryState::Delivered,
        DeliveryState::Sent,
        DeliveryState::Suppressed,
        DeliveryState::Cancelled,
    ] {
        left_alone.push((tenant.ended(&*store, state, at(110)).await?, state));
    }
    let ambiguous = left_alone[1].0;
    let lease = tenant.lease(at(110));
    let elsewhere = NewDelivery {
        channel_id: tenant.other_channel,
        lease: Some(lease),
        ..tenant.delivery(None, at(110))
    };
    left_alone.push((elsewhere.id, DeliveryState::Failed));
    store.enqueue(vec![elsewhere.clone()]).await?;
    begun(&*store, elsewhere.id, lease.token, at(110)).await?;
    settled(&*store, settlement(elsewhere.id, lease.token, at(110), ended(DeliveryState::Failed))).await?;

    let recovery = Recovery { channel_id: tenant.channel, since: at(100), ambiguous: false };
    let stranger = WorkspaceId::generate(&*tenant.ids, start());
    let seen = store.lost(stranger, recovery, None, 100).await?;
    ensure!(seen.is_empty(), "another workspace sees what was lost: {seen:?}");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.lost(workspace, recovery, after, 4).await?;
        ensure!(page.len() <= 4, "a page of 4 has {} entries", page.len());
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.id));
        found.extend(page.iter().map(|delivery| delivery.id));
    }
    ensure!(found == lost, "expected what was lost since the moment, oldest first, got {found:?}");
    for (id, state) in left_alone {
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(found.state == state, "reading what was lost changed a {state:?} delivery: {found:?}");
    }
    let recovery = Recovery { ambiguous: true, ..recovery };
    let found = store.lost(workspace, recovery, None, 100).await?;
    ensure!(
        found.len() == lost.len() + 1 && found.iter().any(|delivery| delivery.id == ambiguous),
        "with what is ambiguous: {found:?}"
    );
    store.retry(workspace, lost[0], at(200), at(900)).await?;
    let found = store.lost(workspace, recovery, None, 100).await?;
    ensure!(found.len() == lost.len(), "what is due again is still called lost");
    Ok(Verdict::Held)
}

/// A decision makes a delivery due again with a new lifetime, or changes nothing where it has not ended so or is due
/// already.
pub async fn a_revival_stands_and_falls_with_its_decision<H: StoreHarness>() -> Outcome {
    use DeliveryState::{Ambiguous, Cancelled, Delivered, Expired, Failed, Pending, Sent, Suppressed};

    let (_harness, store, tenant) = begin::<H>().await?;
    for state in [Failed, Expired, Ambiguous, Delivered, Sent, Suppressed, Cancelled] {
        let (lead, id, lease) = tenant.leased(&*store, start()).await?;
        settled(&*store, settlement(id, lease.token, at(1), ended(state))).await?;
        let revive = |version| Transition {
            revive: Some(Revival { delivery_id: id, expires_at: at(900) }),
            ..tenant.decide(lead, version, at(100))
        };
        let stale = refused(&*store, revive(7)).await?;
        let possible = state.is_revivable();
        let wanted = if possible { Refusal::Stale } else { Refusal::NotRevivable };
        ensure!(
            stale == wanted,
            "a stale revival of a {state:?} delivery: expected {wanted:?}, got {stale:?}"
        );
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(found.state == state, "a refused revival changed a {state:?} delivery: {found:?}");
        if !possible {
            continue;
        }
        applied(&*store, revive(1)).await?;
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            (found.state, found.due_at, found.expires_at, found.attempts) == (Pending, at(100), at(900), 0),
            "a revived {state:?} delivery is {found:?}"
        );
        ensure!(
            (found.uncertain, found.unwanted, found.reason.is_none()) == (state == Ambiguous, false, true),
            "a revived {state:?} delivery is {found:?}"
        );
        let again = refused(&*store, revive(2)).await?;
        ensure!(again == Refusal::NotRevivable, "what is due already was revived: {again:?}");
        let due = claimed(&*store, tenant.claim(at(100), 10)).await?;
        ensure!(due == [id], "a revived delivery is not due: {due:?}");
    }
    Ok(Verdict::Held)
}
