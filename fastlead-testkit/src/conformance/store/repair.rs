//! What an operator mends: one delivery, or everything that a channel has missed.

use std::collections::HashSet;

use fastlead_core::ErrorKind;
use fastlead_core::delivery::{DeliveryState, NewDelivery};
use fastlead_core::id::{DeliveryId, WorkspaceId};
use fastlead_core::port::{Recovered, Recovery};

use super::StoreHarness;
use super::sample::{at, begin, begun, claimed, delivery, ended, settled, settlement, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

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

/// Recovery takes what one channel has failed to deliver since a moment, oldest first, a bounded
/// number at a time until nothing is left, and nothing twice.
pub async fn recovery_is_bounded_resumable_and_idempotent<H: StoreHarness>() -> Outcome {
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
    let recover = |workspace| store.recover(workspace, recovery, at(200), at(900), 5);
    let stranger = recover(WorkspaceId::generate(&*tenant.ids, start())).await?;
    ensure!(stranger == Recovered { deliveries: 0, more: false }, "another workspace recovered {stranger:?}");
    // Five times five: the fifth leaves nothing, and says so.
    for round in 1..=6 {
        let wanted = Recovered { deliveries: if round <= 5 { 5 } else { 0 }, more: round < 5 };
        let recovered = recover(workspace).await?;
        ensure!(recovered == wanted, "round {round}: expected {wanted:?}, got {recovered:?}");
        for (index, id) in lost.iter().enumerate() {
            let pending = delivery(&*store, &tenant, *id).await?.state == DeliveryState::Pending;
            ensure!(
                pending == (index < round * 5),
                "round {round} did not take the oldest: number {index} is not as expected"
            );
        }
    }
    for (id, state) in left_alone {
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            found.state == state,
            "recovery changed a {state:?} delivery that it had to leave alone: {found:?}"
        );
    }
    // Where nothing arrives twice by it, ambiguous ones are recovered too, and stay uncertain.
    let recovery = Recovery { ambiguous: true, ..recovery };
    let recovered = store.recover(workspace, recovery, at(200), at(900), 5).await?;
    ensure!(recovered == Recovered { deliveries: 1, more: false }, "ambiguous ones: {recovered:?}");
    let found = delivery(&*store, &tenant, ambiguous).await?;
    ensure!(found.state == DeliveryState::Pending && found.uncertain, "it is {found:?}");
    lost.push(ambiguous);
    let due = claimed(&*store, tenant.claim(at(200), 100)).await?;
    let distinct: HashSet<_> = due.iter().copied().collect();
    if distinct != lost.iter().copied().collect() {
        return Err(Violation::new(format!("{} of 26 lost deliveries are due again", distinct.len())));
    }
    for id in &lost {
        let found = delivery(&*store, &tenant, *id).await?;
        ensure!(
            (found.expires_at, found.attempts) == (at(900), 0),
            "a recovered delivery has no new lifetime or schedule: {found:?}"
        );
    }
    Ok(Verdict::Held)
}
