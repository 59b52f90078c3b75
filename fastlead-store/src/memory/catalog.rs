//! Settings of the installation.

use std::sync::Arc;

use async_trait::async_trait;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, PolicyId, ProjectId, WorkspaceId};
use fastlead_core::lead::ConsentDocument;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    Catalog, CatalogSnapshot, ChannelRecord, ChannelStatus, PolicyDraft, PolicyRecord, Project, Resealed,
    SealedConfig, Source, Workspace,
};
use fastlead_core::time::Timestamp;

use super::changes::Logged;
use super::{Data, MemoryStore};

impl Data {
    fn versions(&self, workspace: WorkspaceId, project: ProjectId) -> Vec<&PolicyRecord> {
        let mine = |record: &&PolicyRecord| record.workspace_id == workspace && record.project_id == project;
        let mut versions: Vec<_> = self.policies.values().filter(mine).collect();
        versions.sort_unstable_by_key(|record| std::cmp::Reverse(record.reference.version));
        versions
    }
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn load(&self) -> Result<CatalogSnapshot> {
        let data = self.lock();
        let policies = data.projects.values().filter_map(|project| {
            data.versions(project.workspace_id, project.id).first().map(|record| (*record).clone())
        });
        Ok(CatalogSnapshot {
            workspaces: data.workspaces.values().cloned().collect(),
            projects: data.projects.values().cloned().collect(),
            sources: data.sources.values().cloned().collect(),
            channels: data.channels.values().cloned().collect(),
            policies: policies.collect(),
            unreadable: Vec::new(),
        })
    }

    async fn load_workspace(&self, workspace: WorkspaceId) -> Result<CatalogSnapshot> {
        let mut loaded = self.load().await?;
        loaded.workspaces.retain(|held| held.id == workspace);
        loaded.projects.retain(|held| held.workspace_id == workspace);
        loaded.sources.retain(|held| held.workspace_id == workspace);
        loaded.channels.retain(|held| held.workspace_id == workspace);
        loaded.policies.retain(|held| held.workspace_id == workspace);
        Ok(loaded)
    }

    async fn put_workspace(&self, workspace: Workspace) -> Result<()> {
        self.lock().workspaces.insert(workspace.id, workspace);
        Ok(())
    }

    async fn put_project(&self, project: Project) -> Result<()> {
        let mut data = self.lock();
        data.log.note(Logged::Project(project.id));
        data.projects.insert(project.id, project);
        Ok(())
    }

    async fn put_source(&self, source: Source) -> Result<()> {
        let mut data = self.lock();
        if data.sources.values().any(|other| other.key == source.key && other.id != source.id) {
            return Err(Error::new(ErrorKind::Conflict, "key: another source has this key")
                .with_operation("put source"));
        }
        for document in &source.consents {
            let kept = data.documents.entry(source.workspace_id).or_default();
            if !kept.contains(document) {
                kept.push(document.clone());
            }
        }
        data.log.note(Logged::Source(source.id));
        data.sources.insert(source.id, source);
        Ok(())
    }

    async fn consent_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>> {
        let data = self.lock();
        let kept = data.documents.get(&workspace).into_iter().flatten();
        let named =
            kept.filter(|document| document.document_id == document_id && document.version == version);
        Ok(named.cloned().collect())
    }

    async fn put_channel(&self, mut channel: ChannelRecord) -> Result<()> {
        let mut data = self.lock();
        let same = |other: &&ChannelRecord| {
            other.workspace_id == channel.workspace_id && other.name == channel.name && other.id != channel.id
        };
        if data.channels.values().find(same).is_some() {
            return Err(Error::new(ErrorKind::Conflict, "name: another channel has this name")
                .with_operation("put channel"));
        }
        if let Some(old) = data.channels.get(&channel.id) {
            channel.status = old.status.clone();
        }
        data.log.note(Logged::Channel(channel.id));
        data.channels.insert(channel.id, channel);
        Ok(())
    }

    async fn reseal_channel(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        before: &SealedConfig,
        after: Resealed,
    ) -> Result<bool> {
        let mut data = self.lock();
        let record = data.channels.get_mut(&channel);
        let record = record.filter(|record| record.workspace_id == workspace && record.config == *before);
        let resealed = record
            .map(|record| {
                record.config = after.config;
                record.webhook_token = after.webhook_token;
            })
            .is_some();
        if resealed {
            data.log.note(Logged::Channel(channel));
        }
        Ok(resealed)
    }

    async fn set_channel_status(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        status: ChannelStatus,
    ) -> Result<bool> {
        let mut data = self.lock();
        let record = data.channels.get_mut(&channel).filter(|record| record.workspace_id == workspace);
        let record = record.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such channel"))?;
        let changed = record.status.is_paused() != status.is_paused();
        if changed {
            record.status = status;
            data.log.note(Logged::Channel(channel));
        }
        Ok(changed)
    }

    async fn publish_policy(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        new_id: PolicyId,
        policy: Policy,
        at: Timestamp,
    ) -> Result<PolicyRecord> {
        let mut data = self.lock();
        let current = data.versions(workspace, project).first().map(|record| (*record).clone());
        if let Some(current) = &current
            && *current.policy == policy
        {
            return Ok(current.clone());
        }
        let reference = current.map_or(PolicyRef { id: new_id, version: 1 }, |current| PolicyRef {
            version: current.reference.version + 1,
            ..current.reference
        });
        let record = PolicyRecord {
            reference,
            workspace_id: workspace,
            project_id: project,
            policy: Arc::new(policy),
            published_at: at,
        };
        data.log.note(Logged::Policy(project));
        data.policies.insert((reference.id, reference.version), record.clone());
        Ok(record)
    }

    async fn policy(&self, reference: PolicyRef) -> Result<Option<PolicyRecord>> {
        Ok(self.lock().policies.get(&(reference.id, reference.version)).cloned())
    }

    async fn policies(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<PolicyRecord>> {
        let data = self.lock();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(data.versions(workspace, project).into_iter().take(limit).cloned().collect())
    }

    async fn put_draft(&self, draft: PolicyDraft) -> Result<()> {
        self.lock().drafts.insert((draft.workspace_id, draft.project_id), draft);
        Ok(())
    }

    async fn draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<Option<PolicyDraft>> {
        Ok(self.lock().drafts.get(&(workspace, project)).cloned())
    }

    async fn discard_draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<bool> {
        Ok(self.lock().drafts.remove(&(workspace, project)).is_some())
    }
}
