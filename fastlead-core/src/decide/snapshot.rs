//! The facts a decision may look at besides the lead itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::Facts;
use crate::id::{ChannelId, LeadId};

/// Facts, possibly slightly old: whatever must be exact is reserved at commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The workspace's channel instances by name.
    pub channels: Arc<BTreeMap<String, ChannelFacts>>,
    /// The lead that holds this capture's dedupe key, once a commit has said so.
    pub duplicate_of: Option<LeadId>,
    /// What [`super::needs`] has asked for.
    pub facts: Arc<Facts>,
}

/// What a decision may know of a channel instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelFacts {
    /// The instance.
    pub id: ChannelId,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether it brings back what the other side answers.
    pub answers: bool,
}
