//! When everything has come to rest, the store is read through its ports and compared.

use std::collections::BTreeMap;

use fastlead_core::channel::ChannelInfo;
use fastlead_core::delivery::DeliveryState;
use fastlead_core::error::Result;
use fastlead_core::id::{DeliveryId, LeadId};
use fastlead_core::port::{DeliveryFilter, PageRequest, StoredEvent};

use super::people;
use super::world::World;
use crate::conformance::store::FullStore;

/// Checks what must hold at rest, and that the store says so too.
pub(super) fn check(world: &World, store: &dyn FullStore) {
    world.check(is_at_rest(world));
    match world.patience.wait(compare(world, store)) {
        Some(Ok(())) => {}
        Some(Err(error)) => world.broken(format!("the store cannot be read: {error}")),
        None => world.broken("the store does not answer at once, and nobody waits for it"),
    }
}

/// Whether nothing is open any more.
pub(super) fn is_at_rest(world: &World) -> Result<(), String> {
    let lines = world.setting.lines.iter();
    let capabilities = lines
        .map(|line| (ChannelInfo::embedded("simulated", &line.name).id, line.capabilities.clone()))
        .collect();
    world.model().is_at_rest(&capabilities)
}

async fn compare(world: &World, store: &dyn FullStore) -> Result<()> {
    let leads: Vec<LeadId> = world.model().leads.keys().copied().collect();
    for id in leads {
        let record = store.lead(people::workspace(), id).await?;
        let events = events(store, id).await?;
        let checked = world.model().lead_is(id, record.as_ref().map(|record| &record.state), &events);
        world.check(checked);
    }
    let deliveries = deliveries(store).await?;
    let checked = world.model().deliveries_are(&deliveries);
    world.check(checked);
    let keys: Vec<_> = world.model().counters.keys().cloned().collect();
    let ids: Vec<_> = keys.iter().map(|key| key.id(people::project())).collect();
    let said = store.counters(ids.clone(), world.now()).await?;
    let checked = world.model().counters_fit(&ids, &said, world.now());
    world.check(checked);
    let left = store.queue_depth(world.now()).await?;
    if left.timers > 0 || left.pending > 0 || left.sending > 0 || left.awaiting_receipt > 0 {
        world.broken(format!("the store still has work: {left:?}"));
    }
    Ok(())
}

async fn events(store: &dyn FullStore, lead: LeadId) -> Result<Vec<StoredEvent>> {
    let mut all = Vec::new();
    let mut page = PageRequest { limit: 500, ..PageRequest::default() };
    loop {
        let found = store.events(people::workspace(), lead, page.clone()).await?;
        all.extend(found.items);
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(all),
        }
    }
}

async fn deliveries(store: &dyn FullStore) -> Result<BTreeMap<DeliveryId, DeliveryState>> {
    let mut all = BTreeMap::new();
    let mut page = PageRequest { limit: 500, ..PageRequest::default() };
    loop {
        let found = store.deliveries(people::workspace(), DeliveryFilter::default(), page.clone()).await?;
        all.extend(found.items.into_iter().map(|delivery| (delivery.id, delivery.state)));
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(all),
        }
    }
}
