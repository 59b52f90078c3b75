//! What the model knows of a delivery.

use fastlead_core::delivery::{DeliveryState, Lease, NewDelivery, OrderKey, Phase};
use fastlead_core::id::LeadId;
use fastlead_core::time::Timestamp;

/// A delivery as the model knows it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) lead: LeadId,
    pub(super) channel: usize,
    pub(super) order: Option<OrderKey>,
    pub(super) created_at: Timestamp,
    pub(super) due_at: Timestamp,
    pub(super) state: DeliveryState,
    pub(super) attempts: u32,
    pub(super) uncertain: bool,
    pub(super) lease: Option<Lease>,
}

impl Known {
    pub(super) fn new(lead: LeadId, channel: usize, new: &NewDelivery) -> Self {
        Self {
            lead,
            channel,
            order: new.order_key,
            created_at: new.created_at,
            due_at: new.due_at,
            state: if new.begun { DeliveryState::Sending } else { DeliveryState::Pending },
            attempts: u32::from(new.begun),
            uncertain: false,
            lease: new.lease,
        }
    }

    /// Whether nothing but its receipt is missing.
    pub(super) fn owes_receipt(&self) -> bool {
        self.state == DeliveryState::AwaitingReceipt && !self.uncertain
    }

    /// What a worker would be asked to do at `now`, order apart.
    pub(super) fn claimable(&self, now: Timestamp) -> Option<Phase> {
        let since = self.lease.map_or(self.due_at, |lease| lease.until);
        match self.state {
            _ if since > now => None,
            DeliveryState::Pending => Some(Phase::Send),
            DeliveryState::Sending => Some(Phase::Recover),
            DeliveryState::AwaitingReceipt => Some(Phase::Confirm),
            _ => None,
        }
    }
}
