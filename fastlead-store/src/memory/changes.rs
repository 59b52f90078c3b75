//! The numbered log of changes.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, IdentityId, ProjectId, SourceId};
use fastlead_core::port::{AddressKey, ChangeLog, Changes, InstallationChange, Revision};

use super::{Data, MemoryStore};

/// Something that engines keep in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Logged {
    Project(ProjectId),
    Source(SourceId),
    Channel(ChannelId),
    /// The policy of a project.
    Policy(ProjectId),
    Suppression(AddressKey),
    Moved(AddressKey),
    Link(IdentityId),
}

/// Each thing at its last change.
#[derive(Debug, Default)]
pub(super) struct Log {
    last: u64,
    by_revision: BTreeMap<u64, Logged>,
    by_thing: HashMap<Logged, u64>,
}

impl Log {
    pub(super) fn note(&mut self, thing: Logged) {
        self.last += 1;
        if let Some(before) = self.by_thing.insert(thing, self.last) {
            self.by_revision.remove(&before);
        }
        self.by_revision.insert(self.last, thing);
    }
}

impl Data {
    fn change(&self, thing: Logged) -> Option<InstallationChange> {
        use InstallationChange as Change;
        Some(match thing {
            Logged::Project(id) => match self.projects.get(&id) {
                Some(project) => Change::Project(Box::new(project.clone())),
                None => Change::ProjectRemoved(id),
            },
            Logged::Source(id) => match self.sources.get(&id) {
                Some(source) => Change::Source(Box::new(source.clone())),
                None => Change::SourceRemoved(id),
            },
            Logged::Channel(id) => match self.channels.get(&id) {
                Some(channel) => Change::Channel(Box::new(channel.clone())),
                None => Change::ChannelRemoved(id),
            },
            Logged::Policy(id) => {
                let mine = self.policies.values().filter(|record| record.project_id == id);
                Change::Policy(Box::new(mine.max_by_key(|record| record.reference.version)?.clone()))
            }
            Logged::Suppression(address) => match self.suppressions.get(&address) {
                Some(held) => Change::Suppressed(Box::new(held.clone())),
                None => Change::Lifted(address),
            },
            Logged::Moved(address) => match self.moved.get(&address) {
                Some(moved) => Change::Moved(Box::new(moved.clone())),
                None => Change::MoveForgotten(address),
            },
            Logged::Link(id) => match self.links.get(&id) {
                Some(link) if link.undone.is_none() => Change::Linked(Box::new(link.clone())),
                Some(link) => Change::Unlinked(Box::new(link.clone())),
                None => Change::LinkRemoved(id),
            },
        })
    }
}

#[async_trait]
impl ChangeLog for MemoryStore {
    async fn revision(&self) -> Result<Revision> {
        Ok(Revision(self.lock().log.last))
    }

    async fn changes_since(&self, revision: Revision, limit: u32) -> Result<Changes> {
        let data = self.lock();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let revision = if revision.0 > data.log.last { Revision::NONE } else { revision };
        let limit = limit.max(1);
        let after = (std::ops::Bound::Excluded(revision.0), std::ops::Bound::Unbounded);
        let logged: Vec<(u64, Logged)> =
            data.log.by_revision.range(after).take(limit).map(|(number, thing)| (*number, *thing)).collect();
        Ok(Changes {
            revision: logged.last().map_or(revision, |(number, _)| Revision(*number)),
            more: logged.len() >= limit,
            changes: logged.into_iter().filter_map(|(_, thing)| data.change(thing)).collect(),
        })
    }
}
