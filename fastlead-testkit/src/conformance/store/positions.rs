//! The order in which events were committed, and whose doing they are.

use std::sync::Arc;

use fastlead_core::Actor;
use fastlead_core::id::{ApiKeyId, EventId, RandomIds, UserId, WorkspaceId};
use fastlead_core::port::{Guard, PageRequest, StoredEvent, Transition};

use super::sample::{Tenant, applied, at, begin, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// Everything after a position, `limit` events at a time.
async fn follow(
    store: &dyn FullStore,
    workspace: WorkspaceId,
    mut position: u64,
    limit: u32,
) -> Result<Vec<StoredEvent>, Violation> {
    let mut seen: Vec<StoredEvent> = Vec::new();
    loop {
        let batch = store.events_since(workspace, position, limit).await?;
        ensure!(batch.unreadable.is_empty(), "an event that was just stored cannot be read");
        ensure!(batch.events.len() <= 500, "a batch has {} events", batch.events.len());
        let last = batch.events.last().map_or(position, |event| event.position);
        ensure!(batch.position == last, "a batch goes on at {}, its last event is {last}", batch.position);
        ensure!(!batch.more || last > position, "a batch without events says that there is more");
        position = last;
        seen.extend(batch.events);
        if !batch.more {
            return Ok(seen);
        }
    }
}

/// Events are followed in the order of their commits, also where the clocks of those who made their ids differ.
pub async fn events_are_followed_in_the_order_of_their_commits<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let workspace = tenant.scope.workspace_id;
    let (first, second, theirs) = (tenant.lead_id(), tenant.lead_id(), other.lead_id());
    let (mut wanted, mut histories) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (index, lead) in [first, second].into_iter().enumerate() {
        let capture = tenant.capture(lead, start());
        wanted.push(capture.event_id);
        histories[index].push(capture.event_id);
        applied(&*store, capture).await?;
    }
    applied(&*store, other.capture(theirs, start())).await?;
    for index in 0..20_u64 {
        let (lead, history) = if index % 3 == 0 { (first, 0) } else { (second, 1) };
        // Every second machine's clock is two minutes slow.
        let now = at(200 + index - if index % 2 == 0 { 0 } else { 120 });
        let event_id = EventId::generate(&*tenant.ids, now);
        let append = Transition { guard: Guard::Append, event_id, ..tenant.decide(lead, 1, now) };
        wanted.push(event_id);
        histories[history].push(event_id);
        applied(&*store, append).await?;
        applied(&*store, Transition { guard: Guard::Append, ..other.decide(theirs, 1, now) }).await?;
    }
    for limit in [1, 7, 500, u32::MAX, 0] {
        let seen = follow(&*store, workspace, 0, limit).await?;
        let ids: Vec<_> = seen.iter().map(|event| event.id).collect();
        ensure!(ids == wanted, "{} events were committed, and followed as {ids:?}", wanted.len());
        ensure!(seen.iter().all(|event| event.position > 0), "position 0 is before the first event");
        ensure!(seen.is_sorted_by(|a, b| a.position < b.position), "positions do not ascend");
    }
    let seen = follow(&*store, workspace, 0, 500).await?;
    for (index, event) in seen.iter().enumerate() {
        let rest = follow(&*store, workspace, event.position, 5).await?;
        ensure!(rest == seen[index + 1..], "after position {} other events come", event.position);
    }
    let end = seen.last().map_or(0, |event| event.position);
    for position in [end, end + 1, u64::MAX] {
        let batch = store.events_since(workspace, position, 10).await?;
        ensure!(batch.events.is_empty() && !batch.more, "events come after the last one");
        ensure!(batch.position == position, "a position went from {position} to {}", batch.position);
    }
    for (lead, history) in [first, second].into_iter().zip(histories) {
        let (mut after, mut listed) = (None, Vec::new());
        loop {
            let page = store.events(workspace, lead, PageRequest { after, limit: 3 }).await?;
            listed.extend(page.items.iter().map(|event| event.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        ensure!(listed == history, "a history is not in the order of its commits");
    }
    Ok(Verdict::Held)
}

/// Whoever follows while others commit misses nothing.
pub async fn whoever_follows_misses_nothing<H: StoreHarness>() -> Outcome {
    const LEADS: usize = 200;
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let mut tasks = tokio::task::JoinSet::new();
    let mut wanted = std::collections::HashSet::new();
    for _ in 0..LEADS {
        let capture = tenant.capture(tenant.lead_id(), start());
        wanted.insert(capture.event_id);
        let store = Arc::clone(&store);
        tasks.spawn(async move { applied(&*store, capture).await });
    }
    let (mut position, mut seen) = (0, Vec::new());
    while seen.len() < LEADS {
        let done = tasks.is_empty();
        let batch = store.events_since(workspace, position, 3).await?;
        ensure!(
            !done || batch.more || !batch.events.is_empty(),
            "{} of {LEADS} events were seen",
            seen.len()
        );
        seen.extend(batch.events.iter().map(|event| event.id));
        position = batch.position;
        while let Some(task) = tasks.try_join_next() {
            task.map_err(|error| Violation::new(format!("a commit panicked: {error}")))??;
        }
        tokio::task::yield_now().await;
    }
    ensure!(seen.iter().all(|id| wanted.remove(id)) && wanted.is_empty(), "an event was seen twice");
    Ok(Verdict::Held)
}

/// An event says whose doing it is.
pub async fn an_event_keeps_its_actor<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let actors = [
        Actor::Target { name: "anna".to_owned() },
        Actor::User { id: UserId::generate(&RandomIds, start()) },
        Actor::ApiKey { id: ApiKeyId::generate(&RandomIds, start()) },
        Actor::Provider { channel_id: tenant.channel },
        Actor::Timer,
        Actor::Program,
    ];
    for (actor, seconds) in actors.iter().zip(1..) {
        let append = Transition { guard: Guard::Append, ..tenant.decide(lead, 1, at(seconds)) };
        applied(&*store, Transition { actor: actor.clone(), ..append }).await?;
    }
    let workspace = tenant.scope.workspace_id;
    let history = store.events(workspace, lead, PageRequest::default()).await?.items;
    let found: Vec<_> = history.iter().filter_map(|event| event.actor.clone()).collect();
    let wanted: Vec<_> = std::iter::once(Actor::Visitor).chain(actors).collect();
    ensure!(found == wanted, "the actors of a history are {found:?}");
    Ok(Verdict::Held)
}
