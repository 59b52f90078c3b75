//! What the engine keeps in memory of the installation: sources, policies, channels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use tokio::sync::Semaphore;

use super::agenda::{Agenda, Backlog};
use super::failing::Failing;
use super::poll::{PollingHealth, PollingTrouble};
use crate::channel::{Capabilities, Channel};
use crate::decide::{ChannelFacts, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChannelId, ProjectId, SourceId, WorkspaceId};
use crate::layer::LayeredChannel;
use crate::policy::{Policy, PolicyRef, SourceFacts};
use crate::port::{ChannelRoom, PolicyRecord, Project, SealedConfig, Source};
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
    pub(super) backlog: Backlog,
    /// How many deliveries were claimed since receipt checks last got what they wanted.
    passed_over: AtomicU32,
    paused: AtomicBool,
    /// Since when it has only failed.
    failing: Mutex<Failing>,
    /// How well its provider can be asked for news.
    pub(super) polling: PollingHealth,
    /// The sealed configuration that it was opened with; `None` where it was built in code.
    config: Option<SealedConfig>,
}

impl ActiveChannel {
    /// Puts a channel to work, and on the agenda of the dispatcher.
    pub(super) fn new(
        workspace_id: WorkspaceId,
        channel: LayeredChannel,
        paused: bool,
        config: Option<SealedConfig>,
        agenda: &Arc<Agenda>,
    ) -> Self {
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
            backlog: Backlog::left(info.id, agenda),
            passed_over: AtomicU32::new(0),
            paused: AtomicBool::new(paused),
            failing: Mutex::default(),
            polling: PollingHealth::default(),
            config,
        }
    }

    /// Returns why its provider's news do not come, where it is asked for them and that fails.
    pub fn polling_trouble(&self) -> Option<PollingTrouble> {
        self.polling.trouble()
    }

    /// Returns whether this is how `stored` configures the channel; one that was built in code is configured there.
    pub(super) fn is_configured_by(&self, stored: &SealedConfig) -> bool {
        self.config.as_ref().is_none_or(|config| config == stored)
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
        self.backlog.await_room();
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

/// The installation at one moment.
///
/// A change makes another directory that shares with this one what has not changed, so that it costs the same
/// however many tenants there are, and readers never wait.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    sources: HashTrieMapSync<SourceId, Arc<Source>>,
    sources_by_key: HashTrieMapSync<String, Arc<Source>>,
    projects: HashTrieMapSync<ProjectId, Arc<Project>>,
    current: HashTrieMapSync<ProjectId, Arc<ActivePolicy>>,
    current_by_reference: HashTrieMapSync<PolicyRef, Arc<ActivePolicy>>,
    troubled: HashTrieMapSync<ProjectId, PolicyTrouble>,
    /// In one order, so that the same events make the same requests.
    channels: RedBlackTreeMapSync<ChannelId, Arc<ActiveChannel>>,
    tenants: HashTrieMapSync<WorkspaceId, Arc<Tenant>>,
}

/// The channels of one workspace.
#[derive(Debug, Clone, Default)]
struct Tenant {
    channels: BTreeMap<ChannelId, Arc<ActiveChannel>>,
    snapshot: Arc<Snapshot>,
}

impl Tenant {
    fn refresh_snapshot(&mut self) {
        let facts = |channel: &ActiveChannel| ChannelFacts {
            id: channel.id,
            paused: channel.is_paused(),
            answers: channel.capabilities.answers,
        };
        let channels = self.channels.values().map(|channel| (channel.name.clone(), facts(channel))).collect();
        self.snapshot = Arc::new(Snapshot { channels: Arc::new(channels), ..Snapshot::default() });
    }
}

impl Directory {
    /// Returns the source with this public key.
    pub fn source(&self, key: &str) -> Option<&Arc<Source>> {
        self.sources_by_key.get(key)
    }

    /// Returns what a source is called; nothing where there is no such source.
    pub fn source_name(&self, id: SourceId) -> &str {
        self.sources.get(&id).map_or("", |source| source.name.as_str())
    }

    /// Returns what policies may know of a source; empty where there is no such source.
    pub fn source_facts(&self, id: SourceId) -> SourceFacts<'_> {
        let source = self.sources.get(&id);
        source.map_or(SourceFacts { key: "", name: "" }, |source| SourceFacts {
            key: &source.key,
            name: &source.name,
        })
    }

    /// Returns a project.
    pub fn project(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(&id)
    }

    /// Returns all projects of all workspaces.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.values()
    }

    /// Returns the policy that decides on new leads of a project.
    pub fn current_policy(&self, project: ProjectId) -> Option<&Arc<ActivePolicy>> {
        self.current.get(&project)
    }

    /// Returns a policy that decides on new leads, by its version.
    /// The policy that decides on new leads of a project, where it is not the one with this reference but a newer one.
    pub(super) fn newer_policy(&self, project: ProjectId, than: PolicyRef) -> Option<&Arc<ActivePolicy>> {
        let newer = |now: PolicyRef| now.id != than.id || now.version > than.version;
        self.current_policy(project).filter(|policy| newer(policy.reference))
    }

    pub(super) fn current_by_reference(&self, reference: PolicyRef) -> Option<&Arc<ActivePolicy>> {
        self.current_by_reference.get(&reference)
    }

    /// Returns why the newest version of a project's policy does not decide; `None` where it does.
    pub fn policy_trouble(&self, project: ProjectId) -> Option<&PolicyTrouble> {
        self.troubled.get(&project)
    }

    /// Returns the projects whose newest version of the policy does not decide.
    pub fn policy_troubles(&self) -> impl Iterator<Item = (ProjectId, &PolicyTrouble)> {
        self.troubled.iter().map(|(project, trouble)| (*project, trouble))
    }

    /// Returns a channel instance.
    pub fn channel(&self, id: ChannelId) -> Option<&Arc<ActiveChannel>> {
        self.channels.get(&id)
    }

    /// Returns all channel instances of all workspaces, in the order of their ids.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<ActiveChannel>> {
        self.channels.values()
    }

    /// Returns the channel instances of one workspace, in the order of their ids.
    pub fn channels_of(&self, workspace: WorkspaceId) -> impl Iterator<Item = &Arc<ActiveChannel>> {
        self.tenants.get(&workspace).into_iter().flat_map(|tenant| tenant.channels.values())
    }

    /// Returns the capabilities of a workspace's channel instances by name, for [`Policy::validate`].
    pub fn capabilities(&self, workspace: WorkspaceId) -> BTreeMap<String, Capabilities> {
        let mine = self.channels_of(workspace);
        mine.map(|channel| (channel.name.clone(), channel.capabilities.clone())).collect()
    }

    pub(super) fn snapshot(&self, workspace: WorkspaceId) -> Arc<Snapshot> {
        self.tenants.get(&workspace).map(|tenant| Arc::clone(&tenant.snapshot)).unwrap_or_default()
    }

    pub(super) fn put_source(&mut self, source: Source) {
        let source = Arc::new(source);
        if let Some(old) = self.sources.get(&source.id).filter(|old| old.key != source.key) {
            let stale = self.sources_by_key.get(&old.key).is_some_and(|held| held.id == source.id);
            if stale {
                let old = old.key.clone();
                self.sources_by_key.remove_mut(&old);
            }
        }
        self.sources.insert_mut(source.id, Arc::clone(&source));
        self.sources_by_key.insert_mut(source.key.clone(), source);
    }

    pub(super) fn put_project(&mut self, project: Project) {
        self.projects.insert_mut(project.id, Arc::new(project));
    }

    pub(super) fn remove_source(&mut self, id: SourceId) {
        let Some(key) = self.sources.get(&id).map(|source| source.key.clone()) else { return };
        self.sources.remove_mut(&id);
        if self.sources_by_key.get(&key).is_some_and(|held| held.id == id) {
            self.sources_by_key.remove_mut(&key);
        }
    }

    pub(super) fn remove_project(&mut self, id: ProjectId) {
        self.projects.remove_mut(&id);
        self.troubled.remove_mut(&id);
        if let Some(policy) = self.current.get(&id).map(|policy| policy.reference) {
            self.current_by_reference.remove_mut(&policy);
            self.current.remove_mut(&id);
        }
    }

    pub(super) fn remove_channel(&mut self, id: ChannelId) {
        let Some(workspace) = self.channels.get(&id).map(|channel| channel.workspace_id) else { return };
        self.channels.remove_mut(&id);
        self.change_tenant(workspace, |tenant| drop(tenant.channels.remove(&id)));
    }

    /// Lets a policy decide, or says that a newer one should and does not.
    pub(super) fn put_policy(
        &mut self,
        project: ProjectId,
        policy: Arc<ActivePolicy>,
        trouble: Option<PolicyTrouble>,
    ) {
        let old = self.current.get(&project).map(|old| old.reference);
        // What was read before a newer version was published does not replace it.
        if old.is_some_and(|old| old.id == policy.reference.id && old.version > policy.reference.version) {
            return;
        }
        if let Some(old) = old {
            self.current_by_reference.remove_mut(&old);
        }
        self.current_by_reference.insert_mut(policy.reference, Arc::clone(&policy));
        self.current.insert_mut(project, policy);
        match trouble {
            Some(trouble) => self.troubled.insert_mut(project, trouble),
            None => drop(self.troubled.remove_mut(&project)),
        }
    }

    /// Adds or replaces channels; what is known of each workspace is made anew once.
    pub(super) fn put_channels(&mut self, channels: impl IntoIterator<Item = Arc<ActiveChannel>>) {
        let mut by_workspace: BTreeMap<WorkspaceId, Vec<Arc<ActiveChannel>>> = BTreeMap::new();
        for channel in channels {
            self.channels.insert_mut(channel.id, Arc::clone(&channel));
            by_workspace.entry(channel.workspace_id).or_default().push(channel);
        }
        for (workspace, channels) in by_workspace {
            let channels = channels.into_iter().map(|channel| (channel.id, channel));
            self.change_tenant(workspace, |tenant| tenant.channels.extend(channels));
        }
    }

    pub(super) fn set_paused(&mut self, id: ChannelId, paused: bool) {
        let Some(channel) = self.channels.get(&id) else { return };
        channel.paused.store(paused, Ordering::Release);
        if !paused {
            channel.failing.lock().unwrap_or_else(PoisonError::into_inner).forget();
        }
        self.change_tenant(channel.workspace_id, |_| ());
    }

    fn change_tenant(&mut self, id: WorkspaceId, change: impl FnOnce(&mut Tenant)) {
        let mut tenant = self.tenants.get(&id).map(|held| Tenant::clone(held)).unwrap_or_default();
        change(&mut tenant);
        tenant.refresh_snapshot();
        self.tenants.insert_mut(id, Arc::new(tenant));
    }
}

/// The directory that everybody shares.
#[derive(Debug, Default)]
pub(super) struct Shared {
    current: RwLock<Arc<Directory>>,
    /// Taken while a change is made, which readers do not wait for.
    changing: Mutex<()>,
}

impl Shared {
    pub(super) fn get(&self) -> Arc<Directory> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change, or a batch of them, visible in one step.
    pub(super) fn change(&self, change: impl FnOnce(&mut Directory)) {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Directory::clone(&self.get());
        change(&mut next);
        let next = Arc::new(next);
        let before = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, next)
        };
        // Whatever only the last directory held is freed here, while nobody waits for the lock.
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::lead::FieldMapping;
    use crate::message::Locale;
    use crate::port::{FormSettings, SourceLimits};
    use crate::time::epoch;

    fn source(number: u128, key: &str) -> Source {
        Source {
            id: SourceId::from_uuid(Uuid::from_u128(number)),
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(number % 100)),
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            key: key.to_owned(),
            name: format!("Site {number}"),
            active: true,
            locale: Locale::Ru,
            allowed_origins: Vec::new(),
            consents: Vec::new(),
            form: FormSettings::default(),
            limits: SourceLimits::default(),
            mapping: FieldMapping::default(),
            created_at: epoch(),
        }
    }

    fn filled(count: u128) -> Shared {
        let shared = Shared::default();
        let sources = (0..count).map(|number| source(number, &format!("key-{number}")));
        shared.change(|directory| sources.for_each(|source| directory.put_source(source)));
        shared
    }

    /// The directory of 2,000 sources was copied whole for the next one, so that 8,000 took 18 s to load one by one.
    #[test]
    fn a_change_costs_the_same_however_many_tenants_there_are() {
        let bytes = |count: u128| {
            let shared = filled(count);
            let one_more = source(count, "another");
            let held = shared.get();
            let measured = allocation_counter::measure(|| {
                shared.change(|directory| directory.put_source(one_more));
            });
            assert_eq!(
                (held.source("another").is_some(), shared.get().source("another").is_some()),
                (false, true)
            );
            measured.bytes_total
        };
        let (few, many) = (bytes(10), bytes(20_000));
        assert!(many < 16 * few.max(1_024), "{few} bytes among 10 sources, {many} among 20,000");
    }

    #[test]
    fn a_source_with_another_key_is_found_by_that_alone() {
        let shared = filled(3);
        shared.change(|directory| {
            directory.put_source(source(1, "new"));
            // The key that was given up belongs to another source now, and stays its own.
            directory.put_source(source(7, "key-1"));
            directory.put_source(source(1, "newer"));
        });
        let directory = shared.get();
        let id = |key: &str| directory.source(key).map(|source| source.id.as_uuid().as_u128());
        assert_eq!(
            ["key-0", "key-1", "key-2", "new", "newer"].map(id),
            [Some(0), Some(7), Some(2), None, Some(1)]
        );
        assert_eq!(directory.source_facts(SourceId::from_uuid(Uuid::from_u128(1))).key, "newer");
    }
}
