//! Who is the same person, and what people have said.

use std::sync::Arc;

use fastlead_core::channel::{InboundEvent, InboundKind, MessageReference, Peer, ReceiptStatus};
use fastlead_core::contact::{Handle, Phone};
use fastlead_core::id::{IdentityId, WorkspaceId};
use fastlead_core::port::{IdentityFilter, IdentityLink, LinkedBy, PageRequest, Undone};

use super::StoreHarness;
use super::harness::FullStore;
use super::sample::{Tenant, at, begin, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

fn handle(id: &str) -> Handle {
    Handle { messenger: "memory".to_owned(), id: id.into() }
}

fn phone(last: u32) -> Result<Phone, Violation> {
    Phone::parse(&format!("+790000000{last:02}")).map_err(|error| Violation::new(error.to_string()))
}

/// What the event `event` of the tenant's channel says.
pub(super) fn link(
    tenant: &Tenant,
    account: &str,
    last: u32,
    event: &str,
) -> Result<IdentityLink, Violation> {
    Ok(IdentityLink {
        id: IdentityId::generate(&*tenant.ids, start()),
        workspace_id: tenant.scope.workspace_id,
        handle: handle(account),
        phone: phone(last)?,
        by: LinkedBy::Attested {
            channel_id: tenant.channel,
            provider_event_id: event.to_owned(),
            chat: account.into(),
        },
        at: at(5),
        undone: None,
    })
}

pub(super) fn undone(seconds: u64) -> Undone {
    Undone { at: at(seconds), reason: "operator".to_owned(), by: Some("usr_1".to_owned()) }
}

async fn held(store: &dyn FullStore, account: &str) -> Result<Vec<IdentityLink>, Violation> {
    let mut links = store.active_links().await?;
    links.retain(|link| link.handle == handle(account));
    Ok(links)
}

async fn log(
    store: &dyn FullStore,
    workspace: WorkspaceId,
    filter: IdentityFilter,
    limit: u32,
) -> Result<Vec<IdentityLink>, Violation> {
    let (mut found, mut page) = (Vec::new(), PageRequest { after: None, limit });
    loop {
        let got = store.identity_links(workspace, filter.clone(), page.clone()).await?;
        ensure!(got.items.len() <= limit as usize, "a page of {limit} has {} entries", got.items.len());
        found.extend(got.items);
        page.after = got.next;
        if page.after.is_none() {
            return Ok(found);
        }
    }
}

/// An account has one phone number: a newer one takes the place of an older one, both stay in the log, and the same
/// one again changes nothing. Also after a restart.
pub async fn an_account_has_one_phone_number<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let first = link(&tenant, "1", 1, "e1")?;
    let said = store.link(first.clone()).await?;
    ensure!(said == first, "linking {first:?} answered {said:?}");
    let again = store.link(link(&tenant, "1", 1, "e2")?).await?;
    ensure!(again == first, "the same phone number again made {again:?}");
    let second = IdentityLink { at: at(9), ..link(&tenant, "1", 2, "e3")? };
    store.link(second.clone()).await?;
    let other = link(&tenant, "2", 1, "e4")?;
    store.link(other.clone()).await?;
    let survives = {
        drop(store);
        harness.reopen().await
    };
    if !survives {
        return Ok(Verdict::Held);
    }
    let store = harness.store();
    let holds = held(&*store, "1").await?;
    ensure!(holds == [second.clone()], "of two phone numbers of an account {holds:?} hold");
    let replaced = Undone { at: at(9), reason: Undone::REPLACED.to_owned(), by: None };
    let wanted = [other, second, IdentityLink { undone: Some(replaced), ..first }];
    let logged = log(&*store, workspace, IdentityFilter::default(), 10).await?;
    ensure!(logged == wanted, "expected the log {wanted:?}, found {logged:?}");
    Ok(Verdict::Held)
}

/// Of many numbers that one account gets at once, one holds.
pub async fn of_concurrent_links_of_an_account_one_holds<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (store, link) = (Arc::clone(&store), link(&tenant, "1", number, &number.to_string())?);
        tasks.spawn(async move { store.link(link).await });
    }
    for done in tasks.join_all().await {
        done?;
    }
    let holds = held(&*store, "1").await?;
    ensure!(holds.len() == 1, "an account has {} phone numbers", holds.len());
    let logged = log(&*store, tenant.scope.workspace_id, IdentityFilter::default(), 500).await?;
    ensure!(logged.len() == 16, "of 16 links {} are in the log", logged.len());
    Ok(Verdict::Held)
}

/// A link is undone once, by its own workspace, and stays in the log. The event that has made it makes it no second
/// time; a new event does.
pub async fn a_link_is_undone_once<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let first = store.link(link(&tenant, "1", 1, "e1")?).await?;
    let stranger = WorkspaceId::from_uuid(first.id.as_uuid());
    let foreign = store.undo_link(stranger, first.id, undone(6)).await?;
    ensure!(foreign.is_none() && held(&*store, "1").await?.len() == 1, "another workspace has undone a link");
    let unknown = store.undo_link(workspace, IdentityId::generate(&*tenant.ids, start()), undone(6)).await?;
    ensure!(unknown.is_none(), "a link that is not there was undone: {unknown:?}");
    let wanted = IdentityLink { undone: Some(undone(6)), ..first.clone() };
    for seconds in [6, 7] {
        let said = store.undo_link(workspace, first.id, undone(seconds)).await?;
        ensure!(said.as_ref() == Some(&wanted), "expected {wanted:?}, undoing answered {said:?}");
    }
    let holds = held(&*store, "1").await?;
    ensure!(holds.is_empty(), "an undone link holds: {holds:?}");
    let repeated = store.link(link(&tenant, "1", 1, "e1")?).await?;
    ensure!(repeated == wanted, "an event that was acted upon has made {repeated:?}");
    let holds = held(&*store, "1").await?;
    ensure!(holds.is_empty(), "a repeated event has made a link that was undone: {holds:?}");
    let anew = store.link(link(&tenant, "1", 1, "e2")?).await?;
    let holds = held(&*store, "1").await?;
    ensure!(holds == [anew.clone()], "a new event has made {holds:?}");
    let logged = log(&*store, workspace, IdentityFilter::default(), 10).await?;
    ensure!(logged == [anew, wanted], "the log says {logged:?}");
    Ok(Verdict::Held)
}

/// Each workspace sees its own links, newest first, a page at a time: all, those of an account, those to a number.
pub async fn links_are_listed_by_account_and_number<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let stranger = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    store.link(link(&stranger, "1", 1, "e1")?).await?;
    let mut made = Vec::new();
    for (account, last) in [("1", 1), ("2", 1), ("3", 2), ("1", 2), ("1", 1)] {
        let event = made.len().to_string();
        made.insert(0, store.link(link(&tenant, account, last, &event)?).await?.id);
    }
    let (of_one, to_one) = (Some(handle("1")), Some(phone(1)?));
    for (handle, phone, wanted) in [
        (None, None, made.clone()),
        (of_one.clone(), None, vec![made[0], made[1], made[4]]),
        (None, to_one.clone(), vec![made[0], made[3], made[4]]),
        (of_one, to_one, vec![made[0], made[4]]),
    ] {
        let filter = IdentityFilter { handle, phone };
        let found = log(&*store, workspace, filter.clone(), 2).await?;
        let found: Vec<_> = found.iter().map(|link| link.id).collect();
        ensure!(found == wanted, "expected {wanted:?} by {filter:?}, listed {found:?}");
    }
    let holds = held(&*store, "1").await?;
    ensure!(holds.len() == 2, "one account in each of two workspaces: {holds:?}");
    Ok(Verdict::Held)
}

/// What people have said over one channel is listed newest first, a page at a time, acted upon or not; receipts and
/// presses are not among it, and another workspace sees none of it.
pub async fn what_people_say_is_listed_newest_first<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let from =
        || Peer { chat: "7".into(), user: "7".into(), display_name: Some("Вера".into()), language: None };
    let kinds = [
        InboundKind::Started { from: from(), payload: Some("anna".to_owned()) },
        InboundKind::Receipt {
            message: MessageReference::Provider("1".to_owned()),
            status: ReceiptStatus::Delivered,
        },
        InboundKind::Message { from: from(), text: "Здравствуйте".into() },
        InboundKind::Blocked { from: from() },
        InboundKind::PhoneShared { from: from(), phone: "79000000000".into() },
    ];
    let event = |(number, kind): (usize, InboundKind)| InboundEvent {
        provider_event_id: number.to_string(),
        occurred_at: start(),
        kind,
    };
    let events: Vec<_> = kinds.into_iter().enumerate().map(event).collect();
    tenant.record(&*store, tenant.other_channel, events.clone(), None, at(1)).await?;
    let new = tenant.record(&*store, tenant.channel, events, None, at(2)).await?;
    store.finish_inbound(new[0].reference()).await?;
    let wanted = [new[4].clone(), new[2].clone(), new[0].clone()];
    let (mut found, mut page) = (Vec::new(), PageRequest { after: None, limit: 2 });
    loop {
        let got = store.spoken(workspace, tenant.channel, page.clone()).await?;
        ensure!(got.items.len() <= 2, "a page of 2 has {} entries", got.items.len());
        found.extend(got.items);
        page.after = got.next;
        if page.after.is_none() {
            break;
        }
    }
    ensure!(found == wanted, "expected {wanted:?}, listed {found:?}");
    let stranger = Tenant::new(&*store, Arc::clone(&tenant.ids)).await?;
    let foreign =
        store.spoken(stranger.scope.workspace_id, tenant.channel, PageRequest::default()).await?.items;
    ensure!(foreign.is_empty(), "another workspace reads {foreign:?}");
    Ok(Verdict::Held)
}
