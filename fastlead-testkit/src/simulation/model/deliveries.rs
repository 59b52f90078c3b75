//! Deliveries: what the store says of each, and what has really arrived.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use fastlead_core::channel::Capabilities;
use fastlead_core::delivery::{
    AttemptOperation, DeliveryState, Lease, LeasedDelivery, NewDelivery, OrderKey, Phase, Purpose,
};
use fastlead_core::error::RetryHint;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken};
use fastlead_core::message::OutboundMessage;
use fastlead_core::port::{Beginning, Receipt, Revival, Settled, Settlement};
use fastlead_core::time::{Timestamp, plus_seconds};

use super::{Checked, Model};

/// How late due work may be taken, in seconds: a busy channel has few places, each for half a minute.
const LATE_SECS: i64 = 3_600;
/// For how long a message of unknown outcome holds back those behind it, in seconds: what no policy of a seed changes.
const HOLD_SECS: u64 = 900;
/// How long after its lifetime a message may still go out, in seconds: the longest send.
const GRACE_SECS: u64 = 40;

/// One delivery.
#[derive(Debug, Clone)]
pub(in super::super) struct Carried {
    pub channel: ChannelId,
    pub lead: Option<LeadId>,
    pub state: DeliveryState,
    offer: bool,
    order_key: Option<OrderKey>,
    created_at: Timestamp,
    due_at: Timestamp,
    /// When its last attempt began.
    begun_at: Timestamp,
    lease: Option<Lease>,
    /// Lease under which the last attempt was begun, where nobody has recorded its outcome under it.
    begun_by: Option<LeaseToken>,
    /// Whether its lead has no use for it any more.
    unwanted: bool,
    /// How often each part has arrived at the provider.
    arrived: BTreeMap<u32, u32>,
    /// Whether the provider says or has said that it will not arrive.
    failed: bool,
    /// Whether that was so before it was tried again.
    failed_before: bool,
    /// Whether all of it has arrived.
    whole: bool,
    /// Whether nobody could tell the outcome of an attempt, and it was not found out.
    unknown: bool,
    /// Whether the engine has said so with the last settlement.
    uncertain: bool,
    /// Whether the provider has all of it and owes nothing but a receipt.
    accepted: bool,
}

impl Carried {
    fn since(&self) -> Timestamp {
        self.lease.map_or(self.due_at, |lease| lease.until)
    }
}

impl Model {
    pub(in super::super) fn added(&mut self, new: &NewDelivery) -> Checked {
        let carried = Carried {
            channel: new.channel_id,
            lead: new.lead_id,
            state: DeliveryState::Pending,
            offer: matches!(new.spec.purpose, Purpose::Offer { .. }),
            order_key: new.order_key,
            created_at: new.created_at,
            due_at: new.due_at,
            begun_at: new.created_at,
            lease: new.lease,
            begun_by: None,
            unwanted: false,
            arrived: BTreeMap::new(),
            failed: false,
            failed_before: false,
            whole: false,
            unknown: false,
            uncertain: false,
            accepted: false,
        };
        match self.deliveries.insert(new.id, carried) {
            None => Ok(()),
            Some(_) => Err(format!("{} was added twice", new.id)),
        }
    }

    pub(super) fn offers_cancelled(&mut self, lead: LeadId, now: Timestamp) {
        for carried in self.deliveries.values_mut() {
            if !carried.offer || carried.lead != Some(lead) || carried.state.is_terminal() {
                continue;
            }
            carried.unwanted = true;
            if carried.state == DeliveryState::Pending {
                let unknown = carried.uncertain;
                carried.state = if unknown { DeliveryState::Ambiguous } else { DeliveryState::Cancelled };
                carried.lease = None;
                self.freed_at.extend(carried.order_key.map(|key| (key, now)));
            }
        }
    }

    /// Whether an earlier delivery with the same key has neither ended nor been accepted.
    fn earlier_unfinished(&self, id: DeliveryId) -> Option<DeliveryId> {
        let mine = self.deliveries.get(&id)?;
        let key = mine.order_key?;
        let earlier = |(other, carried): &(&DeliveryId, &Carried)| {
            carried.order_key == Some(key)
                && !carried.state.is_terminal()
                && !carried.accepted
                && (carried.created_at, **other) < (mine.created_at, id)
        };
        self.deliveries.iter().find(earlier).map(|(other, _)| *other)
    }

    /// A delivery was handed to a worker.
    pub(in super::super) fn leased(&mut self, leased: &LeasedDelivery, now: Timestamp) -> Checked {
        let id = leased.delivery.id;
        if leased.phase == Phase::Send
            && let Some(earlier) = self.earlier_unfinished(id)
        {
            return Err(format!("{id} overtakes {earlier}, which is older and goes to the same recipient"));
        }
        let Some(carried) = self.deliveries.get_mut(&id) else {
            return Err(format!("{id} was claimed and never added"));
        };
        if LeasedDelivery::phase(carried.state) != Some(leased.phase) {
            return Err(format!("{id} is {} and was claimed for {:?}", carried.state.as_str(), leased.phase));
        }
        if carried.lease.is_some_and(|lease| lease.until > now) {
            return Err(format!("{id} is leased to two"));
        }
        if carried.since() > now {
            return Err(format!("{id} is due at {} and was claimed at {now}", carried.since()));
        }
        carried.unknown |= leased.phase == Phase::Recover;
        carried.lease = Some(leased.lease);
        Ok(())
    }

    /// An attempt was said to begin.
    pub(in super::super) fn begun(&mut self, beginning: &Beginning) -> Checked {
        let id = beginning.delivery_id;
        match self.deliveries.get_mut(&id) {
            Some(carried) if carried.lease.is_some_and(|lease| lease.token == beginning.token) => {
                if carried.unwanted {
                    return Err(format!("{id} begins, and its lead has no use for it any more"));
                }
                if self.paused.contains(&carried.channel) {
                    return Err(format!("{id} begins, and its channel is paused"));
                }
                carried.state = DeliveryState::Sending;
                carried.begun_by = Some(beginning.token);
                if let Some(lease) = &mut carried.lease {
                    lease.until = lease.until.max(beginning.until);
                }
                carried.begun_at = beginning.at;
                Ok(())
            }
            _ => Err(format!("{id} begins for somebody who does not hold it")),
        }
    }

    /// A delivery was settled.
    pub(in super::super) fn settled(&mut self, settlement: &Settlement) -> Checked {
        let id = settlement.delivery_id;
        let Some(carried) = self.deliveries.get_mut(&id) else {
            return Err(format!("{id} was settled and never added"));
        };
        let holds = carried.lease.is_some_and(|lease| lease.token == settlement.token);
        let knows = carried.begun_by == Some(settlement.token)
            && settlement.outcome.is_news_of(carried.state, carried.uncertain);
        if !holds && !knows {
            return Err(format!("{id} was settled by somebody who does not hold it"));
        }
        if carried.state.is_terminal() && !knows {
            return Err(format!("{id} has ended as {} and was settled again", carried.state.as_str()));
        }
        carried.lease = None;
        carried.begun_by = carried.begun_by.filter(|begun_by| *begun_by != settlement.token);
        if let Some(attempt) = &settlement.attempt {
            let unknown = |error: &fastlead_core::delivery::AttemptError| {
                matches!(error.retry, RetryHint::IfIdempotent { .. })
            };
            if attempt.operation == AttemptOperation::Send {
                // Others took it for lost; the one that had sent it knows after all.
                let late = carried.state == DeliveryState::Ambiguous || !holds;
                carried.unknown &= !late;
                carried.unknown |= attempt.error.as_ref().is_some_and(unknown);
            }
        }
        carried.uncertain = match &settlement.outcome {
            Settled::Retry { uncertain, .. } | Settled::Await { uncertain, .. } => *uncertain,
            Settled::Ended { .. } => false,
        };
        match &settlement.outcome {
            Settled::Ended { state, .. } => {
                if *state == DeliveryState::Ambiguous && !carried.unknown {
                    return Err(format!("{id} ended as ambiguous, and every outcome was known"));
                }
                carried.state = *state;
                self.freed_at.extend(carried.order_key.map(|key| (key, settlement.at)));
            }
            Settled::Retry { due_at, .. } => {
                // After a lookup that has found out that the provider never took it.
                let found_out = settlement
                    .attempt
                    .as_ref()
                    .is_some_and(|attempt| attempt.operation == AttemptOperation::Lookup);
                carried.unknown &= !found_out;
                carried.accepted = false;
                carried.state = DeliveryState::Pending;
                carried.due_at = *due_at;
                if carried.unwanted {
                    let unknown = std::mem::take(&mut carried.uncertain);
                    carried.state = if unknown { DeliveryState::Ambiguous } else { DeliveryState::Cancelled };
                    self.freed_at.extend(carried.order_key.map(|key| (key, settlement.at)));
                }
            }
            Settled::Await { check_at, uncertain, frees_order, .. } => {
                if *frees_order {
                    if !uncertain || settlement.at < plus_seconds(carried.begun_at, HOLD_SECS) {
                        return Err(format!("{id} leaves its order too early"));
                    }
                    self.freed_at.extend(carried.order_key.take().map(|key| (key, settlement.at)));
                }
                carried.unknown |= *uncertain;
                carried.accepted = !uncertain;
                carried.state = DeliveryState::AwaitingReceipt;
                carried.due_at = *check_at;
                let freed = carried.order_key.filter(|_| carried.accepted);
                self.freed_at.extend(freed.map(|key| (key, settlement.at)));
            }
        }
        Ok(())
    }

    /// A delivery is tried again.
    pub(in super::super) fn revived(&mut self, revival: &Revival, now: Timestamp) -> Checked {
        let id = revival.delivery_id;
        let Some(carried) = self.deliveries.get_mut(&id) else {
            return Err(format!("{id} is revived and was never added"));
        };
        if !carried.state.is_revivable() {
            return Err(format!("{id} is {} and was revived", carried.state.as_str()));
        }
        carried.uncertain = carried.state == DeliveryState::Ambiguous;
        carried.state = DeliveryState::Pending;
        carried.due_at = now;
        (carried.lease, carried.begun_by, carried.unwanted) = (None, None, false);
        if std::mem::take(&mut carried.failed) {
            // What has arrived and failed there may arrive once more, unless its provider recognises it.
            carried.failed_before = true;
            carried.arrived.values_mut().for_each(|times| *times = 0);
        }
        Ok(())
    }

    /// A receipt was recorded, and `changed` the delivery or did not.
    pub(in super::super) fn told(&mut self, receipt: &Receipt, changed: bool, now: Timestamp) -> Checked {
        let id = receipt.delivery_id;
        let Some(carried) = self.deliveries.get_mut(&id) else {
            return Err(format!("{id} has a receipt and was never added"));
        };
        carried.failed |= receipt.state == DeliveryState::Failed;
        if carried.state.is_changed_by(receipt.state) != changed {
            return Err(format!(
                "{id} is {} and a receipt says {}: changed {changed}",
                carried.state.as_str(),
                receipt.state.as_str()
            ));
        }
        if changed {
            carried.state = receipt.state;
            carried.lease = None;
            self.freed_at.extend(carried.order_key.map(|key| (key, now)));
        }
        Ok(())
    }

    /// A provider is asked to carry a message.
    pub(in super::super) fn asked_to_send(&self, message: &OutboundMessage, now: Timestamp) -> Checked {
        let id = message.delivery_id;
        let Some(carried) = self.deliveries.get(&id) else {
            return Err(format!("{id} is sent and was never added"));
        };
        if carried.state != DeliveryState::Sending {
            return Err(format!(
                "{id} is {} and goes out: after a crash nobody would know",
                carried.state.as_str()
            ));
        }
        if carried.lease.is_none_or(|lease| lease.until <= now) {
            return Err(format!("{id} goes out without a lease"));
        }
        if message.expires_at.is_some_and(|end| plus_seconds(end, GRACE_SECS) < now) {
            return Err(format!("{id} goes out after its lifetime"));
        }
        Ok(())
    }

    /// A message has arrived at the provider.
    pub(in super::super) fn arrived(&mut self, message: &OutboundMessage) -> Checked {
        let id = message.delivery_id;
        let Some(carried) = self.deliveries.get_mut(&id) else {
            return Err(format!("{id} arrived and was never added"));
        };
        carried.whole |= message.part.index + 1 == message.part.count;
        let times = carried.arrived.entry(message.part.index).or_default();
        *times += 1;
        if *times > 1 {
            return Err(format!("{id} was delivered twice"));
        }
        Ok(())
    }

    /// A request to the provider has no answer. Another one right after it may be refused: then only that is recorded.
    pub(in super::super) fn unanswered(&mut self, id: DeliveryId) {
        if let Some(carried) = self.deliveries.get_mut(&id) {
            carried.unknown = true;
        }
    }

    /// What the provider knows of a message's fate from the beginning.
    pub(in super::super) fn fate(&mut self, id: DeliveryId, failed: bool) {
        if let Some(carried) = self.deliveries.get_mut(&id) {
            carried.failed |= failed;
        }
    }

    pub(super) fn open_deliveries(&self, lead: LeadId) -> usize {
        self.deliveries
            .values()
            .filter(|carried| carried.lead == Some(lead) && !carried.state.is_terminal())
            .count()
    }

    pub(super) fn no_delivery_is_forgotten(&self, now: Timestamp, up_since: Timestamp) -> Checked {
        let limit = TimeDelta::seconds(LATE_SECS);
        let possible_since = |carried: &Carried| {
            let resumed = self.resumed_at.get(&carried.channel).copied();
            let freed = carried.order_key.and_then(|key| self.freed_at.get(&key).copied());
            carried.since().max(up_since).max(resumed.unwrap_or(up_since)).max(freed.unwrap_or(up_since))
        };
        let late = |(id, carried): &(&DeliveryId, &Carried)| {
            !carried.state.is_terminal()
                && now - possible_since(carried) > limit
                && !self.paused.contains(&carried.channel)
                && self.earlier_unfinished(**id).is_none()
        };
        match self.deliveries.iter().find(late) {
            None => Ok(()),
            Some((id, carried)) => Err(format!(
                "{id} is {}, was due at {} and nobody took it",
                carried.state.as_str(),
                carried.since()
            )),
        }
    }

    /// At the end of everything: what is told of a delivery is what has happened to it.
    pub(super) fn told_truly(&self, capabilities: &BTreeMap<ChannelId, Capabilities>) -> Checked {
        for (id, carried) in &self.deliveries {
            let state = carried.state.as_str();
            let arrived = !carried.arrived.is_empty();
            let able = capabilities.get(&carried.channel);
            let failed = carried.failed || carried.failed_before;
            let blind = able.is_some_and(|able| !able.idempotent_send && !able.lookup);
            match carried.state {
                open if !open.is_terminal() => return Err(format!("{id} never ended: it is {state}")),
                DeliveryState::Delivered | DeliveryState::Sent if !arrived => {
                    return Err(format!("{id} is {state} and never arrived"));
                }
                // The first parts of what is not wanted any more may have arrived.
                DeliveryState::Cancelled if !carried.whole => {}
                DeliveryState::Delivered | DeliveryState::Sent | DeliveryState::Ambiguous => {}
                _ if arrived && !failed => {
                    return Err(format!("{id} has arrived, and is said to be {state}"));
                }
                _ => {}
            }
            let settled_later = carried.state == DeliveryState::Delivered || failed;
            if blind && carried.unknown && carried.state != DeliveryState::Ambiguous && !settled_later {
                return Err(format!("nobody can know what became of {id}, and it is said to be {state}"));
            }
        }
        Ok(())
    }
}
