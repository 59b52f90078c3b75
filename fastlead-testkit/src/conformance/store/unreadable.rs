//! What cannot be read stops nothing else, and what is set aside is left alone.

use fastlead_core::ErrorKind;
use fastlead_core::delivery::NewDelivery;
use fastlead_core::port::{DeliveryFilter, InboundRef, PageRequest, SetAside};

use super::StoreHarness;
use super::harness::StoredRow;
use super::sample::{at, begin, claimed, order_key, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// Of three deliveries the one between cannot be read: the others are claimed, and listed, and found; it is named by
/// the list, told to who asks for it, and claimed never more.
pub async fn a_delivery_that_cannot_be_read_stops_no_other<H: StoreHarness>() -> Outcome {
    let (harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let key = Some(order_key(1));
    let due = |seconds| NewDelivery {
        due_at: at(seconds),
        created_at: at(seconds),
        ..tenant.delivery(None, at(seconds))
    };
    let (first, between, last) =
        (due(1), NewDelivery { order_key: key, ..due(2) }, NewDelivery { order_key: key, ..due(3) });
    let (whole, broken) = ([first.id, last.id], between.id);
    store.enqueue(vec![first, between, last]).await?;
    if !harness.damage(StoredRow::Delivery(broken)).await {
        return Ok(Verdict::NotApplicable("a row of this store cannot be damaged"));
    }
    let stopped = |error: &fastlead_core::Error| {
        Violation::new(format!("one delivery that cannot be read stops the others: {error}"))
    };
    let mut got = Vec::new();
    for seconds in [10, 100, 200] {
        let batch = store.claim(tenant.claim(at(seconds), 10)).await.map_err(|error| stopped(&error))?;
        got.extend(batch.deliveries.iter().map(|leased| leased.delivery.id));
    }
    for id in whole {
        ensure!(got.contains(&id), "{id} was never claimed, because another one cannot be read");
    }
    ensure!(!got.contains(&broken), "what cannot be read was claimed");
    let page = store.deliveries(workspace, DeliveryFilter::default(), PageRequest::default()).await;
    let page = page.map_err(|error| stopped(&error))?;
    let listed: Vec<_> = page.items.iter().rev().map(|delivery| delivery.id).collect();
    ensure!(listed == whole, "expected {whole:?} in the list, got {listed:?}");
    let named: Vec<_> = page.unreadable.iter().map(|row| row.id.as_str()).collect();
    ensure!(named == [broken.to_string()], "the list names {named:?} as what cannot be read, not {broken}");
    let told = store.delivery(workspace, broken).await.err().map(|error| error.kind());
    ensure!(told == Some(ErrorKind::Unreadable), "who asks for it is told {told:?}");
    let met = store.unreadable(Some(workspace)).await?;
    ensure!(met.iter().any(|row| row.id == broken.to_string()), "{broken} is not among {met:?}");
    Ok(Verdict::Held)
}

/// What is set aside under its lease is not claimed again, holds back nothing, and is given back when the store is opened.
pub async fn what_is_set_aside_is_left_alone<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let workspace = Some(tenant.scope.workspace_id);
    let key = Some(order_key(1));
    let behind = NewDelivery { order_key: key, created_at: at(1), ..tenant.delivery(None, at(1)) };
    let aside = NewDelivery { order_key: key, ..tenant.delivery(None, start()) };
    let (aside_id, behind_id, channel) = (aside.id, behind.id, aside.channel_id);
    store.enqueue(vec![aside, behind]).await?;
    let request = tenant.claim(at(5), 10);
    let token = request.lease.token;
    let got = claimed(&*store, request).await?;
    ensure!(got == [aside_id], "expected {aside_id} alone, which the other stands behind, got {got:?}");
    let other = tenant.lease(at(5)).token;
    store.set_aside(workspace, SetAside::Delivery(aside_id, other), "leads.state").await?;
    let got = claimed(&*store, tenant.claim(at(100), 10)).await?;
    ensure!(got == [aside_id], "somebody without the lease has set {aside_id} aside; claimed: {got:?}");
    store.set_aside(workspace, SetAside::Delivery(aside_id, token), "leads.state").await?;
    let request = tenant.claim(at(200), 10);
    let token = request.lease.token;
    ensure!(claimed(&*store, request).await? == [aside_id], "an old lease has set {aside_id} aside");
    store.set_aside(workspace, SetAside::Delivery(aside_id, token), "leads.state").await?;
    let got = claimed(&*store, tenant.claim(at(300), 10)).await?;
    ensure!(got == [behind_id], "expected {behind_id}, which nothing is in the way of any more, got {got:?}");
    let got = claimed(&*store, tenant.claim(at(100_000), 10)).await?;
    ensure!(got == [behind_id], "what was set aside is claimed again: {got:?}");
    let due = store.next_due(at(100_001), &[channel]).await?.earliest();
    ensure!(due == Some(at(100_060)), "expected the end of the only lease, got {due:?}");
    let met = store.unreadable(workspace).await?;
    ensure!(met.iter().any(|row| row.id == aside_id.to_string()), "{aside_id} is not among {met:?}");

    let inbound = InboundRef { channel_id: channel, provider_event_id: "of nobody".to_owned() };
    store.set_aside(workspace, SetAside::Inbound(inbound), "leads.state").await?;
    let survives = {
        drop(store);
        harness.reopen().await
    };
    if survives && harness.gives_back() {
        let got = claimed(&*harness.store(), tenant.claim(at(200_000), 10)).await?;
        ensure!(got.contains(&aside_id), "{aside_id} is not given back when the store is opened: {got:?}");
    }
    Ok(Verdict::Held)
}
