//! Who waits for whom: order within a key, and nobody else.

use fastlead_core::delivery::{DeliveryState, NewDelivery};

use super::StoreHarness;
use super::sample::{at, awaiting, begin, claimed, ended, order_key, retry, settled, settlement, start};
use crate::conformance::{Outcome, Verdict, ensure};

/// An unfinished delivery holds back the later ones with the same key, whatever it waits for, and
/// nobody else.
pub async fn a_key_holds_back_only_its_own<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let with = |key: Option<u8>, seconds| NewDelivery {
        order_key: key.map(order_key),
        ..tenant.delivery(None, at(seconds))
    };
    let (first, second) = (with(Some(1), 0), with(Some(1), 1));
    let (other, free) = (with(Some(2), 2), with(None, 3));
    // The second one is due first: order goes by when they were asked for.
    let second = NewDelivery { due_at: start(), ..second };
    let first = NewDelivery { due_at: at(2), ..first };
    store.enqueue(vec![second.clone(), first.clone(), other.clone(), free.clone()]).await?;
    let early = claimed(&*store, tenant.claim(at(1), 10)).await?;
    ensure!(early.is_empty(), "a later delivery overtook an earlier one that is not due: {early:?}");
    let next = store.next_due(at(1), &[tenant.channel]).await?;
    ensure!(next == Some(at(2)), "a delivery that is held back was named as due: {next:?}");

    let request = tenant.claim(at(5), 10);
    let token = request.lease.token;
    let mut got = claimed(&*store, request).await?;
    got.sort();
    let mut wanted = vec![first.id, other.id, free.id];
    wanted.sort();
    ensure!(got == wanted, "expected the first of each key and the one without, got {got:?}");
    let next = store.next_due(at(6), &[tenant.channel]).await?;
    ensure!(next == Some(at(65)), "expected the end of the leases, got {next:?}");

    settled(&*store, settlement(first.id, token, at(6), retry(at(30), true))).await?;
    let held = claimed(&*store, tenant.claim(at(20), 10)).await?;
    ensure!(held.is_empty(), "a delivery overtook one that is to be retried: {held:?}");
    let request = tenant.claim(at(30), 10);
    let token = request.lease.token;
    ensure!(claimed(&*store, request).await? == [first.id], "the retried delivery did not keep its place");
    settled(&*store, settlement(first.id, token, at(31), awaiting(at(50), false))).await?;
    let held = claimed(&*store, tenant.claim(at(40), 10)).await?;
    ensure!(held.is_empty(), "a delivery overtook one whose receipt is owed: {held:?}");
    let request = tenant.claim(at(50), 10);
    let token = request.lease.token;
    ensure!(claimed(&*store, request).await? == [first.id], "the receipt of the first one was not asked for");
    settled(&*store, settlement(first.id, token, at(51), ended(DeliveryState::Delivered))).await?;
    let next = store.next_due(at(51), &[tenant.channel]).await?;
    ensure!(next == Some(at(51)), "the delivery that was held back is due now; next due is {next:?}");
    let got = claimed(&*store, tenant.claim(at(51), 10)).await?;
    ensure!(got == [second.id], "the first one has ended; expected the second, got {got:?}");
    Ok(Verdict::Held)
}

/// Of many deliveries with one key, each claim brings one, in the order in which they were asked for.
pub async fn ordered_deliveries_come_one_by_one<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let all: Vec<_> = (0..20_u64)
        .map(|index| NewDelivery { order_key: Some(order_key(1)), ..tenant.delivery(None, at(index / 4)) })
        .collect();
    let ids: Vec<_> = all.iter().map(|new| new.id).collect();
    store.enqueue(all).await?;
    for (index, id) in ids.iter().enumerate() {
        let request = tenant.claim(at(60), 10);
        let token = request.lease.token;
        let got = claimed(&*store, request).await?;
        ensure!(got == [*id], "claim {index}: expected {id}, got {got:?}");
        // A failure does not hold back the next one either: it has ended.
        let state = if index % 2 == 0 { DeliveryState::Delivered } else { DeliveryState::Failed };
        settled(&*store, settlement(*id, token, at(60), ended(state))).await?;
    }
    Ok(Verdict::Held)
}

/// A backlog of 5,000 on one channel does not hold up another channel's delivery.
pub async fn a_backlog_holds_up_nobody_else<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    store.enqueue((0..5_000).map(|_| tenant.delivery(None, start())).collect()).await?;
    let new = || NewDelivery { channel_id: tenant.other_channel, ..tenant.delivery(None, at(1)) };
    let (together, alone) = (new(), new());
    store.enqueue(vec![together.clone()]).await?;
    let mut both = tenant.claim(at(1), 3);
    both.channels.push((tenant.other_channel, 3));
    let got = store.claim(both).await?.deliveries;
    let (first, second): (Vec<_>, Vec<_>) =
        got.iter().map(|leased| &leased.delivery).partition(|delivery| delivery.channel_id == tenant.channel);
    ensure!(first.len() == 3, "the backlog brought {} deliveries instead of its limit of 3", first.len());
    ensure!(second.len() == 1 && second[0].id == together.id, "the other channel's delivery was not claimed");
    store.enqueue(vec![alone.clone()]).await?;
    let mut other = tenant.claim(at(1), 3);
    other.channels = vec![(tenant.other_channel, 3)];
    let got = claimed(&*store, other).await?;
    ensure!(got == [alone.id], "a claim for the other channel alone brought {got:?}");
    Ok(Verdict::Held)
}
