//! Inbound events as a store keeps them.

use crate::channel::InboundEvent;
use crate::delivery::Lease;
use crate::id::{ChannelId, LeaseToken};
use crate::time::Timestamp;

/// Names an inbound event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboundRef {
    /// The channel that brought it.
    pub channel_id: ChannelId,
    /// The provider's id of it.
    pub provider_event_id: String,
}

/// Inbound events of one channel that are to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundBatch {
    /// The channel that brings them.
    pub channel_id: ChannelId,
    /// The events, oldest first.
    pub events: Vec<InboundEvent>,
    /// Where polling goes on, where the channel was polled.
    pub cursor: Option<String>,
    /// The present moment.
    pub at: Timestamp,
    /// Lease under which whoever records them acts upon them.
    pub lease: Lease,
}

/// Inbound event that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRecord {
    /// The channel that brought it.
    pub channel_id: ChannelId,
    /// The event.
    pub event: InboundEvent,
    /// When it was recorded.
    pub received_at: Timestamp,
}

impl InboundRecord {
    /// Its name.
    pub fn reference(&self) -> InboundRef {
        InboundRef { channel_id: self.channel_id, provider_event_id: self.event.provider_event_id.clone() }
    }
}

/// Inbound event under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedInbound {
    /// The event.
    pub record: InboundRecord,
    /// The lease.
    pub token: LeaseToken,
    /// How often it was leased before.
    pub tries: u32,
}
