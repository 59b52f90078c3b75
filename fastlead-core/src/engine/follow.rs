//! Memory follows the store: what any engine changes there is applied here in its order, a batch in one step.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::directory::ActiveChannel;
use super::policies::ReadiedPolicy;
use super::{Change, Engine};
use crate::delivery::Scope;
use crate::error::Result;
use crate::id::{ChannelId, ProjectId, SourceId};
use crate::port::{AddressKey, AddressMove, ChannelRecord, InstallationChange, Project, Source, Suppression};
use crate::time::plus;

/// How many changes are read at a time.
const BATCH: u32 = 1_024;

/// Changes of the directory, to be applied in one step.
#[derive(Default)]
struct Batch {
    projects: Vec<Project>,
    sources: Vec<Source>,
    policies: Vec<ReadiedPolicy>,
    channels: Vec<Arc<ActiveChannel>>,
    paused: Vec<(ChannelId, bool)>,
    gone: Gone,
}

#[derive(Default)]
struct Gone {
    projects: Vec<ProjectId>,
    sources: Vec<SourceId>,
    channels: Vec<ChannelId>,
}

/// A change of what is known of addresses.
enum AddressChange {
    Suppressed(Box<Suppression>),
    SuppressedUnread(AddressKey),
    Lifted(AddressKey),
    Moved(Box<AddressMove>),
    MoveForgotten(AddressKey),
}

impl Engine {
    /// Applies what has changed in the store since the last time, whoever has changed it: the catalogue, suppressions,
    /// moved addresses and links. When this returns, everything that was on disk before the call is in memory.
    ///
    /// A running engine does this by itself once a second; a program that changes the catalogue calls it after each
    /// change, so that it works at once.
    ///
    /// # Errors
    /// Where the store cannot be read. What was read before is applied.
    pub async fn catch_up(&self) -> Result<()> {
        self.tell_time().await?;
        let mut followed = self.inner.followed.lock().await;
        loop {
            let changes = self.inner.log.changes_since(*followed, BATCH).await?;
            if !changes.changes.is_empty() {
                self.apply_changes(changes.changes).await?;
            }
            *followed = changes.revision;
            if !changes.more {
                return Ok(());
            }
        }
    }

    /// The same after a change that is on disk already: where it cannot be read now, the next look finds it.
    pub(super) async fn catch_up_later(&self) {
        if let Err(error) = self.catch_up().await {
            tracing::error!(%error, "a change is stored but not known here yet; looking again soon");
            self.inner.follow.notify_one();
        }
    }

    /// Follows the store until dropped.
    pub(super) async fn follow(&self) {
        let Some(interval) = self.inner.follow_every else { return };
        loop {
            let until = plus(self.now(), interval);
            tokio::select! {
                biased;
                () = self.inner.follow.notified() => {}
                () = self.inner.clock.sleep_until(until) => {}
            }
            if let Err(error) = self.catch_up().await {
                tracing::error!(%error, "changes cannot be read; trying again");
                self.inner.clock.sleep_until(plus(self.now(), interval)).await;
            }
        }
    }

    async fn apply_changes(&self, changes: Vec<InstallationChange>) -> Result<()> {
        let mut batch = Batch::default();
        let mut addresses = Vec::new();
        let mut links = Vec::new();
        for change in changes {
            match change {
                InstallationChange::Project(project) => batch.projects.push(*project),
                InstallationChange::ProjectRemoved(id) => batch.gone.projects.push(id),
                InstallationChange::Source(source) => batch.sources.push(*source),
                InstallationChange::SourceRemoved(id) => batch.gone.sources.push(id),
                InstallationChange::Channel(record) => self.apply_channel(&record, &mut batch),
                InstallationChange::ChannelRemoved(id) => batch.gone.channels.push(id),
                InstallationChange::Policy(record) => batch.policies.push(self.readied(&record).await?),
                InstallationChange::Suppressed(held) => addresses.push(AddressChange::Suppressed(held)),
                InstallationChange::SuppressedUnread(address) => {
                    addresses.push(AddressChange::SuppressedUnread(address));
                }
                InstallationChange::Lifted(address) => addresses.push(AddressChange::Lifted(address)),
                InstallationChange::Moved(moved) => addresses.push(AddressChange::Moved(moved)),
                InstallationChange::MoveForgotten(address) => {
                    addresses.push(AddressChange::MoveForgotten(address));
                }
                link @ (InstallationChange::Linked(_)
                | InstallationChange::Unlinked(_)
                | InstallationChange::LinkRemoved(_)) => links.push(link),
            }
        }
        if !addresses.is_empty() {
            self.change_book(|book| {
                for change in &addresses {
                    match change {
                        AddressChange::Suppressed(held) => book.suppress(held),
                        AddressChange::SuppressedUnread(address) => book.suppress_unread(*address),
                        AddressChange::Lifted(address) => book.lift(*address),
                        AddressChange::Moved(moved) => book.moved(moved),
                        AddressChange::MoveForgotten(address) => book.forget_move(*address),
                    }
                }
            });
        }
        if !links.is_empty() {
            self.change_people(|book| {
                for change in links {
                    match change {
                        InstallationChange::Linked(link) => book.link(*link),
                        InstallationChange::Unlinked(link) => book.undo(&link),
                        InstallationChange::LinkRemoved(id) => book.remove(id),
                        _ => {}
                    }
                }
            });
        }
        self.apply_batch(batch);
        Ok(())
    }

    /// Opens a channel whose configuration is new here; of any other only the status is taken over.
    fn apply_channel(&self, record: &ChannelRecord, batch: &mut Batch) {
        let directory = self.directory();
        let Some(known) = directory.channel(record.id) else {
            batch.channels.extend(self.open(record));
            return;
        };
        if known.is_configured_by(&record.config) {
            batch.paused.push((record.id, record.status.is_paused()));
        } else if let Some(opened) = self.open(record) {
            let paused = known.is_paused();
            batch.channels.push(opened);
            if paused != record.status.is_paused() {
                batch.paused.push((record.id, record.status.is_paused()));
            }
        }
    }

    fn apply_batch(&self, batch: Batch) {
        let Batch { projects, sources, policies, channels, paused, gone } = batch;
        let come_or_gone = !channels.is_empty() || !gone.channels.is_empty();
        let come: Vec<ChannelId> = channels.iter().map(|channel| channel.id).collect();
        let published: Vec<Scope> = policies.iter().map(|policy| policy.scope).collect();
        let before = self.directory();
        let workspace_of = |id: &ChannelId| before.channel(*id).map(|channel| channel.workspace_id);
        let turned: Vec<_> = paused
            .iter()
            .filter(|(id, paused)| before.channel(*id).is_some_and(|known| known.is_paused() != *paused))
            .filter_map(|(id, paused)| Some((*id, workspace_of(id)?, *paused)))
            .collect();
        let nothing = projects.is_empty() && sources.is_empty() && policies.is_empty();
        let nothing_gone = gone.projects.is_empty() && gone.sources.is_empty();
        if nothing && nothing_gone && !come_or_gone && turned.is_empty() {
            return;
        }
        self.inner.directory.change(|directory| {
            projects.into_iter().for_each(|project| directory.put_project(project));
            sources.into_iter().for_each(|source| directory.put_source(source));
            for ReadiedPolicy { scope, policy, trouble } in policies {
                directory.put_policy(scope.project_id, policy, trouble);
            }
            directory.put_channels(channels);
            for (id, _, paused) in &turned {
                directory.set_paused(*id, *paused);
            }
            gone.projects.iter().for_each(|id| directory.remove_project(*id));
            gone.sources.iter().for_each(|id| directory.remove_source(*id));
            gone.channels.iter().for_each(|id| directory.remove_channel(*id));
        });
        published.into_iter().for_each(|scope| self.pin_those_who_wait(scope));
        let directory = self.directory();
        // The dispatcher may have looked for them before they were there.
        self.inner.agenda.add(come);
        for (channel_id, workspace_id, paused) in turned {
            if let Some(channel) = directory.channel(channel_id) {
                channel.backlog.store(true, Ordering::Release);
            }
            self.announce(Change::Channel { workspace_id, channel_id, paused });
        }
        if come_or_gone {
            self.inner.generation.send_modify(|generation| *generation += 1);
        }
        self.inner.wake.notify_one();
    }
}
