//! Attempts that begin: what a store is told right before the first byte goes out, and what it answers.

use super::AddressKey;
use crate::id::{DeliveryId, LeaseToken};
use crate::message::MessageClass;
use crate::time::Timestamp;

/// An attempt that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// The lease under which it is worked on.
    pub token: LeaseToken,
    /// The moment.
    pub at: Timestamp,
    /// Until when the lease lasts at the least: the attempt is over by then.
    pub until: Timestamp,
    /// Address to which the message goes; `None` for an endpoint, which nobody can suppress.
    pub address: Option<AddressKey>,
    /// What kind of message it is.
    pub class: MessageClass,
}

impl Beginning {
    /// An attempt at a service message, of whose address nothing is asked, under its lease as it is.
    pub const fn new(delivery_id: DeliveryId, token: LeaseToken, at: Timestamp) -> Self {
        Self { delivery_id, token, at, until: at, address: None, class: MessageClass::Service }
    }

    /// Lengthens the lease to this moment.
    #[must_use]
    pub const fn lasting_until(self, until: Timestamp) -> Self {
        Self { until, ..self }
    }

    /// Asks whether a message of `class` may be sent to `address`.
    #[must_use]
    pub const fn to(self, address: AddressKey, class: MessageClass) -> Self {
        Self { address: Some(address), class, ..self }
    }
}

/// The answer to [`Store::begin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginOutcome {
    /// On disk; the message may be sent now.
    Begun,
    /// Cancelled, or leased to somebody else; nothing was changed and nothing may be sent.
    LeaseLost,
    /// Its channel is paused; nothing was changed and nothing may be sent.
    Paused,
    /// Its address is suppressed, for this reason; nothing was changed and nothing may be sent.
    Suppressed(String),
    /// Its lead has no use for it any more; nothing was changed and nothing may be sent.
    Unwanted,
}
