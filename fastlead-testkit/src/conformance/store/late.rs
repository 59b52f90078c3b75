//! Outcomes that come late, are of no use any more, or are the account's fault.

use fastlead_core::delivery::{DeliveryState, NewDelivery, Phase};
use fastlead_core::id::{DeliveryId, LeaseToken};
use fastlead_core::port::{
    AccountPause, BeginOutcome, Beginning, ChannelStatus, SettleOutcome, Settled, Settlement, Transition,
};

use super::sample::{
    Tenant, applied, at, awaiting, begin, begun, claimed, delivery, ended, refused, retry, settled,
    settlement, start,
};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// Claims what `id` is after its lease has run out, in the phase of a worker that follows a dead one.
async fn take_over(store: &dyn FullStore, tenant: &Tenant, id: DeliveryId) -> Result<LeaseToken, Violation> {
    let request = tenant.claim(at(60), 10);
    let token = request.lease.token;
    let taken = store.claim(request).await?.deliveries;
    ensure!(
        taken.len() == 1 && taken[0].delivery.id == id && taken[0].phase == Phase::Recover,
        "expected to take {id} over, got {taken:?}"
    );
    Ok(token)
}

/// A worker that learns its outcome after its lease tells it, where nobody else has found out or begun meanwhile; once.
pub async fn a_known_outcome_is_not_thrown_away<H: StoreHarness>() -> Outcome {
    use DeliveryState::{Ambiguous, AwaitingReceipt, Delivered, Failed, Sending, Sent};

    let sent = || ended(Sent);
    let accepted = || awaiting(at(120), false);
    // What the second worker has done, what the first one says then, whether it counts, where the delivery stands.
    let cases = [
        (None, sent(), true, Sent),
        (None, accepted(), true, AwaitingReceipt),
        (None, retry(at(90), true), true, DeliveryState::Pending),
        (Some(ended(Ambiguous)), sent(), true, Sent),
        (Some(ended(Ambiguous)), accepted(), true, AwaitingReceipt),
        (Some(ended(Ambiguous)), ended(Failed), true, Failed),
        (Some(ended(Ambiguous)), retry(at(90), true), false, Ambiguous),
        (Some(ended(Ambiguous)), awaiting(at(120), true), false, Ambiguous),
        (Some(awaiting(at(90), true)), ended(Delivered), true, Delivered),
        (Some(awaiting(at(90), true)), retry(at(90), true), false, AwaitingReceipt),
        (Some(awaiting(at(90), false)), ended(Failed), false, AwaitingReceipt),
        (Some(ended(Delivered)), ended(Failed), false, Delivered),
    ];
    for (number, (found_out, told, counts, state)) in cases.into_iter().enumerate() {
        let (_harness, store, tenant) = begin::<H>().await?;
        let (_, id, lease) = tenant.leased(&*store, start()).await?;
        let second = take_over(&*store, &tenant, id).await?;
        if let Some(found_out) = found_out {
            settled(&*store, settlement(id, second, at(61), found_out)).await?;
        }
        let late = settlement(id, lease.token, at(62), told.clone());
        let wanted = if counts { SettleOutcome::Settled } else { SettleOutcome::LeaseLost };
        let answer = store.settle(late.clone()).await?;
        ensure!(answer == wanted, "case {number}, {told:?} told late: expected {wanted:?}, got {answer:?}");
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(found.state == state, "case {number}: expected {state:?}, found {found:?}");
        let again = store.settle(late).await?;
        ensure!(again == SettleOutcome::LeaseLost, "case {number}: an outcome counts twice");
    }

    // Two attempts may both have gone out: the first one's outcome says nothing of the second.
    let (_harness, store, tenant) = begin::<H>().await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    let second = take_over(&*store, &tenant, id).await?;
    begun(&*store, id, second, at(61)).await?;
    let late = store.settle(settlement(id, lease.token, at(62), sent())).await?;
    ensure!(
        late == SettleOutcome::LeaseLost,
        "the outcome of an attempt that was followed by another counts"
    );
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.state == Sending, "a late outcome changed the delivery: {found:?}");
    settled(&*store, settlement(id, second, at(63), sent())).await?;
    Ok(Verdict::Held)
}

/// An offer that goes out while its lead is taken is not tried again, whatever comes of the attempt.
pub async fn what_is_unwanted_is_not_made_due_again<H: StoreHarness>() -> Outcome {
    use DeliveryState::{Ambiguous, AwaitingReceipt, Cancelled, Delivered, Failed, Sent};

    let tried = |uncertain, parts_sent| Settled::Retry {
        due_at: at(10),
        reason: "unavailable".to_owned(),
        counted: true,
        parts_sent,
        uncertain,
    };
    let cases = [
        (tried(false, 0), Cancelled, None),
        (tried(false, 1), Cancelled, Some("partly_sent")),
        (tried(true, 0), Ambiguous, Some("outcome_unknown")),
        (tried(true, 1), Ambiguous, Some("outcome_unknown")),
        (ended(Sent), Sent, None),
        (ended(Delivered), Delivered, None),
        (ended(Failed), Failed, None),
        (awaiting(at(60), false), AwaitingReceipt, None),
    ];
    for (outcome, state, reason) in cases {
        let (_harness, store, tenant) = begin::<H>().await?;
        let (lead, id, lease) = tenant.leased(&*store, start()).await?;
        applied(&*store, Transition { cancel_offers: true, ..tenant.decide(lead, 1, at(1)) }).await?;
        settled(&*store, settlement(id, lease.token, at(2), outcome.clone())).await?;
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            (found.state, found.reason.as_deref(), found.uncertain) == (state, reason, false),
            "unwanted and settled with {outcome:?}: {found:?}"
        );
        ensure!(found.unwanted, "whether it is unwanted is not said: {found:?}");
        let due = claimed(&*store, tenant.claim(at(30), 10)).await?;
        ensure!(due.is_empty(), "what is unwanted is due again after {outcome:?}");
    }

    // Nor is one sent again whose worker has died.
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, id, _) = tenant.leased(&*store, start()).await?;
    applied(&*store, Transition { cancel_offers: true, ..tenant.decide(lead, 1, at(1)) }).await?;
    let token = take_over(&*store, &tenant, id).await?;
    let again = store.begin(Beginning::new(id, token, at(61))).await?;
    ensure!(again == BeginOutcome::Unwanted, "an unwanted offer is sent again after a crash: {again:?}");

    // A question that finds out that it never arrived makes it no more wanted.
    let (_harness, store, tenant) = begin::<H>().await?;
    let (lead, id, lease) = tenant.leased(&*store, start()).await?;
    settled(&*store, settlement(id, lease.token, at(1), awaiting(at(5), true))).await?;
    applied(&*store, Transition { cancel_offers: true, ..tenant.decide(lead, 1, at(2)) }).await?;
    let request = tenant.claim(at(5), 1);
    let token = request.lease.token;
    let asked = store.claim(request).await?.deliveries;
    ensure!(
        asked.len() == 1 && asked[0].phase == Phase::Confirm && asked[0].delivery.unwanted,
        "an unknown outcome is found out also where the offer is unwanted: {asked:?}"
    );
    settled(&*store, settlement(id, token, at(6), tried(false, 0))).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.state == Cancelled, "an unwanted offer that never arrived is {found:?}");
    Ok(Verdict::Held)
}

/// A channel is paused, its owners are told and the delivery is settled in one commit; the first to find the fault tells
/// them. Nothing begins on a paused channel.
pub async fn a_pause_is_one_commit<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let notice = || NewDelivery { channel_id: tenant.other_channel, ..tenant.delivery(None, at(1)) };
    let paused = |id, token, notice: &NewDelivery| Settlement {
        pause: Some(AccountPause {
            channel_id: tenant.channel,
            reason: "auth".to_owned(),
            notices: vec![notice.clone()],
        }),
        ..settlement(id, token, at(1), retry(at(1), false))
    };
    let (_, first, first_lease) = tenant.leased(&*store, start()).await?;
    let (lead, second, second_lease) = tenant.leased(&*store, start()).await?;
    let lease = tenant.lease(start());
    let waiting = NewDelivery { lease: Some(lease), ..tenant.delivery(None, start()) };
    store.enqueue(vec![waiting.clone()]).await?;

    // A refused settlement pauses nothing and tells nobody.
    let (lost, told, not_again) = (notice(), notice(), notice());
    let stranger = tenant.lease(start()).token;
    let answer = store.settle(paused(first, stranger, &lost)).await?;
    ensure!(answer == SettleOutcome::LeaseLost, "a stranger settled");
    let stale =
        Transition { settlement: Some(paused(first, stranger, &lost)), ..tenant.decide(lead, 1, at(1)) };
    refused(&*store, stale).await?;
    begun(&*store, waiting.id, lease.token, at(1)).await?;
    settled(&*store, settlement(waiting.id, lease.token, at(1), retry(at(1), false))).await?;

    settled(&*store, paused(first, first_lease.token, &told)).await?;
    let decision = Transition {
        settlement: Some(paused(second, second_lease.token, &not_again)),
        ..tenant.decide(lead, 1, at(2))
    };
    applied(&*store, decision).await?;
    let channels = store.load().await?.channels;
    let paused_one = channels.into_iter().find(|channel| channel.id == tenant.channel);
    let status = paused_one.map(|channel| channel.status);
    let wanted = ChannelStatus::Paused { reason: "auth".to_owned(), since: at(1) };
    ensure!(status.as_ref() == Some(&wanted), "expected {wanted:?}, found {status:?}");
    for (new, there) in [(&lost, false), (&told, true), (&not_again, false)] {
        let found = store.delivery(workspace, new.id).await?.is_some();
        ensure!(found == there, "a notice is {}", if found { "there twice" } else { "missing" });
    }

    let request = tenant.claim(at(3), 1);
    let (token, got) = (request.lease.token, claimed(&*store, request).await?);
    let Some(id) = got.first().copied() else { return Err(Violation::new("nothing was claimed")) };
    let by = |at| Beginning::new(id, token, at);
    let outcome = store.begin(by(at(3))).await?;
    ensure!(outcome == BeginOutcome::Paused, "an attempt on a paused channel: {outcome:?}");
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.state == DeliveryState::Pending, "a refused beginning changed the delivery: {found:?}");
    store.set_channel_status(workspace, tenant.channel, ChannelStatus::Active).await?;
    let outcome = store.begin(by(at(4))).await?;
    ensure!(outcome == BeginOutcome::Begun, "an attempt on a channel that goes on: {outcome:?}");
    Ok(Verdict::Held)
}
