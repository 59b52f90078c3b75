//! Every question that a store can be asked. A list is answered whatever stands in a row of it; who asks for one row by
//! its name may be told that it cannot be read.

use std::fmt::Debug;

use fastlead_core::channel::MessageReference;
use fastlead_core::decide::{CounterId, UniqueKey};
use fastlead_core::delivery::{DeliveryState, Lease};
use fastlead_core::id::{DeliveryId, LeaseToken, RandomIds};
use fastlead_core::port::{
    Accounts as _, AddressKey, Addresses as _, CaptureFilter, Catalog as _, ChannelRoom, ClaimRequest,
    DeliveryFilter, Identities as _, IdentityFilter, Journal as _, LeadFilter, Ledger as _, Page,
    PageRequest, Recovery, RiskFilter, Store as _,
};
use fastlead_core::time::{Timestamp, plus_seconds};
use fastlead_core::{ErrorKind, Result};
use fastlead_store::SqliteStore;

use super::world::{Tenant, start};

/// How many entries each list has, with those that cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(pub Vec<(&'static str, usize)>);

/// The store, and which damage is read.
pub(super) struct Reader<'a> {
    pub store: &'a SqliteStore,
    pub case: &'a str,
}

impl Reader<'_> {
    pub(super) fn answered<T>(&self, what: &str, answer: Result<T>) -> T {
        answer.unwrap_or_else(|error| panic!("{}: {what}: {error}", self.case))
    }

    /// One row was asked for.
    pub(super) fn named<T>(&self, what: &str, answer: Result<T>) -> Option<T> {
        match answer {
            Err(error) if error.kind() == ErrorKind::Unreadable => None,
            answer => Some(self.answered(what, answer)),
        }
    }

    async fn pages<T, F: Future<Output = Result<Page<T>>>>(
        &self,
        what: &'static str,
        counts: &mut Counts,
        read: impl Fn(PageRequest) -> F,
    ) -> Vec<T> {
        let mut items = Vec::new();
        let (mut request, mut unreadable) = (PageRequest { after: None, limit: 2 }, 0);
        for _ in 0..100 {
            let page = self.answered(what, read(request.clone()).await);
            assert!(
                page.items.len() + page.unreadable.len() <= 2,
                "{}: {what}: a page is too long",
                self.case
            );
            items.extend(page.items);
            unreadable += page.unreadable.len();
            request.after = page.next;
            if request.after.is_none() {
                counts.0.push((what, items.len() + unreadable));
                return items;
            }
        }
        panic!("{}: {what}: the list has no end", self.case)
    }

    pub(super) async fn claim(&self, tenants: &[Tenant], now: Timestamp) {
        let channels = tenants.iter().flat_map(|tenant| [tenant.bot, tenant.sms]);
        let request = ClaimRequest {
            now,
            lease: Lease { token: LeaseToken::generate(&RandomIds, now), until: plus_seconds(now, 60) },
            channels: channels.map(|channel| ChannelRoom::new(channel, 100)).collect(),
            timers: 100,
            inbound: 100,
        };
        self.answered("claim", self.store.claim(request).await);
        let channels: Vec<_> = tenants.iter().flat_map(|tenant| [tenant.bot, tenant.sms]).collect();
        let later = plus_seconds(now, 1);
        let due = self.answered("next due", self.store.next_due(later, &channels).await);
        assert!(
            due.earliest().is_none_or(|due| due > later),
            "{}: work stays due after it was claimed",
            self.case
        );
    }

    /// Asks everything about a tenant.
    pub(super) async fn everything(
        &self,
        tenant: &Tenant,
        deliveries: &[DeliveryId],
        now: Timestamp,
    ) -> Counts {
        let mut counts = Counts::default();
        self.journal(tenant, deliveries, now, &mut counts).await;
        self.work(tenant, deliveries, now).await;
        self.catalog(tenant, &mut counts).await;
        self.people(tenant, &mut counts).await;
        self.money(tenant, &mut counts).await;
        counts
    }

    async fn journal(&self, tenant: &Tenant, deliveries: &[DeliveryId], now: Timestamp, counts: &mut Counts) {
        let (store, workspace) = (self.store, tenant.workspace);
        for status in [None, Some("open"), Some("accepted")] {
            let filter = LeadFilter { status: status.map(str::to_owned), ..LeadFilter::default() };
            self.pages("leads", counts, |page| store.leads(workspace, filter.clone(), page)).await;
        }
        for lead in &tenant.leads {
            self.pages("events", counts, |page| store.events(workspace, *lead, page)).await;
            self.named("lead", store.lead(workspace, *lead).await);
            self.answered("deliveries of a lead", store.deliveries_of(workspace, *lead).await);
        }
        let until = plus_seconds(now, 86_400);
        let filter = CaptureFilter { project_id: tenant.project, since: start(), until };
        self.pages("captures", counts, |page| store.captures(workspace, filter, page)).await;
        for state in [None, Some(DeliveryState::Pending), Some(DeliveryState::Sent)] {
            let filter = DeliveryFilter { state, ..DeliveryFilter::default() };
            self.pages("deliveries", counts, |page| store.deliveries(workspace, filter.clone(), page)).await;
        }
        for delivery in deliveries {
            self.named("delivery", store.delivery(workspace, *delivery).await);
            self.named("delivery with attempts", store.delivery_record(workspace, *delivery).await);
            self.answered("attempts", store.attempts(workspace, *delivery).await);
            let reference = MessageReference::Delivery(*delivery);
            self.named("find delivery", store.find_delivery(tenant.bot, &reference).await);
        }
        let filter = RiskFilter { project_id: None, until };
        self.pages("at risk", counts, |page| store.at_risk(workspace, filter, page)).await;
        self.answered("count at risk", store.count_at_risk(until, 100).await);
        self.pages("spoken", counts, |page| store.spoken(workspace, tenant.bot, page)).await;
        self.answered("queue depth", store.queue_depth(now).await);
        self.answered("unreadable", store.unreadable(Some(workspace)).await);
        let recovery = Recovery { channel_id: tenant.bot, since: start(), ambiguous: true };
        self.answered("lost", store.lost(workspace, recovery, None, 10).await);
        self.answered("purge", store.purge(start(), 10).await);
    }

    async fn work(&self, tenant: &Tenant, deliveries: &[DeliveryId], now: Timestamp) {
        let store = self.store;
        let scope =
            fastlead_core::delivery::Scope { workspace_id: tenant.workspace, project_id: tenant.project };
        self.answered("waiting", store.waiting(scope, None, 100).await);
        self.answered("holder", store.holder(vec![UniqueKey([7; 16])], now).await);
        self.answered("counters", store.counters(vec![CounterId([7; 16])], now).await);
        self.answered("cursor", store.poll_cursor(tenant.bot).await);
        assert!(!deliveries.is_empty());
    }

    async fn catalog(&self, tenant: &Tenant, counts: &mut Counts) {
        let (store, workspace) = (self.store, tenant.workspace);
        let loaded = self.answered("load", store.load().await);
        let lost = loaded.unreadable.len();
        counts.0.push(("sources", loaded.sources.len()));
        assert!(lost <= 1, "{}: {:?}", self.case, loaded.unreadable);
        let versions = self.answered("policies", store.policies(workspace, tenant.project, 10).await);
        let newest = self.answered("policies", store.policies(workspace, tenant.project, 1).await);
        assert_eq!(newest.len(), versions.len().min(1), "{}", self.case);
        for version in 1..=tenant.policy.version {
            let reference = fastlead_core::policy::PolicyRef { version, ..tenant.policy };
            self.named("policy", store.policy(reference).await);
        }
        self.named("draft", store.draft(workspace, tenant.project).await);
        self.answered("documents", store.consent_documents(workspace, "personal-data", "1").await);
    }

    async fn people(&self, tenant: &Tenant, counts: &mut Counts) {
        let (store, workspace) = (self.store, tenant.workspace);
        self.named("user", store.user_by_login(tenant.user.login.expose()).await);
        self.named("user", store.user(tenant.user.id).await);
        self.answered("users", store.count_users().await);
        self.answered("users", store.users(workspace).await);
        self.named("session", store.session(tenant.session.id).await);
        self.answered("sessions", store.sessions(tenant.user.id).await);
        self.named("key", store.api_key_by_hash(tenant.api_key.hash).await);
        self.answered("keys", store.api_keys(workspace).await);
        self.named("setting", store.setting("installation").await);
        self.named("setting", store.init_setting("installation", vec![2]).await);
        let book = self.answered("address book", store.address_book().await);
        let key = tenant.suppression.key();
        if self.case.starts_with("suppressions.doc") {
            let class = fastlead_core::message::MessageClass::Service;
            assert!(book.suppression(key, class).is_some(), "{}: what is forbidden is allowed", self.case);
        }
        self.named("suppression", store.suppression(workspace, tenant.suppression.id).await);
        self.pages("suppressions", counts, |page| store.suppressions(workspace, page)).await;
        let unknown = AddressKey([9; 16]);
        self.answered("narrow", store.narrow(workspace, unknown).await);
        self.answered("links", store.active_links().await);
        for filter in [
            IdentityFilter::default(),
            IdentityFilter { phone: Some(tenant.link.phone.clone()), handle: None },
            IdentityFilter { phone: None, handle: Some(tenant.link.handle.clone()) },
        ] {
            self.pages("links", counts, |page| store.identity_links(workspace, filter.clone(), page)).await;
        }
    }

    async fn money(&self, tenant: &Tenant, counts: &mut Counts) {
        let (store, workspace) = (self.store, tenant.workspace);
        self.pages("accounts", counts, |page| store.ledger_accounts(workspace, page)).await;
        for account in tenant.accounts {
            self.pages("entries", counts, |page| store.entries(workspace, account, page)).await;
        }
        self.named("balances", store.balances(workspace, tenant.accounts.to_vec()).await);
        self.named("posting", store.posting(workspace, tenant.posting.id).await);
        #[cfg(feature = "billing")]
        self.intents(tenant).await;
    }

    /// What was there and cannot be read stands in the way of nothing new.
    pub(super) async fn again(&self, tenant: &Tenant) {
        let store = self.store;
        let mut link = tenant.link.clone();
        link.id = fastlead_core::id::IdentityId::generate(&RandomIds, start());
        self.answered("link", store.link(link).await);
        self.answered("suppress", store.suppress(tenant.suppression.clone()).await);
        let posted = self.named("post", store.post(tenant.workspace, vec![tenant.posting.clone()]).await);
        let applied = posted.is_none_or(|posted| posted == fastlead_core::port::CommitOutcome::Applied);
        assert!(applied, "{}: what was posted counts as another posting", self.case);
        #[cfg(feature = "billing")]
        self.begin_again(tenant).await;
    }
}
