//! The other four ports of the broken store.

use fastlead_core::Actor;
use fastlead_core::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{
    ApiKeyId, ChannelId, DeliveryId, IdentityId, LeadId, PolicyId, ProjectId, SessionId, SuppressionId,
    UserId, WorkspaceId,
};
use fastlead_core::lead::ConsentDocument;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    Accounts, AddressBook, AddressKey, AddressMove, Addresses, ApiKeyRecord, AttemptRecord, CaptureFilter,
    Catalog, CatalogSnapshot, ChangeLog, Changes, ChannelRecord, ChannelStatus, DeliveryFilter,
    DeliveryRecord, DeliverySummary, EventBatch, Identities, IdentityFilter, IdentityLink, InboundRecord,
    InstallationChange, Journal, LeadAtRisk, LeadCounts, LeadFilter, LeadSummary, LinkedBy, Page,
    PageRequest, PolicyDraft, PolicyRecord, Project, Purged, QueueDepth, Resealed, Revision, RiskFilter,
    SealedConfig, SessionRecord, Source, StoredCapture, StoredEvent, Suppression, Undone, UnreadableRow,
    UserRecord, Workspace,
};
use fastlead_core::time::Timestamp;

use super::flaw::{BrokenStore, Flaw};

#[async_trait]
impl Catalog for BrokenStore {
    async fn load(&self) -> Result<CatalogSnapshot> {
        self.inner.load().await
    }

    async fn load_workspace(&self, workspace: WorkspaceId) -> Result<CatalogSnapshot> {
        if self.has(Flaw::LoadsEverybody) {
            return self.inner.load().await;
        }
        self.inner.load_workspace(workspace).await
    }

    async fn put_workspace(&self, workspace: Workspace) -> Result<()> {
        self.inner.put_workspace(workspace).await
    }

    async fn put_project(&self, project: Project) -> Result<()> {
        self.inner.put_project(project).await
    }

    async fn put_source(&self, source: Source) -> Result<()> {
        self.inner.put_source(source).await
    }

    async fn consent_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>> {
        let mut found = self.inner.consent_documents(workspace, document_id, version).await?;
        if self.has(Flaw::ForgetsDocuments) {
            let sources = self.inner.load().await?.sources;
            found.retain(|document| sources.iter().any(|source| source.consents.contains(document)));
        }
        Ok(found)
    }

    async fn put_channel(&self, channel: ChannelRecord) -> Result<()> {
        self.seen.lock().unwrap().channels.push(channel.id);
        let (workspace, id, status) = (channel.workspace_id, channel.id, channel.status.clone());
        self.inner.put_channel(channel).await?;
        if self.has(Flaw::ResumesWhenPut) {
            self.inner.set_channel_status(workspace, id, status).await?;
        }
        Ok(())
    }

    async fn reseal_channel(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        before: &SealedConfig,
        after: Resealed,
    ) -> Result<bool> {
        if self.has(Flaw::SealsOver) {
            let loaded = self.inner.load().await?.channels;
            let now = loaded.iter().find(|record| record.id == channel).map(|record| record.config.clone());
            return self.inner.reseal_channel(workspace, channel, &now.unwrap_or_default(), after).await;
        }
        self.inner.reseal_channel(workspace, channel, before, after).await
    }

    async fn set_channel_status(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        status: ChannelStatus,
    ) -> Result<bool> {
        self.inner.set_channel_status(workspace, channel, status).await
    }

    async fn publish_policy(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        new_id: PolicyId,
        policy: Policy,
        at: Timestamp,
    ) -> Result<PolicyRecord> {
        self.inner.publish_policy(workspace, project, new_id, policy, at).await
    }

    async fn policy(&self, reference: PolicyRef) -> Result<Option<PolicyRecord>> {
        self.inner.policy(reference).await
    }

    async fn policies(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<PolicyRecord>> {
        self.inner.policies(workspace, project, limit).await
    }

    async fn put_draft(&self, draft: PolicyDraft) -> Result<()> {
        self.inner.put_draft(draft).await
    }

    async fn draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<Option<PolicyDraft>> {
        self.inner.draft(workspace, project).await
    }

    async fn discard_draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<bool> {
        if self.has(Flaw::KeepsDrafts) {
            return Ok(self.inner.draft(workspace, project).await?.is_some());
        }
        self.inner.discard_draft(workspace, project).await
    }
}

#[async_trait]
impl Journal for BrokenStore {
    async fn leads(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        page: PageRequest,
    ) -> Result<Page<LeadSummary>> {
        let later = page.after.is_some();
        let mut found = self.inner.leads(workspace, filter, page).await?;
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn count_leads(&self, workspace: WorkspaceId, filter: LeadFilter, most: u32) -> Result<LeadCounts> {
        let mut counts = self.inner.count_leads(workspace, filter, most).await?;
        if self.has(Flaw::MiscountsLeads) {
            counts.by_status.values_mut().for_each(|count| *count += 1);
        }
        Ok(counts)
    }

    async fn events(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        page: PageRequest,
    ) -> Result<Page<StoredEvent>> {
        let mut found = self.inner.events(workspace, lead, page).await?;
        if self.has(Flaw::ForgetsActors) {
            found.items.iter_mut().for_each(|event| event.actor = Some(Actor::Program));
        }
        Ok(found)
    }

    async fn events_since(&self, workspace: WorkspaceId, position: u64, limit: u32) -> Result<EventBatch> {
        let mut found = self.inner.events_since(workspace, position, limit).await?;
        if self.has(Flaw::OrdersByClock) {
            found.events.sort_by_key(|event| event.id);
        }
        if self.has(Flaw::SkipsPositions) && found.more {
            found.position += 1;
        }
        Ok(found)
    }

    async fn captures(
        &self,
        workspace: WorkspaceId,
        filter: CaptureFilter,
        page: PageRequest,
    ) -> Result<Page<StoredCapture>> {
        let later = page.after.is_some();
        let mut found = self.inner.captures(workspace, filter, page).await?;
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<DeliverySummary>> {
        let later = page.after.is_some();
        let mut found = self.inner.deliveries(workspace, filter, page).await?;
        let unread: Vec<_> = found.items.iter().filter_map(|delivery| self.unread(delivery)).collect();
        found.items.retain(|delivery| self.unread(delivery).is_none());
        if !self.has(Flaw::HidesTheUnreadable) {
            found.unreadable = unread;
        }
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn delivery_record(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
    ) -> Result<Option<DeliveryRecord>> {
        if !self.has(Flaw::ReadsTwoMoments) {
            return self.inner.delivery_record(workspace, delivery).await;
        }
        let Some(found) = fastlead_core::port::Store::delivery(&self.inner, workspace, delivery).await?
        else {
            return Ok(None);
        };
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let attempts = self.inner.attempts(workspace, delivery).await?;
        Ok(Some(DeliveryRecord {
            delivery: found,
            attempts: attempts.into_iter().map(|record| record.attempt).collect(),
        }))
    }

    async fn attempts(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Vec<AttemptRecord>> {
        self.inner.attempts(workspace, delivery).await
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        let before = if self.has(Flaw::ForgetsTooMuch) { Timestamp::MAX_UTC } else { before };
        self.inner.purge(before, limit).await
    }

    async fn at_risk(
        &self,
        workspace: WorkspaceId,
        filter: RiskFilter,
        page: PageRequest,
    ) -> Result<Page<LeadAtRisk>> {
        let later = page.after.is_some();
        let mut found = self.inner.at_risk(workspace, filter, page).await?;
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn count_at_risk(&self, until: Timestamp, most: u32) -> Result<u64> {
        self.inner.count_at_risk(until, most).await
    }

    async fn spoken(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        page: PageRequest,
    ) -> Result<Page<InboundRecord>> {
        let later = page.after.is_some();
        let mut found = self.inner.spoken(workspace, channel, page).await?;
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }

    async fn unreadable(&self, workspace: Option<WorkspaceId>) -> Result<Vec<UnreadableRow>> {
        let mut met = self.inner.unreadable(workspace).await?;
        met.extend(workspace.into_iter().flat_map(|workspace| self.unread_money(workspace)));
        Ok(met)
    }

    async fn queue_depth(&self, now: Timestamp) -> Result<QueueDepth> {
        self.inner.queue_depth(now).await
    }
}

#[async_trait]
impl ChangeLog for BrokenStore {
    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }

    async fn changes_since(&self, revision: Revision, limit: u32) -> Result<Changes> {
        let mut found = self.inner.changes_since(revision, limit).await?;
        let removed = |change: &InstallationChange| {
            matches!(change, InstallationChange::Lifted(_) | InstallationChange::Unlinked(_))
        };
        if self.has(Flaw::ForgetsRemovals) {
            found.changes.retain(|change| !removed(change));
        }
        if self.has(Flaw::KeepsStatusToItself) {
            found.changes.retain(
                |change| !matches!(change, InstallationChange::Channel(record) if record.status.is_paused()),
            );
        }
        if self.has(Flaw::PausesInSilence) {
            let at_fault = |status: &ChannelStatus| matches!(status, ChannelStatus::Paused { reason, .. } if reason == "auth");
            found.changes.retain(
                |change| !matches!(change, InstallationChange::Channel(record) if at_fault(&record.status)),
            );
        }
        if self.has(Flaw::PublishesInSilence) {
            found.changes.retain(|change| !matches!(change, InstallationChange::Policy(_)));
        }
        if self.has(Flaw::TurnsChangesRound) {
            found.changes.reverse();
        }
        if self.has(Flaw::SkipsChanges) && found.more {
            found.revision.0 += 1;
        }
        Ok(found)
    }
}

#[async_trait]
impl Addresses for BrokenStore {
    async fn address_book(&self) -> Result<AddressBook> {
        if self.has(Flaw::ForgetsSuppressions) {
            return Ok(AddressBook::default());
        }
        self.inner.address_book().await
    }

    async fn suppress(&self, suppression: Suppression) -> Result<Suppression> {
        self.inner.suppress(suppression).await
    }

    async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool> {
        if self.has(Flaw::ForgetsTheLifted) {
            return Ok(true);
        }
        self.inner.lift(workspace, address).await
    }

    async fn narrow(&self, workspace: WorkspaceId, address: AddressKey) -> Result<Option<Suppression>> {
        if self.has(Flaw::LetsAdvertisingIn) {
            self.inner.lift(workspace, address).await?;
            return Ok(None);
        }
        self.inner.narrow(workspace, address).await
    }

    async fn suppression(&self, workspace: WorkspaceId, id: SuppressionId) -> Result<Option<Suppression>> {
        self.inner.suppression(workspace, id).await
    }

    async fn suppressions(&self, workspace: WorkspaceId, page: PageRequest) -> Result<Page<Suppression>> {
        self.inner.suppressions(workspace, page).await
    }

    async fn move_address(&self, moved: AddressMove) -> Result<()> {
        self.inner.move_address(moved).await
    }
}

#[async_trait]
impl Accounts for BrokenStore {
    async fn put_user(&self, user: UserRecord) -> Result<()> {
        self.inner.put_user(user).await
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<UserRecord>> {
        self.inner.user_by_login(login).await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>> {
        self.inner.user(id).await
    }

    async fn users(&self, workspace: WorkspaceId) -> Result<Vec<UserRecord>> {
        let users = self.inner.users(workspace).await?;
        if self.has(Flaw::ForgetsDisabledUsers) {
            return Ok(users.into_iter().filter(|user| user.disabled_at.is_none()).collect());
        }
        Ok(users)
    }

    async fn count_users(&self) -> Result<u64> {
        self.inner.count_users().await
    }

    async fn put_api_key(&self, key: ApiKeyRecord) -> Result<()> {
        self.seen.lock().unwrap().keys.push(key.clone());
        self.inner.put_api_key(key).await
    }

    async fn api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKeyRecord>> {
        if self.has(Flaw::KeepsRevokedKeys) {
            return Ok(self.seen.lock().unwrap().keys.iter().find(|key| key.hash == hash).cloned());
        }
        self.inner.api_key_by_hash(hash).await
    }

    async fn api_keys(&self, workspace: WorkspaceId) -> Result<Vec<ApiKeyRecord>> {
        self.inner.api_keys(workspace).await
    }

    async fn revoke_api_key(&self, workspace: WorkspaceId, key: ApiKeyId, at: Timestamp) -> Result<bool> {
        self.inner.revoke_api_key(workspace, key, at).await
    }

    async fn touch_api_key(&self, key: ApiKeyId, at: Timestamp) -> Result<()> {
        if self.has(Flaw::NotesNoUse) {
            return Ok(());
        }
        self.inner.touch_api_key(key, at).await
    }

    async fn open_session(&self, session: SessionRecord) -> Result<()> {
        self.inner.open_session(session).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionRecord>> {
        let session = self.inner.session(id).await?;
        if self.has(Flaw::KeepsEndedSessions) {
            return Ok(session.map(|session| SessionRecord { ended_at: None, ..session }));
        }
        Ok(session)
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionRecord>> {
        self.inner.sessions(user).await
    }

    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        if self.has(Flaw::NotesNoUse) {
            return Ok(());
        }
        self.inner.touch_session(id, at).await
    }

    async fn end_session(&self, workspace: WorkspaceId, id: SessionId, at: Timestamp) -> Result<bool> {
        self.inner.end_session(workspace, id, at).await
    }

    async fn end_sessions(&self, user: UserId, keep: Option<SessionId>, at: Timestamp) -> Result<u64> {
        let keep = keep.filter(|_| !self.has(Flaw::EndsTheKeptSession));
        self.inner.end_sessions(user, keep, at).await
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if self.has(Flaw::ReplacesSettings) {
            return Ok(self.seen.lock().unwrap().settings.get(name).cloned());
        }
        self.inner.setting(name).await
    }

    async fn init_setting(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        if self.has(Flaw::ReplacesSettings) {
            self.seen.lock().unwrap().settings.insert(name.to_owned(), value.clone());
            return Ok(value);
        }
        self.inner.init_setting(name, value).await
    }

    async fn replace_setting(&self, name: &str, before: &[u8], after: Vec<u8>) -> Result<bool> {
        if self.has(Flaw::ReplacesWhatHasChanged)
            && let Some(now) = self.inner.setting(name).await?
        {
            return self.inner.replace_setting(name, &now, after).await;
        }
        self.inner.replace_setting(name, before, after).await
    }
}

#[async_trait]
impl Identities for BrokenStore {
    async fn active_links(&self) -> Result<Vec<IdentityLink>> {
        self.inner.active_links().await
    }

    async fn link(&self, mut link: IdentityLink) -> Result<IdentityLink> {
        if self.has(Flaw::LinksAgain)
            && let LinkedBy::Attested { provider_event_id, .. } = &mut link.by
        {
            *provider_event_id = link.id.to_string();
        }
        if self.has(Flaw::KeepsTheFirstNumber) {
            let held = self.inner.active_links().await?;
            if held.iter().any(|held| held.account() == link.account()) {
                return Ok(link);
            }
        }
        self.inner.link(link).await
    }

    async fn undo_link(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>> {
        if self.has(Flaw::KeepsLinks) {
            let page = PageRequest { after: None, limit: 500 };
            let links = self.inner.identity_links(workspace, IdentityFilter::default(), page).await?;
            let link = links.items.into_iter().find(|link| link.id == id);
            return Ok(link.map(|link| IdentityLink { undone: Some(undone), ..link }));
        }
        self.inner.undo_link(workspace, id, undone).await
    }

    async fn identity_links(
        &self,
        workspace: WorkspaceId,
        filter: IdentityFilter,
        page: PageRequest,
    ) -> Result<Page<IdentityLink>> {
        let later = page.after.is_some();
        let mut found = self.inner.identity_links(workspace, filter, page).await?;
        if later && self.has(Flaw::SkipsBetweenPages) && !found.items.is_empty() {
            found.items.remove(0);
        }
        Ok(found)
    }
}
