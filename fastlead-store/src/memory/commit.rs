//! Decisions: all checks, then all changes, under one lock.

use fastlead_core::decide::{CounterId, Event};
use fastlead_core::delivery::{Delivery, DeliveryState, NewDelivery, Purpose};
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::port::{
    AccountPause, ChannelStatus, CommitOutcome, Guard, LeadRecord, Refusal, Reservation, Settled, Settlement,
    StoredEvent, Transition, check_postings,
};
use fastlead_core::time::Timestamp;

use super::changes::Logged;
use super::{Data, Row, Timer, Used};

impl Data {
    pub(super) fn commit(&mut self, transition: Transition) -> Result<CommitOutcome> {
        check_postings(&transition.postings)?;
        if let Some(refusal) = self.refusal(&transition) {
            return Ok(CommitOutcome::Refused(refusal));
        }
        // The last of the checks, so that it may change what it has checked.
        if let Err(refusal) = self.ledger.post(transition.scope.workspace_id, &transition.postings) {
            return Ok(CommitOutcome::Refused(refusal));
        }
        let Transition { scope, source_id, lead_id, guard, event_id, event, actor, at, trace, state, .. } =
            transition;
        match guard {
            Guard::New => {
                let Event::Captured(capture) = &event else {
                    return Err(Error::new(ErrorKind::Internal, "a new lead begins with a capture")
                        .with_operation("commit"));
                };
                let policy = trace.policy;
                let capture = capture.as_ref().clone();
                let record =
                    LeadRecord { id: lead_id, scope, source_id, created_at: at, policy, capture, state };
                self.leads.insert(lead_id, record);
            }
            Guard::Version(_) => {
                if let Some(lead) = self.leads.get_mut(&lead_id) {
                    lead.state = state;
                    lead.policy = trace.policy;
                }
            }
            Guard::Append => {}
        }
        self.event_ids.insert(event_id);
        let position = u64::try_from(self.events.len()).unwrap_or(u64::MAX).saturating_add(1);
        let actor = Some(actor);
        let stored = StoredEvent { position, id: event_id, lead_id, at, event, actor, trace };
        self.events_of.entry(lead_id).or_default().push(self.events.len());
        self.events.push((scope.workspace_id, stored));
        if let Some(settlement) = transition.settlement {
            self.settle(settlement);
        }
        if let Some(receipt) = transition.receipt {
            self.record_receipt(receipt);
        }
        if let Some(revival) = transition.revive
            && let Some(row) = self.deliveries.get_mut(&revival.delivery_id)
        {
            row.revive(at, revival.expires_at);
        }
        if let Some((timer, _)) = transition.fired {
            self.timers.remove(&timer);
        }
        if let Some(inbound) = transition.inbound {
            self.finish(&inbound.channel_id, &inbound.provider_event_id);
        }
        if transition.clear_timers {
            self.timers.retain(|_, timer| timer.lead_id != lead_id);
        }
        for timer in transition.timers {
            self.timers.retain(|_, old| old.lead_id != lead_id || old.name != timer.name);
            let row = Timer { scope, lead_id, name: timer.name, due_at: timer.due_at, lease: None };
            self.timers.insert(timer.id, row);
        }
        if transition.cancel_offers {
            self.cancel_offers(lead_id, at);
        }
        for reservation in transition.reservations {
            match reservation {
                Reservation::Unique { key, until } => drop(self.unique.insert(key, (lead_id, until))),
                Reservation::Counter { id, amount, note, until, .. } => {
                    self.change_counter(id, amount, note.as_deref(), until, at);
                }
                _ => {}
            }
        }
        if let Some(record) = transition.idempotency {
            self.idempotency.insert(
                (source_id, record.key),
                Used { request: record.request, answer: record.answer, until: record.until },
            );
        }
        for delivery in transition.deliveries {
            self.add(delivery);
        }
        Ok(CommitOutcome::Applied)
    }

    fn refusal(&self, transition: &Transition) -> Option<Refusal> {
        if transition.settlement.as_ref().is_some_and(|settlement| !self.holds(settlement)) {
            return Some(Refusal::LeaseLost);
        }
        if let Some(receipt) = &transition.receipt {
            let row = self.deliveries.get(&receipt.delivery_id);
            if !row.is_some_and(|row| row.delivery.state.is_changed_by(receipt.state)) {
                return Some(Refusal::ReceiptStale);
            }
        }
        if let Some(revival) = &transition.revive {
            let row = self.deliveries.get(&revival.delivery_id);
            if !row.is_some_and(|row| row.delivery.state.is_revivable()) {
                return Some(Refusal::NotRevivable);
            }
        }
        if let Some(inbound) = &transition.inbound {
            let key = (inbound.channel_id, inbound.provider_event_id.clone());
            let pending = self
                .inbound_keys
                .get(&key)
                .and_then(|number| self.inbound.get(number))
                .is_some_and(|row| !row.done);
            if !pending {
                return Some(Refusal::InboundDone);
            }
        }
        if let Some((id, token)) = &transition.fired {
            let held = self
                .timers
                .get(id)
                .is_some_and(|timer| timer.lease.is_some_and(|lease| lease.token == *token));
            if !held {
                return Some(Refusal::LeaseLost);
            }
        }
        if let Some(record) = &transition.idempotency
            && let Some(used) = self.idempotency.get(&(transition.source_id, record.key))
            && used.until > transition.at
        {
            let same = used.request == record.request;
            return Some(if same { Refusal::Replayed(used.answer.clone()) } else { Refusal::KeyReused });
        }
        let lead = self.leads.get(&transition.lead_id).filter(|lead| lead.scope == transition.scope);
        let fits = match transition.guard {
            Guard::New => !self.leads.contains_key(&transition.lead_id),
            Guard::Version(version) => lead.is_some_and(|lead| lead.state.version == version),
            Guard::Append => lead.is_some(),
        };
        if !fits || self.event_ids.contains(&transition.event_id) {
            return Some(Refusal::Stale);
        }
        let unique = transition.reservations.iter().find_map(|reservation| match reservation {
            Reservation::Unique { key, .. } => self
                .unique
                .get(key)
                .filter(|(lead, until)| *until > transition.at && *lead != transition.lead_id)
                .map(|(lead, _)| Refusal::Duplicate(*lead)),
            _ => None,
        });
        unique.or_else(|| {
            transition.reservations.iter().find_map(|reservation| {
                let counter = |id: &CounterId| self.counters.get(id).cloned().unwrap_or_default();
                match reservation {
                    Reservation::Counter { id, amount, limit: Some(limit), .. } => {
                        let counter = counter(id).at(transition.at);
                        let over = *amount > 0 && counter.value.saturating_add(*amount) > *limit;
                        over.then_some(Refusal::CapFull { id: *id, counter })
                    }
                    _ => None,
                }
            })
        })
    }

    fn change_counter(
        &mut self,
        id: CounterId,
        amount: i64,
        note: Option<&str>,
        until: Option<Timestamp>,
        at: Timestamp,
    ) {
        let counter = self.counters.remove(&id).unwrap_or_default().changed(amount, note, until, at);
        if !counter.is_nothing() {
            self.counters.insert(id, counter);
        }
    }

    fn cancel_offers(&mut self, lead_id: fastlead_core::id::LeadId, at: Timestamp) {
        for row in self.deliveries.values_mut() {
            let delivery = &mut row.delivery;
            let offer = matches!(delivery.spec.purpose, Purpose::Offer { .. });
            if offer && delivery.lead_id == Some(lead_id) && !delivery.state.is_terminal() {
                delivery.unwanted = true;
                if delivery.state == DeliveryState::Pending {
                    let (uncertain, parts_sent) = (delivery.uncertain, delivery.parts_sent);
                    end_unwanted(delivery, uncertain, parts_sent);
                    delivery.updated_at = at;
                    row.lease = None;
                }
            }
        }
    }

    pub(super) fn holds(&self, settlement: &Settlement) -> bool {
        let row = self.deliveries.get(&settlement.delivery_id);
        row.is_some_and(|row| {
            row.lease.is_some_and(|lease| lease.token == settlement.token)
                || (row.begun_by == Some(settlement.token)
                    && settlement.outcome.is_news_of(row.delivery.state, row.delivery.uncertain))
        })
    }

    /// The caller has checked the lease.
    pub(super) fn settle(&mut self, settlement: Settlement) {
        let Some(row) = self.deliveries.get_mut(&settlement.delivery_id) else { return };
        row.lease = None;
        row.begun_by = row.begun_by.filter(|begun_by| *begun_by != settlement.token);
        let part = settlement.attempt.as_ref().map(|attempt| attempt.part);
        row.attempts.extend(settlement.attempt);
        let delivery = &mut row.delivery;
        delivery.updated_at = settlement.at;
        match settlement.outcome {
            Settled::Ended { state, reason, provider_message_id } => {
                if let (DeliveryState::Sent | DeliveryState::Delivered, Some(part)) = (state, part) {
                    delivery.parts_sent = delivery.parts_sent.max(part.saturating_add(1));
                }
                delivery.state = state;
                delivery.reason = reason;
                delivery.uncertain = false;
                delivery.provider_message_id = provider_message_id.or(delivery.provider_message_id.take());
            }
            Settled::Retry { due_at, reason, counted, parts_sent, uncertain } => {
                let begun = delivery.state == DeliveryState::Sending;
                delivery.state = DeliveryState::Pending;
                delivery.due_at = due_at;
                delivery.reason = Some(reason);
                delivery.uncertain = uncertain;
                delivery.parts_sent = parts_sent;
                if begun && !counted {
                    delivery.attempts = delivery.attempts.saturating_sub(1);
                }
                if delivery.unwanted {
                    delivery.reason = None;
                    end_unwanted(delivery, uncertain, parts_sent);
                }
            }
            Settled::Await { check_at, provider_message_id, uncertain, parts_sent, frees_order } => {
                if frees_order {
                    delivery.order_key = None;
                }
                if delivery.state == DeliveryState::Sending || (delivery.uncertain && !uncertain) {
                    delivery.checks = 0;
                }
                delivery.state = DeliveryState::AwaitingReceipt;
                delivery.due_at = check_at;
                delivery.reason = None;
                delivery.uncertain = uncertain;
                delivery.parts_sent = parts_sent;
                delivery.provider_message_id = provider_message_id.or(delivery.provider_message_id.take());
            }
        }
        if let Some(pause) = settlement.pause {
            self.pause(pause, settlement.at);
        }
    }

    /// Pauses a channel and tells its owners, unless it is paused already.
    fn pause(&mut self, pause: AccountPause, since: Timestamp) {
        let AccountPause { channel_id, reason, notices } = pause;
        let channel = self.channels.get_mut(&channel_id).filter(|channel| !channel.status.is_paused());
        if let Some(channel) = channel {
            channel.status = ChannelStatus::Paused { reason, since };
            self.log.note(Logged::Channel(channel_id));
            notices.into_iter().for_each(|notice| self.add(notice));
        }
    }

    pub(super) fn add(&mut self, new: NewDelivery) {
        let delivery = Delivery {
            id: new.id,
            scope: new.scope,
            lead_id: new.lead_id,
            channel_id: new.channel_id,
            spec: new.spec,
            state: DeliveryState::Pending,
            reason: None,
            created_at: new.created_at,
            due_at: new.due_at,
            expires_at: new.expires_at,
            updated_at: new.created_at,
            attempts: 0,
            parts_sent: 0,
            checks: 0,
            uncertain: false,
            last_attempt_at: None,
            provider_message_id: None,
            order_key: new.order_key,
            unwanted: false,
        };
        let row = Row { delivery, lease: new.lease, begun_by: None, attempts: Vec::new() };
        self.deliveries.insert(new.id, row);
    }

    pub(super) fn finish(&mut self, channel: &fastlead_core::id::ChannelId, event: &str) {
        let key = (*channel, event.to_owned());
        if let Some(row) = self.inbound_keys.get(&key).and_then(|number| self.inbound.get_mut(number)) {
            row.done = true;
        }
    }
}

/// Ends a delivery that its lead has no use for: as what it is, where an attempt may have arrived.
fn end_unwanted(delivery: &mut Delivery, uncertain: bool, parts_sent: u32) {
    delivery.uncertain = false;
    delivery.state = if uncertain { DeliveryState::Ambiguous } else { DeliveryState::Cancelled };
    if uncertain {
        delivery.reason = Some("outcome_unknown".to_owned());
    } else if parts_sent > 0 {
        delivery.reason = Some("partly_sent".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::decide::Counter;
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;

    #[test]
    fn what_is_given_back_of_no_counter_makes_none() {
        let mut data = Data::default();
        let id = CounterId([1; 16]);
        data.change_counter(id, -1, None, None, epoch());
        assert!(data.counters.is_empty(), "{:?}", data.counters);
        let until = Some(plus_seconds(epoch(), 60));
        data.change_counter(id, 1, None, until, epoch());
        data.change_counter(id, -1, None, None, plus_seconds(epoch(), 61));
        let untils: Vec<_> = data.counters.values().map(|counter: &Counter| counter.until).collect();
        assert_eq!(untils, [until]);
    }
}
