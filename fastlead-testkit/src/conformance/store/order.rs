//! Who waits for whom: order within a key, and nobody else.

use fastlead_core::delivery::{DeliveryState, NewDelivery, Phase};
use fastlead_core::id::DeliveryId;
use fastlead_core::port::{ChannelRoom, Settled};

use super::sample::{
    Tenant, at, awaiting, begin, claimed, ended, order_key, retry, settled, settlement, start,
};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// A delivery holds back the later ones with the same key until the provider has accepted it or it has ended, and
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
    let next = store.next_due(at(1), &[tenant.channel]).await?.earliest();
    ensure!(next == Some(at(2)), "a delivery that is held back was named as due: {next:?}");

    let request = tenant.claim(at(5), 10);
    let token = request.lease.token;
    let mut got = claimed(&*store, request).await?;
    got.sort();
    let mut wanted = vec![first.id, other.id, free.id];
    wanted.sort();
    ensure!(got == wanted, "expected the first of each key and the one without, got {got:?}");
    let next = store.next_due(at(6), &[tenant.channel]).await?.earliest();
    ensure!(next == Some(at(65)), "expected the end of the leases, got {next:?}");

    settled(&*store, settlement(first.id, token, at(6), retry(at(30), true))).await?;
    let held = claimed(&*store, tenant.claim(at(20), 10)).await?;
    ensure!(held.is_empty(), "a delivery overtook one that is to be retried: {held:?}");
    let request = tenant.claim(at(30), 10);
    let token = request.lease.token;
    ensure!(claimed(&*store, request).await? == [first.id], "the retried delivery did not keep its place");
    settled(&*store, settlement(first.id, token, at(31), awaiting(at(50), true))).await?;
    let held = claimed(&*store, tenant.claim(at(40), 10)).await?;
    ensure!(held.is_empty(), "a delivery overtook one whose outcome is unknown: {held:?}");
    let request = tenant.claim(at(50), 10);
    let token = request.lease.token;
    ensure!(claimed(&*store, request).await? == [first.id], "the outcome of the first one was not asked for");
    settled(&*store, settlement(first.id, token, at(51), awaiting(at(900), false))).await?;
    let next = store.next_due(at(51), &[tenant.channel]).await?.earliest();
    ensure!(next == Some(at(51)), "the delivery that was held back is due now; next due is {next:?}");
    let got = claimed(&*store, tenant.claim(at(51), 10)).await?;
    ensure!(got == [second.id], "the first one was accepted; expected the second, got {got:?}");
    Ok(Verdict::Held)
}

/// A message of unknown outcome can leave its order: those behind it go on, and it is still asked about.
pub async fn an_unknown_outcome_can_leave_its_order<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let new = |seconds| NewDelivery { order_key: Some(order_key(1)), ..tenant.delivery(None, at(seconds)) };
    let (first, second, third) = (new(0), new(1), new(2));
    store.enqueue(vec![first.clone(), second.clone(), third.clone()]).await?;
    let request = tenant.claim(at(5), 10);
    let token = request.lease.token;
    ensure!(claimed(&*store, request).await? == [first.id], "expected the first one alone");
    let unknown = Settled::Await {
        check_at: at(50),
        provider_message_id: None,
        uncertain: true,
        parts_sent: 0,
        frees_order: true,
    };
    settled(&*store, settlement(first.id, token, at(6), unknown)).await?;
    let next = store.next_due(at(6), &[tenant.channel]).await?.earliest();
    ensure!(next == Some(at(6)), "the second one is due, since nobody is before it any more: {next:?}");
    let got = claimed(&*store, tenant.claim(at(7), 10)).await?;
    ensure!(got == [second.id], "the first one has left the order; expected the second, got {got:?}");
    let mut got = store.claim(tenant.claim(at(50), 10)).await?.deliveries;
    let asked = got.pop();
    ensure!(
        got.is_empty()
            && asked.as_ref().is_some_and(|asked| {
                asked.delivery.id == first.id && asked.phase == Phase::Confirm && asked.delivery.uncertain
            }),
        "what has left its order is still asked about, and the third waits for the second: {asked:?}, {got:?}"
    );
    Ok(Verdict::Held)
}

/// A missing receipt holds back nobody: the message was accepted.
pub async fn a_missing_receipt_holds_back_nobody<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let all: Vec<_> = (0..20_u64)
        .map(|index| NewDelivery { order_key: Some(order_key(1)), ..tenant.delivery(None, at(index)) })
        .collect();
    let ids: Vec<_> = all.iter().map(|new| new.id).collect();
    store.enqueue(all).await?;
    for (index, id) in ids.iter().enumerate() {
        let request = tenant.claim(at(60), 10);
        let token = request.lease.token;
        let got = claimed(&*store, request).await?;
        ensure!(got == [*id], "with {index} receipts missing: expected {id}, got {got:?}");
        settled(&*store, settlement(*id, token, at(60), awaiting(at(9_000), false))).await?;
    }
    let next = store.next_due(at(61), &[tenant.channel]).await?.earliest();
    ensure!(next == Some(at(9_000)), "expected the first receipt as the next, got {next:?}");
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
    both.channels.push(ChannelRoom::new(tenant.other_channel, 3));
    let got = store.claim(both).await?.deliveries;
    let (first, second): (Vec<_>, Vec<_>) =
        got.iter().map(|leased| &leased.delivery).partition(|delivery| delivery.channel_id == tenant.channel);
    ensure!(first.len() == 3, "the backlog brought {} deliveries instead of its limit of 3", first.len());
    ensure!(second.len() == 1 && second[0].id == together.id, "the other channel's delivery was not claimed");
    store.enqueue(vec![alone.clone()]).await?;
    let mut other = tenant.claim(at(1), 3);
    other.channels = vec![ChannelRoom::new(tenant.other_channel, 3)];
    let got = claimed(&*store, other).await?;
    ensure!(got == [alone.id], "a claim for the other channel alone brought {got:?}");
    Ok(Verdict::Held)
}

/// Deliveries that the provider has accepted and whose receipts are due from second 1 on, longest due first.
async fn owing(store: &dyn FullStore, tenant: &Tenant, count: u64) -> Result<Vec<DeliveryId>, Violation> {
    let mut ids = Vec::new();
    for number in 0..count {
        let (_, id, lease) = tenant.leased(store, start()).await?;
        let owed = awaiting(at(1 + number), false);
        settled(store, settlement(id, lease.token, start(), owed)).await?;
        ids.push(id);
    }
    Ok(ids)
}

/// However long receipts are due, sends, recoveries of attempts that were cut off and questions about unknown
/// outcomes come first; receipts get the room that is left.
pub async fn what_is_to_be_sent_comes_before_owed_receipts<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let receipts = owing(&*store, &tenant, 6).await?;
    let (_, cut_off, _) = tenant.leased(&*store, at(10)).await?;
    let (_, unknown, lease) = tenant.leased(&*store, at(10)).await?;
    settled(&*store, settlement(unknown, lease.token, at(11), awaiting(at(71), true))).await?;
    let send = NewDelivery { due_at: at(72), ..tenant.delivery(None, at(12)) };
    store.enqueue(vec![send.clone()]).await?;
    let got = store.claim(tenant.claim(at(100), 4)).await?.deliveries;
    let got: Vec<_> = got.iter().map(|leased| (leased.delivery.id, leased.phase)).collect();
    let wanted = [
        (cut_off, Phase::Recover),
        (unknown, Phase::Confirm),
        (send.id, Phase::Send),
        (receipts[0], Phase::Confirm),
    ];
    let mut sorted = got.clone();
    sorted.sort_unstable_by_key(|(id, _)| wanted.iter().position(|(other, _)| other == id));
    ensure!(sorted == wanted, "expected what is not known and one receipt, got {got:?}");
    ensure!(got[3].0 == receipts[0], "a receipt is answered before what is to be sent: {got:?}");
    let next = claimed(&*store, tenant.claim(at(101), 2)).await?;
    ensure!(next == receipts[1..3], "expected the two receipts that are longest due, got {next:?}");
    Ok(Verdict::Held)
}

/// Receipts get at most the room that is theirs, and the part of it that comes first whatever else is due.
pub async fn owed_receipts_keep_their_room<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let receipts = owing(&*store, &tenant, 5).await?;
    store.enqueue((0..4).map(|_| tenant.delivery(None, start())).collect()).await?;
    let claim = |limit, checks, checks_first| {
        let mut request = tenant.claim(at(50), 0);
        request.channels = vec![ChannelRoom { limit, checks, checks_first, ..request.channels[0] }];
        let (store, receipts) = (&store, &receipts);
        async move {
            let got = claimed(&**store, request).await?;
            let (owed, others): (Vec<_>, Vec<_>) = got.into_iter().partition(|id| receipts.contains(id));
            Ok::<_, Violation>((owed, others.len()))
        }
    };
    let (owed, others) = claim(2, 1, 1).await?;
    ensure!(owed == receipts[..1] && others == 1, "of two places one is for a receipt: {owed:?}, {others}");
    let (owed, others) = claim(1, 1, 1).await?;
    ensure!(owed == receipts[1..2] && others == 0, "the only place is for a receipt: {owed:?}, {others}");
    let (owed, others) = claim(10, 2, 0).await?;
    ensure!(owed == receipts[2..4] && others == 3, "all the others and two receipts: {owed:?}, {others}");
    let (owed, others) = claim(1, 0, 1).await?;
    ensure!(owed.is_empty() && others == 0, "there is no room for receipts: {owed:?}, {others}");
    store.enqueue((0..2).map(|_| tenant.delivery(None, start())).collect()).await?;
    let (owed, others) = claim(2, 2, 2).await?;
    ensure!(
        owed == receipts[4..] && others == 1,
        "a place that no receipt takes is used: {owed:?}, {others}"
    );
    Ok(Verdict::Held)
}
