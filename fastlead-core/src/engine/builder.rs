//! Putting an engine together.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::store_time::StoreTime;
use super::{EmbeddedSource, Engine, Inner, StopWords, directory};
use crate::actor::Actor;
use crate::channel::{Channel, ChannelInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChannelId, IdSource, LeaseToken, PolicyId, ProjectId, RandomIds, WorkspaceId};
use crate::layer::ResiliencePolicy;
use crate::policy::{Policy, PolicyFault};
use crate::port::{
    Addresses, Catalog, ChangeLog, ChannelRecord, ChannelStatus, ConfirmLinks, Enricher, Identities,
    PolicyRecord, Project, Quota, SealedConfig, Store, Workspace,
};
use crate::quota::LocalQuota;
use crate::time::{Clock, SystemClock};

/// Opens a stored channel instance: unseals its configuration and builds the adapter.
///
/// ```
/// use std::sync::Arc;
///
/// use fastlead_core::Result;
/// use fastlead_core::channel::Channel;
/// use fastlead_core::engine::ChannelOpener;
/// use fastlead_core::port::ChannelRecord;
/// use fastlead_core::registry::Registry;
///
/// /// Configurations that are kept as they are; the server seals them with a key.
/// #[derive(Debug)]
/// struct Unsealed(Registry);
///
/// impl ChannelOpener for Unsealed {
///     fn open(&self, record: &ChannelRecord) -> Result<Arc<dyn Channel>> {
///         let config = serde_json::json!({ "endpoint": "https://sms.example.com" });
///         self.0.build(&record.kind, record.id, &record.name, config)
///     }
/// }
/// ```
pub trait ChannelOpener: Debug + Send + Sync {
    /// Builds the instance.
    ///
    /// # Errors
    /// Where the configuration cannot be unsealed or does not fit.
    fn open(&self, record: &ChannelRecord) -> Result<Arc<dyn Channel>>;
}

/// Puts an [`Engine`] together.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use fastlead_core::channel::Channel;
/// use fastlead_core::engine::{EmbeddedSource, Engine};
/// use fastlead_core::message::{Locale, Recipient};
/// use fastlead_core::policy::Policy;
/// use fastlead_core::port::{Addresses, Catalog, ChangeLog, Identities, Store};
///
/// async fn engine<S>(store: Arc<S>, bot: Arc<dyn Channel>) -> fastlead_core::Result<Engine>
/// where
///     S: Store + Catalog + Addresses + Identities + ChangeLog,
/// {
///     Engine::builder(store)
///         .channel(bot)
///         .project("clinic", Policy::starter_in(Locale::En, "bot", Recipient::Chat("790000000".into())))
///         .source(EmbeddedSource::new("site").locale(Locale::En).origin("https://example.com"))
///         .build()
///         .await
/// }
/// ```
#[derive(Debug)]
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    catalog: Arc<dyn Catalog>,
    addresses: Arc<dyn Addresses>,
    identities: Arc<dyn Identities>,
    log: Arc<dyn ChangeLog>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    resilience: ResiliencePolicy,
    quota: Arc<dyn Quota>,
    opener: Option<Arc<dyn ChannelOpener>>,
    lease: Duration,
    follow_every: Option<Duration>,
    poll_wait: Duration,
    channels: Vec<Arc<dyn Channel>>,
    enrichers: Vec<Arc<dyn Enricher>>,
    links: Option<Arc<dyn ConfirmLinks>>,
    stop_words: StopWords,
    policy: Option<(String, Policy)>,
    sources: Vec<EmbeddedSource>,
}

/// The same UUID for the same kind and name, so that what is built in code keeps its identity
/// across restarts.
pub fn stable_uuid(kind: &str, name: &str) -> Uuid {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl ChannelInfo {
    /// What a channel is that is built in code: its id follows from kind and name.
    pub fn embedded(kind: &'static str, name: &str) -> Self {
        let id = ChannelId::from_uuid(stable_uuid("channel", &format!("{kind}/{name}")));
        Self { kind, id, name: name.to_owned() }
    }
}

impl EngineBuilder {
    pub(super) fn new(
        store: Arc<dyn Store>,
        catalog: Arc<dyn Catalog>,
        addresses: Arc<dyn Addresses>,
        identities: Arc<dyn Identities>,
        log: Arc<dyn ChangeLog>,
    ) -> Self {
        Self {
            store,
            catalog,
            addresses,
            identities,
            log,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            resilience: ResiliencePolicy::default(),
            quota: Arc::new(LocalQuota::new()),
            opener: None,
            lease: Duration::from_secs(120),
            follow_every: Some(Duration::from_secs(1)),
            poll_wait: Duration::from_secs(25),
            channels: Vec::new(),
            enrichers: Vec::new(),
            links: None,
            stop_words: StopWords::default(),
            policy: None,
            sources: Vec::new(),
        }
    }

    /// Another clock, for tests and simulations.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of ids, for tests and simulations.
    #[must_use]
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// The layers around every channel.
    #[must_use]
    pub fn resilience(mut self, resilience: ResiliencePolicy) -> Self {
        self.resilience = resilience;
        self
    }

    /// Counts the rates of channels there, in place of the memory of this engine. Several engines on one store must share
    /// one, such as that of their store: else each sends as much as a provider allows to all of them.
    ///
    /// The SQLite store writes to the disk for every permit. As no other process has its file, one
    /// [`LocalQuota`] for all engines of the process does the same without.
    #[must_use]
    pub fn quota(mut self, quota: Arc<dyn Quota>) -> Self {
        self.quota = quota;
        self
    }

    /// How channel instances that are stored in the catalog are opened.
    #[must_use]
    pub fn opener(mut self, opener: Arc<dyn ChannelOpener>) -> Self {
        self.opener = Some(opener);
        self
    }

    /// For how long a worker holds a delivery. It must be longer than a send over any channel may
    /// take; after a crash, this long passes before another worker takes over. Default 120 s.
    #[must_use]
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how often the running engine looks in the store for what other engines have changed; default 1 s. With
    /// `None` it never looks: that is for a store that no other engine uses.
    #[must_use]
    pub const fn follow_every(mut self, interval: Option<Duration>) -> Self {
        self.follow_every = interval;
        self
    }

    /// Sets how long a question for news waits at a provider that is polled; default 25 s.
    #[must_use]
    pub const fn poll_wait(mut self, wait: Duration) -> Self {
        self.poll_wait = wait;
        self
    }

    /// Adds a channel that is built in code.
    #[must_use]
    pub fn channel(mut self, channel: Arc<dyn Channel>) -> Self {
        self.channels.push(channel);
        self
    }

    /// Adds a program that knows more about leads, for policies to name in `enrich`.
    #[must_use]
    pub fn enricher(mut self, enricher: Arc<dyn Enricher>) -> Self {
        self.enrichers.push(enricher);
        self
    }

    /// Where visitors confirm leads, for policies with `confirm`.
    #[must_use]
    pub fn confirm_links(mut self, links: Arc<dyn ConfirmLinks>) -> Self {
        self.links = Some(links);
        self
    }

    /// Other words by which people take their consent to advertising back. [`StopWords::PUBLISHED`] unless said.
    #[must_use]
    pub fn stop_words(mut self, words: StopWords) -> Self {
        self.stop_words = words;
        self
    }

    /// The embedded project and its policy, published when the engine is built.
    #[must_use]
    pub fn project(mut self, name: &str, policy: Policy) -> Self {
        self.policy = Some((name.to_owned(), policy));
        self
    }

    /// Adds a source to the embedded project: its public key alone, or an [`EmbeddedSource`] with language, consents and
    /// origins.
    #[must_use]
    pub fn source(mut self, source: impl Into<EmbeddedSource>) -> Self {
        self.sources.push(source.into());
        self
    }

    /// Builds the engine. Nothing runs until [`Engine::run`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the policy cannot work, with every fault, and where the lease or the
    /// layers cannot; those of the store.
    pub async fn build(self) -> Result<Engine> {
        self.resilience.validate().map_err(|error| error.with_operation("build"))?;
        lease_covers(self.lease, self.resilience.total_deadline())?;
        let holder = LeaseToken::generate(&*self.ids, self.clock.now());
        let store_time = Arc::new(StoreTime::new(self.clock));
        let inner = Inner {
            store: self.store,
            catalog: Arc::clone(&self.catalog),
            addresses: self.addresses,
            identities: self.identities,
            clock: Arc::clone(&store_time) as Arc<dyn Clock>,
            store_time,
            ids: self.ids,
            holder,
            resilience: self.resilience,
            quota: self.quota,
            opener: self.opener,
            lease: self.lease,
            directory: directory::Shared::default(),
            agenda: Arc::default(),
            follow_every: self.follow_every,
            poll_wait: self.poll_wait,
            book: RwLock::default(),
            people: RwLock::default(),
            log: self.log,
            followed: tokio::sync::Mutex::default(),
            follow: Notify::new(),
            boards: super::counters::Boards::default(),
            put_off: super::queue::PutOff::default(),
            enrichers: self.enrichers,
            links: self.links,
            stop_words: self.stop_words,
            policies: Mutex::new(HashMap::new()),
            running: AtomicBool::new(false),
            in_flight: super::in_flight::InFlight::default(),
            wake: Notify::new(),
            asleep_until: AtomicI64::new(i64::MAX),
            generation: watch::channel(0).0,
            changes: broadcast::channel(1_024).0,
            tasks: TaskTracker::new(),
        };
        let engine = Engine { inner: Arc::new(inner), actor: Actor::default() };
        engine.reload().await?;
        if let Some((name, policy)) = self.policy {
            embed(&engine, &*self.catalog, &name, policy, self.channels, self.sources).await?;
        } else if !self.channels.is_empty() || !self.sources.is_empty() {
            let message = "channels and sources that are built in code need `.project(name, policy)`";
            return Err(Error::new(ErrorKind::Config, message).with_operation("build"));
        }
        Ok(engine)
    }
}

/// While a send is under way its lease must not run out: another worker would take the delivery over.
pub(super) fn lease_covers(lease: Duration, longest_send: Duration) -> Result<()> {
    if lease > longest_send {
        return Ok(());
    }
    let (lease, longest) = (lease.as_secs_f32(), longest_send.as_secs_f32());
    let message = format!(
        "a send may take {longest} s, but a worker holds a delivery for {lease} s only: raise the lease, or \
         lower the timeouts"
    );
    Err(Error::new(ErrorKind::Config, message).with_operation("build"))
}

/// Stores what was built in code under stable ids, and puts it to work.
async fn embed(
    engine: &Engine,
    catalog: &dyn Catalog,
    name: &str,
    policy: Policy,
    channels: Vec<Arc<dyn Channel>>,
    sources: Vec<EmbeddedSource>,
) -> Result<()> {
    let now = engine.now();
    let workspace_id = WorkspaceId::from_uuid(stable_uuid("workspace", "embedded"));
    let project_id = ProjectId::from_uuid(stable_uuid("project", name));
    catalog
        .put_workspace(Workspace { id: workspace_id, name: "embedded".to_owned(), created_at: now })
        .await?;
    let project = Project { id: project_id, workspace_id, name: name.to_owned(), created_at: now };
    catalog.put_project(project.clone()).await?;
    engine.put_project(project);
    for channel in channels {
        let info = channel.info().clone();
        let record = ChannelRecord {
            id: info.id,
            workspace_id,
            kind: info.kind.to_owned(),
            name: info.name,
            config: SealedConfig::default(),
            webhook_token: String::new(),
            status: ChannelStatus::Active,
            created_at: now,
        };
        catalog.put_channel(record).await?;
        engine.attach(workspace_id, channel, false)?;
    }
    let stored = catalog.load().await?;
    for record in stored.channels.iter().filter(|record| record.status.is_paused()) {
        engine.inner.directory.change(|directory| directory.set_paused(record.id, true));
    }
    // A policy that is published already began to work when it was: a calendar that does not know a new year is no
    // reason not to start again.
    let same = |record: &&PolicyRecord| record.project_id == project_id && *record.policy == policy;
    let published_at = stored.policies.iter().find(same).map_or(now, |record| record.published_at);
    let capabilities = engine.directory().capabilities(workspace_id);
    let in_words =
        |faults: Vec<PolicyFault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    policy.validate(&capabilities, published_at).map_err(|faults| {
        Error::new(ErrorKind::Config, format!("the policy cannot work: {}", in_words(faults)))
            .with_operation("build")
    })?;
    if let Err(faults) = policy.validate(&capabilities, now) {
        let faults = in_words(faults);
        tracing::warn!(project = name, faults, "the policy has worked and should be renewed");
    }
    let policy_id = PolicyId::from_uuid(stable_uuid("policy", name));
    let record = catalog.publish_policy(workspace_id, project_id, policy_id, policy, now).await?;
    engine.activate_policy(&record)?;
    for source in sources {
        engine.put_source(source.store(catalog, workspace_id, (project_id, name), now).await?);
    }
    Ok(())
}
