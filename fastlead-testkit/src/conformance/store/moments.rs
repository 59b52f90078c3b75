//! What is read together is of one moment.

use std::sync::atomic::{AtomicBool, Ordering};

use fastlead_core::delivery::{DeliveryState, NewDelivery};
use fastlead_core::id::{DeliveryId, WorkspaceId};
use fastlead_core::port::DeliveryWithAttempts;
use tokio::task::yield_now;

use super::sample::{Tenant, at, begin, begun, claimed, retry, settled, settlement, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// How many attempts are made while somebody reads.
const ROUNDS: u32 = 60;

/// Makes [`ROUNDS`] attempts that fail, and lets others work after each step.
async fn try_again_and_again(
    store: &dyn FullStore,
    tenant: &Tenant,
    id: DeliveryId,
) -> Result<(), Violation> {
    for round in 0..ROUNDS {
        let now = at(u64::from(round) * 100);
        let claim = tenant.claim(now, 1);
        let token = claim.lease.token;
        let found = claimed(store, claim).await?;
        ensure!(found == [id], "of one due delivery {found:?} was claimed in round {round}");
        yield_now().await;
        begun(store, id, token, now).await?;
        yield_now().await;
        settled(store, settlement(id, token, now, retry(now, true))).await?;
        yield_now().await;
    }
    Ok(())
}

/// The delivery with its attempts, which must be of one moment.
async fn read(
    store: &dyn FullStore,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> Result<DeliveryWithAttempts, Violation> {
    let found = store.delivery_with_attempts(workspace, id).await?;
    let found = found.ok_or_else(|| Violation::new("a delivery that is there was not found".to_owned()))?;
    let begun = usize::try_from(found.delivery.attempts).unwrap_or(usize::MAX);
    let under_way = usize::from(found.delivery.state == DeliveryState::Sending);
    ensure!(
        found.attempts.len() + under_way == begun,
        "a delivery that is {} has begun {begun} attempts, and {} ended ones were read with it",
        found.delivery.state.as_str(),
        found.attempts.len()
    );
    Ok(found)
}

/// However often a delivery changes meanwhile, it and its attempts are read as they were at one moment.
pub async fn a_delivery_and_its_attempts_are_of_one_moment<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let new = NewDelivery { expires_at: at(1_000_000), ..tenant.delivery(None, start()) };
    let id = new.id;
    store.enqueue(vec![new]).await?;
    let done = AtomicBool::new(false);
    let writer = async {
        let result = try_again_and_again(&*store, &tenant, id).await;
        done.store(true, Ordering::Relaxed);
        result
    };
    let reader = async {
        while !done.load(Ordering::Relaxed) {
            read(&*store, workspace, id).await?;
            yield_now().await;
        }
        Ok::<(), Violation>(())
    };
    let (written, seen) = tokio::join!(writer, reader);
    written?;
    seen?;
    let last = read(&*store, workspace, id).await?;
    let rounds = usize::try_from(ROUNDS).unwrap_or(usize::MAX);
    ensure!(last.attempts.len() == rounds, "{} of {ROUNDS} attempts were read", last.attempts.len());
    let listed = store.attempts(workspace, id).await?;
    ensure!(last.attempts == listed, "the attempts are others, or in another order, than those in the list");
    ensure!(
        Some(&last.delivery) == store.delivery(workspace, id).await?.as_ref(),
        "the delivery is not what is stored: {:?}",
        last.delivery
    );
    let nobody = tenant.delivery(None, start()).id;
    let found = store.delivery_with_attempts(workspace, nobody).await?;
    ensure!(found.is_none(), "a delivery that does not exist was found: {found:?}");
    Ok(Verdict::Held)
}
