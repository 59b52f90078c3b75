//! The store port.

use std::collections::HashMap;

use async_trait::async_trait;
use fastlead_core::channel::MessageReference;
use fastlead_core::decide::{Counter, CounterId, UniqueKey};
use fastlead_core::delivery::{Delivery, DeliveryState, NewDelivery, Scope};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken, PolicyId, SourceId, WorkspaceId};
use fastlead_core::parts::SentPart;
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    BeginOutcome, Beginning, ClaimRequest, Claimed, CommitOutcome, Erased, Erasure, InboundBatch,
    InboundRecord, InboundRef, LeadRecord, NextDue, Receipt, Recovery, SetAside, SettleOutcome, Settlement,
    Store, Transition,
};
use fastlead_core::time::{Timestamp, from_millis};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::claim::claim;
use super::fault::failed;
use super::inbound::{record_inbound, record_receipt};
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, clean, count, get, json, moment, optional_moment, uuid};
use super::{Clock, PostgresStore};

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, transition: Transition) -> Result<CommitOutcome> {
        self.writer.commit(transition).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        self.writer.settle(settlement).await
    }

    async fn begin(&self, beginning: Beginning) -> Result<BeginOutcome> {
        self.writer.begin(beginning).await
    }

    async fn enqueue(&self, deliveries: Vec<NewDelivery>) -> Result<()> {
        self.writer.enqueue(&deliveries).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let (met, clock) = (self.unreadable.clone(), self.clock);
        self.run("claim", move |connection| {
            Box::pin(async move { claim(connection, &met, clock, request).await })
        })
        .await
    }

    async fn set_aside(&self, workspace: Option<WorkspaceId>, work: SetAside, because: &str) -> Result<()> {
        self.leave_alone(workspace, work, because).await
    }

    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        self.read_next_due(now, channels).await
    }

    async fn counters(&self, ids: Vec<CounterId>, now: Timestamp) -> Result<Vec<Counter>> {
        let keys: Vec<Uuid> = ids.iter().map(|id| Uuid::from_bytes(id.0)).collect();
        let rows = sqlx::query("SELECT key, value, note, last_at, until FROM counters WHERE key = ANY($1)")
            .bind(keys)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("read counters", &error))?;
        let read = |row: &PgRow| {
            let (last_at, until) = (optional_moment(row, 3)?, optional_moment(row, 4)?);
            let counter = Counter { value: get(row, 1)?, note: get(row, 2)?, last_at, until };
            Ok((CounterId(rows::key(row, 0)?), counter))
        };
        // One that cannot be read counts from nothing again: a lead is not refused for it, and the next change mends it.
        let read = reading::each(&self.unreadable, Origin::new("counters", 0), &rows, read);
        let found: HashMap<CounterId, Counter> = read.into_iter().collect();
        Ok(ids.iter().map(|id| found.get(id).cloned().unwrap_or_default().at(now)).collect())
    }

    async fn holder(&self, keys: Vec<UniqueKey>, now: Timestamp) -> Result<Option<LeadId>> {
        let asked: Vec<Uuid> = keys.iter().map(|key| Uuid::from_bytes(key.0)).collect();
        let lead: Option<Uuid> = sqlx::query_scalar(
            "SELECT u.lead_id FROM unnest($1::uuid[]) WITH ORDINALITY AS j(key, place) JOIN unique_keys u ON u.key = j.key
             WHERE u.until > $2 ORDER BY j.place LIMIT 1",
        )
        .bind(asked)
        .bind(now.timestamp_millis())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| failed("read a unique key", &error))?;
        Ok(lead.map(LeadId::from_uuid))
    }

    async fn waiting(&self, scope: Scope, after: Option<LeadId>, limit: u32) -> Result<Vec<LeadId>> {
        let leads: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM leads WHERE project_id = $1 AND workspace_id = $2 AND status = 'queued' AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(scope.project_id.as_uuid())
        .bind(scope.workspace_id.as_uuid())
        .bind(after.map_or(Uuid::nil(), |lead| lead.as_uuid()))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| failed("read waiting leads", &error))?;
        Ok(leads.into_iter().map(LeadId::from_uuid).collect())
    }

    async fn lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<LeadRecord>> {
        let row = sqlx::query(
            "SELECT l.id, l.workspace_id, l.project_id, l.source_id, l.created_at, l.policy_id, l.policy_version, l.state, e.event
             FROM leads l JOIN events e ON e.id = l.id WHERE l.id = $1 AND l.workspace_id = $2",
        )
        .bind(lead.as_uuid())
        .bind(workspace.as_uuid())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| failed("read lead", &error))?;
        let Some(row) = row else { return Ok(None) };
        let record = |row: &PgRow| {
            Ok(LeadRecord {
                id: LeadId::from_uuid(uuid(row, 0)?),
                scope: rows::scope(row, 1)?,
                source_id: SourceId::from_uuid(uuid(row, 3)?),
                created_at: moment(row, 4)?,
                policy: PolicyRef { id: PolicyId::from_uuid(uuid(row, 5)?), version: count(row, 6)? },
                state: json(row, 7)?,
                capture: rows::capture(row, 8)?,
            })
        };
        reading::one(&self.unreadable, Origin::new("leads", 0).of(workspace), &row, record).map(Some)
    }

    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>> {
        let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = $1 AND workspace_id = $2");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(delivery.as_uuid()).bind(workspace.as_uuid());
        let row = query.fetch_optional(&self.pool).await.map_err(|error| failed("read delivery", &error))?;
        let from = Origin::new("deliveries", 0).of(workspace);
        row.map(|row| reading::one(&self.unreadable, from, &row, rows::delivery)).transpose()
    }

    async fn deliveries_of(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<Delivery>> {
        let sql =
            format!("SELECT {DELIVERY} FROM deliveries WHERE workspace_id = $1 AND lead_id = $2 ORDER BY id");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_uuid()).bind(lead.as_uuid());
        let rows = query.fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| failed("read deliveries of a lead", &error))?;
        let from = Origin::new("deliveries", 0).of(workspace);
        Ok(reading::each(&self.unreadable, from, &rows, rows::delivery))
    }

    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &MessageReference,
    ) -> Result<Option<Delivery>> {
        let fault = |error: sqlx::Error| failed("find delivery", &error);
        let from = Origin::new("deliveries", 0);
        let row = match message {
            MessageReference::Delivery(id) => {
                let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = $1 AND channel_id = $2");
                let query = sqlx::query(AssertSqlSafe(sql)).bind(id.as_uuid()).bind(channel.as_uuid());
                query.fetch_optional(&self.pool).await.map_err(fault)?
            }
            MessageReference::Provider(id) => {
                let sql = format!(
                    "SELECT {DELIVERY} FROM deliveries WHERE provider_message_id = $1 AND channel_id = $2 ORDER BY id DESC LIMIT 1"
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(clean(id)).bind(channel.as_uuid());
                match query.fetch_optional(&self.pool).await.map_err(fault)? {
                    None => return self.find_by_part(channel, id).await,
                    found => found,
                }
            }
        };
        row.map(|row| reading::one(&self.unreadable, from, &row, rows::delivery)).transpose()
    }

    async fn parts_of(&self, delivery: DeliveryId) -> Result<Vec<SentPart>> {
        self.read_parts(delivery).await
    }

    async fn retry(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery> {
        self.make_due(workspace, delivery, now, expires_at).await
    }

    async fn lost(
        &self,
        workspace: WorkspaceId,
        recovery: Recovery,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        self.read_lost(workspace, recovery, after, limit).await
    }

    async fn record_receipt(&self, receipt: Receipt) -> Result<(DeliveryState, bool)> {
        let met = self.unreadable.clone();
        self.run("record receipt", move |connection| {
            Box::pin(async move { record_receipt(connection, &met, receipt).await })
        })
        .await
    }

    async fn record_inbound(&self, batch: InboundBatch) -> Result<Vec<InboundRecord>> {
        let clock = self.clock;
        self.run("record inbound", move |connection| Box::pin(record_inbound(connection, clock, batch))).await
    }

    async fn finish_inbound(&self, inbound: InboundRef) -> Result<()> {
        self.finish(inbound).await
    }

    async fn put_off_inbound(&self, inbound: InboundRef, token: LeaseToken, due_at: Timestamp) -> Result<()> {
        self.put_off(inbound, token, due_at).await
    }

    async fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Vec<LeadId>> {
        self.find_leads_of(workspace, person).await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased> {
        self.erase_person(erasure).await
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        if self.clock == Clock::Callers {
            return Ok(None);
        }
        let now: i64 = sqlx::query_scalar("SELECT fastlead_now()")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| failed("read the time", &error))?;
        Ok(Some(from_millis(now)))
    }

    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT cursor FROM poll_cursors WHERE channel_id = $1")
            .bind(channel.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failed("read cursor", &error))
    }
}
