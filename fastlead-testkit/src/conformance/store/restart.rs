//! Everything that an `Ok` reported is there after a restart.

use std::sync::Arc;

use fastlead_core::decide::TimerName;
use fastlead_core::delivery::{DeliveryState, NewDelivery, Phase};
use fastlead_core::port::{ChannelStatus, PageRequest, Refusal, Transition};

use super::StoreHarness;
use super::accounts::{key, user};
use super::sample::{
    applied, at, begin, ended, order_key, policy, refused, settled, settlement, start, unique,
};
use crate::conformance::{Outcome, Verdict, Violation, applies_if, ensure};

/// A lead and all its work survive a restart: state, history, deliveries, leases, timers, keys.
pub async fn leads_and_their_work_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let (lead, sending, lease) = tenant.leased(&*store, start()).await?;
    let waiting =
        NewDelivery { due_at: at(10), order_key: Some(order_key(1)), ..tenant.delivery(Some(lead), start()) };
    let timer = tenant.timer(TimerName::Unanswered, at(20));
    let decision = Transition {
        deliveries: vec![waiting.clone()],
        timers: vec![timer],
        reservations: vec![unique(1, at(600))],
        ..tenant.decide(lead, 1, at(1))
    };
    applied(&*store, decision).await?;
    let done = tenant.ended(&*store, DeliveryState::Delivered, start()).await?;
    let page = PageRequest::default;
    let leads = (store.lead(workspace, lead).await?, store.events(workspace, lead, page()).await?);
    let mut deliveries = Vec::new();
    for id in [sending, waiting.id, done] {
        deliveries.push((id, store.delivery(workspace, id).await?, store.attempts(workspace, id).await?));
    }
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let found = (store.lead(workspace, lead).await?, store.events(workspace, lead, page()).await?);
    ensure!(found == leads, "before the restart {leads:?}, after it {found:?}");
    for (id, delivery, attempts) in deliveries {
        let found = (store.delivery(workspace, id).await?, store.attempts(workspace, id).await?);
        let wanted = (delivery, attempts);
        ensure!(found == wanted, "before the restart {wanted:?}, after it {found:?}");
    }
    let other =
        Transition { reservations: vec![unique(1, at(900))], ..tenant.capture(tenant.lead_id(), at(2)) };
    let refusal = refused(&*store, other).await?;
    ensure!(refusal == Refusal::Duplicate(lead), "a unique key was lost: {refusal:?}");
    let timers = store.claim(tenant.claim_timers(at(20), 10)).await?.timers;
    ensure!(timers.len() == 1 && timers[0].id == timer.id, "the timer was lost: {timers:?}");
    let due = store.claim(tenant.claim(at(30), 10)).await?.deliveries;
    let [due] = due.as_slice() else {
        return Err(Violation::new(format!("expected the one delivery that was not leased, got {due:?}")));
    };
    ensure!(
        due.delivery.id == waiting.id && due.phase == Phase::Send,
        "expected the waiting delivery, got {due:?}"
    );
    // The lease from before still holds: its worker may have been another process.
    settled(&*store, settlement(sending, lease.token, at(31), ended(DeliveryState::Sent))).await?;
    Ok(Verdict::Held)
}

/// The catalog, policies, people, keys and settings survive a restart.
pub async fn settings_survive_a_restart<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let (workspace, project) = (tenant.scope.workspace_id, tenant.scope.project_id);
    let paused = ChannelStatus::Paused { reason: "operator".to_owned(), since: at(1) };
    store.set_channel_status(workspace, tenant.channel, paused).await?;
    let published = store.publish_policy(workspace, project, tenant.policy.id, policy(60), at(1)).await?;
    let (anna, key) = (user(&tenant, "anna@example.com"), key(&tenant, 1));
    store.put_user(anna.clone()).await?;
    store.put_api_key(key.clone()).await?;
    store.init_setting("key", vec![1, 2, 3]).await?;
    let before = store.load().await?;
    drop(store);
    applies_if!(harness.reopen().await, "the store does not survive a restart");
    let store = harness.store();
    let after = store.load().await?;
    ensure!(
        after.workspaces == before.workspaces && after.projects == before.projects,
        "workspaces or projects changed"
    );
    ensure!(
        after.sources == before.sources && after.channels == before.channels,
        "sources or channels changed"
    );
    let read = store.policy(published.reference).await?;
    let read = read.as_ref().map(|record| Arc::clone(&record.policy));
    ensure!(read == Some(published.policy), "the policy is {read:?} after the restart");
    ensure!(after.policies.len() == 1, "{} policies are current after the restart", after.policies.len());
    ensure!(store.user_by_login("anna@example.com").await? == Some(anna), "a user was lost");
    ensure!(store.api_key_by_hash(key.hash).await? == Some(key), "a key was lost");
    ensure!(store.init_setting("key", vec![9]).await? == [1, 2, 3], "a setting was lost");
    Ok(Verdict::Held)
}
