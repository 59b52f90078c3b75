//! The store port.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fastlead_core::channel::{InboundEvent, MessageReference};
use fastlead_core::decide::{Counter, CounterId, Event, UniqueKey};
use fastlead_core::delivery::{Delivery, DeliveryState, LeasedDelivery, NewDelivery, Scope};
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, PolicyId, ProjectId, SourceId, TimerId, WorkspaceId};
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    BeginOutcome, Beginning, ClaimRequest, Claimed, CommitOutcome, InboundRecord, InboundRef, LeadRecord,
    LeasedTimer, NextDue, Receipt, SettleOutcome, Settlement, Store, Transition,
};
use fastlead_core::time::Timestamp;
use serde_json::Value;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::SqliteStore;
use super::fault::{failed, unreadable};
use super::group::{Changes, WRITE};
use super::rows::{self, DELIVERY, blob, count, integer, moment, text, to_json, uuid};

/// Whether no earlier delivery of the same key has yet to be accepted by the provider.
const NOT_HELD_BACK: &str = "(x.state <> 0 OR x.order_key IS NULL OR NOT EXISTS (SELECT 1 FROM deliveries o
    WHERE o.order_key = x.order_key AND o.state < 10 AND (o.state < 2 OR o.uncertain = 1) AND (o.created_at, o.id) < (x.created_at, x.id)))";

/// Which of the channels have something that is due.
pub(super) const BUSY: &str = "SELECT unhex(c.value) FROM json_each(?1) c
  WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.channel_id = unhex(c.value) AND d.state < 10
      AND (d.state < 2 OR d.uncertain = 1) = 1 AND coalesce(d.lease_until, d.due_at) <= ?2)
    OR EXISTS (SELECT 1 FROM deliveries d WHERE d.channel_id = unhex(c.value) AND d.state < 10
      AND (d.state < 2 OR d.uncertain = 1) = 0 AND coalesce(d.lease_until, d.due_at) <= ?2)";

pub(super) const CLAIM_TIMERS: &str = "UPDATE timers SET lease_token = ?2, lease_until = ?3
    WHERE id IN (SELECT id FROM timers WHERE coalesce(lease_until, due_at) <= ?1
      ORDER BY coalesce(lease_until, due_at), id LIMIT ?4)
    RETURNING id, workspace_id, project_id, lead_id, name, due_at";

/// Leases what is due on one channel: at most `?5`, of them at most `?6` receipts that are owed, which get what the
/// others leave and `?7` at the least. Of the two kinds each is a range of the index.
pub(super) fn claim_deliveries() -> String {
    let owed = "FROM deliveries c WHERE c.channel_id = ?1 AND c.state < 10
           AND (c.state < 2 OR c.uncertain = 1) = 0 AND coalesce(c.lease_until, c.due_at) <= ?2";
    format!(
        "WITH others AS MATERIALIZED (SELECT x.id FROM deliveries x
           WHERE x.channel_id = ?1 AND x.state < 10 AND (x.state < 2 OR x.uncertain = 1) = 1
             AND coalesce(x.lease_until, x.due_at) <= ?2 AND {NOT_HELD_BACK}
           ORDER BY coalesce(x.lease_until, x.due_at), x.id
           LIMIT ?5 - (SELECT count(*) FROM (SELECT 1 {owed} LIMIT ?7)))
         UPDATE deliveries SET lease_token = ?3, lease_until = ?4, checks = checks + (state = 2)
         WHERE id IN (SELECT id FROM others UNION ALL SELECT id FROM (SELECT c.id {owed}
           ORDER BY coalesce(c.lease_until, c.due_at), c.id LIMIT min(?6, ?5 - (SELECT count(*) FROM others))))
         RETURNING {DELIVERY}"
    )
}

/// The next moments of each channel, `NULL` where it has no open work of a kind, and that of all timers.
pub(super) fn next_due() -> String {
    format!(
        "SELECT unhex(c.value), (SELECT coalesce(x.lease_until, x.due_at) FROM deliveries x
             WHERE x.channel_id = unhex(c.value) AND x.state < 10 AND (x.state < 2 OR x.uncertain = 1) = 1
               AND {NOT_HELD_BACK}
             ORDER BY coalesce(x.lease_until, x.due_at), x.id LIMIT 1) FROM json_each(?1) c
         UNION ALL SELECT unhex(c.value), (SELECT coalesce(x.lease_until, x.due_at) FROM deliveries x
             WHERE x.channel_id = unhex(c.value) AND x.state < 10 AND (x.state < 2 OR x.uncertain = 1) = 0
             ORDER BY coalesce(x.lease_until, x.due_at), x.id LIMIT 1) FROM json_each(?1) c
         UNION ALL SELECT NULL, (SELECT coalesce(lease_until, due_at) FROM timers ORDER BY coalesce(lease_until, due_at), id LIMIT 1)"
    )
}

async fn claim(connection: &mut SqliteConnection, request: ClaimRequest) -> Result<Claimed> {
    let fault = |error: sqlx::Error| failed("claim", &error);
    let now = request.now.timestamp_millis();
    let token = blob(request.lease.token.as_uuid());
    let until = request.lease.until.timestamp_millis();
    let mut claimed = Claimed::default();
    let ids: Vec<Value> = request.channels.iter().map(|room| room.channel_id.hex().into()).collect();
    let busy = sqlx::query(BUSY)
        .bind(Value::Array(ids).to_string())
        .bind(now)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
    let sql = claim_deliveries();
    for row in &busy {
        let channel = ChannelId::from_uuid(uuid(row, 0)?);
        let Some(room) = request.channels.iter().find(|room| room.channel_id == channel) else { continue };
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(blob(channel.as_uuid()))
            .bind(now)
            .bind(token.clone())
            .bind(until)
            .bind(room.limit)
            .bind(room.checks)
            // A negative limit would be none.
            .bind(room.checks_first.min(room.checks).min(room.limit))
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
        for row in &rows {
            let delivery = rows::delivery(row, 0)?;
            let phase =
                LeasedDelivery::phase(delivery.state).ok_or_else(|| unreadable("deliveries.state"))?;
            claimed.deliveries.push(LeasedDelivery { delivery, phase, lease: request.lease });
        }
    }
    if request.timers > 0 {
        let rows = sqlx::query(CLAIM_TIMERS)
            .bind(now)
            .bind(token)
            .bind(until)
            .bind(request.timers)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
        for row in &rows {
            claimed.timers.push(LeasedTimer {
                id: TimerId::from_uuid(uuid(row, 0)?),
                scope: scope(row, 1)?,
                lead_id: LeadId::from_uuid(uuid(row, 3)?),
                name: rows::json(row, 4, "timers.name")?,
                due_at: moment(row, 5)?,
                token: request.lease.token,
            });
        }
    }
    claimed.deliveries.sort_unstable_by_key(|leased| {
        (leased.delivery.owes_receipt(), leased.delivery.due_at, leased.delivery.id)
    });
    Ok(claimed)
}

pub(super) fn scope(row: &sqlx::sqlite::SqliteRow, at: usize) -> Result<Scope> {
    Ok(Scope {
        workspace_id: WorkspaceId::from_uuid(uuid(row, at)?),
        project_id: ProjectId::from_uuid(uuid(row, at + 1)?),
    })
}

async fn record_receipt(
    connection: &mut SqliteConnection,
    receipt: Receipt,
) -> Result<(DeliveryState, bool)> {
    let fault = |error: sqlx::Error| failed("record receipt", &error);
    let row = sqlx::query("SELECT state FROM deliveries WHERE id = ?1")
        .bind(blob(receipt.delivery_id.as_uuid()))
        .fetch_optional(&mut *connection)
        .await
        .map_err(fault)?;
    let row = row.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "no such delivery").with_operation("record receipt")
    })?;
    let before =
        DeliveryState::from_number(integer(&row, 0)?).ok_or_else(|| unreadable("deliveries.state"))?;
    if !before.is_changed_by(receipt.state) {
        return Ok((before, false));
    }
    let mut changed = Changes::default();
    changed.receipt(&receipt)?;
    changed.write(WRITE, connection).await.map_err(fault)?;
    Ok((receipt.state, true))
}

async fn record_inbound(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    events: Vec<InboundEvent>,
    cursor: Option<String>,
    now: Timestamp,
) -> Result<Vec<InboundRecord>> {
    let fault = |error: sqlx::Error| failed("record inbound", &error);
    let mut new = Vec::new();
    for event in events {
        let inserted = sqlx::query(
            "INSERT INTO inbound (channel_id, provider_event_id, event, received_at, done) VALUES (?1, ?2, ?3, ?4, 0)
             ON CONFLICT DO NOTHING",
        )
        .bind(blob(channel.as_uuid()))
        .bind(event.provider_event_id.clone())
        .bind(to_json(&event, "an inbound event")?)
        .bind(now.timestamp_millis())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
        if inserted.rows_affected() == 1 {
            new.push(InboundRecord { channel_id: channel, event, received_at: now });
        }
    }
    if let Some(cursor) = cursor {
        sqlx::query("INSERT OR REPLACE INTO poll_cursors (channel_id, cursor) VALUES (?1, ?2)")
            .bind(blob(channel.as_uuid()))
            .bind(cursor)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    Ok(new)
}

#[async_trait]
impl Store for SqliteStore {
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
        self.writer.run(move |connection| Box::pin(claim(connection, request))).await
    }

    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        let ids: Vec<Value> = channels.iter().map(|id| id.hex().into()).collect();
        let rows = sqlx::query(AssertSqlSafe(next_due()))
            .bind(Value::Array(ids).to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("next due", &error))?;
        let mut found: BTreeMap<ChannelId, Timestamp> = BTreeMap::new();
        let mut timers = None;
        for row in &rows {
            let Some(due) = rows::optional_moment(row, 1)?.map(|due| due.max(now)) else { continue };
            match rows::optional_uuid(row, 0)?.map(ChannelId::from_uuid) {
                Some(channel) => {
                    found.entry(channel).and_modify(|have| *have = due.min(*have)).or_insert(due);
                }
                None => timers = Some(due),
            }
        }
        Ok(NextDue { channels: found.into_iter().collect(), timers })
    }

    async fn counters(&self, ids: Vec<CounterId>, now: Timestamp) -> Result<Vec<Counter>> {
        self.read_counters(&ids, now).await
    }

    async fn holder(&self, keys: Vec<UniqueKey>, now: Timestamp) -> Result<Option<LeadId>> {
        self.read_holder(&keys, now).await
    }

    async fn waiting(&self, scope: Scope, after: Option<LeadId>, limit: u32) -> Result<Vec<LeadId>> {
        self.read_waiting(scope, after, limit).await
    }

    async fn lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<LeadRecord>> {
        let row = sqlx::query(
            "SELECT l.id, l.workspace_id, l.project_id, l.source_id, l.created_at, l.policy_id, l.policy_version, l.state, e.event
             FROM leads l JOIN events e ON e.id = l.id WHERE l.id = ?1 AND l.workspace_id = ?2",
        )
        .bind(blob(lead.as_uuid()))
        .bind(blob(workspace.as_uuid()))
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| failed("read lead", &error))?;
        let Some(row) = row else { return Ok(None) };
        let Event::Captured(capture) = rows::json(&row, 8, "events.event")? else {
            return Err(unreadable("a lead's capture"));
        };
        Ok(Some(LeadRecord {
            id: LeadId::from_uuid(uuid(&row, 0)?),
            scope: scope(&row, 1)?,
            source_id: SourceId::from_uuid(uuid(&row, 3)?),
            created_at: moment(&row, 4)?,
            policy: PolicyRef { id: PolicyId::from_uuid(uuid(&row, 5)?), version: count(&row, 6)? },
            state: rows::json(&row, 7, "leads.state")?,
            capture: *capture,
        }))
    }

    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>> {
        let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1 AND workspace_id = ?2");
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(blob(delivery.as_uuid())).bind(blob(workspace.as_uuid()));
        let row =
            query.fetch_optional(&self.readers).await.map_err(|error| failed("read delivery", &error))?;
        row.map(|row| rows::delivery(&row, 0)).transpose()
    }

    async fn deliveries_of(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<Delivery>> {
        let sql = format!(
            "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_by_lead
             WHERE workspace_id = ?1 AND lead_id = ?2 ORDER BY id"
        );
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(blob(workspace.as_uuid())).bind(blob(lead.as_uuid()));
        let rows = query.fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| failed("read deliveries of a lead", &error))?;
        rows.iter().map(|row| rows::delivery(row, 0)).collect()
    }

    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &MessageReference,
    ) -> Result<Option<Delivery>> {
        let channel = blob(channel.as_uuid());
        let row = match message {
            MessageReference::Delivery(id) => {
                let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1 AND channel_id = ?2");
                sqlx::query(AssertSqlSafe(sql))
                    .bind(blob(id.as_uuid()))
                    .bind(channel)
                    .fetch_optional(&self.readers)
                    .await
            }
            MessageReference::Provider(id) => {
                let sql = format!(
                    "SELECT {DELIVERY} FROM deliveries WHERE provider_message_id = ?1 AND channel_id = ?2 ORDER BY id DESC LIMIT 1"
                );
                sqlx::query(AssertSqlSafe(sql))
                    .bind(id.clone())
                    .bind(channel)
                    .fetch_optional(&self.readers)
                    .await
            }
        };
        let row = row.map_err(|error| failed("find delivery", &error))?;
        row.map(|row| rows::delivery(&row, 0)).transpose()
    }

    async fn record_receipt(&self, receipt: Receipt) -> Result<(DeliveryState, bool)> {
        self.writer.run(move |connection| Box::pin(record_receipt(connection, receipt))).await
    }

    async fn record_inbound(
        &self,
        channel: ChannelId,
        events: Vec<InboundEvent>,
        cursor: Option<String>,
        now: Timestamp,
    ) -> Result<Vec<InboundRecord>> {
        self.writer
            .run(move |connection| Box::pin(record_inbound(connection, channel, events, cursor, now)))
            .await
    }

    async fn pending_inbound(&self, limit: u32) -> Result<Vec<InboundRecord>> {
        let rows = sqlx::query(
            "SELECT channel_id, event, received_at FROM inbound WHERE done = 0 ORDER BY number LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| failed("read inbound", &error))?;
        let record = |row| {
            Ok(InboundRecord {
                channel_id: ChannelId::from_uuid(uuid(row, 0)?),
                event: rows::json(row, 1, "inbound.event")?,
                received_at: moment(row, 2)?,
            })
        };
        rows.iter().map(record).collect()
    }

    async fn finish_inbound(&self, inbound: InboundRef) -> Result<()> {
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE inbound SET done = 1 WHERE channel_id = ?1 AND provider_event_id = ?2",
                    )
                    .bind(blob(inbound.channel_id.as_uuid()))
                    .bind(inbound.provider_event_id)
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(|error| failed("finish inbound", &error))
                })
            })
            .await
    }

    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>> {
        let query = sqlx::query("SELECT cursor FROM poll_cursors WHERE channel_id = ?1")
            .bind(blob(channel.as_uuid()));
        let row = query.fetch_optional(&self.readers).await.map_err(|error| failed("read cursor", &error))?;
        row.map(|row| text(&row, 0)).transpose()
    }
}
