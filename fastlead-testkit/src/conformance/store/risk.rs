//! Leads that nobody has accepted and whose time runs out.

use std::sync::Arc;

use fastlead_core::decide::{LeadStatus, Offer, TimerName};
use fastlead_core::id::{LeadId, ProjectId};
use fastlead_core::port::{NewTimer, PageRequest, RiskFilter, Transition};

use super::sample::{Tenant, applied, at, begin, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// Commits a lead that waits, with these timers.
async fn waiting(
    store: &dyn FullStore,
    tenant: &Tenant,
    timers: Vec<NewTimer>,
    owner: Option<&str>,
) -> Result<LeadId, Violation> {
    let lead = tenant.lead_id();
    let mut capture = tenant.capture(lead, start());
    capture.state.status = if owner.is_some() { LeadStatus::Accepted } else { LeadStatus::Open };
    capture.state.assigned_to = owner.map(str::to_owned);
    let offer = |target: &str, lapsed| Offer {
        target: target.to_owned(),
        step: 0,
        alive: 1,
        lost: Vec::new(),
        declined: false,
        lapsed,
        rule: None,
        holds: Vec::new(),
    };
    capture.state.offers = vec![offer("anna", true), offer("oleg", false)];
    applied(store, Transition { timers, ..capture }).await?;
    Ok(lead)
}

/// Only what nobody has and somebody is late for, soonest first, each lead once, a page at a time.
pub async fn leads_at_risk_are_listed_soonest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let timer = |name, second| tenant.timer(name, at(second));
    let escalate = TimerName::Escalate(0);
    let mut wanted = Vec::new();
    for second in (100..140).rev() {
        // What comes later and what is nobody's delay says nothing.
        let timers = vec![
            timer(TimerName::Unanswered, second + 1),
            timer(escalate, second),
            timer(TimerName::Queue, second - 50),
        ];
        let lead = waiting(&*store, &tenant, timers, None).await?;
        wanted.push((lead, escalate, at(second)));
    }
    wanted.reverse();
    let overdue = waiting(&*store, &tenant, vec![timer(TimerName::Offer(1), 1)], None).await?;
    wanted.insert(0, (overdue, TimerName::Offer(1), at(1)));
    waiting(&*store, &tenant, vec![timer(escalate, 120)], Some("anna")).await?;
    for name in [TimerName::Queue, TimerName::Confirm, TimerName::AuctionEnds] {
        waiting(&*store, &tenant, vec![timer(name, 120)], None).await?;
    }
    waiting(&*store, &tenant, vec![timer(TimerName::Review, 141)], None).await?;

    let filter = RiskFilter { project_id: None, until: at(139) };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.at_risk(workspace, filter, PageRequest { after, limit: 7 }).await?;
        ensure!(
            page.items.len() == 7 || page.next.is_none(),
            "a page of {} is not the last",
            page.items.len()
        );
        for item in &page.items {
            ensure!(item.waits_for == ["oleg"], "a lead waits for {:?}", item.waits_for);
            ensure!(item.lead.status == "open", "a lead at risk is {}", item.lead.status);
        }
        seen.extend(page.items.into_iter().map(|item| (item.lead.id, item.timer, item.due_at)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(seen == wanted, "expected {} leads, got {}: {seen:?}", wanted.len(), seen.len());
    let count = store.count_at_risk(filter.until, 1_000).await?;
    ensure!(count == 41, "expected 41 leads at risk, counted {count}");
    let some = store.count_at_risk(filter.until, 10).await?;
    ensure!(some == 10, "counting to 10 came to {some}");
    let later = store.count_at_risk(at(141), 1_000).await?;
    ensure!(later == 42, "with the review 42 are at risk, counted {later}");

    let other = ProjectId::generate(&*tenant.ids, start());
    let filter = RiskFilter { project_id: Some(other), ..filter };
    let found = store.at_risk(workspace, filter, PageRequest::default()).await?.items;
    ensure!(found.is_empty(), "another project has {} leads at risk", found.len());
    let filter = RiskFilter { project_id: Some(tenant.scope.project_id), ..filter };
    let found = store.at_risk(workspace, filter, PageRequest::default()).await?.items;
    ensure!(found.len() == 41, "the project has {} leads at risk", found.len());
    let other = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?.scope.workspace_id;
    let found = store.at_risk(other, filter, PageRequest::default()).await?.items;
    ensure!(found.is_empty(), "another workspace lists {} leads at risk", found.len());
    Ok(Verdict::Held)
}
