//! What the model knows of a delivery.

use fastlead_core::delivery::{DeliveryState, Lease, NewDelivery, OrderKey, Phase};
use fastlead_core::id::{LeadId, LeaseToken};
use fastlead_core::port::Settled;
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
    /// Lease under which the last attempt was begun, where nobody has recorded its outcome under it.
    pub(super) begun_by: Option<LeaseToken>,
    /// Whether its lead has no use for it.
    pub(super) unwanted: bool,
}

impl Known {
    pub(super) fn new(lead: LeadId, channel: usize, new: &NewDelivery) -> Self {
        Self {
            lead,
            channel,
            order: new.order_key,
            created_at: new.created_at,
            due_at: new.due_at,
            state: DeliveryState::Pending,
            attempts: 0,
            uncertain: false,
            lease: new.lease,
            begun_by: None,
            unwanted: false,
        }
    }

    /// Whether an outcome that was learned under `token` counts.
    pub(super) fn may_settle(&self, token: LeaseToken, outcome: &Settled) -> bool {
        self.lease.is_some_and(|lease| lease.token == token)
            || (self.begun_by == Some(token) && outcome.is_news_of(self.state, self.uncertain))
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
