//! Whose doing an event is.

use super::Engine;
use super::transition::Extras;
use crate::actor::Actor;
use crate::decide::{Event, Via};
use crate::port::Settled;

impl Engine {
    /// Who made `event` happen: what brought it says so, or else whoever this handle acts for.
    pub(super) fn actor_of(&self, event: &Event, extras: &Extras) -> Actor {
        match event {
            Event::Captured(_) | Event::Confirmed { .. } => match &self.actor {
                Actor::Program => Actor::Visitor,
                named => named.clone(),
            },
            Event::Responded { target, via: Via::Button { .. } | Via::Answer, .. } => {
                Actor::Target { name: target.clone() }
            }
            Event::Answered { target, .. } if !has_failed(extras) => Actor::Target { name: target.clone() },
            Event::DeliveryEnded { channel_id, .. } if extras.receipt.is_some() => {
                Actor::Provider { channel_id: *channel_id }
            }
            Event::TimerFired { .. } => Actor::Timer,
            Event::Answered { .. } | Event::DeliveryEnded { .. } | Event::SlotFree | Event::PolicyChanged => {
                Actor::Program
            }
            Event::Responded { via: Via::Api, .. }
            | Event::Revived { .. }
            | Event::Reviewed { .. }
            | Event::Returned { .. }
            | Event::Closed
            | Event::Erased => self.actor.clone(),
        }
    }
}

/// Whether the target could not even be asked.
fn has_failed(extras: &Extras) -> bool {
    let settled = extras.settlement.as_ref().map(|settlement| &settlement.outcome);
    matches!(settled, Some(Settled::Ended { state, .. }) if state.is_failure())
}
