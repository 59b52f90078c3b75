//! What becomes of a delivery after work on it: tried again, awaited, ended.

use fastlead_core::delivery::{DeliveryState, NewDelivery, Phase};
use fastlead_core::port::{SettleOutcome, Settled, Settlement};

use super::StoreHarness;
use super::sample::{
    at, attempt, awaiting, begin, begun, claimed, delivery, ended, retry, settled, settlement, start,
};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// A retried delivery waits for its moment, and its next attempt has the next number.
pub async fn a_retry_waits_for_its_moment<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    let outcome = Settled::Retry {
        due_at: at(30),
        reason: "rate_limited".to_owned(),
        counted: true,
        parts_sent: 1,
        uncertain: false,
    };
    settled(&*store, settlement(id, lease.token, at(1), outcome)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        (found.state, found.due_at, found.updated_at) == (DeliveryState::Pending, at(30), at(1)),
        "a retried delivery is {found:?}"
    );
    ensure!(
        (found.attempts, found.parts_sent, found.reason.as_deref()) == (1, 1, Some("rate_limited")),
        "a retried delivery is {found:?}"
    );
    let early = claimed(&*store, tenant.claim(at(29), 1)).await?;
    ensure!(early.is_empty(), "a retry was claimed before its moment");
    let request = tenant.claim(at(30), 1);
    let token = request.lease.token;
    let again = store.claim(request).await?.deliveries;
    let [again] = again.as_slice() else { return Err(Violation::new("a due retry was not claimed")) };
    ensure!(
        (again.phase, again.delivery.attempts, again.delivery.parts_sent) == (Phase::Send, 1, 1),
        "the second attempt is {again:?}"
    );
    begun(&*store, id, token, at(31)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        (found.attempts, found.last_attempt_at) == (2, Some(at(31))),
        "the second attempt that has begun is {found:?}"
    );
    Ok(Verdict::Held)
}

/// What is read of a delivery and of its attempts is of one moment, whatever is stored meanwhile.
pub async fn a_delivery_and_its_attempts_are_of_one_moment<H: StoreHarness>() -> Outcome {
    const ROUNDS: u32 = 60;
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (_, id, mut lease) = tenant.leased(&*store, start()).await?;
    let done = std::sync::atomic::AtomicBool::new(false);
    let works = async {
        let mut worked = Ok(());
        for round in 1..=ROUNDS {
            let now = at(u64::from(round) * 10);
            let failed = Settlement {
                attempt: Some(attempt(round, now, "retry")),
                ..settlement(id, lease.token, now, retry(now, true))
            };
            worked = async {
                settled(&*store, failed).await?;
                let request = tenant.claim(now, 1);
                lease = request.lease;
                claimed(&*store, request).await?;
                begun(&*store, id, lease.token, now).await
            }
            .await;
            if worked.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        worked
    };
    let reads = async {
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let Some(record) = store.delivery_record(workspace, id).await? else {
                return Err(Violation::new("the delivery is not found"));
            };
            // One attempt may be under way: it has its number, and is recorded when it ends.
            let (counted, recorded) = (record.delivery.attempts, record.attempts.len());
            let under_way = u32::from(record.delivery.state == DeliveryState::Sending);
            ensure!(
                usize::try_from(counted - under_way) == Ok(recorded),
                "a delivery that is {:?} after {counted} attempts was read with {recorded} of them",
                record.delivery.state
            );
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (worked, read) = tokio::join!(works, reads);
    worked?;
    read?;
    Ok(Verdict::Held)
}

/// An attempt that does not count gives its number back.
pub async fn an_uncounted_retry_gives_its_number_back<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (_, id, mut lease) = tenant.leased(&*store, start()).await?;
    for round in 0..3_u64 {
        settled(&*store, settlement(id, lease.token, at(round), retry(at(round + 1), false))).await?;
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(found.attempts == 0, "after {} uncounted attempts {} count", round + 1, found.attempts);
        let request = tenant.claim(at(round + 1), 1);
        lease = request.lease;
        let got = store.claim(request).await?.deliveries;
        ensure!(got.len() == 1 && got[0].delivery.attempts == 0, "the next attempt is {got:?}");
        begun(&*store, id, lease.token, at(round + 1)).await?;
    }
    // One that counts, and then one that never began: there is nothing to give back.
    settled(&*store, settlement(id, lease.token, at(3), retry(at(4), true))).await?;
    let request = tenant.claim(at(4), 1);
    lease = request.lease;
    store.claim(request).await?;
    settled(&*store, settlement(id, lease.token, at(4), retry(at(5), false))).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(found.attempts == 1, "what never began gave back an attempt that was made: {found:?}");
    Ok(Verdict::Held)
}

/// An owed receipt is asked for at its moment; the delivery stays accepted meanwhile, and a worker
/// that dies over the question is followed by one that asks again.
pub async fn an_owed_receipt_is_asked_for<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    let accepted = Settled::Await {
        check_at: at(60),
        provider_message_id: Some("m-7".to_owned()),
        uncertain: false,
        parts_sent: 1,
        frees_order: false,
    };
    settled(&*store, settlement(id, lease.token, at(1), accepted)).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        (found.state, found.due_at, found.checks, found.uncertain)
            == (DeliveryState::AwaitingReceipt, at(60), 0, false),
        "an accepted delivery is {found:?}"
    );
    ensure!(
        (found.provider_message_id.as_deref(), found.parts_sent, found.attempts) == (Some("m-7"), 1, 1),
        "an accepted delivery is {found:?}"
    );
    let early = claimed(&*store, tenant.claim(at(59), 1)).await?;
    ensure!(early.is_empty(), "a receipt was asked for before its moment");

    let request = tenant.claim(at(60), 1);
    let first = request.lease.token;
    for (request, checks) in [(request, 1), (tenant.claim(at(120), 1), 2)] {
        let (now, token) = (request.now, request.lease.token);
        let got = store.claim(request).await?.deliveries;
        let [got] = got.as_slice() else {
            return Err(Violation::new(format!("nothing was claimed at {now}")));
        };
        ensure!(
            (got.phase, got.delivery.state, got.delivery.checks, got.delivery.attempts)
                == (Phase::Confirm, DeliveryState::AwaitingReceipt, checks, 1),
            "check {checks} is {got:?}"
        );
        let twice = claimed(&*store, tenant.claim(now, 1)).await?;
        ensure!(twice.is_empty(), "a question under a lease was claimed by another worker");
        if checks == 2 {
            let late = store.settle(settlement(id, first, at(121), awaiting(at(400), false))).await?;
            ensure!(late == SettleOutcome::LeaseLost, "the worker that had died settled the question");
            settled(&*store, settlement(id, token, at(121), awaiting(at(300), false))).await?;
        }
    }
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        (found.checks, found.due_at, found.provider_message_id.as_deref()) == (2, at(300), Some("m-7")),
        "after two questions the delivery is {found:?}"
    );
    Ok(Verdict::Held)
}

/// An unknown outcome is kept as such until it is known, and a retry after it is a certain one.
pub async fn an_unknown_outcome_is_kept<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (_, id, lease) = tenant.leased(&*store, start()).await?;
    settled(&*store, settlement(id, lease.token, at(1), awaiting(at(6), true))).await?;
    let request = tenant.claim(at(6), 1);
    let token = request.lease.token;
    let got = store.claim(request).await?.deliveries;
    let [got] = got.as_slice() else { return Err(Violation::new("an unknown outcome was not asked about")) };
    ensure!(
        got.phase == Phase::Confirm && got.delivery.uncertain,
        "an unknown outcome is claimed as {got:?}"
    );
    settled(&*store, settlement(id, token, at(7), retry(at(8), true))).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(
        (found.state, found.uncertain, found.attempts) == (DeliveryState::Pending, false, 1),
        "after the answer that the provider has nothing the delivery is {found:?}"
    );
    let got = store.claim(tenant.claim(at(8), 1)).await?.deliveries;
    ensure!(got.len() == 1 && got[0].phase == Phase::Send, "expected to send again, got {got:?}");
    Ok(Verdict::Held)
}

/// A retry keeps that an earlier attempt may have arrived, through further attempts, until it is known or has ended.
pub async fn a_retry_keeps_that_an_outcome_is_unknown<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (_, id, mut lease) = tenant.leased(&*store, start()).await?;
    let with = |uncertain, seconds| match retry(at(seconds), true) {
        Settled::Retry { due_at, reason, counted, parts_sent, .. } => {
            Settled::Retry { due_at, reason, counted, parts_sent, uncertain }
        }
        other => other,
    };
    for (round, uncertain) in [(1, true), (2, true), (3, false)] {
        settled(&*store, settlement(id, lease.token, at(round), with(uncertain, round + 1))).await?;
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            (found.state, found.uncertain) == (DeliveryState::Pending, uncertain),
            "retried with uncertain {uncertain}, stored {found:?}"
        );
        let request = tenant.claim(at(round + 1), 1);
        lease = request.lease;
        let got = store.claim(request).await?.deliveries;
        let [got] = got.as_slice() else { return Err(Violation::new("a due retry was not claimed")) };
        ensure!(
            (got.phase, got.delivery.uncertain) == (Phase::Send, uncertain),
            "retried with uncertain {uncertain}, claimed {got:?}"
        );
        begun(&*store, id, lease.token, at(round + 1)).await?;
        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            found.uncertain == uncertain,
            "another attempt changed what is known of the first: {found:?}"
        );
    }
    settled(&*store, settlement(id, lease.token, at(5), with(true, 6))).await?;
    let request = tenant.claim(at(6), 1);
    let token = request.lease.token;
    store.claim(request).await?;
    settled(&*store, settlement(id, token, at(6), ended(DeliveryState::Sent))).await?;
    let found = delivery(&*store, &tenant, id).await?;
    ensure!(!found.uncertain, "what has ended is not uncertain: {found:?}");
    Ok(Verdict::Held)
}

/// What has ended keeps its reason, its provider id and its attempts, and is never claimed again.
pub async fn what_has_ended_stays_ended<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    for state in [
        DeliveryState::Delivered,
        DeliveryState::Sent,
        DeliveryState::Failed,
        DeliveryState::Expired,
        DeliveryState::Suppressed,
        DeliveryState::Cancelled,
        DeliveryState::Ambiguous,
    ] {
        let lease = tenant.lease(start());
        let new = NewDelivery { lease: Some(lease), ..tenant.delivery(None, start()) };
        let id = new.id;
        store.enqueue(vec![new]).await?;
        begun(&*store, id, lease.token, start()).await?;
        let mut first = settlement(id, lease.token, at(1), retry(at(2), true));
        first.attempt = Some(attempt(1, at(1), "retry"));
        settled(&*store, first).await?;
        let request = tenant.claim(at(2), 1);
        let token = request.lease.token;
        let got = claimed(&*store, request).await?;
        ensure!(got == [id], "expected the retried delivery, got {got:?}");
        let outcome = Settled::Ended {
            state,
            reason: Some("why".to_owned()),
            provider_message_id: Some(format!("m-{}", state.number())),
        };
        let mut last = settlement(id, token, at(3), outcome);
        last.attempt = Some(attempt(2, at(3), state.as_str()));
        settled(&*store, last.clone()).await?;

        let found = delivery(&*store, &tenant, id).await?;
        ensure!(
            (found.state, found.reason.as_deref()) == (state, Some("why")),
            "ended as {state:?}, stored {found:?}"
        );
        ensure!(
            found.provider_message_id == Some(format!("m-{}", state.number())) && found.updated_at == at(3),
            "ended as {state:?}, stored {found:?}"
        );
        let attempts = store.attempts(tenant.scope.workspace_id, id).await?;
        let read: Vec<_> =
            attempts.iter().map(|record| (record.delivery_id, record.attempt.number)).collect();
        ensure!(read == [(id, 1), (id, 2)], "expected two attempts, oldest first, found {read:?}");
        ensure!(
            Some(&attempts[1].attempt) == last.attempt.as_ref(),
            "an attempt changed: {:?}",
            attempts[1].attempt
        );
        let again = claimed(&*store, tenant.claim(at(1_000_000), 10)).await?;
        ensure!(again.is_empty(), "a delivery that has ended as {state:?} was claimed again");
    }
    Ok(Verdict::Held)
}
