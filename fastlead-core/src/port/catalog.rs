//! What an installation consists of: workspaces, projects, sources, channel instances, policies.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::{ChannelId, PolicyId, ProjectId, SourceId, WorkspaceId};
use crate::lead::{ConsentDocument, FieldMapping};
use crate::message::Locale;
use crate::policy::{Policy, PolicyRef};
use crate::port::{FormSettings, UnreadableRow};
use crate::time::Timestamp;

/// Keeps the installation's settings. Small and read often: the engine keeps a copy in memory.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::port::Catalog;
///
/// async fn keys(catalog: &dyn Catalog) -> Result<Vec<String>> {
///     Ok(catalog.load().await?.sources.into_iter().map(|source| source.key).collect())
/// }
/// ```
#[async_trait]
pub trait Catalog: Debug + Send + Sync + 'static {
    /// Everything the engine needs: all workspaces, projects, sources, channels and the current policy of each project.
    async fn load(&self) -> Result<CatalogSnapshot>;

    /// Returns the same of one workspace alone, in time that does not grow with the number of workspaces.
    async fn load_workspace(&self, workspace: WorkspaceId) -> Result<CatalogSnapshot>;

    /// Creates or replaces a workspace.
    async fn put_workspace(&self, workspace: Workspace) -> Result<()>;

    /// Creates or replaces a project.
    async fn put_project(&self, project: Project) -> Result<()>;

    /// Creates or replaces a source. Its consent documents are kept for good, whatever becomes of the source.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] where another source has the same key.
    async fn put_source(&self, source: Source) -> Result<()>;

    /// Every document of this name and version that a source of the workspace has or had, oldest first: what
    /// people have agreed to. Where there are several, the hash of a consent's text says which.
    async fn consent_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>>;

    /// Creates or replaces a channel instance; its status is left alone when it exists.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] where another instance of the workspace has the same name.
    async fn put_channel(&self, channel: ChannelRecord) -> Result<()>;

    /// Replaces what a channel has sealed, where its configuration still is `before`. Returns whether it was; a channel
    /// that does not exist (any more) is not changed.
    async fn reseal_channel(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        before: &SealedConfig,
        after: Resealed,
    ) -> Result<bool>;

    /// Pauses or resumes a channel instance. Answers whether that changed anything.
    async fn set_channel_status(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        status: ChannelStatus,
    ) -> Result<bool>;

    /// Publishes a policy as the next version of its project's policy and answers that version.
    /// Publishing what is current already answers the current version.
    async fn publish_policy(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        new_id: PolicyId,
        policy: Policy,
        at: Timestamp,
    ) -> Result<PolicyRecord>;

    /// A published version.
    async fn policy(&self, reference: PolicyRef) -> Result<Option<PolicyRecord>>;

    /// The published versions of a project's policy, newest first, at most `limit`.
    async fn policies(
        &self,
        workspace: WorkspaceId,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<PolicyRecord>>;

    /// Keeps a draft of a project's policy, instead of an older one.
    async fn put_draft(&self, draft: PolicyDraft) -> Result<()>;

    /// The draft of a project's policy.
    async fn draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<Option<PolicyDraft>>;

    /// Throws the draft of a project's policy away. Answers whether there was one.
    async fn discard_draft(&self, workspace: WorkspaceId, project: ProjectId) -> Result<bool>;
}

/// Everything at once.
#[derive(Debug, Clone, Default)]
pub struct CatalogSnapshot {
    /// All workspaces.
    pub workspaces: Vec<Workspace>,
    /// All projects.
    pub projects: Vec<Project>,
    /// All sources.
    pub sources: Vec<Source>,
    /// All channel instances.
    pub channels: Vec<ChannelRecord>,
    /// The current policy of each project that has one; where it cannot be read, the newest version that can.
    pub policies: Vec<PolicyRecord>,
    /// What could not be read and is left out.
    pub unreadable: Vec<UnreadableRow>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A project of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A place where leads come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// Its project.
    pub project_id: ProjectId,
    /// The public key in capture URLs. Not a secret: it stands in pages.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Whether it takes leads.
    pub active: bool,
    /// The language of its pages and answers where the visitor has no other.
    pub locale: Locale,
    /// Origins whose pages may post here, such as `https://example.com`; empty: only the hosted form
    /// and programs, no browser of another origin.
    pub allowed_origins: Vec<String>,
    /// The documents that it shows, one box for each purpose, in each language of the form.
    pub consents: Vec<ConsentDocument>,
    /// Its form: the hosted page, and the widget on a site.
    pub form: FormSettings,
    /// How much is taken.
    pub limits: SourceLimits,
    /// Where the fields of its forms belong.
    #[serde(default, skip_serializing_if = "FieldMapping::is_empty")]
    pub mapping: FieldMapping,
    /// When it was created.
    pub created_at: Timestamp,
}

/// How much a source takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SourceLimits {
    /// Captures per minute from one address. 0: no limit.
    pub per_ip_per_minute: u32,
    /// Captures per minute in all. 0: no limit.
    pub per_minute: u32,
    /// Captures per minute from senders that authenticate (an API key of the workspace), which are not counted by
    /// address. 0: no limit.
    pub authenticated_per_minute: u32,
    /// A form that was filled in faster than this many milliseconds was filled in by a program.
    pub min_fill_millis: u32,
    /// What is done with a lead that seems to be filled in by a program.
    pub automated: AutomatedAction,
}

/// What is done with a lead that seems to be filled in by a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AutomatedAction {
    /// The sender is asked to send it again after a moment; a person can.
    #[default]
    Refuse,
    /// It is taken in and kept for a person to look at, as the policy's `review` says.
    Review,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            per_ip_per_minute: 30,
            per_minute: 0,
            authenticated_per_minute: 0,
            min_fill_millis: 1_500,
            automated: AutomatedAction::Refuse,
        }
    }
}

/// A channel instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    /// Its id.
    pub id: ChannelId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The adapter.
    pub kind: String,
    /// What its owner calls it; unique within the workspace. Policies name it so.
    pub name: String,
    /// Its configuration, sealed by the program. The store does not look inside.
    pub config: SealedConfig,
    /// The unguessable last part of its webhook URL, as the program writes it: sealed, or in clear.
    pub webhook_token: String,
    /// Whether it is used.
    pub status: ChannelStatus,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a channel has sealed, sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// Its configuration.
    pub config: SealedConfig,
    /// The last part of its webhook URL, as the program writes it.
    pub webhook_token: String,
}

/// A sealed configuration.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SealedConfig(pub Vec<u8>);

impl Debug for SealedConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedConfig({} bytes)", self.0.len())
    }
}

/// Whether a channel instance is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ChannelStatus {
    /// It sends and receives.
    Active,
    /// It receives, but nothing is sent over it.
    Paused {
        /// Why: `operator` or the code of the error that paused it.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
}

impl ChannelStatus {
    /// Whether nothing is sent.
    pub const fn is_paused(&self) -> bool {
        matches!(self, Self::Paused { .. })
    }
}

/// A published version of a policy.
#[derive(Debug, Clone)]
pub struct PolicyRecord {
    /// Which one.
    pub reference: PolicyRef,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// Its project.
    pub project_id: ProjectId,
    /// The policy.
    pub policy: Arc<Policy>,
    /// When it was published.
    pub published_at: Timestamp,
}

/// A policy that somebody works on. It decides nothing, and may have faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyDraft {
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// Its project.
    pub project_id: ProjectId,
    /// The document as it was saved.
    pub document: serde_json::Value,
    /// The version that was current when it was saved; `None` where there was none.
    pub based_on: Option<u32>,
    /// When it was saved.
    pub saved_at: Timestamp,
}
