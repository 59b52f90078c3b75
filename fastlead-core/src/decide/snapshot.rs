//! The facts a decision may look at besides the lead itself.

use std::collections::BTreeMap;

use crate::id::{ChannelId, LeadId};

/// What a decision needs to know. The store loads exactly this.
///
/// Today every decision runs on facts that the engine keeps in memory. Caps, balances, last
/// assignments and a person's history become fields here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {}

/// Facts, possibly slightly old: whatever must be exact is reserved at commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The workspace's channel instances by name.
    pub channels: BTreeMap<String, ChannelFacts>,
    /// The lead that holds this capture's dedupe key, once a commit has said so.
    pub duplicate_of: Option<LeadId>,
}

/// What a decision may know of a channel instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelFacts {
    /// The instance.
    pub id: ChannelId,
    /// Whether it is paused.
    pub paused: bool,
}
