//! What the engine keeps in memory of the installation: sources, policies, channels.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;

use super::failing::Failing;
use crate::channel::{Capabilities, Channel};
use crate::decide::{ChannelFacts, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChannelId, ProjectId, SourceId, WorkspaceId};
use crate::layer::LayeredChannel;
use crate::policy::{Policy, PolicyRef, SourceFacts};
use crate::port::{ChannelRoom, PolicyRecord, Project, Source};
use crate::template::CompiledTemplates;
use crate::time::Timestamp;

/// How many deliveries per free place are claimed on channels without a rate.
const PREFETCH: u32 = 8;
/// After so many other deliveries in a row a channel that is never idle asks for a receipt.
const SENDS_PER_CHECK: u32 = 16;

/// A policy that is ready to decide and to speak.
#[derive(Debug)]
pub struct ActivePolicy {
    /// Which one.
    pub reference: PolicyRef,
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its texts.
    pub templates: CompiledTemplates,
}

impl ActivePolicy {
    /// Compiles a published policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a template does not compile, which publishing should have refused.
    pub fn new(record: &PolicyRecord) -> Result<Self> {
        let templates = CompiledTemplates::compile(&record.policy.templates).map_err(|faults| {
            let first = faults.first().map(|fault| fault.path.clone()).unwrap_or_default();
            Error::new(ErrorKind::Config, format!("template at `{first}` does not compile"))
                .with_operation("load policy")
        })?;
        Ok(Self { reference: record.reference, policy: Arc::clone(&record.policy), templates })
    }

    /// The same for a policy that was published when its templates compiled: those that do not any more are missing,
    /// and whatever is to be said with them fails.
    pub fn without_broken_templates(record: &PolicyRecord) -> Self {
        let templates = CompiledTemplates::compile_sound(&record.policy.templates);
        Self { reference: record.reference, policy: Arc::clone(&record.policy), templates }
    }
}

/// A project whose current policy does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyTrouble {
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The version that does not compile.
    pub broken: PolicyRef,
    /// Why, with the path of the template.
    pub reason: String,
    /// The version that decides on new leads meanwhile: the newest that compiles, or the broken one without its broken
    /// templates where none does.
    pub deciding: PolicyRef,
}

/// A channel instance at work.
#[derive(Debug)]
pub struct ActiveChannel {
    /// The instance.
    pub id: ChannelId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What its owner calls it.
    pub name: String,
    /// The adapter under its layers.
    pub channel: LayeredChannel,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Room for sends.
    pub(super) permits: Arc<Semaphore>,
    /// Whether due work was left behind for want of room.
    pub(super) backlog: AtomicBool,
    /// How many deliveries were claimed since receipt checks last got what they wanted.
    passed_over: AtomicU32,
    paused: AtomicBool,
    /// Since when it has only failed.
    failing: Mutex<Failing>,
}

impl ActiveChannel {
    pub(super) fn new(workspace_id: WorkspaceId, channel: LayeredChannel, paused: bool) -> Self {
        let capabilities = channel.capabilities();
        let info = channel.info().clone();
        let room = usize::try_from(capabilities.max_in_flight.max(1)).unwrap_or(1);
        Self {
            id: info.id,
            workspace_id,
            name: info.name,
            channel,
            capabilities,
            permits: Arc::new(Semaphore::new(room)),
            backlog: AtomicBool::new(true),
            passed_over: AtomicU32::new(0),
            paused: AtomicBool::new(paused),
            failing: Mutex::default(),
        }
    }

    /// Notes what an attempt came to. Returns whether this is an endpoint that has failed for days, so that nothing more
    /// is to be sent there before somebody has looked after it. A channel to people is never given up so: what it says is
    /// sent over another one.
    pub(super) fn has_failed_for_days(&self, failure: Option<ErrorKind>, now: Timestamp) -> bool {
        self.capabilities.events
            && self.failing.lock().unwrap_or_else(PoisonError::into_inner).note(failure, now)
    }

    /// Whether nothing is sent over it.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Sees to it that the next place that becomes free wakes the dispatcher. Answers how many are free by now:
    /// whoever gave those back may not have known.
    pub(super) fn wake_when_free(&self) -> usize {
        self.backlog.store(true, Ordering::Release);
        // Either we see the place that `is_free` sees, or it is seen after this store.
        fence(Ordering::SeqCst);
        self.permits.available_permits()
    }

    /// Whether there is room, after some was given back.
    pub(super) fn is_free(&self) -> bool {
        fence(Ordering::SeqCst);
        self.permits.available_permits() > 0
    }

    /// What is claimed where `free` deliveries can be worked on at once. More than that are taken in advance, unless
    /// a rate would only make them wait. Receipt checks never are: what is to be sent would stand behind them.
    pub(super) fn room(&self, free: u32) -> ChannelRoom {
        let limit = if self.channel.is_rate_limited() { free } else { free.saturating_mul(PREFETCH) };
        let checks_first = u32::from(self.passed_over.load(Ordering::Relaxed) >= SENDS_PER_CHECK);
        ChannelRoom { channel_id: self.id, limit, checks: free, checks_first }
    }

    /// Notes how many receipt checks and other deliveries a claim brought. Answers whether more may be due.
    pub(super) fn was_claimed(&self, room: &ChannelRoom, checks: u32, others: u32) -> bool {
        let full = checks.saturating_add(others) >= room.limit;
        if full && checks == 0 {
            // Only the dispatcher claims, so nobody changes it meanwhile.
            let passed_over = self.passed_over.load(Ordering::Relaxed).saturating_add(others);
            self.passed_over.store(passed_over, Ordering::Relaxed);
        } else {
            self.passed_over.store(0, Ordering::Relaxed);
        }
        full || checks >= room.checks
    }
}

/// Everything at one moment. Replaced as a whole, so that readers never wait.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    sources: HashMap<String, Arc<Source>>,
    source_names: HashMap<SourceId, String>,
    source_keys: HashMap<SourceId, String>,
    projects: HashMap<ProjectId, Arc<Project>>,
    current: HashMap<ProjectId, Arc<ActivePolicy>>,
    troubled: HashMap<ProjectId, PolicyTrouble>,
    /// In one order, so that the same events make the same requests.
    channels: BTreeMap<ChannelId, Arc<ActiveChannel>>,
    snapshots: HashMap<WorkspaceId, Arc<Snapshot>>,
}

impl Directory {
    /// The source with this public key.
    pub fn source(&self, key: &str) -> Option<&Arc<Source>> {
        self.sources.get(key)
    }

    /// What a source is called.
    pub fn source_name(&self, id: SourceId) -> &str {
        self.source_names.get(&id).map_or("", String::as_str)
    }

    /// What policies may know of a source; empty where there is no such source.
    pub fn source_facts(&self, id: SourceId) -> SourceFacts<'_> {
        let key = self.source_keys.get(&id).map_or("", String::as_str);
        SourceFacts { key, name: self.source_name(id) }
    }

    /// A project.
    pub fn project(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(&id)
    }

    /// All projects.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.values()
    }

    /// The policy that decides on new leads of a project.
    pub fn current_policy(&self, project: ProjectId) -> Option<&Arc<ActivePolicy>> {
        self.current.get(&project)
    }

    /// Why the newest version of a project's policy does not decide; `None` where it does.
    pub fn policy_trouble(&self, project: ProjectId) -> Option<&PolicyTrouble> {
        self.troubled.get(&project)
    }

    /// The projects whose newest version of the policy does not decide.
    pub fn policy_troubles(&self) -> impl Iterator<Item = (ProjectId, &PolicyTrouble)> {
        self.troubled.iter().map(|(project, trouble)| (*project, trouble))
    }

    /// A channel instance.
    pub fn channel(&self, id: ChannelId) -> Option<&Arc<ActiveChannel>> {
        self.channels.get(&id)
    }

    /// All channel instances.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<ActiveChannel>> {
        self.channels.values()
    }

    /// The capabilities of a workspace's channel instances by name, for [`Policy::validate`].
    pub fn capabilities(&self, workspace: WorkspaceId) -> BTreeMap<String, Capabilities> {
        let mine = self.channels.values().filter(|channel| channel.workspace_id == workspace);
        mine.map(|channel| (channel.name.clone(), channel.capabilities.clone())).collect()
    }

    pub(super) fn snapshot(&self, workspace: WorkspaceId) -> Arc<Snapshot> {
        self.snapshots.get(&workspace).map(Arc::clone).unwrap_or_default()
    }

    pub(super) fn put_source(&mut self, source: Source) {
        if let Some(old) = self.sources.values().find(|old| old.id == source.id && old.key != source.key) {
            let old = old.key.clone();
            self.sources.remove(&old);
        }
        self.source_names.insert(source.id, source.name.clone());
        self.source_keys.insert(source.id, source.key.clone());
        self.sources.insert(source.key.clone(), Arc::new(source));
    }

    pub(super) fn put_project(&mut self, project: Project) {
        self.projects.insert(project.id, Arc::new(project));
    }

    pub(super) fn put_policy(&mut self, project: ProjectId, policy: Arc<ActivePolicy>) {
        self.current.insert(project, policy);
        self.troubled.remove(&project);
    }

    pub(super) fn put_troubled_policy(
        &mut self,
        project: ProjectId,
        policy: Arc<ActivePolicy>,
        trouble: PolicyTrouble,
    ) {
        self.current.insert(project, policy);
        self.troubled.insert(project, trouble);
    }

    pub(super) fn put_channel(&mut self, channel: Arc<ActiveChannel>) {
        let workspace = channel.workspace_id;
        self.channels.insert(channel.id, channel);
        self.refresh_snapshot(workspace);
    }

    pub(super) fn set_paused(&mut self, id: ChannelId, paused: bool) {
        if let Some(channel) = self.channels.get(&id) {
            channel.paused.store(paused, Ordering::Release);
            if !paused {
                channel.failing.lock().unwrap_or_else(PoisonError::into_inner).forget();
            }
            let workspace = channel.workspace_id;
            self.refresh_snapshot(workspace);
        }
    }

    fn refresh_snapshot(&mut self, workspace: WorkspaceId) {
        let mine = self.channels.values().filter(|channel| channel.workspace_id == workspace);
        let channels = mine
            .map(|channel| {
                (
                    channel.name.clone(),
                    ChannelFacts {
                        id: channel.id,
                        paused: channel.is_paused(),
                        answers: channel.capabilities.answers,
                    },
                )
            })
            .collect();
        let snapshot = Snapshot { channels: Arc::new(channels), ..Snapshot::default() };
        self.snapshots.insert(workspace, Arc::new(snapshot));
    }
}

/// The directory that everybody shares.
#[derive(Debug, Default)]
pub(super) struct Shared(RwLock<Arc<Directory>>);

impl Shared {
    pub(super) fn get(&self) -> Arc<Directory> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Directory)) {
        let mut guard = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Directory::clone(&guard);
        change(&mut next);
        *guard = Arc::new(next);
    }
}
