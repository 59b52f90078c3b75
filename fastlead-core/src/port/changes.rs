//! The numbered log of changes that every engine on a store follows.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::addresses::{AddressKey, AddressMove, Suppression};
use super::catalog::{ChannelRecord, PolicyRecord, Project, Source};
use super::identities::IdentityLink;
use crate::error::Result;
use crate::id::{ChannelId, IdentityId, ProjectId, SourceId};

/// Says what has changed in the catalogue, in suppressions, moved addresses and links of identities.
///
/// # Behavior
/// * Each change gets the next revision in the transaction that makes it: whoever reads the change can read its
///   revision too, and revisions become visible in their order.
/// * A change that changes nothing may get a revision all the same.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::port::{ChangeLog, InstallationChange, Revision};
///
/// async fn changed_since(log: &dyn ChangeLog, known: Revision) -> Result<Vec<InstallationChange>> {
///     Ok(log.changes_since(known, 100).await?.changes)
/// }
/// ```
#[async_trait]
pub trait ChangeLog: Debug + Send + Sync + 'static {
    /// Returns the last revision; [`Revision::NONE`] where nothing was changed yet.
    async fn revision(&self) -> Result<Revision>;

    /// Returns what has changed since `revision`, in the order of the last change of each thing, at most `limit` of
    /// them.
    ///
    /// # Behavior
    /// * A thing that has changed several times is named once, as it is now.
    /// * What was removed is named as removed.
    /// * A thing that cannot be read is noted and holds up nothing: a suppression is
    ///   [`InstallationChange::SuppressedUnread`], of a policy an older version is named, anything else is left out.
    /// * A revision that the log has never reached answers everything.
    async fn changes_since(&self, revision: Revision, limit: u32) -> Result<Changes>;
}

/// Number of a change; higher is later.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision before the first change.
    pub const NONE: Self = Self(0);
}

/// The answer to [`ChangeLog::changes_since`].
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// What has changed.
    pub changes: Vec<InstallationChange>,
    /// From where the next call goes on.
    pub revision: Revision,
    /// Whether there is more.
    pub more: bool,
}

/// One thing as it is after its last change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum InstallationChange {
    /// A project was added or changed.
    Project(Box<Project>),
    /// A project was removed.
    ProjectRemoved(ProjectId),
    /// A source was added or changed.
    Source(Box<Source>),
    /// A source was removed.
    SourceRemoved(SourceId),
    /// A channel instance was added, changed, paused or resumed.
    Channel(Box<ChannelRecord>),
    /// A channel instance was removed.
    ChannelRemoved(ChannelId),
    /// A policy was published; it decides on the new leads of its project.
    Policy(Box<PolicyRecord>),
    /// An address was suppressed, or its suppression has changed.
    Suppressed(Box<Suppression>),
    /// An address was suppressed in a way that cannot be read: until somebody says more, nothing may be sent there.
    SuppressedUnread(AddressKey),
    /// The suppression of an address was taken back.
    Lifted(AddressKey),
    /// An address has moved.
    Moved(Box<AddressMove>),
    /// Where this address has moved to is not known any more: the person was erased.
    MoveForgotten(AddressKey),
    /// An account and a phone number were linked.
    Linked(Box<IdentityLink>),
    /// A link was undone.
    Unlinked(Box<IdentityLink>),
    /// A link is not in the store any more.
    LinkRemoved(IdentityId),
}
