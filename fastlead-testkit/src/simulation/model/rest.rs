//! When everything has come to rest, the store is read through its ports and compared.

use std::collections::BTreeMap;

use fastlead_core::channel::Capabilities;
use fastlead_core::decide::{Event, LeadState, LeadStatus};
use fastlead_core::delivery::DeliveryState;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId};
use fastlead_core::port::{InboundRef, StoredEvent};

use super::{Checked, Lead, Model, Replayed, decide_again};

impl Model {
    /// Nothing is open any more.
    pub(in super::super) fn is_at_rest(&self, capabilities: &BTreeMap<ChannelId, Capabilities>) -> Checked {
        if let Some(timer) = self.timers.values().next() {
            return Err(format!("{:?} of {} never fired", timer.name, timer.lead));
        }
        for (id, lead) in &self.leads {
            self.is_alive(*id)?;
            if matches!(
                lead.state.status,
                LeadStatus::Queued | LeadStatus::Review | LeadStatus::New | LeadStatus::Auction
            ) {
                return Err(format!("{id} is {} for ever", lead.state.status.as_str()));
            }
        }
        let left = self.inbound.iter().filter(|(_, event)| !event.done).map(|(inbound, _)| inbound);
        if let Some(inbound) = left.min_by_key(|inbound| &inbound.provider_event_id) {
            return Err(format!("`{}` was never acted upon", inbound.provider_event_id));
        }
        for (channel_id, id) in &self.happened {
            let inbound = InboundRef { channel_id: *channel_id, provider_event_id: id.clone() };
            if !self.inbound.contains_key(&inbound) {
                return Err(format!("`{id}` happened and was never brought in"));
            }
        }
        self.told_truly(capabilities)
    }

    /// What the store has of a lead is what has happened to it.
    pub(in super::super) fn lead_is(
        &self,
        id: LeadId,
        state: Option<&LeadState>,
        events: &[StoredEvent],
    ) -> Checked {
        let Some(lead) = self.leads.get(&id) else { return Err(format!("{id} was never taken in")) };
        if state != Some(&lead.state) {
            return Err(format!("{id} is stored as {state:?}, and is {:?}", lead.state));
        }
        let folded = self.folded(id, lead, events)?;
        if folded != lead.state {
            return Err(format!("{id}: its stored events come to {folded:?}, and it is {:?}", lead.state));
        }
        Ok(())
    }

    /// Makes every stored decision again, to the byte.
    fn folded(&self, id: LeadId, lead: &Lead, events: &[StoredEvent]) -> Result<LeadState, String> {
        let (Some(own), Some(source)) = (self.policies.get(&lead.policy), self.sources.get(&lead.source))
        else {
            return Err(format!("{id} has no policy or no source"));
        };
        let mut state = LeadState::default();
        for stored in events {
            let repeated = state.version > 0 && matches!(stored.event, Event::Captured(_));
            let fresh = LeadState::default();
            // A repeated capture is decided upon by the policy of its own day and for its own source.
            let policy = self.policies.get(&stored.trace.policy).unwrap_or(own);
            let over = match &stored.event {
                Event::Captured(capture) => capture.received.source_id,
                _ => None,
            };
            let Some(source) = over.map_or(Some(source), |over| self.sources.get(&over)) else {
                return Err(format!("{id} was captured over a source that is not there: {over:?}"));
            };
            let replayed = Replayed {
                policy,
                lead_id: id,
                scope: lead.scope,
                source,
                capture: &lead.capture,
                state: if repeated { &fresh } else { &state },
                event: &stored.event,
                at: stored.at,
                trace: &stored.trace,
            };
            let decision = decide_again(replayed, &self.channels);
            let bytes = |trace| serde_json::to_vec(trace).unwrap_or_default();
            if bytes(&decision.trace) != bytes(&stored.trace) {
                return Err(format!(
                    "{id}: the stored decision upon `{}` cannot be made again",
                    stored.event.kind()
                ));
            }
            if !repeated {
                state = state.apply(&decision.effects);
            }
        }
        Ok(state)
    }

    /// What the store has of deliveries is what has happened to them.
    pub(in super::super) fn deliveries_are(&self, stored: &BTreeMap<DeliveryId, DeliveryState>) -> Checked {
        for (id, carried) in &self.deliveries {
            if stored.get(id) != Some(&carried.state) {
                return Err(format!("{id} is stored as {:?}, and is {:?}", stored.get(id), carried.state));
            }
        }
        match stored.keys().find(|id| !self.deliveries.contains_key(id)) {
            None => Ok(()),
            Some(id) => Err(format!("{id} is stored and was never added")),
        }
    }
}
