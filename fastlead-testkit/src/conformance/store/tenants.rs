//! Tenants are apart: one workspace sees and changes nothing of another.

use std::sync::Arc;

use fastlead_core::ErrorKind;
use fastlead_core::delivery::DeliveryState;
use fastlead_core::port::{
    ChannelStatus, DeliveryFilter, Guard, LeadFilter, PageRequest, Recovery, Refusal, Revival, Transition,
};

use super::StoreHarness;
use super::catalog::found_nothing;
use super::sample::{Tenant, applied, at, begin, delivery, idempotency, policy, refused, start};
use crate::conformance::{Outcome, Verdict, ensure};

/// Another workspace sees no lead, event, delivery or attempt, even with the id in hand.
pub async fn another_workspace_sees_nothing<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?.scope.workspace_id;
    let (lead, id, _) = tenant.leased(&*store, start()).await?;
    let failed = tenant.ended(&*store, DeliveryState::Failed, start()).await?;
    let page = PageRequest::default;

    ensure!(store.lead(other, lead).await?.is_none(), "another workspace reads a lead");
    ensure!(store.delivery(other, id).await?.is_none(), "another workspace reads a delivery");
    ensure!(
        store.deliveries_of(other, lead).await?.is_empty(),
        "another workspace reads the deliveries of a lead"
    );
    ensure!(store.events(other, lead, page()).await?.items.is_empty(), "another workspace reads a history");
    ensure!(store.delivery_record(other, failed).await?.is_none(), "another workspace reads a delivery");
    ensure!(store.attempts(other, failed).await?.is_empty(), "another workspace reads attempts");
    let leads = store.leads(other, LeadFilter::default(), page()).await?;
    ensure!(leads.items.is_empty(), "another workspace lists leads");
    let filter = LeadFilter { project_id: Some(tenant.scope.project_id), ..LeadFilter::default() };
    ensure!(
        store.leads(other, filter, page()).await?.items.is_empty(),
        "another workspace lists a project's leads"
    );
    for filter in [
        DeliveryFilter::default(),
        DeliveryFilter { lead_id: Some(lead), ..DeliveryFilter::default() },
        DeliveryFilter { channel_id: Some(tenant.channel), ..DeliveryFilter::default() },
    ] {
        let deliveries = store.deliveries(other, filter.clone(), page()).await?;
        ensure!(deliveries.items.is_empty(), "another workspace lists deliveries by {filter:?}");
    }
    store
        .publish_policy(
            tenant.scope.workspace_id,
            tenant.scope.project_id,
            tenant.policy.id,
            policy(60),
            start(),
        )
        .await?;
    let policies = store.policies(other, tenant.scope.project_id, 10).await?;
    ensure!(policies.is_empty(), "another workspace lists policies");
    Ok(Verdict::Held)
}

/// Another workspace changes nothing, even with the id in hand.
pub async fn another_workspace_changes_nothing<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let workspace = other.scope.workspace_id;
    let (lead, _, _) = tenant.leased(&*store, start()).await?;
    let failed = tenant.ended(&*store, DeliveryState::Failed, start()).await?;
    let before = store.lead(tenant.scope.workspace_id, lead).await?;
    for guard in [Guard::Version(1), Guard::Append] {
        let foreign = Transition { scope: other.scope, guard, ..tenant.decide(lead, 1, at(1)) };
        let refusal = refused(&*store, foreign).await?;
        ensure!(refusal == Refusal::Stale, "{guard:?} of another workspace: expected Stale, got {refusal:?}");
    }
    ensure!(store.lead(tenant.scope.workspace_id, lead).await? == before, "another workspace changed a lead");
    let events = store.events(tenant.scope.workspace_id, lead, PageRequest::default()).await?.items.len();
    ensure!(events == 1, "another workspace wrote into a history");

    let error = store.retry(workspace, failed, at(1), at(900)).await.err().map(|error| error.kind());
    ensure!(
        error == Some(ErrorKind::NotFound),
        "another workspace's retry: expected NotFound, got {error:?}"
    );
    let recovery = Recovery { channel_id: tenant.channel, since: start(), ambiguous: true };
    let lost = store.lost(workspace, recovery, None, 10).await?;
    ensure!(lost.is_empty(), "another workspace sees {} lost deliveries", lost.len());
    let revive = Transition {
        scope: other.scope,
        revive: Some(Revival { delivery_id: failed, expires_at: at(900) }),
        ..tenant.decide(lead, 1, at(1))
    };
    let refusal = refused(&*store, revive).await?;
    ensure!(refusal == Refusal::Stale, "another workspace's revival: expected Stale, got {refusal:?}");
    let found = delivery(&*store, &tenant, failed).await?;
    ensure!(found.state == DeliveryState::Failed, "another workspace made a delivery {:?}", found.state);
    let paused = ChannelStatus::Paused { reason: "operator".to_owned(), since: at(1) };
    let answer = store.set_channel_status(workspace, tenant.channel, paused).await;
    let channels = store.load().await?.channels;
    let active = channels
        .iter()
        .any(|channel| channel.id == tenant.channel && channel.status == ChannelStatus::Active);
    ensure!(found_nothing(&answer) && active, "another workspace paused a channel: {answer:?}");

    // The same idempotency key in two sources of two workspaces: two leads.
    let (first, second) = (tenant.lead_id(), tenant.lead_id());
    let key = |lead| Some(idempotency(1, 1, lead, at(600)));
    applied(&*store, Transition { idempotency: key(first), ..tenant.capture(first, start()) }).await?;
    applied(&*store, Transition { idempotency: key(second), ..other.capture(second, start()) }).await?;
    Ok(Verdict::Held)
}
