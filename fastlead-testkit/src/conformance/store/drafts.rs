//! What people look at before they publish a policy: its draft, and what was captured.

use std::sync::Arc;

use fastlead_core::decide::Event;
use fastlead_core::id::{EventId, ProjectId, SourceId};
use fastlead_core::lead::{Capture, Received};
use fastlead_core::port::{CaptureFilter, Guard, PageRequest, PolicyDraft, Transition};
use serde_json::json;

use super::StoreHarness;
use super::sample::{Tenant, applied, at, begin, capture, start};
use crate::conformance::{Outcome, Verdict, ensure};

/// A draft replaces the one before, has no say, is its workspace's alone, and goes when it is discarded.
pub async fn a_draft_is_kept_until_it_is_discarded<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let (workspace, project) = (tenant.scope.workspace_id, tenant.scope.project_id);
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?.scope.workspace_id;
    ensure!(store.draft(workspace, project).await?.is_none(), "there is a draft before one was saved");
    let draft = |number: u32| PolicyDraft {
        workspace_id: workspace,
        project_id: project,
        document: json!({"wrong": number, "text": "Заявка"}),
        based_on: number.checked_sub(1),
        saved_at: at(u64::from(number)),
    };
    for number in [0, 1] {
        store.put_draft(draft(number)).await?;
        let read = store.draft(workspace, project).await?;
        ensure!(read == Some(draft(number)), "draft {number} reads back as {read:?}");
    }
    ensure!(store.policies(workspace, project, 10).await?.is_empty(), "a draft was published");
    ensure!(store.draft(other, project).await?.is_none(), "another workspace reads a draft");
    ensure!(!store.discard_draft(other, project).await?, "another workspace discards a draft");
    ensure!(store.discard_draft(workspace, project).await?, "a draft was not found to discard");
    ensure!(store.draft(workspace, project).await?.is_none(), "a discarded draft is still there");
    ensure!(!store.discard_draft(workspace, project).await?, "a draft was discarded twice");
    Ok(Verdict::Held)
}

/// First and repeated captures of a project come oldest first, from a moment to another, without gaps.
pub async fn captures_are_listed_oldest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    // The lead came over the tenant's source, and its person came again over another one.
    let elsewhere = SourceId::generate(&*tenant.ids, start());
    let over = |now, source_id| {
        let capture = capture(now);
        Capture { received: Received { source_id: Some(source_id), ..capture.received.clone() }, ..capture }
    };
    let mut wanted = Vec::new();
    for second in 0..40 {
        let now = at(second);
        let lead = fastlead_core::id::LeadId::generate(&*tenant.ids, now);
        applied(&*store, tenant.capture(lead, now)).await?;
        let again = EventId::generate(&*tenant.ids, now);
        let repeated = Transition {
            guard: Guard::Append,
            event_id: again,
            event: Event::Captured(Box::new(over(now, elsewhere))),
            ..tenant.capture(lead, now)
        };
        applied(&*store, repeated).await?;
        applied(&*store, tenant.decide(lead, 1, now)).await?;
        if (10..30).contains(&second) {
            wanted.extend([(EventId::from_uuid(lead.as_uuid()), lead, now), (again, lead, now)]);
        }
    }
    let filter = CaptureFilter { project_id: tenant.scope.project_id, since: at(10), until: at(30) };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.captures(workspace, filter, PageRequest { after, limit: 7 }).await?;
        for item in &page.items {
            let repeated = item.id.as_uuid() != item.lead_id.as_uuid();
            // The first one is as it was stored before its source was kept with it.
            let (stored, source) = if repeated {
                (over(item.at, elsewhere), elsewhere)
            } else {
                (capture(item.at), tenant.source)
            };
            ensure!(item.capture == stored, "a capture reads back as {:?}", item.capture);
            ensure!(item.source_id == source, "a capture is of the source {}", item.source_id);
            ensure!(item.state.version == 2, "a capture comes with version {}", item.state.version);
        }
        seen.extend(page.items.iter().map(|item| (item.id, item.lead_id, item.at)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(seen == wanted, "40 captures were listed as {} entries, or in another order", seen.len());
    let nothing = CaptureFilter { project_id: ProjectId::generate(&*tenant.ids, start()), ..filter };
    let found = store.captures(workspace, nothing, PageRequest::default()).await?.items;
    ensure!(found.is_empty(), "another project has {} captures", found.len());
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?.scope.workspace_id;
    let found = store.captures(other, filter, PageRequest::default()).await?.items;
    ensure!(found.is_empty(), "another workspace lists {} captures", found.len());
    Ok(Verdict::Held)
}
