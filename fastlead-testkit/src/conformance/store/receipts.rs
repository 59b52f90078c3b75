//! Receipts: found by either id, in any order, never backwards.

use fastlead_core::channel::MessageReference;
use fastlead_core::delivery::{Attempt, AttemptOperation, DeliveryState, NewDelivery};
use fastlead_core::id::DeliveryId;
use fastlead_core::port::{Receipt, Refusal, Settled, Settlement, Transition};

use super::sample::{
    Tenant, applied, at, attempt, awaiting, begin, begun, claimed, delivery, refused, settled, settlement,
    start,
};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

fn attempted(seconds: u64) -> Attempt {
    Attempt { operation: AttemptOperation::Receipt, ..attempt(1, at(seconds), "receipt") }
}

fn receipt(delivery_id: DeliveryId, state: DeliveryState, seconds: u64) -> Receipt {
    let reason = (state == DeliveryState::Failed).then(|| "recipient".to_owned());
    Receipt { delivery_id, state, reason, part: None, attempt: attempted(seconds) }
}

/// A delivery in the state, reached by way of an accepted message where there is one.
async fn in_state(
    store: &dyn FullStore,
    tenant: &Tenant,
    state: DeliveryState,
) -> Result<DeliveryId, Violation> {
    if state != DeliveryState::AwaitingReceipt {
        return tenant.ended(store, state, start()).await;
    }
    let lease = tenant.lease(start());
    let new = NewDelivery { lease: Some(lease), ..tenant.delivery(None, start()) };
    let id = new.id;
    store.enqueue(vec![new]).await?;
    begun(store, id, lease.token, start()).await?;
    settled(store, settlement(id, lease.token, at(1), awaiting(at(60), false))).await?;
    Ok(id)
}

/// Whatever order receipts come in, and however often, a delivery that has arrived stays so.
pub async fn receipts_come_in_any_order<H: StoreHarness>() -> Outcome {
    use DeliveryState::{Ambiguous, AwaitingReceipt, Delivered, Failed, Sent};

    let (_harness, store, tenant) = begin::<H>().await?;
    for first in [AwaitingReceipt, Sent, Failed, Ambiguous, Delivered] {
        for order in [
            &[Delivered, Failed][..],
            &[Failed, Delivered],
            &[Failed, Failed, Delivered, Failed],
            &[Delivered, Delivered, Failed],
        ] {
            let id = in_state(&*store, &tenant, first).await?;
            let recorded = store.attempts(tenant.scope.workspace_id, id).await?.len();
            let (mut state, mut changes) = (first, 0);
            for (index, told) in order.iter().enumerate() {
                let told = *told;
                let wanted = if state == Delivered { Delivered } else { told };
                let changed = wanted != state;
                let seconds = 10 + u64::try_from(index).unwrap_or(0);
                let answer = store.record_receipt(receipt(id, told, seconds)).await?;
                ensure!(
                    answer == (wanted, changed),
                    "{first:?}, receipts {order:?}: number {index} was answered {answer:?}, not {:?}",
                    (wanted, changed)
                );
                state = wanted;
                changes += usize::from(changed);
            }
            let found = delivery(&*store, &tenant, id).await?;
            ensure!(found.state == state, "{first:?}, receipts {order:?}: stored as {:?}", found.state);
            let attempts = store.attempts(tenant.scope.workspace_id, id).await?.len();
            ensure!(
                attempts == recorded + changes,
                "{first:?}, receipts {order:?}: {} attempts were recorded for {changes} changes",
                attempts - recorded
            );
            let due = claimed(&*store, tenant.claim(at(100_000), 100)).await?;
            ensure!(!due.contains(&id), "a delivery whose receipt has come is still worked on");
        }
    }
    let cancelled = in_state(&*store, &tenant, DeliveryState::Cancelled).await?;
    let answer = store.record_receipt(receipt(cancelled, Failed, 10)).await?;
    ensure!(
        answer == (DeliveryState::Cancelled, false),
        "a failure changed a cancelled delivery: {answer:?}"
    );
    Ok(Verdict::Held)
}

/// A failure keeps its reason, and an arrival after it drops it.
pub async fn a_receipt_brings_its_reason<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let id = in_state(&*store, &tenant, DeliveryState::AwaitingReceipt).await?;
    store.record_receipt(receipt(id, DeliveryState::Failed, 10)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.reason.as_deref() == Some("recipient"), "the reason of the failure is {:?}", found.reason);
    store.record_receipt(receipt(id, DeliveryState::Delivered, 11)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.reason.is_none(), "a delivery that has arrived kept the reason {:?}", found.reason);
    let attempts = store.attempts(tenant.scope.workspace_id, id).await?;
    let last = attempts.last().map(|record| &record.attempt);
    ensure!(last == Some(&attempted(11)), "the receipt was recorded as {last:?}");
    Ok(Verdict::Held)
}

/// A receipt and the decision it leads to are recorded together or not at all, and once.
pub async fn a_receipt_stands_and_falls_with_its_decision<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, id, lease) = tenant.leased(&*store, start()).await?;
    settled(&*store, settlement(id, lease.token, at(1), awaiting(at(60), false))).await?;
    let told = |version, state| Transition {
        receipt: Some(receipt(id, state, 5)),
        ..tenant.decide(lead, version, at(5))
    };
    let refusal = refused(&*store, told(7, DeliveryState::Failed)).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.state == DeliveryState::AwaitingReceipt, "a refused receipt was recorded: {found:?}");
    applied(&*store, told(1, DeliveryState::Failed)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        (found.state, found.reason.as_deref()) == (DeliveryState::Failed, Some("recipient")),
        "a receipt with its decision made the delivery {found:?}"
    );
    let recorded = store.attempts(tenant.scope.workspace_id, id).await?.len();
    ensure!(recorded == 2, "{recorded} attempts are recorded of a send and its receipt");
    let refusal = refused(&*store, told(2, DeliveryState::Failed)).await?;
    ensure!(refusal == Refusal::ReceiptStale, "a repeated receipt: expected ReceiptStale, got {refusal:?}");
    let version = store.lead(tenant.scope.workspace_id, lead).await?.map(|record| record.state.version);
    ensure!(version == Some(2), "a repeated receipt let its decision through: version {version:?}");
    let mut missing = told(2, DeliveryState::Failed);
    missing.receipt = Some(receipt(tenant.delivery(None, start()).id, DeliveryState::Failed, 6));
    let refusal = refused(&*store, missing).await?;
    ensure!(
        refusal == Refusal::ReceiptStale,
        "a receipt for nothing: expected ReceiptStale, got {refusal:?}"
    );
    Ok(Verdict::Held)
}

/// A receipt finds its delivery by our id and by the provider's, on its own channel only.
pub async fn a_delivery_is_found_on_its_own_channel<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut ids = Vec::new();
    for channel in [tenant.channel, tenant.other_channel] {
        let lease = tenant.lease(start());
        let new = NewDelivery { channel_id: channel, lease: Some(lease), ..tenant.delivery(None, start()) };
        let id = new.id;
        store.enqueue(vec![new]).await?;
        begun(&*store, id, lease.token, start()).await?;
        let outcome = Settled::Ended {
            state: DeliveryState::Sent,
            reason: None,
            provider_message_id: Some("m-1".to_owned()),
        };
        settled(&*store, settlement(id, lease.token, at(1), outcome)).await?;
        ids.push((channel, id));
    }
    let (first, second) = (ids[0], ids[1]);
    let provider = |id: &str| MessageReference::Provider(id.to_owned());
    for (channel, reference, wanted) in [
        (first.0, MessageReference::Delivery(first.1), Some(first.1)),
        (second.0, MessageReference::Delivery(first.1), None),
        (first.0, provider("m-1"), Some(first.1)),
        (second.0, provider("m-1"), Some(second.1)),
        (first.0, provider("m-2"), None),
    ] {
        let found = store.find_delivery(channel, &reference).await?;
        let id = found.as_ref().map(|delivery| delivery.id);
        ensure!(id == wanted, "{reference:?} on {channel}: expected {wanted:?}, found {id:?}");
        if let Some(found) = found {
            let read = delivery(&*store, &tenant, found.id).await?;
            ensure!(found == read, "found {found:?}, read {read:?}");
        }
    }
    Ok(Verdict::Held)
}

/// A text that was sent in three parts, and has been accepted; each part has an id of its own.
async fn in_three_parts(store: &dyn FullStore, tenant: &Tenant) -> Result<DeliveryId, Violation> {
    let lease = tenant.lease(start());
    let new = NewDelivery { lease: Some(lease), ..tenant.delivery(None, start()) };
    let id = new.id;
    store.enqueue(vec![new]).await?;
    let mut token = lease.token;
    for part in 0..3 {
        begun(store, id, token, start()).await?;
        let (outcome, verdict) = if part < 2 {
            let next = Settled::Retry {
                due_at: start(),
                reason: "next_part".to_owned(),
                counted: false,
                parts_sent: part + 1,
                uncertain: false,
            };
            (next, "next_part")
        } else {
            let awaits = Settled::Await {
                check_at: at(1_000),
                provider_message_id: Some(format!("{id}-2")),
                uncertain: false,
                parts_sent: 3,
                frees_order: false,
            };
            (awaits, "accepted")
        };
        let sent = attempt(1, start(), verdict);
        let sent = Attempt { part, provider_message_id: Some(format!("{id}-{part}")), ..sent };
        let settlement = Settlement { attempt: Some(sent), ..settlement(id, token, start(), outcome) };
        settled(store, settlement).await?;
        if part < 2 {
            let request = tenant.claim(start(), 10);
            token = request.lease.token;
            store.claim(request).await?;
        }
    }
    Ok(id)
}

/// Every part of a split text is found by its own id and has a receipt of its own: the message has arrived when all have,
/// in whatever order that is told, and has failed when one has.
pub async fn every_part_has_its_receipt<H: StoreHarness>() -> Outcome {
    use DeliveryState::{AwaitingReceipt, Delivered, Failed};

    let (_harness, store, tenant) = begin::<H>().await?;
    for (told, states) in [
        (
            &[(0, Delivered), (1, Delivered), (2, Delivered)][..],
            &[AwaitingReceipt, AwaitingReceipt, Delivered][..],
        ),
        (
            &[(2, Delivered), (2, Delivered), (0, Delivered), (1, Delivered)],
            &[AwaitingReceipt, AwaitingReceipt, AwaitingReceipt, Delivered],
        ),
        (&[(0, Failed), (2, Delivered), (1, Delivered)], &[Failed, Failed, Failed]),
        (&[(2, Delivered), (1, Delivered), (0, Failed)], &[AwaitingReceipt, AwaitingReceipt, Failed]),
        (
            &[(0, Failed), (1, Delivered), (2, Delivered), (0, Delivered)],
            &[Failed, Failed, Failed, Delivered],
        ),
    ] {
        let id = in_three_parts(&*store, &tenant).await?;
        let mut before = AwaitingReceipt;
        for (number, ((part, state), wanted)) in told.iter().zip(states).enumerate() {
            let name = MessageReference::Provider(format!("{id}-{part}"));
            let found = store.find_delivery(tenant.channel, &name).await?.map(|found| found.id);
            ensure!(found == Some(id), "the id of part {part} finds {found:?}");
            let elsewhere = store.find_delivery(tenant.other_channel, &name).await?.map(|found| found.id);
            ensure!(elsewhere.is_none(), "the id of part {part} finds {elsewhere:?} on another channel");
            let told_now = receipt(id, *state, 10);
            let attempt = Attempt { part: *part, verdict: state.as_str().to_owned(), ..told_now.attempt };
            let answer = store.record_receipt(Receipt { part: Some(*part), attempt, ..told_now }).await?;
            ensure!(
                answer == (*wanted, *wanted != before),
                "{told:?}: number {number} was answered {answer:?}, expected {wanted:?}"
            );
            before = *wanted;
        }
        let parts = store.parts_of(id).await?;
        let ids: Vec<_> = parts.iter().flat_map(|part| &part.ids).cloned().collect();
        let wanted: Vec<_> = (0..3).map(|part| format!("{id}-{part}")).collect();
        ensure!(ids == wanted, "the ids of the parts are {ids:?}");
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(found.parts_sent == 3, "{} parts of three were sent", found.parts_sent);
    }
    // Where no receipt is owed, the last part counts as well.
    let whole = tenant.ended(&*store, DeliveryState::Sent, start()).await?;
    let found = delivery(&*store, &tenant, whole).await?;
    ensure!(found.parts_sent == 1, "{} parts of a message were sent that was sent", found.parts_sent);
    ensure!(store.parts_of(whole).await?.is_empty(), "a message that was not split has parts");
    Ok(Verdict::Held)
}
