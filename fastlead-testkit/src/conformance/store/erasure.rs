//! A person's data are taken out of everything, and nobody else's.

use fastlead_core::channel::{InboundEvent, InboundKind, Peer};
use fastlead_core::contact::{Contact, Handle, Phone};
use fastlead_core::decide::{Event, UniqueKey};
use fastlead_core::delivery::{Attempt, AttemptError, DeliveryState, NewDelivery, Purpose};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::{ErrorKind, RetryHint};
use fastlead_core::id::{IdentityId, LeadId, SuppressionId};
use fastlead_core::lead::Capture;
use fastlead_core::message::{MessageClass, Recipient};
use fastlead_core::port::{
    AddressKey, AddressMove, CaptureFilter, DeliveryFilter, Erasure, Guard, IdentityFilter, IdentityLink,
    LeadFilter, LinkedBy, PageRequest, Reservation, Suppression, SuppressionScope, Transition,
};

use super::sample::{Tenant, applied, at, attempt, begin, begun, capture, retry, settled, settlement, start};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// One of two people about whom everything is stored that can be.
struct Someone {
    number: u8,
    phone: Phone,
    lead: LeadId,
    /// Values that name the person, as they are written in what is stored.
    values: Vec<String>,
}

impl Someone {
    fn value(&self, of: &str) -> String {
        format!("{of}-of-{}", self.number)
    }

    fn account(&self) -> String {
        format!("77000{}", self.number)
    }

    fn handle(&self) -> Handle {
        Handle { messenger: "memory".to_owned(), id: self.account().as_str().into() }
    }

    fn addresses(&self) -> PersonAddresses {
        PersonAddresses { phones: vec![self.phone.clone()], emails: Vec::new(), handles: vec![self.handle()] }
    }

    fn key(&self) -> UniqueKey {
        UniqueKey([self.number; 16])
    }

    fn recipient(&self) -> Recipient {
        Recipient::Chat(self.account().as_str().into())
    }

    fn captured(&self, seconds: u64) -> Event {
        let mut captured: Capture = capture(at(seconds));
        captured.contact = Contact {
            name: Some(self.value("name").as_str().into()),
            phone: Some(self.phone.clone()),
            handles: vec![self.handle()],
            ..Contact::default()
        };
        captured.comment = Some(self.value("comment").as_str().into());
        captured.fields = [("city".to_owned(), self.value("field").as_str().into())].into();
        captured.received.user_agent = Some(self.value("agent").as_str().into());
        Event::Captured(Box::new(captured))
    }

    async fn put(number: u8, store: &dyn FullStore, tenant: &Tenant) -> Result<Self, Violation> {
        let phone = Phone::parse(&format!("+7 900 000-00-0{number}"));
        let phone = phone.map_err(|error| Violation::new(error.to_string()))?;
        let mut someone = Self { number, phone, lead: tenant.lead_id(), values: Vec::new() };
        let kinds = ["name", "comment", "field", "agent", "text", "display", "body", "quote"];
        someone.values = kinds.iter().map(|of| someone.value(of)).collect();
        someone.values.extend([someone.phone.expose().to_owned(), someone.account()]);
        someone.store_all(store, tenant).await?;
        Ok(someone)
    }

    async fn store_all(&self, store: &dyn FullStore, tenant: &Tenant) -> Result<(), Violation> {
        let answer = |lead, purpose, recipient| {
            let mut new: NewDelivery = tenant.delivery(lead, start());
            new.spec.purpose = purpose;
            new.spec.recipient = recipient;
            new.spec.body = fastlead_core::delivery::Body::Fixed(fastlead_core::Content::Text(
                fastlead_core::message::Text::plain(self.value("body")),
            ));
            new
        };
        let first = Transition {
            event: self.captured(0),
            deliveries: vec![answer(
                Some(self.lead),
                Purpose::AutoReply,
                Recipient::Phone(self.phone.clone()),
            )],
            reservations: vec![Reservation::Unique { key: self.key(), until: at(9_000) }],
            ..tenant.capture(self.lead, start())
        };
        applied(store, first).await?;
        let again = Transition {
            guard: Guard::Append,
            event: self.captured(5),
            ..tenant.decide(self.lead, 1, at(5))
        };
        applied(store, again).await?;
        let mut quoted = answer(None, Purpose::Manual, self.recipient());
        let lease = tenant.lease(start());
        quoted.lease = Some(lease);
        let id = quoted.id;
        store.enqueue(vec![quoted]).await?;
        begun(store, id, lease.token, start()).await?;
        let mut refusal = settlement(id, lease.token, at(1), retry(at(50), true));
        refusal.attempt = Some(Attempt {
            error: Some(AttemptError {
                kind: ErrorKind::RateLimited,
                retry: RetryHint::Safe { after: None },
                provider_code: None,
                message: self.value("quote"),
            }),
            ..attempt(1, at(1), "retry")
        });
        settled(store, refusal).await?;
        let from = Peer {
            chat: self.account().as_str().into(),
            user: self.account().as_str().into(),
            display_name: Some(self.value("display").as_str().into()),
            language: None,
        };
        let message = InboundEvent {
            provider_event_id: format!("event-{}", self.number),
            occurred_at: start(),
            kind: InboundKind::Message { from, text: self.value("text").as_str().into() },
        };
        tenant.record(store, tenant.channel, vec![message], None, at(1)).await?;
        store
            .link(IdentityLink {
                id: IdentityId::generate(&*tenant.ids, start()),
                workspace_id: tenant.scope.workspace_id,
                handle: self.handle(),
                phone: self.phone.clone(),
                by: LinkedBy::Operator { actor: "usr_1".to_owned() },
                at: at(2),
                undone: None,
            })
            .await?;
        for recipient in [self.recipient(), Recipient::Phone(self.phone.clone())] {
            store
                .suppress(Suppression {
                    id: SuppressionId::generate(&*tenant.ids, start()),
                    workspace_id: tenant.scope.workspace_id,
                    channel_id: tenant.channel,
                    recipient,
                    scope: SuppressionScope::All,
                    reason: "operator".to_owned(),
                    since: at(3),
                    advertising: None,
                    erased: None,
                })
                .await?;
        }
        let moved = AddressMove {
            workspace_id: tenant.scope.workspace_id,
            channel_id: tenant.channel,
            from: Recipient::Chat(format!("old-{}", self.number).as_str().into()),
            to: self.recipient(),
        };
        Ok(store.move_address(moved).await?)
    }

    /// Everything that can be read of the workspace, as one text.
    async fn read(store: &dyn FullStore, tenant: &Tenant, leads: &[LeadId]) -> Result<String, Violation> {
        let workspace = tenant.scope.workspace_id;
        let page = || PageRequest { after: None, limit: 500 };
        let json =
            |value: serde_json::Result<String>| value.map_err(|error| Violation::new(error.to_string()));
        let mut text = String::new();
        for lead in store.leads(workspace, LeadFilter::default(), page()).await?.items {
            text.push_str(&json(serde_json::to_string(&lead.capture))?);
        }
        for lead in leads {
            if let Some(record) = store.lead(workspace, *lead).await? {
                text.push_str(&json(serde_json::to_string(&(record.capture, record.state)))?);
            }
            for event in store.events(workspace, *lead, page()).await?.items {
                text.push_str(&json(serde_json::to_string(&(event.event, event.trace)))?);
            }
        }
        let filter = CaptureFilter { project_id: tenant.scope.project_id, since: start(), until: at(86_400) };
        for stored in store.captures(workspace, filter, page()).await?.items {
            text.push_str(&json(serde_json::to_string(&stored.capture))?);
        }
        for event in store.events_since(workspace, 0, 500).await?.events {
            text.push_str(&json(serde_json::to_string(&event.event))?);
        }
        for delivery in store.deliveries(workspace, DeliveryFilter::default(), page()).await?.items {
            text.push_str(&json(serde_json::to_string(&delivery.spec))?);
            for record in store.attempts(workspace, delivery.id).await? {
                text.push_str(&json(serde_json::to_string(&record.attempt))?);
            }
        }
        for record in store.spoken(workspace, tenant.channel, page()).await?.items {
            text.push_str(&json(serde_json::to_string(&record.event))?);
        }
        for link in store.identity_links(workspace, IdentityFilter::default(), page()).await?.items {
            text.push_str(&json(serde_json::to_string(&link))?);
        }
        for held in store.suppressions(workspace, page()).await?.items {
            text.push_str(&json(serde_json::to_string(&held))?);
        }
        Ok(text)
    }

    async fn is_suppressed(&self, store: &dyn FullStore, tenant: &Tenant) -> Result<bool, Violation> {
        let book = store.address_book().await?;
        Ok([self.recipient(), Recipient::Phone(self.phone.clone())].iter().all(|recipient| {
            let key = AddressKey::of(tenant.scope.workspace_id, tenant.channel, recipient);
            book.suppression(key, MessageClass::Service).is_some()
        }))
    }
}

/// Nothing that can be read names a person who was erased; what was decided about them, and everything about others,
/// stays.
pub async fn erasing_takes_out_one_person<H: StoreHarness>() -> Outcome {
    let (mut harness, store, tenant) = begin::<H>().await?;
    let workspace = tenant.scope.workspace_id;
    let her = Someone::put(1, &*store, &tenant).await?;
    let other = Someone::put(2, &*store, &tenant).await?;
    let leads = [her.lead, other.lead];
    let before = Someone::read(&*store, &tenant, &leads).await?;
    for value in her.values.iter().chain(&other.values) {
        ensure!(before.contains(value), "{value} was not stored");
    }

    let found = store.leads_of(workspace, &her.addresses()).await?;
    ensure!(found == [her.lead], "her leads are {found:?}");
    let erasure = Erasure { workspace_id: workspace, leads: found, person: her.addresses(), at: at(100) };
    let erased = store.erase(erasure.clone()).await?;
    ensure!(
        (erased.leads, erased.deliveries, erased.inbound, erased.links, erased.addresses) == (1, 2, 1, 1, 3),
        "erasing answered {erased:?}"
    );

    drop(store);
    for reopened in [false, true] {
        if reopened && !harness.reopen().await {
            break;
        }
        let store = harness.store();
        let after = Someone::read(&*store, &tenant, &leads).await?;
        for value in &her.values {
            ensure!(!after.contains(value), "{value} can still be read");
        }
        for value in &other.values {
            let (was, is) = (before.matches(value).count(), after.matches(value).count());
            ensure!(was == is, "{value} of somebody else was read {was} times, and {is} times afterwards");
        }
        let history = store.events(workspace, her.lead, PageRequest::default()).await?.items;
        ensure!(history.len() == 2, "her history has {} events", history.len());
        let record = store.lead(workspace, her.lead).await?;
        let at_moment = record.and_then(|record| record.capture.erased_at);
        ensure!(at_moment == Some(at(100)), "her lead says that it was erased at {at_moment:?}");
        ensure!(her.is_suppressed(&*store, &tenant).await?, "what must not be sent to her can be sent");
        ensure!(other.is_suppressed(&*store, &tenant).await?, "what must not be sent to others can be sent");
        let holders =
            (store.holder(vec![her.key()], at(200)).await?, store.holder(vec![other.key()], at(200)).await?);
        ensure!(holders == (None, Some(other.lead)), "the keys are held by {holders:?}");
    }

    let store = harness.store();
    let claimed = store.claim(tenant.claim(at(200), 100)).await?.deliveries;
    ensure!(claimed.len() == 2, "{} deliveries can be claimed, 2 are for somebody else", claimed.len());
    let ended = DeliveryFilter { state: Some(DeliveryState::Cancelled), ..DeliveryFilter::default() };
    let ended = store.deliveries(workspace, ended, PageRequest::default()).await?.items;
    let reasons: Vec<_> = ended.iter().map(|delivery| delivery.reason.as_deref()).collect();
    ensure!(reasons == [Some("erased"); 2], "what was to be sent to her ended for {reasons:?}");

    let again = store.erase(erasure).await?;
    ensure!(
        (again.inbound, again.links, again.addresses) == (0, 0, 0),
        "erasing once more answered {again:?}"
    );
    Ok(Verdict::Held)
}

/// Another workspace erases nothing here.
pub async fn another_workspace_erases_nothing<H: StoreHarness>() -> Outcome {
    let (_harness, store, tenant) = begin::<H>().await?;
    let other = Tenant::new(&*store, std::sync::Arc::clone(&tenant.ids)).await?;
    let her = Someone::put(1, &*store, &tenant).await?;
    let before = Someone::read(&*store, &tenant, &[her.lead]).await?;
    let workspace = other.scope.workspace_id;
    let found = store.leads_of(workspace, &her.addresses()).await?;
    ensure!(found.is_empty(), "another workspace finds {found:?}");
    let erasure =
        Erasure { workspace_id: workspace, leads: vec![her.lead], person: her.addresses(), at: at(100) };
    store.erase(erasure).await?;
    let after = Someone::read(&*store, &tenant, &[her.lead]).await?;
    ensure!(before == after, "another workspace has erased something");
    let holder = store.holder(vec![her.key()], at(200)).await?;
    ensure!(holder == Some(her.lead), "another workspace has freed a key");
    Ok(Verdict::Held)
}
