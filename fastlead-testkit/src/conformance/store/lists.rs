//! Lists a page at a time, filters, and how much work waits.

use std::sync::Arc;

use fastlead_core::contact::{Contact, Email, Phone};
use fastlead_core::decide::{Event, LeadStatus};
use fastlead_core::delivery::{DeliveryState, NewDelivery};
use fastlead_core::id::{LeadId, ProjectId, RandomIds, SourceId};
use fastlead_core::lead::Needle;
use fastlead_core::port::{
    DeliveryFilter, Guard, LeadCounts, LeadFilter, Page, PageRequest, QueueDepth, Transition,
};

use super::sample::{Tenant, applied, at, awaiting, begin, ended, retry, settled, settlement, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// Commits `count` leads at once; answers their ids, oldest first.
async fn leads(
    store: &Arc<dyn FullStore>,
    tenant: &Tenant,
    count: usize,
) -> Result<Vec<fastlead_core::id::LeadId>, Violation> {
    let ids: Vec<_> = (0..count).map(|_| tenant.lead_id()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for id in &ids {
        let (store, transition) = (Arc::clone(store), tenant.capture(*id, start()));
        tasks.spawn(async move { applied(&*store, transition).await });
    }
    tasks.join_all().await.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(ids)
}

/// A lead with a name, a phone number and an e-mail address.
fn named(tenant: &Tenant, name: &str, phone: &str, email: &str, second: u64) -> Transition {
    let id = LeadId::generate(&RandomIds, at(second));
    let mut transition = tenant.capture(id, at(second));
    if let Event::Captured(capture) = &mut transition.event {
        let (phone, email) = (Phone::parse(phone).ok(), Email::parse(email).ok());
        capture.contact = Contact { name: Some(name.into()), phone, email, ..Contact::default() };
    }
    transition
}

/// Leads are found by a part of what names them, within a period, in both orders, a page at a time; and counted by status.
pub async fn leads_are_searched_and_counted<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let anna = named(&tenant, "Анна Пример", "+7 900 000-00-01", "anna@example.com", 10);
    let mut ivan = named(&tenant, "ИВАН Пример", "+7 900 000-00-12", "Ivan@Example.com", 20);
    ivan.state.status = LeadStatus::Queued;
    let oleg = named(&tenant, "Oleg Sample", "+7 900 000-01-23", "oleg@example.org", 30);
    for transition in [&anna, &ivan, &oleg] {
        applied(&*store, transition.clone()).await?;
    }
    let text = |typed: &str| LeadFilter { text: Needle::new(typed), ..LeadFilter::default() };
    let within = |since, until| LeadFilter { since, until, ..LeadFilter::default() };
    let cases = [
        (text("пример"), vec![&ivan, &anna]),
        (text("иван"), vec![&ivan]),
        (text("8 (900) 000-00"), vec![&ivan, &anna]),
        (text("0123"), vec![&oleg]),
        (text("EXAMPLE.COM"), vec![&ivan, &anna]),
        (text("nobody"), vec![]),
        (LeadFilter { status: Some("queued".to_owned()), ..text("пример") }, vec![&ivan]),
        (LeadFilter { oldest_first: true, ..text("9000") }, vec![&anna, &ivan, &oleg]),
        (LeadFilter { project_id: Some(tenant.scope.project_id), ..text("oleg") }, vec![&oleg]),
        (within(Some(at(20)), None), vec![&oleg, &ivan]),
        (within(None, Some(at(20))), vec![&anna]),
        (within(Some(at(11)), Some(at(30))), vec![&ivan]),
    ];
    for (filter, wanted) in cases {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = store.leads(workspace, filter.clone(), PageRequest { after, limit: 1 }).await?;
            seen.extend(page.items.iter().map(|lead| lead.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let wanted: Vec<_> = wanted.iter().map(|transition| transition.lead_id).collect();
        ensure!(seen == wanted, "{filter:?}: expected {wanted:?}, got {seen:?}");
        let counts = store.count_leads(workspace, LeadFilter { status: None, ..filter.clone() }, 100).await?;
        let total: u64 = counts.by_status.values().sum();
        let all = filter.status.is_some() || total == u64::try_from(wanted.len()).unwrap_or(u64::MAX);
        ensure!(counts.complete && all, "{filter:?}: counted {counts:?}");
    }
    let counts = store.count_leads(workspace, LeadFilter::default(), 1).await?;
    let by_status = [("open".to_owned(), 2), ("queued".to_owned(), 1)].into();
    ensure!(counts == LeadCounts { by_status, complete: true }, "without a text all count: {counts:?}");
    let counts = store.count_leads(workspace, text("пример"), 1).await?;
    let by_status = [("queued".to_owned(), 1)].into();
    ensure!(counts == LeadCounts { by_status, complete: false }, "the newest counts: {counts:?}");
    Ok(Verdict::Held)
}

/// A thousand leads and deliveries, newest first, without gaps or repeats while more are added.
pub async fn pages_have_no_gaps_or_repeats<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let mut wanted = leads(&store, &tenant, 1_000).await?;
    wanted.reverse();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.leads(workspace, LeadFilter::default(), PageRequest { after, limit: 70 }).await?;
        seen.extend(page.items.iter().map(|lead| lead.id));
        after = page.next;
        ensure!(
            page.items.len() == 70 || after.is_none(),
            "a page of {} leads is not the last",
            page.items.len()
        );
        if after.is_none() {
            break;
        }
        leads(&store, &tenant, 3).await?;
    }
    ensure!(seen == wanted, "1,000 leads were listed as {} entries, or in another order", seen.len());

    let new: Vec<_> = (0..1_000).map(|_| tenant.delivery(None, start())).collect();
    let wanted: Vec<_> = new.iter().rev().map(|delivery| delivery.id).collect();
    store.enqueue(new).await?;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page =
            store.deliveries(workspace, DeliveryFilter::default(), PageRequest { after, limit: 130 }).await?;
        seen.extend(page.items.iter().map(|delivery| delivery.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        store.enqueue(vec![tenant.delivery(None, start())]).await?;
    }
    ensure!(seen == wanted, "1,000 deliveries were listed as {} entries, or in another order", seen.len());
    Ok(Verdict::Held)
}

/// A lead's history comes oldest first, a page at a time.
pub async fn a_history_is_listed_oldest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let lead = leads(&store, &tenant, 1).await?[0];
    let mut wanted = vec![tenant.capture(lead, start()).event_id];
    for index in 1..=50 {
        let append = Transition { guard: Guard::Append, ..tenant.decide(lead, 1, at(index)) };
        wanted.push(append.event_id);
        applied(&*store, append).await?;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.events(workspace, lead, PageRequest { after, limit: 17 }).await?;
        seen.extend(page.items.iter().map(|event| event.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        let append = Transition { guard: Guard::Append, ..tenant.decide(lead, 1, at(100)) };
        wanted.push(append.event_id);
        applied(&*store, append).await?;
    }
    ensure!(seen == wanted, "the history of {} events was listed as {seen:?}", wanted.len());
    Ok(Verdict::Held)
}

/// A page has between 1 and 500 entries, whatever was asked for, and the last one says that it is.
pub async fn page_sizes_are_clamped<H: StoreHarness>() -> Outcome {
    fn shape<T>(page: &Page<T>) -> (usize, bool) {
        (page.items.len(), page.next.is_some())
    }

    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let none = store.deliveries(workspace, DeliveryFilter::default(), PageRequest::default()).await?;
    ensure!(shape(&none) == (0, false), "an empty list has the shape {:?}", shape(&none));
    store.enqueue((0..501).map(|_| tenant.delivery(None, start())).collect()).await?;
    for (limit, wanted) in
        [(0, (1, true)), (1, (1, true)), (500, (500, true)), (501, (500, true)), (u32::MAX, (500, true))]
    {
        let page = store
            .deliveries(workspace, DeliveryFilter::default(), PageRequest { after: None, limit })
            .await?;
        ensure!(shape(&page) == wanted, "limit {limit}: expected {wanted:?}, got {:?}", shape(&page));
        let rest = PageRequest { after: page.next, limit: 500 };
        let rest = store.deliveries(workspace, DeliveryFilter::default(), rest).await?;
        let left = 501 - wanted.0;
        ensure!(shape(&rest) == (left.min(500), left > 500), "after {} of 501: {:?}", wanted.0, shape(&rest));
    }
    Ok(Verdict::Held)
}

/// Filters leave out what does not match, alone and together.
pub async fn filters_select_what_they_say<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let elsewhere = ProjectId::generate(&*tenant.ids, start());
    let partner = SourceId::generate(&*tenant.ids, start());
    store.put_project(tenant.project(elsewhere)).await?;
    store.put_source(tenant.source_record(partner)).await?;
    let mut open = tenant.capture(tenant.lead_id(), start());
    open.state.status = LeadStatus::Open;
    let mut taken = tenant.capture(tenant.lead_id(), start());
    taken.state.status = LeadStatus::Accepted;
    taken.state.assigned_to = Some("anna".to_owned());
    taken.source_id = partner;
    let mut refused = tenant.capture(tenant.lead_id(), start());
    refused.state.status = LeadStatus::Rejected { code: "no_phone".to_owned() };
    refused.scope.project_id = elsewhere;
    let (open, taken, refused) = (open, taken, refused);
    for transition in [&open, &taken, &refused] {
        applied(&*store, transition.clone()).await?;
    }
    let all = LeadFilter::default();
    let project = |id| LeadFilter { project_id: Some(id), ..LeadFilter::default() };
    let source = |id| LeadFilter { source_id: Some(id), ..LeadFilter::default() };
    let status = |status: &str| LeadFilter { status: Some(status.to_owned()), ..LeadFilter::default() };
    let mine = LeadFilter { project_id: Some(elsewhere), source_id: Some(partner), ..LeadFilter::default() };
    for (filter, wanted) in [
        (all, vec![&refused, &taken, &open]),
        (project(tenant.scope.project_id), vec![&taken, &open]),
        (project(elsewhere), vec![&refused]),
        (source(partner), vec![&taken]),
        (status("open"), vec![&open]),
        (status("accepted"), vec![&taken]),
        (status("rejected"), vec![&refused]),
        (status("unanswered"), vec![]),
        (mine, vec![]),
    ] {
        let page = store.leads(workspace, filter.clone(), PageRequest::default()).await?;
        let ids: Vec<_> = page.items.iter().map(|lead| lead.id).collect();
        let wanted: Vec<_> = wanted.iter().map(|transition| transition.lead_id).collect();
        ensure!(ids == wanted, "{filter:?}: expected {wanted:?}, got {ids:?}");
    }
    let page = store.leads(workspace, status("accepted"), PageRequest::default()).await?;
    let lead = &page.items[0];
    ensure!(
        (lead.project_id, lead.source_id, lead.created_at) == (tenant.scope.project_id, partner, start()),
        "a lead is listed as {lead:?}"
    );
    ensure!(
        (lead.status.as_str(), lead.assigned_to.as_deref()) == ("accepted", Some("anna")),
        "a lead is listed as {lead:?}"
    );
    ensure!(lead.capture == super::sample::capture(start()), "a lead is listed with another capture");

    let of = |lead| DeliveryFilter { lead_id: Some(lead), ..DeliveryFilter::default() };
    let first = tenant.delivery(Some(open.lead_id), start());
    let second =
        NewDelivery { channel_id: tenant.other_channel, ..tenant.delivery(Some(open.lead_id), start()) };
    let third = tenant.delivery(Some(taken.lead_id), start());
    store.enqueue(vec![first.clone(), second.clone(), third.clone()]).await?;
    let failed = tenant.ended(&*store, DeliveryState::Failed, start()).await?;
    let over = DeliveryFilter { channel_id: Some(tenant.other_channel), ..DeliveryFilter::default() };
    let both = DeliveryFilter { channel_id: Some(tenant.channel), ..of(open.lead_id) };
    let state = |state| DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    for (filter, wanted) in [
        (DeliveryFilter::default(), vec![failed, third.id, second.id, first.id]),
        (of(open.lead_id), vec![second.id, first.id]),
        (over, vec![second.id]),
        (both, vec![first.id]),
        (state(DeliveryState::Failed), vec![failed]),
        (state(DeliveryState::Sent), vec![]),
    ] {
        let page = store.deliveries(workspace, filter.clone(), PageRequest::default()).await?;
        let ids: Vec<_> = page.items.iter().map(|delivery| delivery.id).collect();
        ensure!(ids == wanted, "{filter:?}: expected {wanted:?}, got {ids:?}");
    }
    Ok(Verdict::Held)
}

/// The depth of the queue counts what waits, in each way of waiting.
pub async fn queue_depth_counts_what_waits<H: StoreHarness>() -> Outcome {
    use fastlead_core::decide::TimerName;

    let (_harness, store, tenant) = begin::<H>().await?;
    let empty = store.queue_depth(start()).await?;
    ensure!(empty == QueueDepth::default(), "an empty store has {empty:?}");
    let due = NewDelivery { due_at: at(40), ..tenant.delivery(None, start()) };
    let future = NewDelivery { due_at: at(500), ..tenant.delivery(None, start()) };
    store.enqueue(vec![due, future]).await?;
    let (_, retried, lease) = tenant.leased(&*store, at(90)).await?;
    settled(&*store, settlement(retried, lease.token, at(91), retry(at(95), true))).await?;
    tenant.leased(&*store, at(90)).await?;
    let (lead, awaited, lease) = tenant.leased(&*store, at(90)).await?;
    settled(&*store, settlement(awaited, lease.token, at(91), awaiting(at(150), false))).await?;
    let timers =
        vec![tenant.timer(TimerName::Escalate(0), at(10)), tenant.timer(TimerName::Unanswered, at(900))];
    applied(&*store, Transition { timers, ..tenant.decide(lead, 1, at(91)) }).await?;
    for state in [DeliveryState::Ambiguous, DeliveryState::Delivered, DeliveryState::Failed] {
        tenant.ended(&*store, state, at(90)).await?;
    }
    let wanted = QueueDepth {
        pending: 3,
        sending: 1,
        awaiting_receipt: 1,
        ambiguous: 1,
        oldest_due_millis: 60_000,
        timers: 2,
    };
    let depth = store.queue_depth(at(100)).await?;
    ensure!(depth == wanted, "expected {wanted:?}, got {depth:?}");
    let (_, id, lease) = tenant.leased(&*store, at(100)).await?;
    settled(&*store, settlement(id, lease.token, at(100), ended(DeliveryState::Sent))).await?;
    let depth = store.queue_depth(at(30)).await?;
    ensure!(depth.oldest_due_millis == 0, "nothing is due, and has been for {} ms", depth.oldest_due_millis);
    Ok(Verdict::Held)
}
