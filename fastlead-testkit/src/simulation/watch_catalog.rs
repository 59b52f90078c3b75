//! The other four ports of a watched store.

use fastlead_core::id::{ChannelId, IdentityId, PolicyId, ProjectId, SuppressionId, WorkspaceId};
use fastlead_core::lead::ConsentDocument;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    AddressBook, AddressKey, AddressMove, Addresses, Catalog, CatalogSnapshot, ChangeLog, Changes,
    ChannelRecord, ChannelStatus, Identities, IdentityFilter, IdentityLink, Page, PageRequest, PolicyDraft,
    PolicyRecord, Project, Resealed, Revision, SealedConfig, Source, Suppression, Undone, Workspace,
};
use fastlead_core::time::Timestamp;
use fastlead_core::{Result, async_trait};

use super::people;
use super::watch::Watch;

#[async_trait]
impl Catalog for Watch {
    async fn load(&self) -> Result<CatalogSnapshot> {
        self.at_once(self.store.load())
    }

    async fn load_workspace(&self, workspace: WorkspaceId) -> Result<CatalogSnapshot> {
        self.at_once(self.store.load_workspace(workspace))
    }

    async fn put_workspace(&self, workspace: Workspace) -> Result<()> {
        self.at_once(self.store.put_workspace(workspace))
    }

    async fn put_project(&self, project: Project) -> Result<()> {
        self.at_once(self.store.put_project(project))
    }

    async fn put_source(&self, source: Source) -> Result<()> {
        self.world.model().knows_source(&source);
        self.at_once(self.store.put_source(source))
    }

    async fn consent_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>> {
        self.at_once(self.store.consent_documents(workspace, document_id, version))
    }

    async fn put_channel(&self, channel: ChannelRecord) -> Result<()> {
        let mut lines = self.world.setting.lines.iter();
        let answers = lines.any(|line| line.name == channel.name && line.capabilities.answers);
        self.world.model().knows_channel(&channel, answers);
        self.at_once(self.store.put_channel(channel))
    }

    async fn reseal_channel(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        before: &SealedConfig,
        after: Resealed,
    ) -> Result<bool> {
        self.at_once(self.store.reseal_channel(workspace, channel, before, after))
    }

    async fn set_channel_status(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        status: ChannelStatus,
    ) -> Result<bool> {
        let newly_paused = self.world.model().has_status(channel, &status, self.now());
        self.world.note(format_args!("{channel} paused: {}", status.is_paused()));
        if newly_paused {
            people::account_at_fault(&self.world, channel);
        }
        self.at_once(self.store.set_channel_status(workspace, channel, status))
    }

    async fn publish_policy(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        new_id: PolicyId,
        policy: Policy,
        at: Timestamp,
    ) -> Result<PolicyRecord> {
        let record = self.at_once(self.store.publish_policy(workspace, project, new_id, policy, at))?;
        self.world.model().knows_policy(&record, self.world.now());
        Ok(record)
    }

    async fn policy(&self, reference: PolicyRef) -> Result<Option<PolicyRecord>> {
        self.at_once(self.store.policy(reference))
    }

    async fn policies(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<PolicyRecord>> {
        self.at_once(self.store.policies(workspace, project, limit))
    }

    async fn put_draft(&self, draft: PolicyDraft) -> Result<()> {
        self.at_once(self.store.put_draft(draft))
    }

    async fn draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<Option<PolicyDraft>> {
        self.at_once(self.store.draft(workspace, project))
    }

    async fn discard_draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<bool> {
        self.at_once(self.store.discard_draft(workspace, project))
    }
}

#[async_trait]
impl ChangeLog for Watch {
    async fn revision(&self) -> Result<Revision> {
        self.at_once(self.store.revision())
    }

    async fn changes_since(&self, revision: Revision, limit: u32) -> Result<Changes> {
        self.turn().await;
        self.at_once(self.store.changes_since(revision, limit))
    }
}

#[async_trait]
impl Addresses for Watch {
    async fn address_book(&self) -> Result<AddressBook> {
        self.at_once(self.store.address_book())
    }

    async fn suppress(&self, suppression: Suppression) -> Result<Suppression> {
        self.at_once(self.store.suppress(suppression))
    }

    async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool> {
        self.at_once(self.store.lift(workspace, address))
    }

    async fn narrow(&self, workspace: WorkspaceId, address: AddressKey) -> Result<Option<Suppression>> {
        self.at_once(self.store.narrow(workspace, address))
    }

    async fn suppression(&self, workspace: WorkspaceId, id: SuppressionId) -> Result<Option<Suppression>> {
        self.at_once(self.store.suppression(workspace, id))
    }

    async fn suppressions(&self, workspace: WorkspaceId, page: PageRequest) -> Result<Page<Suppression>> {
        self.at_once(self.store.suppressions(workspace, page))
    }

    async fn move_address(&self, moved: AddressMove) -> Result<()> {
        self.at_once(self.store.move_address(moved))
    }
}

#[async_trait]
impl Identities for Watch {
    async fn active_links(&self) -> Result<Vec<IdentityLink>> {
        self.at_once(self.store.active_links())
    }

    async fn link(&self, link: IdentityLink) -> Result<IdentityLink> {
        self.at_once(self.store.link(link))
    }

    async fn undo_link(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>> {
        self.at_once(self.store.undo_link(workspace, id, undone))
    }

    async fn identity_links(
        &self,
        workspace: WorkspaceId,
        filter: IdentityFilter,
        page: PageRequest,
    ) -> Result<Page<IdentityLink>> {
        self.at_once(self.store.identity_links(workspace, filter, page))
    }
}
