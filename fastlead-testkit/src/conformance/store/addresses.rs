//! Addresses to which nothing is sent, and addresses that have moved.

use fastlead_core::contact::Phone;
use fastlead_core::delivery::DeliveryState;
use fastlead_core::id::SuppressionId;
use fastlead_core::message::{MessageClass, Recipient};
use fastlead_core::port::{
    AddressBook, AddressKey, AddressMove, BeginOutcome, Beginning, PageRequest, Suppression, SuppressionScope,
};

use super::StoreHarness;
use super::sample::{Tenant, at, begin, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

pub(super) fn suppression(tenant: &Tenant, recipient: Recipient, scope: SuppressionScope) -> Suppression {
    Suppression {
        id: SuppressionId::generate(&*tenant.ids, start()),
        workspace_id: tenant.scope.workspace_id,
        channel_id: tenant.channel,
        recipient,
        scope,
        reason: "operator".to_owned(),
        since: at(5),
        advertising: None,
        erased: None,
    }
}

pub(super) fn chat(number: u32) -> Recipient {
    Recipient::Chat(format!("790000{number}").as_str().into())
}

fn phone() -> Result<Recipient, Violation> {
    let parsed = Phone::parse("+7 900 000-00-00");
    parsed.map(Recipient::Phone).map_err(|error| Violation::new(error.to_string()))
}

/// What may not be sent is in the address book, also after a restart, until somebody of the same workspace lifts
/// it; advertising alone does not narrow it.
pub async fn a_suppression_is_kept_until_it_is_lifted<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let key = AddressKey::of(tenant.scope.workspace_id, tenant.channel, &chat(1));
    let all = suppression(&tenant, chat(1), SuppressionScope::All);
    let held = store.suppress(all.clone()).await?;
    ensure!(held == all, "suppressing answered {held:?}");
    let read = store.suppression(tenant.scope.workspace_id, all.id).await?;
    ensure!(read.as_ref() == Some(&all), "suppressed {all:?}, read {read:?}");
    let foreign =
        store.suppression(fastlead_core::id::WorkspaceId::from_uuid(all.id.as_uuid()), all.id).await?;
    ensure!(foreign.is_none(), "another workspace reads a suppression");
    let narrower = suppression(&tenant, chat(1), SuppressionScope::Advertising);
    let held = store.suppress(narrower).await?;
    ensure!(
        held == Suppression { advertising: held.advertising.clone(), ..all.clone() },
        "a suppression of everything was narrowed to {held:?}"
    );
    let said = |book: &AddressBook, class| book.suppression(key, class).map(str::to_owned);
    let book = store.address_book().await?;
    for class in [MessageClass::Service, MessageClass::Advertising] {
        let reason = said(&book, class);
        ensure!(reason.as_deref() == Some("operator"), "the book says {reason:?} of a {class:?} message");
    }
    let elsewhere = AddressKey::of(tenant.scope.workspace_id, tenant.other_channel, &chat(1));
    let reason = book.suppression(elsewhere, MessageClass::Service);
    ensure!(reason.is_none(), "a chat is suppressed on another channel too: {reason:?}");
    let stranger = Tenant::new(&*store, std::sync::Arc::clone(&tenant.ids)).await?;
    let lifted = store.lift(stranger.scope.workspace_id, key).await?;
    ensure!(!lifted, "another workspace lifted a suppression");

    let survives = {
        drop(store);
        harness.reopen().await
    };
    let store = harness.store();
    if survives {
        let reason = said(&store.address_book().await?, MessageClass::Service);
        ensure!(reason.is_some(), "a suppression did not survive a restart");
    }
    let lifted = store.lift(tenant.scope.workspace_id, key).await?;
    ensure!(lifted || !survives, "a suppression could not be lifted");
    let again = store.lift(tenant.scope.workspace_id, key).await?;
    ensure!(!again, "a suppression was lifted twice");
    let reason = said(&store.address_book().await?, MessageClass::Service);
    ensure!(reason.is_none(), "a lifted suppression is in the book: {reason:?}");
    Ok(Verdict::Held)
}

/// Advertising that was suppressed before or after everything was stays so when the rest is taken back.
pub async fn no_advertising_outlives_a_block<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let key = |number| AddressKey::of(workspace, tenant.channel, &chat(number));
    let blocked = |number| Suppression {
        reason: "blocked".to_owned(),
        ..suppression(&tenant, chat(number), SuppressionScope::All)
    };
    let unsubscribed = |number| Suppression {
        reason: "unsubscribed".to_owned(),
        since: at(3),
        ..suppression(&tenant, chat(number), SuppressionScope::Advertising)
    };
    for (number, first, second) in
        [(1, unsubscribed(1), blocked(1)), (2, blocked(2), unsubscribed(2)), (3, blocked(3), blocked(3))]
    {
        store.suppress(first).await?;
        let held = store.suppress(second).await?;
        ensure!(held.scope == SuppressionScope::All, "of two suppressions {held:?} holds");
        let stranger = fastlead_core::id::WorkspaceId::from_uuid(held.id.as_uuid());
        let foreign = store.narrow(stranger, key(number)).await?;
        ensure!(foreign.is_none(), "another workspace narrows a suppression: {foreign:?}");
        let left = store.narrow(workspace, key(number)).await?;
        let book = store.address_book().await?;
        let service = book.suppression(key(number), MessageClass::Service);
        ensure!(service.is_none(), "a narrowed suppression holds for everything: {service:?}");
        let advertising = book.suppression(key(number), MessageClass::Advertising);
        if number == 3 {
            ensure!(left.is_none() && advertising.is_none(), "a block left {left:?} and {advertising:?}");
            continue;
        }
        let kept = left.as_ref().is_some_and(|left| {
            (left.scope, left.reason.as_str(), left.since)
                == (SuppressionScope::Advertising, "unsubscribed", at(3))
        });
        ensure!(kept, "of who has unsubscribed and blocked {left:?} is left");
        ensure!(advertising == Some("unsubscribed"), "advertising is let in again: {advertising:?}");
        let again = store.narrow(workspace, key(number)).await?;
        ensure!(again == left, "narrowed twice, {left:?} became {again:?}");
    }
    Ok(Verdict::Held)
}

/// Each workspace sees its own, newest first, a page at a time; a phone number is the same on every channel.
pub async fn suppressions_are_listed_by_workspace<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, std::sync::Arc::clone(&tenant.ids)).await?;
    store.suppress(suppression(&other, phone()?, SuppressionScope::All)).await?;
    let mut wanted = Vec::new();
    for number in 0..3 {
        wanted.push(store.suppress(suppression(&tenant, chat(number), SuppressionScope::All)).await?);
    }
    wanted.push(store.suppress(suppression(&tenant, phone()?, SuppressionScope::Advertising)).await?);
    wanted.reverse();
    let mut found = Vec::new();
    let mut page = PageRequest { after: None, limit: 3 };
    loop {
        let got = store.suppressions(tenant.scope.workspace_id, page.clone()).await?;
        ensure!(got.items.len() <= 3, "a page of 3 has {} entries", got.items.len());
        found.extend(got.items);
        page.after = got.next;
        if page.after.is_none() {
            break;
        }
    }
    ensure!(found == wanted, "expected {wanted:?}, listed {found:?}");
    let book = store.address_book().await?;
    let key = AddressKey::of(tenant.scope.workspace_id, tenant.other_channel, &phone()?);
    let advertising = book.suppression(key, MessageClass::Advertising);
    ensure!(advertising.is_some(), "a phone number may be sent advertising over another channel");
    let service = book.suppression(key, MessageClass::Service);
    ensure!(service.is_none(), "no advertising became no service: {service:?}");
    Ok(Verdict::Held)
}

/// The last word on where an address has moved holds.
pub async fn moved_addresses_are_kept<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let moved = |to| AddressMove {
        workspace_id: tenant.scope.workspace_id,
        channel_id: tenant.channel,
        from: chat(1),
        to,
    };
    store.move_address(moved(chat(2))).await?;
    store.move_address(moved(chat(3))).await?;
    let book = store.address_book().await?;
    let key = |channel| AddressKey::of(tenant.scope.workspace_id, channel, &chat(1));
    let found = book.destination(key(tenant.channel));
    ensure!(found == Some(&chat(3)), "a moved chat is found at {found:?}");
    let elsewhere = book.destination(key(tenant.other_channel));
    ensure!(elsewhere.is_none(), "a chat has moved on another channel too: {elsewhere:?}");
    Ok(Verdict::Held)
}

/// What the law asks is asked in the transaction that begins an attempt: what was said until then holds, of this address
/// and of this kind of message, and not one moment longer.
pub async fn nothing_begins_to_a_suppressed_address<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let key = |number| suppression(&tenant, chat(number), SuppressionScope::All).key();
    let attempts = async |now| {
        let delivery = tenant.delivery(None, at(now));
        let id = delivery.id;
        store.enqueue(vec![delivery]).await?;
        let request = tenant.claim(at(now), 10);
        let token = request.lease.token;
        store.claim(request).await?;
        Ok::<_, Violation>(Beginning::new(id, token, at(now)))
    };
    let (service, advertising) = (MessageClass::Service, MessageClass::Advertising);

    store.suppress(suppression(&tenant, chat(1), SuppressionScope::Advertising)).await?;
    let beginning = attempts(1).await?;
    let id = beginning.delivery_id;
    let refused = store.begin(beginning.to(key(1), advertising)).await?;
    let expected = BeginOutcome::Suppressed("operator".to_owned());
    ensure!(refused == expected, "advertising to who wants none: expected {expected:?}, got {refused:?}");
    let after = store.delivery(workspace, id).await?;
    let after = after.map(|delivery| (delivery.state, delivery.attempts));
    ensure!(after == Some((DeliveryState::Pending, 0)), "a refused attempt has changed it to {after:?}");
    let begun = store.begin(beginning.to(key(1), service)).await?;
    ensure!(begun == BeginOutcome::Begun, "who wants no advertising gets no other message: {begun:?}");
    let begun = store.begin(attempts(2).await?.to(key(2), advertising)).await?;
    ensure!(begun == BeginOutcome::Begun, "another address is suppressed too: {begun:?}");

    store.suppress(suppression(&tenant, chat(1), SuppressionScope::All)).await?;
    let beginning = attempts(3).await?.to(key(1), service);
    let refused = store.begin(beginning).await?;
    ensure!(refused == expected, "suppressed is everything: expected {expected:?}, got {refused:?}");
    store.lift(workspace, key(1)).await?;
    let begun = store.begin(beginning).await?;
    ensure!(begun == BeginOutcome::Begun, "a suppression that was lifted still holds: {begun:?}");
    Ok(Verdict::Held)
}
