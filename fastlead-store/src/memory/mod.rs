//! Everything in memory: for tests, simulations and trying things out. Nothing survives the process.

mod accounts;
mod addresses;
mod catalog;
mod changes;
mod commit;
mod erase;
mod identities;
mod journal;
mod ledger;
mod risk;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastlead_core::channel::InboundEvent;
use fastlead_core::decide::{Counter, CounterId, TimerName, UniqueKey};
use fastlead_core::delivery::{Attempt, Delivery, Lease, Scope};
use fastlead_core::id::{
    ApiKeyId, ChannelId, DeliveryId, EventId, IdentityId, LeadId, LeaseToken, PolicyId, ProjectId, SessionId,
    SourceId, TimerId, UserId, WorkspaceId,
};
use fastlead_core::lead::ConsentDocument;
use fastlead_core::port::{
    AddressKey, AddressMove, ApiKeyRecord, CaptureAnswer, ChannelRecord, IdentityLink, LeadRecord,
    PolicyDraft, PolicyRecord, Project, SessionRecord, Source, StoredEvent, Suppression, UnreadableRows,
    UserRecord, Workspace,
};
use fastlead_core::quota::LocalQuota;
use fastlead_core::time::Timestamp;

use crate::named::NamedLeases;

/// A store in memory. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Data>>,
    named: NamedLeases,
    quota: LocalQuota,
}

#[derive(Debug, Default)]
struct Data {
    leads: BTreeMap<LeadId, LeadRecord>,
    /// In the order in which they were committed: the event with position 1 first.
    events: Vec<(WorkspaceId, StoredEvent)>,
    /// The places in `events` of the history of each lead.
    events_of: HashMap<LeadId, Vec<usize>>,
    event_ids: std::collections::HashSet<EventId>,
    deliveries: BTreeMap<DeliveryId, Row>,
    timers: BTreeMap<TimerId, Timer>,
    documents: HashMap<WorkspaceId, Vec<ConsentDocument>>,
    unique: HashMap<UniqueKey, (LeadId, Timestamp)>,
    counters: HashMap<CounterId, Counter>,
    idempotency: HashMap<(SourceId, [u8; 16]), Used>,
    inbound: BTreeMap<u64, Inbound>,
    inbound_keys: HashMap<(ChannelId, String), u64>,
    cursors: HashMap<ChannelId, String>,
    workspaces: BTreeMap<WorkspaceId, Workspace>,
    projects: BTreeMap<ProjectId, Project>,
    sources: BTreeMap<SourceId, Source>,
    channels: BTreeMap<ChannelId, ChannelRecord>,
    policies: BTreeMap<(PolicyId, u32), PolicyRecord>,
    drafts: HashMap<(WorkspaceId, ProjectId), PolicyDraft>,
    users: BTreeMap<UserId, UserRecord>,
    api_keys: BTreeMap<ApiKeyId, ApiKeyRecord>,
    sessions: BTreeMap<SessionId, SessionRecord>,
    settings: HashMap<String, Vec<u8>>,
    suppressions: HashMap<AddressKey, Suppression>,
    moved: HashMap<AddressKey, AddressMove>,
    links: BTreeMap<IdentityId, IdentityLink>,
    /// Work that was set aside, by name.
    unreadable: UnreadableRows,
    log: changes::Log,
    ledger: ledger::Accounts,
}

/// An idempotency key that was used.
#[derive(Debug, Clone)]
struct Used {
    request: [u8; 16],
    answer: CaptureAnswer,
    until: Timestamp,
}

#[derive(Debug, Clone)]
struct Row {
    delivery: Delivery,
    lease: Option<Lease>,
    /// Lease under which the last attempt was begun, where nobody has recorded its outcome under it.
    begun_by: Option<LeaseToken>,
    attempts: Vec<Attempt>,
}

#[derive(Debug, Clone)]
struct Timer {
    scope: Scope,
    lead_id: LeadId,
    name: TimerName,
    due_at: Timestamp,
    lease: Option<Lease>,
}

#[derive(Debug, Clone)]
struct Inbound {
    channel_id: ChannelId,
    event: InboundEvent,
    received_at: Timestamp,
    done: bool,
    due_at: Timestamp,
    lease: Option<Lease>,
    tries: u32,
}

impl Inbound {
    /// Since when it can be claimed.
    fn claimable(&self) -> Option<Timestamp> {
        (!self.done).then(|| self.lease.map_or(self.due_at, |lease| lease.until))
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
