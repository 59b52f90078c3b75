//! What has ended can be forgotten, and nothing else.

use fastlead_core::channel::{InboundEvent, InboundKind, Peer};
use fastlead_core::delivery::DeliveryState;
use fastlead_core::port::InboundRef;

use super::StoreHarness;
use super::sample::{at, begin, ended, settled, settlement, start};
use crate::conformance::{Outcome, Verdict, ensure};

fn event(id: &str) -> InboundEvent {
    let from =
        Peer { chat: "790000001".into(), user: "790000001".into(), display_name: None, language: None };
    let kind = InboundKind::Message { from, text: "Спасибо".into() };
    InboundEvent { provider_event_id: id.to_owned(), occurred_at: start(), kind }
}

/// Only what has ended before the moment is forgotten, a part at a time, and leads keep their history.
pub async fn only_what_has_ended_is_forgotten<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (lead, old, lease) = tenant.leased(&*store, start()).await?;
    settled(&*store, settlement(old, lease.token, at(1), ended(DeliveryState::Failed))).await?;
    let another = tenant.ended(&*store, DeliveryState::Delivered, start()).await?;
    let (_, late, lease) = tenant.leased(&*store, start()).await?;
    settled(&*store, settlement(late, lease.token, at(900), ended(DeliveryState::Sent))).await?;
    let waiting = tenant.delivery(None, start());
    store.enqueue(vec![waiting.clone()]).await?;
    tenant.record(&*store, tenant.channel, vec![event("1"), event("2")], None, start()).await?;
    let done = InboundRef { channel_id: tenant.channel, provider_event_id: "1".to_owned() };
    store.finish_inbound(done).await?;

    let first = store.purge(at(600), 1).await?;
    ensure!((first.deliveries, first.inbound, first.more) == (1, 1, true), "the first part is {first:?}");
    let mut deliveries = first.deliveries;
    for _ in 0..3 {
        deliveries += store.purge(at(600), 1).await?.deliveries;
    }
    ensure!(deliveries == 2, "{deliveries} deliveries were forgotten instead of 2");
    let rest = store.purge(at(600), 100).await?;
    ensure!((rest.deliveries, rest.inbound, rest.more) == (0, 0, false), "nothing was left, but {rest:?}");
    for (id, kept) in [(old, false), (another, false), (late, true), (waiting.id, true)] {
        let found = store.delivery(workspace, id).await?.is_some();
        ensure!(found == kept, "{id} is {}", if found { "still there" } else { "forgotten" });
        let attempts = store.attempts(workspace, id).await?.len();
        ensure!(kept || attempts == 0, "{attempts} attempts of a forgotten delivery are left");
    }
    ensure!(store.lead(workspace, lead).await?.is_some(), "a lead was forgotten with its deliveries");
    let pending = tenant.left_over(&*store, at(600)).await?;
    ensure!(pending.len() == 1, "of two events one was acted upon, but {} wait", pending.len());
    Ok(Verdict::Held)
}
