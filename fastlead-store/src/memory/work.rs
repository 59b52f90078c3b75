//! Work under leases, receipts and inbound events.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use fastlead_core::channel::MessageReference;
use fastlead_core::decide::{Counter, CounterId, LeadStatus, UniqueKey};
use fastlead_core::delivery::{Delivery, DeliveryState, Lease, LeasedDelivery, NewDelivery, Phase, Scope};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken, WorkspaceId};
use fastlead_core::parts::SentPart;
use fastlead_core::port::{
    BeginOutcome, Beginning, ChannelRoom, ClaimRequest, Claimed, CommitOutcome, Erased, Erasure,
    InboundBatch, InboundRecord, InboundRef, LeadRecord, LeaseAnswer, LeasedInbound, LeasedTimer, Leases,
    NamedLease, NextDue, Quota, QuotaAnswer, QuotaHold, QuotaRequest, Receipt, Recovery, SetAside,
    SettleOutcome, Settlement, Store, Transition, UnreadableRow,
};
use fastlead_core::time::Timestamp;

use super::{Data, Inbound, MemoryStore, Row};

/// The lease of what is left alone ends then. What is in memory is not opened again, so it is never given back.
pub(super) const LEFT_ALONE: Timestamp = Timestamp::MAX_UTC;

impl Row {
    /// Makes it due again with a new lifetime and a new schedule.
    pub(super) fn revive(&mut self, now: Timestamp, expires_at: Timestamp) {
        (self.lease, self.begun_by) = (None, None);
        let delivery = &mut self.delivery;
        delivery.uncertain = delivery.state == DeliveryState::Ambiguous;
        delivery.unwanted = false;
        delivery.state = DeliveryState::Pending;
        delivery.reason = None;
        delivery.due_at = now;
        delivery.expires_at = expires_at;
        delivery.updated_at = now;
        delivery.attempts = 0;
        delivery.checks = 0;
    }

    /// What a worker would do with it, and since when.
    fn claimable(&self) -> Option<(Phase, Timestamp)> {
        let phase = LeasedDelivery::phase(self.delivery.state)?;
        Some((phase, self.lease.map_or(self.delivery.due_at, |lease| lease.until)))
    }
}

impl Data {
    /// Whether an earlier delivery with the same key has yet to be accepted by the provider.
    fn held_back(&self, delivery: &Delivery) -> bool {
        let Some(key) = delivery.order_key else { return false };
        if delivery.state != DeliveryState::Pending {
            return false;
        }
        self.deliveries.values().any(|row| {
            let other = &row.delivery;
            other.order_key == Some(key)
                && other.holds_back()
                && (other.created_at, other.id) < (delivery.created_at, delivery.id)
        })
    }

    /// What a claim takes of a channel, in its order.
    fn due(&self, room: &ChannelRoom, now: Timestamp) -> Vec<(Timestamp, DeliveryId, Phase)> {
        let whole = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (mut checks, mut others) = (Vec::new(), Vec::new());
        for row in self.deliveries.values().filter(|row| row.delivery.channel_id == room.channel_id) {
            let Some((phase, since)) = row.claimable().filter(|(_, since)| *since <= now) else { continue };
            if !self.held_back(&row.delivery) {
                let of_its_kind = if row.delivery.owes_receipt() { &mut checks } else { &mut others };
                of_its_kind.push((since, row.delivery.id, phase));
            }
        }
        for due in [&mut checks, &mut others] {
            due.sort_unstable_by_key(|(since, id, _)| (*since, *id));
        }
        let first = checks.len().min(whole(room.checks_first.min(room.checks).min(room.limit)));
        others.truncate(whole(room.limit) - first);
        checks.truncate(whole(room.checks).min(whole(room.limit) - others.len()));
        others.append(&mut checks);
        others
    }

    fn claim(&mut self, request: &ClaimRequest) -> Claimed {
        let mut claimed = Claimed::default();
        for room in &request.channels {
            for (_, id, phase) in self.due(room, request.now) {
                let Some(row) = self.deliveries.get_mut(&id) else { continue };
                row.lease = Some(request.lease);
                row.delivery.checks += u32::from(phase == Phase::Confirm);
                claimed.deliveries.push(LeasedDelivery {
                    delivery: row.delivery.clone(),
                    phase,
                    lease: request.lease,
                });
            }
        }
        let limit = usize::try_from(request.timers).unwrap_or(usize::MAX);
        let mut due: Vec<_> = self
            .timers
            .iter()
            .filter(|(_, timer)| timer.lease.map_or(timer.due_at, |lease| lease.until) <= request.now)
            .map(|(id, timer)| (timer.due_at, *id))
            .collect();
        due.sort_unstable();
        for (_, id) in due.into_iter().take(limit) {
            let Some(timer) = self.timers.get_mut(&id) else { continue };
            timer.lease = Some(request.lease);
            claimed.timers.push(LeasedTimer {
                id,
                scope: timer.scope,
                lead_id: timer.lead_id,
                name: timer.name,
                due_at: timer.due_at,
                token: request.lease.token,
            });
        }
        let limit = usize::try_from(request.inbound).unwrap_or(usize::MAX);
        let due = self.inbound.iter().filter_map(|(number, row)| Some((row.claimable()?, *number)));
        let mut due: Vec<_> = due.filter(|(since, _)| *since <= request.now).collect();
        due.sort_unstable();
        due.truncate(limit);
        due.sort_unstable_by_key(|(_, number)| *number);
        for (_, number) in due {
            let Some(row) = self.inbound.get_mut(&number) else { continue };
            let token = request.lease.token;
            let record = InboundRecord {
                channel_id: row.channel_id,
                event: row.event.clone(),
                received_at: row.received_at,
            };
            claimed.inbound.push(LeasedInbound { record, token, tries: row.tries });
            row.lease = Some(request.lease);
            row.tries += 1;
        }
        claimed
    }

    fn record_inbound(&mut self, batch: InboundBatch) -> Vec<InboundRecord> {
        let InboundBatch { channel_id, events, cursor, at, lease } = batch;
        let mut new = Vec::new();
        for event in events {
            let key = (channel_id, event.provider_event_id.clone());
            if self.inbound_keys.contains_key(&key) {
                continue;
            }
            let number = self.inbound.keys().next_back().map_or(1, |last| last + 1);
            self.inbound_keys.insert(key, number);
            let row = Inbound {
                channel_id,
                event: event.clone(),
                received_at: at,
                done: false,
                due_at: at,
                lease: Some(lease),
                tries: 1,
            };
            self.inbound.insert(number, row);
            new.push(InboundRecord { channel_id, event, received_at: at });
        }
        if let Some(cursor) = cursor {
            self.cursors.insert(channel_id, cursor);
        }
        new
    }

    /// Leased to nobody until the end of time, and out of its order.
    fn set_aside(&mut self, workspace: Option<WorkspaceId>, work: &SetAside, because: &str) {
        let left = |lease: &mut Option<Lease>, token: LeaseToken| {
            let held = lease.is_some_and(|lease| lease.token == token);
            if held {
                let token = LeaseToken::from_uuid(uuid::Uuid::nil());
                *lease = Some(Lease { token, until: LEFT_ALONE });
            }
            held
        };
        let named = match work {
            SetAside::Delivery(id, token) => self.deliveries.get_mut(id).and_then(|row| {
                let left = left(&mut row.lease, *token);
                row.delivery.order_key = row.delivery.order_key.filter(|_| !left);
                left.then(|| ("deliveries", id.to_string()))
            }),
            SetAside::Timer(id, token) => self
                .timers
                .get_mut(id)
                .and_then(|timer| left(&mut timer.lease, *token).then(|| ("timers", id.to_string()))),
            SetAside::Inbound(inbound) => {
                let key = (inbound.channel_id, inbound.provider_event_id.clone());
                let number = self.inbound_keys.get(&key).copied();
                let waiting = number.and_then(|number| self.inbound.get_mut(&number)).filter(|row| !row.done);
                waiting.map(|row| {
                    row.done = true;
                    ("inbound", number.unwrap_or_default().to_string())
                })
            }
        };
        if let Some((table, id)) = named {
            self.unreadable.notice(&UnreadableRow::new(table, id, because).of(workspace));
        }
    }

    fn begin(&mut self, beginning: &Beginning) -> BeginOutcome {
        let row = self.deliveries.get_mut(&beginning.delivery_id);
        let held = row.filter(|row| row.lease.is_some_and(|lease| lease.token == beginning.token));
        let Some(row) = held else { return BeginOutcome::LeaseLost };
        if row.delivery.unwanted {
            return BeginOutcome::Unwanted;
        }
        let channel = self.channels.get(&row.delivery.channel_id);
        if channel.is_some_and(|channel| channel.status.is_paused()) {
            return BeginOutcome::Paused;
        }
        let held = beginning.address.and_then(|address| self.suppressions.get(&address));
        if let Some(held) = held.filter(|held| held.scope.covers(beginning.class)) {
            return BeginOutcome::Suppressed(held.reason.clone());
        }
        row.begun_by = Some(beginning.token);
        row.lease = row.lease.map(|lease| Lease { until: lease.until.max(beginning.until), ..lease });
        row.delivery.state = DeliveryState::Sending;
        row.delivery.attempts += 1;
        row.delivery.last_attempt_at = Some(beginning.at);
        row.delivery.updated_at = beginning.at;
        BeginOutcome::Begun
    }

    pub(super) fn record_receipt(&mut self, receipt: Receipt) -> Option<(DeliveryState, bool)> {
        let row = self.deliveries.get_mut(&receipt.delivery_id)?;
        let mut changes = row.delivery.state.is_changed_by(receipt.state);
        if let (true, DeliveryState::Delivered, Some(part)) = (changes, receipt.state, receipt.part) {
            let mut parts = SentPart::of(&row.attempts);
            let known = parts.iter().any(|known| known.index == part && known.told == Some(receipt.state));
            parts
                .iter_mut()
                .filter(|known| known.index == part)
                .for_each(|part| part.told = Some(receipt.state));
            let underway = matches!(row.delivery.state, DeliveryState::Pending | DeliveryState::Sending);
            changes = !underway && SentPart::all_arrived(&parts, row.delivery.parts_sent);
            if !changes && !known {
                row.attempts.push(receipt.attempt.clone());
            }
        }
        if changes {
            row.delivery.state = receipt.state;
            row.delivery.reason = receipt.reason;
            row.delivery.uncertain = false;
            row.delivery.updated_at = receipt.attempt.started_at.max(row.delivery.updated_at);
            row.lease = None;
            row.attempts.push(receipt.attempt);
        }
        Some((row.delivery.state, changes))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, transition: Transition) -> Result<CommitOutcome> {
        self.lock().commit(transition)
    }

    async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        let mut data = self.lock();
        if !data.holds(&settlement) {
            return Ok(SettleOutcome::LeaseLost);
        }
        data.settle(settlement);
        Ok(SettleOutcome::Settled)
    }

    async fn begin(&self, beginning: Beginning) -> Result<BeginOutcome> {
        Ok(self.lock().begin(&beginning))
    }

    async fn enqueue(&self, deliveries: Vec<NewDelivery>) -> Result<()> {
        let mut data = self.lock();
        for delivery in deliveries {
            data.add(delivery);
        }
        Ok(())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        Ok(self.lock().claim(&request))
    }

    async fn set_aside(&self, workspace: Option<WorkspaceId>, work: SetAside, because: &str) -> Result<()> {
        self.lock().set_aside(workspace, &work, because);
        Ok(())
    }

    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        let data = self.lock();
        let asked: BTreeSet<ChannelId> = channels.iter().copied().collect();
        let mut found: BTreeMap<ChannelId, Timestamp> = BTreeMap::new();
        for row in data.deliveries.values().filter(|row| asked.contains(&row.delivery.channel_id)) {
            if let Some((_, since)) = row.claimable().filter(|_| !data.held_back(&row.delivery))
                && since < LEFT_ALONE
            {
                let due = since.max(now);
                found.entry(row.delivery.channel_id).and_modify(|have| *have = due.min(*have)).or_insert(due);
            }
        }
        let timers = data.timers.values().map(|timer| timer.lease.map_or(timer.due_at, |lease| lease.until));
        let inbound = data.inbound.values().filter_map(Inbound::claimable);
        let others = timers.chain(inbound).filter(|due| *due < LEFT_ALONE);
        Ok(NextDue { channels: found.into_iter().collect(), others: others.min().map(|due| due.max(now)) })
    }

    async fn counters(&self, ids: Vec<CounterId>, now: Timestamp) -> Result<Vec<Counter>> {
        let data = self.lock();
        Ok(ids.iter().map(|id| data.counters.get(id).cloned().unwrap_or_default().at(now)).collect())
    }

    async fn holder(&self, keys: Vec<UniqueKey>, now: Timestamp) -> Result<Option<LeadId>> {
        let data = self.lock();
        let held = keys.iter().filter_map(|key| data.unique.get(key));
        Ok(held.filter(|(_, until)| *until > now).map(|(lead, _)| *lead).next())
    }

    async fn waiting(&self, scope: Scope, after: Option<LeadId>, limit: u32) -> Result<Vec<LeadId>> {
        let data = self.lock();
        let waits = |lead: &&LeadRecord| {
            lead.scope == scope && lead.state.status == LeadStatus::Queued && Some(lead.id) > after
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(data.leads.values().filter(waits).map(|lead| lead.id).take(limit).collect())
    }

    async fn lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<LeadRecord>> {
        let data = self.lock();
        Ok(data.leads.get(&lead).filter(|record| record.scope.workspace_id == workspace).cloned())
    }

    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>> {
        let data = self.lock();
        let row = data.deliveries.get(&delivery).filter(|row| row.delivery.scope.workspace_id == workspace);
        Ok(row.map(|row| row.delivery.clone()))
    }

    async fn deliveries_of(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<Delivery>> {
        let data = self.lock();
        let rows = data.deliveries.values().map(|row| &row.delivery);
        let mine = rows.filter(|row| row.scope.workspace_id == workspace && row.lead_id == Some(lead));
        let mut found: Vec<Delivery> = mine.cloned().collect();
        found.sort_by_key(|delivery| delivery.id);
        Ok(found)
    }

    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &MessageReference,
    ) -> Result<Option<Delivery>> {
        let data = self.lock();
        let row = match message {
            MessageReference::Delivery(id) => {
                data.deliveries.get(id).filter(|row| row.delivery.channel_id == channel)
            }
            MessageReference::Provider(id) => {
                let mine = || data.deliveries.values().filter(|row| row.delivery.channel_id == channel);
                let whole = mine().find(|row| row.delivery.provider_message_id.as_ref() == Some(id));
                whole.or_else(|| {
                    mine().find(|row| SentPart::of(&row.attempts).iter().any(|part| part.ids.contains(id)))
                })
            }
        };
        Ok(row.map(|row| row.delivery.clone()))
    }

    async fn parts_of(&self, delivery: DeliveryId) -> Result<Vec<SentPart>> {
        let data = self.lock();
        let row = data.deliveries.get(&delivery);
        Ok(SentPart::of(row.map(|row| row.attempts.as_slice()).unwrap_or_default()))
    }

    async fn retry(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery> {
        let mut data = self.lock();
        let row =
            data.deliveries.get_mut(&delivery).filter(|row| row.delivery.scope.workspace_id == workspace);
        let row =
            row.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such delivery").with_operation("retry"))?;
        if !matches!(
            row.delivery.state,
            DeliveryState::Failed | DeliveryState::Expired | DeliveryState::Ambiguous
        ) {
            let message = format!(
                "only a failed, expired or ambiguous delivery is retried; this one is {}",
                row.delivery.state.as_str()
            );
            return Err(Error::new(ErrorKind::Conflict, message).with_operation("retry"));
        }
        row.revive(now, expires_at);
        Ok(row.delivery.clone())
    }

    async fn lost(
        &self,
        workspace: WorkspaceId,
        recovery: Recovery,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let data = self.lock();
        let lost = data.deliveries.values().map(|row| &row.delivery).filter(|delivery| {
            delivery.scope.workspace_id == workspace
                && delivery.channel_id == recovery.channel_id
                && delivery.created_at >= recovery.since
                && Some((delivery.created_at, delivery.id)) > after
                && match delivery.state {
                    DeliveryState::Failed | DeliveryState::Expired => true,
                    DeliveryState::Ambiguous => recovery.ambiguous,
                    _ => false,
                }
        });
        let mut lost: Vec<Delivery> = lost.cloned().collect();
        lost.sort_unstable_by_key(|delivery| (delivery.created_at, delivery.id));
        lost.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(lost)
    }

    async fn record_receipt(&self, receipt: Receipt) -> Result<(DeliveryState, bool)> {
        let recorded = self.lock().record_receipt(receipt);
        recorded.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no such delivery").with_operation("record receipt")
        })
    }

    async fn record_inbound(&self, batch: InboundBatch) -> Result<Vec<InboundRecord>> {
        Ok(self.lock().record_inbound(batch))
    }

    async fn finish_inbound(&self, inbound: InboundRef) -> Result<()> {
        self.lock().finish(&inbound.channel_id, &inbound.provider_event_id);
        Ok(())
    }

    async fn put_off_inbound(&self, inbound: InboundRef, token: LeaseToken, due_at: Timestamp) -> Result<()> {
        let mut data = self.lock();
        let key = (inbound.channel_id, inbound.provider_event_id);
        let number = data.inbound_keys.get(&key).copied();
        let row = number.and_then(|number| data.inbound.get_mut(&number));
        if let Some(row) = row.filter(|row| row.lease.is_some_and(|lease| lease.token == token)) {
            row.lease = None;
            row.due_at = due_at;
        }
        Ok(())
    }

    async fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Vec<LeadId>> {
        Ok(self.lock().leads_of(workspace, person))
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased> {
        Ok(self.lock().erase(&erasure))
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>> {
        Ok(self.lock().cursors.get(&channel).cloned())
    }
}

#[async_trait]
impl Leases for MemoryStore {
    async fn take_lease(&self, lease: NamedLease) -> Result<LeaseAnswer> {
        Ok(self.named.take(lease))
    }

    async fn end_lease(&self, name: &str, holder: LeaseToken) -> Result<()> {
        self.named.end(name, holder);
        Ok(())
    }
}

#[async_trait]
impl Quota for MemoryStore {
    async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
        Ok(self.quota.take_at_once(&request))
    }

    async fn hold(&self, hold: QuotaHold<'_>) -> Result<()> {
        self.quota.hold_at_once(&hold);
        Ok(())
    }
}
