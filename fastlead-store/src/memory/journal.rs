//! What people read and mend.

use async_trait::async_trait;
use fastlead_core::decide::Event;
use fastlead_core::delivery::DeliveryState;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, WorkspaceId};
use fastlead_core::lead::{Capture, search_text};
use fastlead_core::port::{
    AttemptRecord, CaptureFilter, Cursor, DeliveryFilter, DeliveryRecord, DeliverySummary, EventBatch,
    InboundRecord, Journal, LeadAtRisk, LeadCounts, LeadFilter, LeadRecord, LeadSummary, Page, PageRequest,
    Purged, QueueDepth, RiskFilter, StoredCapture, StoredEvent, UnreadableRow,
};
use fastlead_core::time::Timestamp;
use uuid::Uuid;

use super::MemoryStore;

/// One page of `items`, which come in the order of the list; `place` is where an item stands.
pub(super) fn page<T>(
    items: impl Iterator<Item = T>,
    request: &PageRequest,
    place: impl Fn(&T) -> Uuid,
) -> Page<T> {
    let limit = usize::try_from(request.limit.clamp(1, 500)).unwrap_or(500);
    let mut items: Vec<T> = items.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(|item| Cursor(place(item))) } else { None };
    Page { items, next, unreadable: Vec::new() }
}

fn fits(lead: &LeadRecord, filter: &LeadFilter) -> bool {
    filter.project_id.is_none_or(|project| lead.scope.project_id == project)
        && filter.source_id.is_none_or(|source| lead.source_id == source)
        && filter.status.as_ref().is_none_or(|status| lead.state.status.as_str() == status)
        && filter.since.is_none_or(|since| lead.created_at >= since)
        && filter.until.is_none_or(|until| lead.created_at < until)
        && filter.text.as_ref().is_none_or(|text| text.is_in(search_text(&lead.capture).expose()))
}

fn summary(lead: &LeadRecord) -> LeadSummary {
    LeadSummary {
        id: lead.id,
        project_id: lead.scope.project_id,
        source_id: lead.source_id,
        created_at: lead.created_at,
        status: lead.state.status.as_str().to_owned(),
        assigned_to: lead.state.assigned_to.clone(),
        capture: lead.capture.clone(),
    }
}

#[async_trait]
impl Journal for MemoryStore {
    async fn leads(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        request: PageRequest,
    ) -> Result<Page<LeadSummary>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0);
        let fits = |lead: &&LeadRecord| lead.scope.workspace_id == workspace && fits(lead, &filter);
        if filter.oldest_first {
            let leads = data.leads.values().filter(fits);
            let leads = leads.filter(|lead| after.is_none_or(|after| lead.id.as_uuid() > after));
            return Ok(page(leads.map(summary), &request, |lead| lead.id.as_uuid()));
        }
        let leads = data.leads.values().rev().filter(fits);
        let leads = leads.filter(|lead| after.is_none_or(|after| lead.id.as_uuid() < after));
        Ok(page(leads.map(summary), &request, |lead| lead.id.as_uuid()))
    }

    async fn count_leads(&self, workspace: WorkspaceId, filter: LeadFilter, most: u32) -> Result<LeadCounts> {
        let filter = LeadFilter { status: None, ..filter };
        let data = self.lock();
        let leads = data.leads.values().rev();
        let mut leads = leads.filter(|lead| lead.scope.workspace_id == workspace && fits(lead, &filter));
        let most = match filter.text {
            Some(_) => usize::try_from(most).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let mut counts = LeadCounts { complete: true, ..LeadCounts::default() };
        for lead in leads.by_ref().take(most) {
            *counts.by_status.entry(lead.state.status.as_str().to_owned()).or_default() += 1;
        }
        counts.complete = leads.next().is_none();
        Ok(counts)
    }

    async fn events(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        request: PageRequest,
    ) -> Result<Page<StoredEvent>> {
        let data = self.lock();
        let places = data.events_of.get(&lead).map_or(&[][..], Vec::as_slice);
        let history = || places.iter().filter_map(|place| data.events.get(*place));
        let after = request.after.and_then(|cursor| {
            history().find(|(_, event)| event.id.as_uuid() == cursor.0).map(|(_, event)| event.position)
        });
        let events = history()
            .filter(|(owner, event)| *owner == workspace && event.position > after.unwrap_or(0))
            .map(|(_, event)| event.clone());
        Ok(page(events, &request, |event| event.id.as_uuid()))
    }

    async fn events_since(&self, workspace: WorkspaceId, position: u64, limit: u32) -> Result<EventBatch> {
        let data = self.lock();
        let seen = usize::try_from(position).unwrap_or(usize::MAX);
        let events = data.events.get(seen..).unwrap_or_default().iter();
        let events = events.filter(|(owner, _)| *owner == workspace).map(|(_, event)| event.clone());
        let page = page(events, &PageRequest { after: None, limit }, |event| event.id.as_uuid());
        Ok(EventBatch {
            position: page.items.last().map_or(position, |event| event.position),
            more: page.next.is_some(),
            events: page.items,
            unreadable: page.unreadable,
        })
    }

    async fn captures(
        &self,
        workspace: WorkspaceId,
        filter: CaptureFilter,
        request: PageRequest,
    ) -> Result<Page<StoredCapture>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0);
        let mut captures = Vec::new();
        for (owner, stored) in &data.events {
            let Event::Captured(capture) = &stored.event else { continue };
            let wanted = *owner == workspace
                && (filter.since..filter.until).contains(&stored.at)
                && after.is_none_or(|after| stored.id.as_uuid() > after);
            let lead = data.leads.get(&stored.lead_id);
            let Some(lead) = lead.filter(|lead| wanted && lead.scope.project_id == filter.project_id) else {
                continue;
            };
            captures.push(StoredCapture {
                id: stored.id,
                lead_id: lead.id,
                source_id: capture.received.source_id.unwrap_or(lead.source_id),
                at: stored.at,
                capture: Capture::clone(capture),
                state: lead.state.clone(),
            });
        }
        captures.sort_unstable_by_key(|capture| capture.id);
        Ok(page(captures.into_iter(), &request, |capture| capture.id.as_uuid()))
    }

    async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: DeliveryFilter,
        request: PageRequest,
    ) -> Result<Page<DeliverySummary>> {
        let data = self.lock();
        let after = request.after.map(|cursor| cursor.0);
        let deliveries = data.deliveries.values().rev().map(|row| &row.delivery).filter(|delivery| {
            delivery.scope.workspace_id == workspace
                && after.is_none_or(|after| delivery.id.as_uuid() < after)
                && filter.lead_id.is_none_or(|lead| delivery.lead_id == Some(lead))
                && filter.channel_id.is_none_or(|channel| delivery.channel_id == channel)
                && filter.state.is_none_or(|state| delivery.state == state)
        });
        Ok(page(deliveries.cloned(), &request, |delivery| delivery.id.as_uuid()))
    }

    async fn delivery_record(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
    ) -> Result<Option<DeliveryRecord>> {
        let data = self.lock();
        let row = data.deliveries.get(&delivery).filter(|row| row.delivery.scope.workspace_id == workspace);
        Ok(row.map(|row| DeliveryRecord { delivery: row.delivery.clone(), attempts: row.attempts.clone() }))
    }

    async fn attempts(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Vec<AttemptRecord>> {
        let data = self.lock();
        let row = data.deliveries.get(&delivery).filter(|row| row.delivery.scope.workspace_id == workspace);
        let attempts = row.map(|row| row.attempts.as_slice()).unwrap_or_default();
        Ok(attempts
            .iter()
            .map(|attempt| AttemptRecord { delivery_id: delivery, attempt: attempt.clone() })
            .collect())
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let mut data = self.lock();
        let old = |row: &&super::Row| row.delivery.state.is_terminal() && row.delivery.updated_at < before;
        let deliveries: Vec<DeliveryId> =
            data.deliveries.values().filter(old).map(|row| row.delivery.id).take(limit).collect();
        let done = |row: &(&u64, &super::Inbound)| row.1.done && row.1.received_at < before;
        let inbound: Vec<u64> =
            data.inbound.iter().filter(done).map(|(number, _)| *number).take(limit).collect();
        for id in &deliveries {
            data.deliveries.remove(id);
        }
        for number in &inbound {
            data.inbound.remove(number);
        }
        data.inbound_keys.retain(|_, number| !inbound.contains(number));
        let more = deliveries.len() == limit || inbound.len() == limit;
        let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        Ok(Purged { deliveries: count(deliveries.len()), inbound: count(inbound.len()), more })
    }

    async fn at_risk(
        &self,
        workspace: WorkspaceId,
        filter: RiskFilter,
        request: PageRequest,
    ) -> Result<Page<LeadAtRisk>> {
        Ok(self.lock().at_risk(filter, &request, |lead| lead.scope.workspace_id == workspace))
    }

    async fn count_at_risk(&self, until: Timestamp, most: u32) -> Result<u64> {
        Ok(self.lock().count_at_risk(until).min(u64::from(most)))
    }

    async fn spoken(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        request: PageRequest,
    ) -> Result<Page<InboundRecord>> {
        let data = self.lock();
        let mine = data.channels.get(&channel).is_some_and(|record| record.workspace_id == workspace);
        let after = request.after.map(|cursor| cursor.0.as_u128());
        let rows = data.inbound.iter().rev().filter(|(number, row)| {
            mine && row.channel_id == channel
                && row.event.kind.is_spoken()
                && after.is_none_or(|after| u128::from(**number) < after)
        });
        let numbered = rows.map(|(number, row)| {
            let record =
                InboundRecord { channel_id: channel, event: row.event.clone(), received_at: row.received_at };
            (*number, record)
        });
        let found = page(numbered, &request, |(number, _)| Uuid::from_u128(u128::from(*number)));
        let items = found.items.into_iter().map(|(_, record)| record).collect();
        Ok(Page { items, next: found.next, unreadable: Vec::new() })
    }

    async fn unreadable(&self, workspace: Option<WorkspaceId>) -> Result<Vec<UnreadableRow>> {
        Ok(self.lock().unreadable.of(workspace))
    }

    async fn queue_depth(&self, now: Timestamp) -> Result<QueueDepth> {
        let data = self.lock();
        let mut depth = QueueDepth { timers: data.timers.len() as u64, ..QueueDepth::default() };
        for row in data.deliveries.values() {
            match row.delivery.state {
                DeliveryState::Pending => {
                    depth.pending += 1;
                    let waited = u64::try_from((now - row.delivery.due_at).num_milliseconds()).unwrap_or(0);
                    depth.oldest_due_millis = depth.oldest_due_millis.max(waited);
                }
                DeliveryState::Sending => depth.sending += 1,
                DeliveryState::AwaitingReceipt => depth.awaiting_receipt += 1,
                DeliveryState::Ambiguous => depth.ambiguous += 1,
                _ => {}
            }
        }
        Ok(depth)
    }
}
