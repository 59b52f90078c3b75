//! What providers send: recorded once, acted upon once, forgotten never.

use std::sync::Arc;

use fastlead_core::channel::{InboundEvent, InboundKind, Peer};
use fastlead_core::port::{CommitOutcome, Guard, InboundRef, Refusal, Transition};

use super::StoreHarness;
use super::sample::{applied, at, begin, commit, refused, start};
use crate::conformance::{Outcome, Verdict, applies_if, ensure};

fn message(id: &str) -> InboundEvent {
    let from = Peer {
        chat: "790000000".into(),
        user: "790000000".into(),
        display_name: Some("Вера".into()),
        language: Some("ru".to_owned()),
    };
    let kind = InboundKind::Message { from, text: "Здравствуйте".into() };
    InboundEvent { provider_event_id: id.to_owned(), occurred_at: start(), kind }
}

fn messages(ids: &[&str]) -> Vec<InboundEvent> {
    ids.iter().map(|id| message(id)).collect()
}

/// An event that a channel brings again is left out, within a batch and later; other channels have
/// ids of their own. The cursor moves with the events and stays where none is given.
pub async fn an_event_is_recorded_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let cursor = store.poll_cursor(tenant.channel).await?;
    ensure!(cursor.is_none(), "an empty store has the cursor {cursor:?}");
    let new = store
        .record_inbound(tenant.channel, messages(&["1", "2", "1"]), Some("c1".to_owned()), at(1))
        .await?;
    let ids: Vec<_> = new.iter().map(|record| record.event.provider_event_id.as_str()).collect();
    ensure!(ids == ["1", "2"], "expected events 1 and 2 once each, got {ids:?}");
    ensure!(
        new[0].event == message("1") && new[0].channel_id == tenant.channel && new[0].received_at == at(1),
        "an event changed on the way in: {:?}",
        new[0]
    );
    let new = store.record_inbound(tenant.channel, messages(&["2", "3"]), None, at(2)).await?;
    let ids: Vec<_> = new.iter().map(|record| record.event.provider_event_id.as_str()).collect();
    ensure!(ids == ["3"], "expected only event 3, got {ids:?}");
    let cursor = store.poll_cursor(tenant.channel).await?;
    ensure!(cursor.as_deref() == Some("c1"), "no cursor was given and the old one was lost: {cursor:?}");
    let other =
        store.record_inbound(tenant.other_channel, messages(&["1"]), Some("x".to_owned()), at(3)).await?;
    ensure!(other.len() == 1, "another channel's event with the same id was taken for a repeated one");
    store.record_inbound(tenant.channel, Vec::new(), Some("c2".to_owned()), at(4)).await?;
    let cursors = (store.poll_cursor(tenant.channel).await?, store.poll_cursor(tenant.other_channel).await?);
    ensure!(cursors == (Some("c2".to_owned()), Some("x".to_owned())), "the cursors are {cursors:?}");

    // A repeated event is left out even after it was acted upon.
    store.finish_inbound(new[0].reference()).await?;
    let again = store.record_inbound(tenant.channel, messages(&["3"]), None, at(5)).await?;
    ensure!(again.is_empty(), "an event that was acted upon was recorded again");
    Ok(Verdict::Held)
}

/// One event brought by many requests at once is new to one of them.
pub async fn a_concurrent_event_is_recorded_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (store, channel) = (Arc::clone(&store), tenant.channel);
        tasks.spawn(async move { store.record_inbound(channel, messages(&["1"]), None, at(1)).await });
    }
    let mut new = 0;
    for records in tasks.join_all().await {
        new += records?.len();
    }
    ensure!(new == 1, "one event was new to {new} of 32 requests");
    Ok(Verdict::Held)
}

/// What was recorded and not acted upon is listed oldest first, until it is finished.
pub async fn pending_events_are_listed_oldest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    store.record_inbound(tenant.channel, messages(&["9", "5"]), None, at(1)).await?;
    let other = store.record_inbound(tenant.other_channel, messages(&["7"]), None, at(2)).await?;
    store.record_inbound(tenant.channel, messages(&["1"]), None, at(3)).await?;
    let list = |limit| {
        let store = Arc::clone(&store);
        async move {
            let records = store.pending_inbound(limit).await?;
            Ok::<_, fastlead_core::Error>(
                records.into_iter().map(|record| record.event.provider_event_id).collect::<Vec<_>>(),
            )
        }
    };
    let ids = list(10).await?;
    ensure!(ids == ["9", "5", "7", "1"], "expected oldest first, got {ids:?}");
    let ids = list(2).await?;
    ensure!(ids == ["9", "5"], "expected the two oldest, got {ids:?}");
    store.finish_inbound(other[0].reference()).await?;
    store.finish_inbound(other[0].reference()).await?;
    let ids = list(10).await?;
    ensure!(ids == ["9", "5", "1"], "a finished event is still pending: {ids:?}");
    Ok(Verdict::Held)
}

/// An event is acted upon once: by one of many decisions, and by none after it was finished.
pub async fn an_event_is_acted_upon_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let records = store.record_inbound(tenant.channel, messages(&["1", "2"]), None, at(1)).await?;
    let act = |inbound: InboundRef| Transition {
        guard: Guard::Append,
        inbound: Some(inbound),
        ..tenant.decide(lead, 1, at(2))
    };
    // A refused decision leaves the event to be acted upon.
    let stale = Transition { guard: Guard::Version(7), ..act(records[0].reference()) };
    let refusal = refused(&*store, stale).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");
    let pending = store.pending_inbound(10).await?;
    ensure!(pending.len() == 2, "a refused decision finished its event");

    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (store, transition) = (Arc::clone(&store), act(records[0].reference()));
        tasks.spawn(async move { commit(&*store, transition).await });
    }
    let mut passed = 0;
    for outcome in tasks.join_all().await {
        match outcome? {
            CommitOutcome::Applied => passed += 1,
            CommitOutcome::Refused(refusal) => {
                ensure!(refusal == Refusal::InboundDone, "expected InboundDone, got {refusal:?}");
            }
        }
    }
    ensure!(passed == 1, "{passed} of 32 decisions acted upon one event");
    store.finish_inbound(records[1].reference()).await?;
    let refusal = refused(&*store, act(records[1].reference())).await?;
    ensure!(refusal == Refusal::InboundDone, "a finished event was acted upon: {refusal:?}");
    let pending = store.pending_inbound(10).await?;
    ensure!(pending.is_empty(), "events that were acted upon are pending: {pending:?}");
    Ok(Verdict::Held)
}

/// What a dead process has recorded and not acted upon is there for the next one, and so is the cursor.
pub async fn pending_events_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let records =
        store.record_inbound(tenant.channel, messages(&["1", "2"]), Some("c1".to_owned()), at(1)).await?;
    store.finish_inbound(records[0].reference()).await?;
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let pending = store.pending_inbound(10).await?;
    ensure!(pending == records[1..], "expected the event that was left, found {pending:?}");
    let again = store.record_inbound(tenant.channel, messages(&["1", "2"]), None, at(2)).await?;
    ensure!(again.is_empty(), "after a restart repeated events are new");
    let cursor = store.poll_cursor(tenant.channel).await?;
    ensure!(cursor.as_deref() == Some("c1"), "the cursor is {cursor:?} after a restart");
    Ok(Verdict::Held)
}
