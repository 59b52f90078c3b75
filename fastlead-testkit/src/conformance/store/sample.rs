//! A tenant to test with, and the values that its leads and deliveries are made of.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::InboundEvent;
use fastlead_core::contact::{Contact, Phone};
use fastlead_core::decide::{
    CounterId, Event, LeadState, LeadStatus, Reason, TimerName, Trace, TraceStep, UniqueKey, Verdict,
};
use fastlead_core::delivery::{
    Attempt, AttemptOperation, Body, Delivery, DeliverySpec, DeliveryState, Lease, NewDelivery, OrderKey,
    Purpose, RetrySchedule, Scope,
};
use fastlead_core::id::{
    ChannelId, DeliveryId, EventId, LeadId, LeaseToken, PolicyId, ProjectId, SeededIds, SourceId, TimerId,
    WorkspaceId,
};
use fastlead_core::lead::{Attribution, Capture, Received};
use fastlead_core::message::{Content, Locale, MessageClass, Recipient, Text};
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    BeginOutcome, Beginning, CaptureAnswer, CaptureVerdict, ChannelRecord, ChannelRoom, ChannelStatus,
    ClaimRequest, CommitOutcome, FormSettings, Guard, IdempotencyRecord, InboundBatch, InboundRecord,
    NewTimer, Project, Refusal, Reservation, SealedConfig, SettleOutcome, Settled, Settlement, Source,
    SourceLimits, Transition, Workspace,
};
use fastlead_core::text::Overflow;
use fastlead_core::time::{Timestamp, from_millis, plus};
use fastlead_core::{Error, ErrorKind};

use super::{FullStore, StoreHarness};
use crate::conformance::{Violation, ensure};

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self::new(format!("the store failed: {error}"))
    }
}

/// The moment at which every check begins: 2026-01-01T00:00:00Z.
pub(super) fn start() -> Timestamp {
    from_millis(1_767_225_600_000)
}

/// So many seconds after [`start`].
pub(super) fn at(seconds: u64) -> Timestamp {
    plus(start(), Duration::from_secs(seconds))
}

/// A workspace with a project, a source and two channels, and the ids of everything in it.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) ids: Arc<SeededIds>,
    pub(super) scope: Scope,
    pub(super) source: SourceId,
    pub(super) channel: ChannelId,
    pub(super) other_channel: ChannelId,
    pub(super) policy: PolicyRef,
}

/// A fresh store with one tenant.
pub(super) async fn begin<H: StoreHarness>() -> Result<(H, Arc<dyn FullStore>, Tenant), Violation> {
    let harness = H::start().await;
    let store = harness.store();
    let tenant = Tenant::new(&*store, Arc::new(SeededIds::new(1))).await?;
    Ok((harness, store, tenant))
}

impl Tenant {
    /// Creates the tenant in the catalog.
    pub(super) async fn new(store: &dyn FullStore, ids: Arc<SeededIds>) -> Result<Self, Violation> {
        let now = start();
        let scope = Scope {
            workspace_id: WorkspaceId::generate(&*ids, now),
            project_id: ProjectId::generate(&*ids, now),
        };
        let tenant = Self {
            scope,
            source: SourceId::generate(&*ids, now),
            channel: ChannelId::generate(&*ids, now),
            other_channel: ChannelId::generate(&*ids, now),
            policy: PolicyRef { id: PolicyId::generate(&*ids, now), version: 1 },
            ids,
        };
        let name = scope.workspace_id.hex();
        store.put_workspace(Workspace { id: scope.workspace_id, name, created_at: now }).await?;
        store.put_project(tenant.project(scope.project_id)).await?;
        store.put_source(tenant.source_record(tenant.source)).await?;
        store.put_channel(tenant.channel_record(tenant.channel, "first")).await?;
        store.put_channel(tenant.channel_record(tenant.other_channel, "second")).await?;
        Ok(tenant)
    }

    pub(super) fn project(&self, id: ProjectId) -> Project {
        Project { id, workspace_id: self.scope.workspace_id, name: "Clinic".to_owned(), created_at: start() }
    }

    pub(super) fn source_record(&self, id: SourceId) -> Source {
        Source {
            id,
            workspace_id: self.scope.workspace_id,
            project_id: self.scope.project_id,
            key: id.hex(),
            name: "Site".to_owned(),
            active: true,
            locale: Locale::Ru,
            allowed_origins: vec!["https://example.com".to_owned()],
            consents: Vec::new(),
            form: FormSettings {
                title: Some("Запись на приём".to_owned()),
                ask_email: true,
                ..FormSettings::default()
            },
            limits: SourceLimits { per_minute: 60, ..SourceLimits::default() },
            mapping: Default::default(),
            created_at: start(),
        }
    }

    pub(super) fn channel_record(&self, id: ChannelId, name: &str) -> ChannelRecord {
        ChannelRecord {
            id,
            workspace_id: self.scope.workspace_id,
            kind: "memory".to_owned(),
            name: name.to_owned(),
            config: SealedConfig(vec![0, 1, 255]),
            webhook_token: id.hex(),
            status: ChannelStatus::Active,
            created_at: start(),
        }
    }

    pub(super) fn lead_id(&self) -> LeadId {
        LeadId::generate(&*self.ids, start())
    }

    /// A transition that creates the lead at `now` and nothing else.
    pub(super) fn capture(&self, lead_id: LeadId, now: Timestamp) -> Transition {
        Transition::new_lead(
            self.scope,
            self.source,
            lead_id,
            Event::Captured(Box::new(capture(now))),
            now,
            self.trace("accept[0]"),
            LeadState { version: 1, status: LeadStatus::Open, ..LeadState::default() },
        )
    }

    /// A transition of a lead that has version `version`, to the next version.
    pub(super) fn decide(&self, lead_id: LeadId, version: u64, now: Timestamp) -> Transition {
        Transition {
            guard: Guard::Version(version),
            event_id: EventId::generate(&*self.ids, now),
            event: Event::TimerFired { timer: TimerName::Unanswered },
            trace: self.trace("escalation[0]"),
            state: LeadState { version: version + 1, status: LeadStatus::Unanswered, ..LeadState::default() },
            ..self.capture(lead_id, now)
        }
    }

    pub(super) fn trace(&self, rule: &str) -> Trace {
        let step = TraceStep {
            rule: rule.to_owned(),
            subject: Some("anna".to_owned()),
            verdict: Verdict::Chosen,
            reason: Some(Reason::Answered),
            candidates: Vec::new(),
            cap: None,
        };
        Trace { steps: vec![step], ..Trace::new(self.policy) }
    }

    /// An offer over the first channel, due at once, for a day.
    pub(super) fn delivery(&self, lead: Option<LeadId>, now: Timestamp) -> NewDelivery {
        NewDelivery {
            id: DeliveryId::generate(&*self.ids, now),
            scope: self.scope,
            lead_id: lead,
            channel_id: self.channel,
            created_at: now,
            due_at: now,
            expires_at: plus(now, Duration::from_secs(86_400)),
            order_key: None,
            spec: DeliverySpec {
                purpose: Purpose::Offer { target: "anna".to_owned(), step: 0 },
                recipient: Recipient::Chat("790000000".into()),
                body: Body::Fixed(Content::Text(Text::plain("Новая заявка"))),
                class: MessageClass::Service,
                retry: RetrySchedule::default(),
                overflow: Overflow::default(),
                policy: Some(self.policy),
            },
            lease: None,
        }
    }

    pub(super) fn timer(&self, name: TimerName, due_at: Timestamp) -> NewTimer {
        NewTimer { id: TimerId::generate(&*self.ids, due_at), name, due_at }
    }

    /// A lease of one minute from `now`.
    pub(super) fn lease(&self, now: Timestamp) -> Lease {
        Lease { token: LeaseToken::generate(&*self.ids, now), until: plus(now, Duration::from_secs(60)) }
    }

    /// Asks for `limit` deliveries of the first channel, no timers.
    pub(super) fn claim(&self, now: Timestamp, limit: u32) -> ClaimRequest {
        let channels = vec![ChannelRoom::new(self.channel, limit)];
        ClaimRequest { now, lease: self.lease(now), channels, timers: 0, inbound: 0 }
    }

    /// Asks for `limit` timers, no deliveries.
    pub(super) fn claim_timers(&self, now: Timestamp, limit: u32) -> ClaimRequest {
        ClaimRequest { now, lease: self.lease(now), channels: Vec::new(), timers: limit, inbound: 0 }
    }

    /// Asks for `limit` inbound events, nothing else.
    pub(super) fn claim_inbound(&self, now: Timestamp, limit: u32) -> ClaimRequest {
        ClaimRequest { now, lease: self.lease(now), channels: Vec::new(), timers: 0, inbound: limit }
    }

    /// Records events of a channel under a lease of one minute from `at`.
    pub(super) async fn record(
        &self,
        store: &dyn FullStore,
        channel_id: ChannelId,
        events: Vec<InboundEvent>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> fastlead_core::Result<Vec<InboundRecord>> {
        let cursor = cursor.map(str::to_owned);
        store.record_inbound(InboundBatch { channel_id, events, cursor, at, lease: self.lease(at) }).await
    }

    /// What nobody has acted upon and nobody holds a minute after `at`, in the order of a claim. Claims it.
    pub(super) async fn left_over(
        &self,
        store: &dyn FullStore,
        at: Timestamp,
    ) -> fastlead_core::Result<Vec<InboundRecord>> {
        let claim = self.claim_inbound(plus(at, Duration::from_secs(61)), 100);
        Ok(store.claim(claim).await?.inbound.into_iter().map(|leased| leased.record).collect())
    }

    /// Commits a lead with one delivery that is leased from `now` and begins its first attempt; returns both and the
    /// lease.
    pub(super) async fn leased(
        &self,
        store: &dyn FullStore,
        now: Timestamp,
    ) -> Result<(LeadId, DeliveryId, Lease), Violation> {
        let lead = self.lead_id();
        let lease = self.lease(now);
        let delivery = NewDelivery { lease: Some(lease), ..self.delivery(Some(lead), now) };
        let id = delivery.id;
        applied(store, Transition { deliveries: vec![delivery], ..self.capture(lead, now) }).await?;
        begun(store, id, lease.token, now).await?;
        Ok((lead, id, lease))
    }

    /// Stores one delivery that belongs to no lead, claims it and ends it; answers its id.
    pub(super) async fn ended(
        &self,
        store: &dyn FullStore,
        state: DeliveryState,
        now: Timestamp,
    ) -> Result<DeliveryId, Violation> {
        let lease = self.lease(now);
        let delivery = NewDelivery { lease: Some(lease), ..self.delivery(None, now) };
        let id = delivery.id;
        store.enqueue(vec![delivery]).await?;
        begun(store, id, lease.token, now).await?;
        settled(store, settlement(id, lease.token, now, ended(state))).await?;
        Ok(id)
    }
}

/// Begins an attempt, which must be allowed.
pub(super) async fn begun(
    store: &dyn FullStore,
    delivery_id: DeliveryId,
    token: LeaseToken,
    now: Timestamp,
) -> Result<(), Violation> {
    let outcome = store.begin(Beginning::new(delivery_id, token, now)).await?;
    ensure!(outcome == BeginOutcome::Begun, "an attempt under its lease was refused: {outcome:?}");
    Ok(())
}

pub(super) fn capture(now: Timestamp) -> Capture {
    Capture {
        contact: Contact { phone: Phone::parse("+7 900 000-00-00").ok(), ..Contact::default() },
        comment: Some("Болит зуб".into()),
        fields: [("city".to_owned(), "Казань".into())].into(),
        attribution: Attribution::default(),
        consents: Vec::new(),
        locale: Locale::Ru,
        received: Received::at(now),
        notes: Vec::new(),
        automated: None,
        enrichment: Vec::new(),
        person: None,
        erased_at: None,
    }
}

pub(super) fn order_key(number: u8) -> OrderKey {
    OrderKey([number; 16])
}

pub(super) fn key(number: u8) -> UniqueKey {
    UniqueKey([number; 16])
}

pub(super) fn unique(number: u8, until: Timestamp) -> Reservation {
    Reservation::Unique { key: key(number), until }
}

pub(super) fn counter_id(number: u8) -> CounterId {
    CounterId([number; 16])
}

/// A change of the counter with this number.
pub(super) fn counter(number: u8, amount: i64, limit: Option<i64>, until: Option<Timestamp>) -> Reservation {
    Reservation::Counter { id: counter_id(number), amount, limit, note: None, until }
}

/// The record of a key whose request is told from others by `request`.
pub(super) fn idempotency(key: u8, request: u8, lead_id: LeadId, until: Timestamp) -> IdempotencyRecord {
    let answer = CaptureAnswer { lead_id, verdict: CaptureVerdict::Accepted };
    IdempotencyRecord { key: [key; 16], request: [request; 16], answer, until }
}

pub(super) fn attempt(number: u32, now: Timestamp, verdict: &str) -> Attempt {
    Attempt {
        number,
        part: 0,
        operation: AttemptOperation::Send,
        started_at: now,
        micros: 1_500,
        error: None,
        provider_message_id: Some("m-1".to_owned()),
        segments: Some(2),
        cost: Some("3.80".to_owned()),
        verdict: verdict.to_owned(),
    }
}

pub(super) fn ended(state: DeliveryState) -> Settled {
    Settled::Ended { state, reason: None, provider_message_id: None }
}

pub(super) fn retry(due_at: Timestamp, counted: bool) -> Settled {
    Settled::Retry { due_at, reason: "unavailable".to_owned(), counted, parts_sent: 0, uncertain: false }
}

pub(super) fn awaiting(check_at: Timestamp, uncertain: bool) -> Settled {
    Settled::Await { check_at, provider_message_id: None, uncertain, parts_sent: 1, frees_order: false }
}

pub(super) fn settlement(
    delivery_id: DeliveryId,
    token: LeaseToken,
    now: Timestamp,
    outcome: Settled,
) -> Settlement {
    let attempt = Some(attempt(1, now, "sent"));
    Settlement { delivery_id, token, at: now, outcome, attempt, pause: None }
}

/// Commits until there is a definite answer.
pub(super) async fn commit(
    store: &dyn FullStore,
    transition: Transition,
) -> Result<CommitOutcome, Violation> {
    loop {
        match store.commit(transition.clone()).await {
            Ok(CommitOutcome::Refused(Refusal::Contended)) => {}
            Err(error) if error.kind() == ErrorKind::Overloaded => {}
            Ok(outcome) => return Ok(outcome),
            Err(error) => return Err(error.into()),
        }
        tokio::task::yield_now().await;
    }
}

/// Commits what must be applied.
pub(super) async fn applied(store: &dyn FullStore, transition: Transition) -> Result<(), Violation> {
    match commit(store, transition).await? {
        CommitOutcome::Applied => Ok(()),
        CommitOutcome::Refused(refusal) => {
            Err(Violation::new(format!("expected the transition to be applied, it was refused: {refusal:?}")))
        }
    }
}

/// Commits what must be refused, and answers why it was.
pub(super) async fn refused(store: &dyn FullStore, transition: Transition) -> Result<Refusal, Violation> {
    match commit(store, transition).await? {
        CommitOutcome::Refused(refusal) => Ok(refusal),
        CommitOutcome::Applied => {
            Err(Violation::new("expected the transition to be refused, it was applied"))
        }
    }
}

/// Settles what must be settled.
pub(super) async fn settled(store: &dyn FullStore, settlement: Settlement) -> Result<(), Violation> {
    match store.settle(settlement).await? {
        SettleOutcome::Settled => Ok(()),
        SettleOutcome::LeaseLost => {
            Err(Violation::new("expected the settlement to be taken; the store said the lease was lost"))
        }
    }
}

/// The deliveries that a claim brought, by id.
pub(super) async fn claimed(
    store: &dyn FullStore,
    request: ClaimRequest,
) -> Result<Vec<DeliveryId>, Violation> {
    let claimed = store.claim(request).await?;
    Ok(claimed.deliveries.into_iter().map(|leased| leased.delivery.id).collect())
}

/// The delivery, which must exist.
pub(super) async fn delivery(
    store: &dyn FullStore,
    tenant: &Tenant,
    id: DeliveryId,
) -> Result<Delivery, Violation> {
    let found = store.delivery(tenant.scope.workspace_id, id).await?;
    found.ok_or_else(|| Violation::new(format!("delivery {id} is gone")))
}

/// A policy whose versions are told apart by `ttl_secs`.
pub(super) fn policy(ttl_secs: u64) -> Policy {
    let mut policy = Policy::starter("first", Recipient::Chat("790000000".into()));
    policy.delivery.ttl_secs = ttl_secs;
    policy
}
