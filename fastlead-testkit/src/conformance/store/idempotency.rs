//! A caller's key: one request, one answer, however often it is made.

use std::sync::Arc;

use fastlead_core::id::SourceId;
use fastlead_core::port::{CommitOutcome, Refusal, Transition};

use super::StoreHarness;
use super::sample::{applied, at, begin, commit, idempotency, refused, start, unique};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// A repeated request gets the first answer, another request under the same key is refused, and
/// the key is forgotten at its moment. Keys of two sources have nothing to do with each other.
pub async fn a_key_repeats_its_answer_until_its_moment<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    let with = |request: u8, now| {
        let id = tenant.lead_id();
        Transition { idempotency: Some(idempotency(1, request, id, at(900))), ..tenant.capture(id, now) }
    };
    let first = idempotency(1, 1, lead, at(60));
    applied(&*store, Transition { idempotency: Some(first.clone()), ..tenant.capture(lead, start()) })
        .await?;
    for now in [start(), at(59)] {
        let repeated = with(1, now);
        let ghost = repeated.lead_id;
        let refusal = refused(&*store, repeated).await?;
        ensure!(
            refusal == Refusal::Replayed(first.answer.clone()),
            "expected the first answer, got {refusal:?}"
        );
        let stored = store.lead(tenant.scope.workspace_id, ghost).await?;
        ensure!(stored.is_none(), "a repeated request created a second lead");
        let refusal = refused(&*store, with(2, now)).await?;
        ensure!(
            refusal == Refusal::KeyReused,
            "another request under the same key: expected KeyReused, got {refusal:?}"
        );
    }
    let mut elsewhere = with(2, at(1));
    elsewhere.source_id = SourceId::generate(&*tenant.ids, start());
    store.put_source(tenant.source_record(elsewhere.source_id)).await?;
    applied(&*store, elsewhere).await?;
    applied(&*store, with(2, at(60))).await?;
    Ok(Verdict::Held)
}

/// A repeated request is recognised before its guard and reservations are looked at.
pub async fn a_repeated_request_is_recognised_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    let record = idempotency(1, 1, lead, at(60));
    let transition = Transition {
        idempotency: Some(record.clone()),
        reservations: vec![unique(1, at(60))],
        ..tenant.capture(lead, start())
    };
    applied(&*store, transition.clone()).await?;
    let refusal = refused(&*store, transition.clone()).await?;
    ensure!(
        refusal == Refusal::Replayed(record.answer.clone()),
        "the lead exists: expected Replayed, got {refusal:?}"
    );
    let other = tenant.lead_id();
    let duplicate =
        Transition { lead_id: other, event_id: tenant.capture(other, start()).event_id, ..transition };
    let refusal = refused(&*store, duplicate).await?;
    ensure!(
        refusal == Refusal::Replayed(record.answer),
        "the unique key is held: expected Replayed, got {refusal:?}"
    );
    Ok(Verdict::Held)
}

/// A hundred concurrent requests under one key get one answer, and make one lead.
pub async fn concurrent_requests_get_one_answer<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        let lead = tenant.lead_id();
        let record = idempotency(1, 1, lead, at(60));
        let answer = record.answer.clone();
        let transition = Transition { idempotency: Some(record), ..tenant.capture(lead, start()) };
        tasks.spawn(async move {
            match commit(&*store, transition).await? {
                CommitOutcome::Applied => Ok((true, answer)),
                CommitOutcome::Refused(Refusal::Replayed(answer)) => Ok((false, answer)),
                CommitOutcome::Refused(other) => {
                    Err(Violation::new(format!("expected Replayed, got {other:?}")))
                }
            }
        });
    }
    let answers = tasks.join_all().await.into_iter().collect::<Result<Vec<_>, Violation>>()?;
    let created = answers.iter().filter(|(created, _)| *created).count();
    ensure!(created == 1, "{created} of 100 requests under one key created a lead");
    ensure!(
        answers.iter().all(|(_, answer)| *answer == answers[0].1),
        "requests under one key got different answers"
    );
    Ok(Verdict::Held)
}

/// An answer is repeated after a restart.
pub async fn answers_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let lead = tenant.lead_id();
    let record = idempotency(1, 1, lead, at(60));
    let transition = Transition { idempotency: Some(record.clone()), ..tenant.capture(lead, start()) };
    applied(&*store, transition.clone()).await?;
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let refusal = refused(&*harness.store(), transition).await?;
    ensure!(refusal == Refusal::Replayed(record.answer), "expected the first answer, got {refusal:?}");
    Ok(Verdict::Held)
}
