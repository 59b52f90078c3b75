//! The engine: takes captures in, lets the policy decide, makes it durable, and makes it happen.

mod acting;
mod addresses;
mod agenda;
mod alone;
mod announce;
mod answer;
mod apply;
mod aside;
mod builder;
mod capture;
mod content;
mod counters;
mod deciding;
mod detached;
mod directory;
mod dry_run;
mod embedded;
mod ended;
mod enrich;
mod erase;
mod failing;
mod follow;
mod in_flight;
mod inbound;
mod input;
mod outcome;
mod people;
mod policies;
mod poll;
mod press;
mod queue;
mod retry;
mod run;
mod send;
mod stop_words;
mod store_time;
mod transition;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

pub use builder::{ChannelOpener, EngineBuilder, stable_uuid};
pub use capture::{CaptureOutcome, CaptureRequest, IdempotencyKey};
pub use directory::{ActiveChannel, ActivePolicy, Directory, PolicyTrouble};
pub use dry_run::{DryRun, DryRunOutcome};
pub use embedded::EmbeddedSource;
pub use inbound::{Ingested, ResponseOutcome};
pub use poll::PollingTrouble;
pub use retry::{Recovered, RetryOutcome};
pub use stop_words::StopWords;

use self::builder::lease_covers;
use self::policies::ReadiedPolicy;
use crate::actor::Actor;
use crate::channel::Channel;
use crate::delivery::Scope;
use crate::error::Result;
use crate::id::{ChannelId, EventId, IdSource, LeaseToken, WorkspaceId};
use crate::layer::{LayeredChannel, ResiliencePolicy};
use crate::policy::PolicyRef;
use crate::port::{
    AddressBook, Addresses, Catalog, ChangeLog, ChannelRecord, ChannelStatus, ConfirmLinks, Enricher,
    Identities, IdentityBook, PolicyRecord, Project, Quota, Revision, Source, Store,
};
use crate::time::{Clock, Timestamp};

/// The engine. Cheap to clone; all clones are the same engine.
///
/// # Cancellation
///
/// Methods that change something run on a task of the engine, and the caller awaits its result. A caller that is
/// dropped, such as a request whose connection was closed, leaves nothing half done: a future that was never polled
/// has done nothing, and one that was polled goes on to its end. They need a Tokio runtime, and [`Engine::run`] waits
/// for them when it stops.
///
/// # Actor
///
/// What a handle is asked to do is kept as done by its [`Actor`]: see [`Engine::acting`].
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    actor: Actor,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    catalog: Arc<dyn Catalog>,
    addresses: Arc<dyn Addresses>,
    identities: Arc<dyn Identities>,
    /// The same as `store_time`.
    clock: Arc<dyn Clock>,
    store_time: Arc<store_time::StoreTime>,
    ids: Arc<dyn IdSource>,
    /// Who this engine is to others on the store.
    holder: LeaseToken,
    resilience: ResiliencePolicy,
    quota: Arc<dyn Quota>,
    opener: Option<Arc<dyn ChannelOpener>>,
    lease: Duration,
    directory: directory::Shared,
    agenda: Arc<agenda::Agenda>,
    /// How often the store is asked for what other engines have changed; `None` where there are none.
    follow_every: Option<Duration>,
    /// How long a question for news waits at the provider.
    poll_wait: Duration,
    book: RwLock<AddressBook>,
    people: RwLock<IdentityBook>,
    log: Arc<dyn ChangeLog>,
    /// The revision of the store that memory has followed to. Held while changes are applied, so that what is in memory
    /// ends as what is stored.
    followed: tokio::sync::Mutex<Revision>,
    /// Wakes who follows the store.
    follow: Notify,
    boards: counters::Boards,
    put_off: queue::PutOff,
    enrichers: Vec<Arc<dyn Enricher>>,
    links: Option<Arc<dyn ConfirmLinks>>,
    stop_words: StopWords,
    /// Policies that decided on older leads.
    policies: Mutex<HashMap<PolicyRef, Arc<ActivePolicy>>>,
    running: AtomicBool,
    in_flight: in_flight::InFlight,
    /// Wakes the dispatcher.
    wake: Notify,
    /// The moment, in milliseconds, until which the dispatcher sleeps.
    asleep_until: AtomicI64,
    /// Changes when channels come or go.
    generation: watch::Sender<u64>,
    /// Changes whenever something is decided or settled: what live views wait for.
    changes: tokio::sync::broadcast::Sender<Change>,
    tasks: TaskTracker,
}

/// Something that has just become durable, for live views. Lossy: the store is the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A decision about a lead.
    Lead {
        /// Whose.
        workspace_id: WorkspaceId,
        /// Which one.
        lead_id: crate::id::LeadId,
        /// The event that was decided upon.
        event_id: EventId,
        /// Its kind.
        kind: &'static str,
    },
    /// A delivery has moved on.
    Delivery {
        /// Whose.
        workspace_id: WorkspaceId,
        /// Which one.
        delivery_id: crate::id::DeliveryId,
        /// The lead it is about.
        lead_id: Option<crate::id::LeadId>,
        /// What was decided, as a stable code.
        verdict: &'static str,
    },
    /// A channel was paused or resumed.
    Channel {
        /// Whose.
        workspace_id: WorkspaceId,
        /// Which one.
        channel_id: ChannelId,
        /// Whether it is paused now.
        paused: bool,
    },
}

impl Engine {
    /// Starts to put an engine together.
    pub fn builder<S: Store + Catalog + Addresses + Identities + ChangeLog>(store: Arc<S>) -> EngineBuilder {
        let (catalog, addresses) = (Arc::clone(&store), Arc::clone(&store));
        let (identities, log) = (Arc::clone(&store), Arc::clone(&store));
        EngineBuilder::new(store, catalog, addresses, identities, log)
    }

    /// The same for a store that is known by its five ports.
    pub fn builder_with(
        store: Arc<dyn Store>,
        catalog: Arc<dyn Catalog>,
        addresses: Arc<dyn Addresses>,
        identities: Arc<dyn Identities>,
        log: Arc<dyn ChangeLog>,
    ) -> EngineBuilder {
        EngineBuilder::new(store, catalog, addresses, identities, log)
    }

    /// The same engine for calls that somebody makes: the events that follow from them name `actor`.
    ///
    /// Where nobody is named, a capture and a confirmation are the visitor's, and everything else is the program's.
    /// What a pressed button, a partner's answer, a receipt or a timer causes names these, whatever the handle says.
    #[must_use]
    pub fn acting(&self, actor: Actor) -> Self {
        Self { inner: Arc::clone(&self.inner), actor }
    }

    /// The clock that the engine goes by: its own, put right by the store's where that has one ([`Store::time`]).
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Where new ids come from.
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.inner.ids
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Where rates are counted: those of channels, and those of a program around the engine.
    pub fn quota(&self) -> &Arc<dyn Quota> {
        &self.inner.quota
    }

    /// What is known of the installation at this moment.
    pub fn directory(&self) -> Arc<Directory> {
        self.inner.directory.get()
    }

    /// Hears of everything that becomes durable from now on. A listener that is too slow misses some.
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Loads the whole installation from the store. Called when an engine is built; later changes are followed by
    /// [`Engine::catch_up`].
    ///
    /// # Errors
    /// Where the store cannot be read. A row of it that cannot be read is left out, a policy that does not compile is
    /// replaced by an older version ([`Directory::policy_trouble`]), and a channel that cannot be opened is logged
    /// and left out: its messages wait.
    pub async fn reload(&self) -> Result<()> {
        self.tell_time().await?;
        let mut followed = self.inner.followed.lock().await;
        // What changes while it is loaded is applied once more afterwards, which changes nothing.
        let revision = self.inner.log.revision().await?;
        self.load_book().await?;
        self.load_people().await?;
        let loaded = self.inner.catalog.load().await?;
        let mut policies = Vec::with_capacity(loaded.policies.len());
        for record in &loaded.policies {
            policies.push(self.readied(record).await?);
        }
        let channels = loaded.channels.iter().filter_map(|record| self.open(record));
        let channels: Vec<Arc<ActiveChannel>> = channels.collect();
        self.inner.directory.change(|directory| {
            loaded.projects.into_iter().for_each(|project| directory.put_project(project));
            loaded.sources.into_iter().for_each(|source| directory.put_source(source));
            for ReadiedPolicy { scope, policy, trouble } in policies {
                directory.put_policy(scope.project_id, policy, trouble);
            }
            directory.put_channels(channels);
        });
        *followed = revision;
        drop(followed);
        self.inner.agenda.add(self.directory().channels().map(|channel| channel.id));
        self.inner.generation.send_modify(|generation| *generation += 1);
        self.inner.wake.notify_one();
        Ok(())
    }

    /// Opens a stored channel; one that cannot be opened is logged, and its messages wait.
    fn open(&self, record: &ChannelRecord) -> Option<Arc<ActiveChannel>> {
        let opener = self.inner.opener.as_ref()?;
        let opened = opener.open(record).and_then(|channel| self.layered(channel));
        let logged = opened.inspect_err(|error| {
            tracing::error!(channel = %record.id, kind = %record.kind, %error, "channel cannot be opened; its messages wait");
        });
        let paused = record.status.is_paused();
        let channel = logged.ok()?;
        let (workspace, config) = (record.workspace_id, Some(record.config.clone()));
        Some(Arc::new(ActiveChannel::new(workspace, channel, paused, config, &self.inner.agenda)))
    }

    /// Makes a project known, or its change.
    pub fn put_project(&self, project: Project) {
        self.inner.directory.change(|directory| directory.put_project(project));
    }

    /// Makes a source known, or its change.
    pub fn put_source(&self, source: Source) {
        self.inner.directory.change(|directory| directory.put_source(source));
    }

    /// Lets a published policy decide on the new leads of its project.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a template does not compile.
    pub fn activate_policy(&self, record: &PolicyRecord) -> Result<()> {
        let active = Arc::new(ActivePolicy::new(record)?);
        self.inner.directory.change(|directory| directory.put_policy(record.project_id, active, None));
        self.pin_those_who_wait(Scope { workspace_id: record.workspace_id, project_id: record.project_id });
        Ok(())
    }

    /// Puts a channel instance to work, under the engine's layers, or replaces it.
    ///
    /// # Errors
    /// As [`Engine::admit`].
    pub fn attach(&self, workspace: WorkspaceId, channel: Arc<dyn Channel>, paused: bool) -> Result<()> {
        let layered = self.layered(channel)?;
        let active = Arc::new(ActiveChannel::new(workspace, layered, paused, None, &self.inner.agenda));
        let id = active.id;
        self.inner.directory.change(|directory| directory.put_channels([active]));
        // The dispatcher may have looked for it before it was there.
        self.inner.agenda.add([id]);
        self.inner.generation.send_modify(|generation| *generation += 1);
        self.inner.wake.notify_one();
        Ok(())
    }

    /// Whether a channel instance could be put to work; changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a send may take longer than a worker holds a delivery.
    pub fn admit(&self, channel: &Arc<dyn Channel>) -> Result<()> {
        self.layered(Arc::clone(channel)).map(drop)
    }

    fn layered(&self, channel: Arc<dyn Channel>) -> Result<LayeredChannel> {
        let (clock, quota) = (Arc::clone(&self.inner.clock), Arc::clone(&self.inner.quota));
        let layered = self.inner.resilience.wrap_counted_in(channel, clock, quota);
        lease_covers(self.inner.lease, layered.total_deadline())
            .map_err(|error| error.with_adapter(layered.info().kind))?;
        Ok(layered)
    }

    /// Pauses a channel: nothing is sent over it, and messages wait within their lifetime.
    /// Answers whether it was active.
    ///
    /// # Errors
    /// Where the catalog cannot be written.
    pub async fn pause(&self, workspace: WorkspaceId, channel: ChannelId, reason: &str) -> Result<bool> {
        let status = ChannelStatus::Paused { reason: reason.to_owned(), since: self.now() };
        self.set_status(workspace, channel, status).await
    }

    /// Lets a paused channel go on. Answers whether it was paused.
    ///
    /// # Errors
    /// Where the catalog cannot be written.
    pub async fn resume(&self, workspace: WorkspaceId, channel: ChannelId) -> Result<bool> {
        self.set_status(workspace, channel, ChannelStatus::Active).await
    }

    async fn set_status(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        status: ChannelStatus,
    ) -> Result<bool> {
        self.detached(move |engine| async move {
            let changed = engine.inner.catalog.set_channel_status(workspace, channel, status).await?;
            engine.catch_up_later().await;
            Ok(changed)
        })
        .await
    }

    /// Tells the engine that work was made due behind its back: retried or recovered deliveries.
    pub fn wake(&self) {
        self.inner.agenda.add(self.directory().channels().map(|channel| channel.id));
        self.inner.wake.notify_one();
    }

    /// Tells the engine that work was made due on one channel.
    pub fn wake_channel(&self, channel: ChannelId) {
        self.inner.agenda.add([channel]);
        self.inner.wake.notify_one();
    }

    /// The same where it may be any channel of a workspace.
    pub(super) fn wake_workspace(&self, workspace: WorkspaceId) {
        self.inner.agenda.add(self.directory().channels_of(workspace).map(|channel| channel.id));
        self.inner.wake.notify_one();
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    fn announce(&self, change: Change) {
        // An error only means that nobody listens.
        let _nobody = self.inner.changes.send(change);
    }

    fn remember(&self, policy: Arc<ActivePolicy>) {
        let mut policies = self.inner.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if policies.len() >= 1_024 {
            policies.clear();
        }
        policies.insert(policy.reference, policy);
    }

    /// Sees to it that the dispatcher is awake at `moment`.
    fn wake_by(&self, moment: Timestamp) {
        if moment.timestamp_millis() < self.inner.asleep_until.load(Ordering::Acquire) {
            self.inner.wake.notify_one();
        }
    }
}
