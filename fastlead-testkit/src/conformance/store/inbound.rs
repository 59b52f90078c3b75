//! What providers send: recorded once, acted upon once, forgotten never.

use std::sync::Arc;

use fastlead_core::channel::{InboundEvent, InboundKind, Peer};
use fastlead_core::port::{
    CommitOutcome, Guard, InboundBatch, InboundRef, LeasedInbound, Refusal, Transition,
};

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
    let new = tenant.record(&*store, tenant.channel, messages(&["1", "2", "1"]), Some("c1"), at(1)).await?;
    let ids: Vec<_> = new.iter().map(|record| record.event.provider_event_id.as_str()).collect();
    ensure!(ids == ["1", "2"], "expected events 1 and 2 once each, got {ids:?}");
    ensure!(
        new[0].event == message("1") && new[0].channel_id == tenant.channel && new[0].received_at == at(1),
        "an event changed on the way in: {:?}",
        new[0]
    );
    let new = tenant.record(&*store, tenant.channel, messages(&["2", "3"]), None, at(2)).await?;
    let ids: Vec<_> = new.iter().map(|record| record.event.provider_event_id.as_str()).collect();
    ensure!(ids == ["3"], "expected only event 3, got {ids:?}");
    let cursor = store.poll_cursor(tenant.channel).await?;
    ensure!(cursor.as_deref() == Some("c1"), "no cursor was given and the old one was lost: {cursor:?}");
    let other = tenant.record(&*store, tenant.other_channel, messages(&["1"]), Some("x"), at(3)).await?;
    ensure!(other.len() == 1, "another channel's event with the same id was taken for a repeated one");
    tenant.record(&*store, tenant.channel, Vec::new(), Some("c2"), at(4)).await?;
    let cursors = (store.poll_cursor(tenant.channel).await?, store.poll_cursor(tenant.other_channel).await?);
    ensure!(cursors == (Some("c2".to_owned()), Some("x".to_owned())), "the cursors are {cursors:?}");

    // A repeated event is left out even after it was acted upon.
    store.finish_inbound(new[0].reference()).await?;
    let again = tenant.record(&*store, tenant.channel, messages(&["3"]), None, at(5)).await?;
    ensure!(again.is_empty(), "an event that was acted upon was recorded again");
    Ok(Verdict::Held)
}

/// One event brought by many requests at once is new to one of them.
pub async fn a_concurrent_event_is_recorded_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (store, channel_id, lease) = (Arc::clone(&store), tenant.channel, tenant.lease(at(1)));
        let batch = InboundBatch { channel_id, events: messages(&["1"]), cursor: None, at: at(1), lease };
        tasks.spawn(async move { store.record_inbound(batch).await });
    }
    let mut new = 0;
    for records in tasks.join_all().await {
        new += records?.len();
    }
    ensure!(new == 1, "one event was new to {new} of 32 requests");
    Ok(Verdict::Held)
}

/// What was recorded is leased to whoever has recorded it. When the lease has run out, what nobody has acted upon is
/// claimed, oldest first, by one worker at a time, and what was put off waits for its moment without holding up others.
pub async fn events_are_acted_upon_under_leases<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    tenant.record(&*store, tenant.channel, messages(&["9", "5"]), None, at(1)).await?;
    let other = tenant.record(&*store, tenant.other_channel, messages(&["7"]), None, at(2)).await?;
    tenant.record(&*store, tenant.channel, messages(&["1"]), None, at(3)).await?;
    let claim = |now, limit| {
        let (store, request) = (Arc::clone(&store), tenant.claim_inbound(now, limit));
        async move { store.claim(request).await.map(|claimed| claimed.inbound) }
    };
    let ids = |claimed: &[LeasedInbound]| -> Vec<String> {
        claimed.iter().map(|leased| leased.record.event.provider_event_id.clone()).collect()
    };
    let early = claim(at(60), 10).await?;
    ensure!(early.is_empty(), "what is leased to who has recorded it was claimed: {early:?}");
    let next = store.next_due(at(4), &[]).await?.others;
    ensure!(next == Some(at(61)), "the first lease runs out at {}, next due is {next:?}", at(61));
    store.finish_inbound(other[0].reference()).await?;
    store.finish_inbound(other[0].reference()).await?;

    let first = claim(at(70), 2).await?;
    ensure!(ids(&first) == ["9", "5"], "expected the two oldest, got {:?}", ids(&first));
    ensure!(first.iter().all(|leased| leased.tries == 1), "leased once before, said is {first:?}");
    let second = claim(at(70), 10).await?;
    ensure!(ids(&second) == ["1"], "expected what is left and not finished, got {:?}", ids(&second));
    let none = claim(at(70), 10).await?;
    ensure!(none.is_empty(), "an event is leased to two: {:?}", ids(&none));

    // Only who holds the lease can give an event back.
    let stranger = tenant.lease(at(70)).token;
    store.put_off_inbound(first[0].record.reference(), stranger, at(71)).await?;
    store.put_off_inbound(second[0].record.reference(), second[0].token, at(100)).await?;
    store.finish_inbound(first[1].record.reference()).await?;
    store.put_off_inbound(first[1].record.reference(), first[1].token, at(71)).await?;
    let none = claim(at(99), 10).await?;
    ensure!(none.is_empty(), "claimed before its moment, or with a stranger's token: {:?}", ids(&none));
    let next = store.next_due(at(99), &[]).await?.others;
    ensure!(next == Some(at(100)), "expected the moment of what was put off, got {next:?}");
    let put_off = claim(at(100), 10).await?;
    ensure!(ids(&put_off) == ["1"] && put_off[0].tries == 2, "expected event 1, got {put_off:?}");
    let ran_out = claim(at(131), 10).await?;
    ensure!(ids(&ran_out) == ["9"] && ran_out[0].tries == 2, "expected event 9, got {ran_out:?}");
    for leased in put_off.iter().chain(&ran_out) {
        store.finish_inbound(leased.record.reference()).await?;
    }
    let next = store.next_due(at(200), &[]).await?.others;
    ensure!(next.is_none(), "everything was acted upon, and something is due at {next:?}");
    Ok(Verdict::Held)
}

/// Of many workers that claim at once each gets other events.
pub async fn concurrent_claims_share_no_event<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let events = names.iter().map(|name| message(name)).collect();
    tenant.record(&*store, tenant.channel, events, None, start()).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, request) = (Arc::clone(&store), tenant.claim_inbound(at(61), 3));
        tasks.spawn(async move { store.claim(request).await });
    }
    let mut claimed = Vec::new();
    for answer in tasks.join_all().await {
        claimed.extend(answer?.inbound.into_iter().map(|leased| leased.record.event.provider_event_id));
    }
    let all = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    ensure!(all == 40 && claimed.len() == 40, "16 claims of 3 events took {all}, {} of 40", claimed.len());
    Ok(Verdict::Held)
}

/// An event is acted upon once: by one of many decisions, and by none after it was finished.
pub async fn an_event_is_acted_upon_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    applied(&*store, tenant.capture(lead, start())).await?;
    let records = tenant.record(&*store, tenant.channel, messages(&["1", "2"]), None, at(1)).await?;
    let act = |inbound: InboundRef| Transition {
        guard: Guard::Append,
        inbound: Some(inbound),
        ..tenant.decide(lead, 1, at(2))
    };
    // A refused decision leaves the event to be acted upon.
    let stale = Transition { guard: Guard::Version(7), ..act(records[0].reference()) };
    let refusal = refused(&*store, stale).await?;
    ensure!(refusal == Refusal::Stale, "expected Stale, got {refusal:?}");

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
    let pending = tenant.left_over(&*store, at(1)).await?;
    ensure!(pending.is_empty(), "events that were acted upon are claimed: {pending:?}");
    Ok(Verdict::Held)
}

/// What a dead process has recorded and not acted upon is there for the next one, and so is the cursor.
pub async fn pending_events_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let records = tenant.record(&*store, tenant.channel, messages(&["1", "2"]), Some("c1"), at(1)).await?;
    store.finish_inbound(records[0].reference()).await?;
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let pending = tenant.left_over(&*store, at(1)).await?;
    ensure!(pending == records[1..], "expected the event that was left, found {pending:?}");
    let again = tenant.record(&*store, tenant.channel, messages(&["1", "2"]), None, at(2)).await?;
    ensure!(again.is_empty(), "after a restart repeated events are new");
    let cursor = store.poll_cursor(tenant.channel).await?;
    ensure!(cursor.as_deref() == Some("c1"), "the cursor is {cursor:?} after a restart");
    Ok(Verdict::Held)
}
