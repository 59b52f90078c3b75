//! The engine: takes captures in, lets the policy decide, makes it durable, and makes it happen.

mod addresses;
mod announce;
mod answer;
mod apply;
mod aside;
mod builder;
mod capture;
mod content;
mod counters;
mod detached;
mod directory;
mod dry_run;
mod ended;
mod enrich;
mod failing;
mod in_flight;
mod inbound;
mod outcome;
mod people;
mod policies;
mod queue;
mod retry;
mod run;
mod send;
mod stop_words;
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
pub use inbound::{Ingested, ResponseOutcome};
pub use retry::{Recovered, RetryOutcome};
pub use stop_words::StopWords;

use self::builder::lease_covers;
use crate::channel::Channel;
use crate::error::Result;
use crate::id::{ChannelId, EventId, IdSource, WorkspaceId};
use crate::layer::{LayeredChannel, ResiliencePolicy};
use crate::policy::PolicyRef;
use crate::port::{
    AddressBook, Addresses, Catalog, ChannelStatus, ConfirmLinks, Enricher, Identities, IdentityBook,
    PolicyRecord, Project, Source, Store,
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
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    catalog: Arc<dyn Catalog>,
    addresses: Arc<dyn Addresses>,
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    resilience: ResiliencePolicy,
    opener: Option<Arc<dyn ChannelOpener>>,
    lease: Duration,
    directory: directory::Shared,
    book: RwLock<Arc<AddressBook>>,
    people: RwLock<IdentityBook>,
    /// One change of links at a time, so that what is in memory ends as what is stored.
    linking: tokio::sync::Mutex<()>,
    boards: counters::Boards,
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
    pub fn builder<S: Store + Catalog + Addresses + Identities>(store: Arc<S>) -> EngineBuilder {
        let (catalog, addresses) = (Arc::clone(&store), Arc::clone(&store));
        let identities = Arc::clone(&store);
        EngineBuilder::new(store, catalog, addresses, identities)
    }

    /// The same for a store that is known by its four ports.
    pub fn builder_with(
        store: Arc<dyn Store>,
        catalog: Arc<dyn Catalog>,
        addresses: Arc<dyn Addresses>,
        identities: Arc<dyn Identities>,
    ) -> EngineBuilder {
        EngineBuilder::new(store, catalog, addresses, identities)
    }

    /// The clock that the engine goes by.
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

    /// What is known of the installation at this moment.
    pub fn directory(&self) -> Arc<Directory> {
        self.inner.directory.get()
    }

    /// Hears of everything that becomes durable from now on. A listener that is too slow misses some.
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Loads the whole installation from the catalog. Called when an engine is built, and after a
    /// change that another process made.
    ///
    /// # Errors
    /// Where the catalog cannot be read. A row of it that cannot be read is left out, a policy that does not compile is
    /// replaced by an older version ([`Directory::policy_trouble`]), and a channel that cannot be opened is logged
    /// and left out: its messages wait.
    pub async fn reload(&self) -> Result<()> {
        self.load_book().await?;
        self.load_people().await?;
        let loaded = self.inner.catalog.load().await?;
        for project in loaded.projects {
            self.put_project(project);
        }
        for source in loaded.sources {
            self.put_source(source);
        }
        for policy in loaded.policies {
            self.adopt_policy(&policy).await?;
        }
        let Some(opener) = &self.inner.opener else { return Ok(()) };
        for record in loaded.channels {
            let paused = record.status.is_paused();
            let opened = opener.open(&record);
            if let Err(error) = opened.and_then(|channel| self.attach(record.workspace_id, channel, paused)) {
                tracing::error!(channel = %record.id, kind = %record.kind, %error, "channel cannot be opened; its messages wait");
            }
        }
        Ok(())
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
        self.remember(Arc::clone(&active));
        self.inner.directory.change(|directory| directory.put_policy(record.project_id, active));
        Ok(())
    }

    /// Puts a channel instance to work, under the engine's layers, or replaces it.
    ///
    /// # Errors
    /// As [`Engine::admit`].
    pub fn attach(&self, workspace: WorkspaceId, channel: Arc<dyn Channel>, paused: bool) -> Result<()> {
        let layered = self.layered(channel)?;
        let active = Arc::new(ActiveChannel::new(workspace, layered, paused));
        self.inner.directory.change(|directory| directory.put_channel(active));
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
        let layered = self.inner.resilience.wrap(channel, Arc::clone(&self.inner.clock));
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
        let changed = self.inner.catalog.set_channel_status(workspace, channel, status).await?;
        self.set_paused(workspace, channel, true);
        Ok(changed)
    }

    /// Lets a paused channel go on. Answers whether it was paused.
    ///
    /// # Errors
    /// Where the catalog cannot be written.
    pub async fn resume(&self, workspace: WorkspaceId, channel: ChannelId) -> Result<bool> {
        let changed =
            self.inner.catalog.set_channel_status(workspace, channel, ChannelStatus::Active).await?;
        self.set_paused(workspace, channel, false);
        self.inner.wake.notify_one();
        Ok(changed)
    }

    /// Tells the engine that work was made due behind its back: retried or recovered deliveries.
    pub fn wake(&self) {
        for channel in self.directory().channels() {
            channel.backlog.store(true, Ordering::Release);
        }
        self.inner.wake.notify_one();
    }

    fn set_paused(&self, workspace_id: WorkspaceId, channel_id: ChannelId, paused: bool) {
        self.inner.directory.change(|directory| directory.set_paused(channel_id, paused));
        if let Some(channel) = self.directory().channel(channel_id) {
            channel.backlog.store(true, Ordering::Release);
        }
        self.announce(Change::Channel { workspace_id, channel_id, paused });
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
