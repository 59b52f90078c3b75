//! The store port.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fastlead_core::channel::{InboundEvent, MessageReference};
use fastlead_core::decide::{Counter, CounterId, UniqueKey};
use fastlead_core::delivery::{Delivery, DeliveryState, LeasedDelivery, NewDelivery, Scope};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{
    ChannelId, DeliveryId, LeadId, LeaseToken, PolicyId, ProjectId, SourceId, TimerId, WorkspaceId,
};
use fastlead_core::parts::SentPart;
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{
    BeginOutcome, Beginning, ClaimRequest, Claimed, CommitOutcome, Erased, Erasure, InboundBatch,
    InboundRecord, InboundRef, LeadRecord, LeaseAnswer, LeasedInbound, LeasedTimer, Leases, NamedLease,
    NextDue, Receipt, Recovery, SetAside, SettleOutcome, Settlement, Store, Transition, UnreadableRows,
};
use fastlead_core::time::{Timestamp, from_millis};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::SqliteStore;
use super::aside::{leave_unread, leave_unread_inbound, left_alone};
use super::fault::failed;
use super::group::{Changes, WRITE};
use super::parts;
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, blob, count, integer, moment, text, to_json, unread, uuid};

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

pub(super) const CLAIM_INBOUND: &str =
    "UPDATE inbound SET lease_token = ?2, lease_until = ?3, tries = tries + 1
    WHERE number IN (SELECT number FROM inbound WHERE done = 0 AND coalesce(lease_until, due_at) <= ?1
      ORDER BY coalesce(lease_until, due_at), number LIMIT ?4)
    RETURNING number, channel_id, event, received_at, tries - 1, provider_event_id";

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

/// The next moments of each channel, `NULL` where it has no open work of a kind, and those of all timers and all inbound
/// events. Whoever reads them leaves out what is left alone and what has no moment that can be read.
pub(super) fn next_due() -> String {
    format!(
        "SELECT unhex(c.value), (SELECT coalesce(x.lease_until, x.due_at) FROM deliveries x
             WHERE x.channel_id = unhex(c.value) AND x.state < 10 AND (x.state < 2 OR x.uncertain = 1) = 1
               AND {NOT_HELD_BACK}
             ORDER BY coalesce(x.lease_until, x.due_at), x.id LIMIT 1) FROM json_each(?1) c
         UNION ALL SELECT unhex(c.value), (SELECT coalesce(x.lease_until, x.due_at) FROM deliveries x
             WHERE x.channel_id = unhex(c.value) AND x.state < 10 AND (x.state < 2 OR x.uncertain = 1) = 0
             ORDER BY coalesce(x.lease_until, x.due_at), x.id LIMIT 1) FROM json_each(?1) c
         UNION ALL SELECT NULL, (SELECT coalesce(lease_until, due_at) FROM timers ORDER BY coalesce(lease_until, due_at), id LIMIT 1)
         UNION ALL SELECT NULL, (SELECT coalesce(lease_until, due_at) FROM inbound WHERE done = 0
             ORDER BY coalesce(lease_until, due_at), number LIMIT 1)"
    )
}

/// What cannot be read is left alone for good; it neither fails the claim nor is claimed again and again.
async fn claim(
    connection: &mut SqliteConnection,
    met: &UnreadableRows,
    request: ClaimRequest,
) -> Result<Claimed> {
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
            let leased = reading::one(met, Origin::new("deliveries", 0), row, |row| {
                let delivery = rows::delivery(row, 0)?;
                let phase = LeasedDelivery::phase(delivery.state).ok_or_else(|| unread(row, 5))?;
                Ok(LeasedDelivery { delivery, phase, lease: request.lease })
            });
            match leased {
                Ok(leased) => claimed.deliveries.push(leased),
                Err(_) => leave_unread(connection, "deliveries", reading::raw_id(row, 0)).await?,
            }
        }
    }
    if request.timers > 0 {
        let rows = sqlx::query(CLAIM_TIMERS)
            .bind(now)
            .bind(token.clone())
            .bind(until)
            .bind(request.timers)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
        for row in &rows {
            let timer = reading::one(met, Origin::new("timers", 0), row, |row| {
                Ok(LeasedTimer {
                    id: TimerId::from_uuid(uuid(row, 0)?),
                    scope: scope(row, 1)?,
                    lead_id: LeadId::from_uuid(uuid(row, 3)?),
                    name: rows::json(row, 4)?,
                    due_at: moment(row, 5)?,
                    token: request.lease.token,
                })
            });
            match timer {
                Ok(timer) => claimed.timers.push(timer),
                Err(_) => leave_unread(connection, "timers", reading::raw_id(row, 0)).await?,
            }
        }
    }
    if request.inbound > 0 {
        let rows = sqlx::query(CLAIM_INBOUND)
            .bind(now)
            .bind(token)
            .bind(until)
            .bind(request.inbound)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
        let (mut found, mut lost) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            let number = integer(row, 0)?;
            let leased = reading::one(met, Origin::new("inbound", 0), row, |row| {
                let event: InboundEvent = rows::json(row, 2)?;
                // It is finished by this name: under another one it would come again and again.
                if text(row, 5)? != event.provider_event_id {
                    return Err(unread(row, 5));
                }
                let record = InboundRecord {
                    channel_id: ChannelId::from_uuid(uuid(row, 1)?),
                    event,
                    received_at: moment(row, 3)?,
                };
                // How often it was leased is not worth the event.
                Ok(LeasedInbound { record, token: request.lease.token, tries: count(row, 4).unwrap_or(0) })
            });
            match leased {
                Ok(leased) => found.push((number, leased)),
                Err(_) => lost.push(number),
            }
        }
        leave_unread_inbound(connection, &lost).await?;
        found.sort_unstable_by_key(|(number, _)| *number);
        claimed.inbound = found.into_iter().map(|(_, leased)| leased).collect();
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
    met: &UnreadableRows,
    receipt: Receipt,
) -> Result<(DeliveryState, bool)> {
    let fault = |error: sqlx::Error| failed("record receipt", &error);
    let row = sqlx::query("SELECT state, id, workspace_id, parts_sent FROM deliveries WHERE id = ?1")
        .bind(blob(receipt.delivery_id.as_uuid()))
        .fetch_optional(&mut *connection)
        .await
        .map_err(fault)?;
    let row = row.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "no such delivery").with_operation("record receipt")
    })?;
    let before = reading::one(met, Origin::new("deliveries", 1), &row, |row| {
        DeliveryState::from_number(integer(row, 0)?).ok_or_else(|| unread(row, 0))
    })?;
    if !before.is_changed_by(receipt.state) {
        return Ok((before, false));
    }
    let mut changed = Changes::default();
    if let (DeliveryState::Delivered, Some(part)) = (receipt.state, receipt.part) {
        let mut parts = SentPart::of(&parts::attempts(&mut *connection, met, receipt.delivery_id).await?);
        let known = parts.iter().any(|known| known.index == part && known.told == Some(receipt.state));
        parts.iter_mut().filter(|known| known.index == part).for_each(|part| part.told = Some(receipt.state));
        let underway = matches!(before, DeliveryState::Pending | DeliveryState::Sending);
        if underway || !SentPart::all_arrived(&parts, count(&row, 3)?) {
            if !known {
                changed.attempt(receipt.delivery_id, &receipt.attempt)?;
                changed.write(WRITE, connection).await.map_err(fault)?;
            }
            return Ok((before, false));
        }
    }
    changed.receipt(&receipt)?;
    changed.write(WRITE, connection).await.map_err(fault)?;
    Ok((receipt.state, true))
}

async fn record_inbound(
    connection: &mut SqliteConnection,
    batch: InboundBatch,
) -> Result<Vec<InboundRecord>> {
    let fault = |error: sqlx::Error| failed("record inbound", &error);
    let InboundBatch { channel_id, events, cursor, at, lease } = batch;
    let mut new = Vec::new();
    for event in events {
        let inserted = sqlx::query(
            "INSERT INTO inbound (channel_id, provider_event_id, event, received_at, done, due_at, tries, lease_token, lease_until)
             VALUES (?1, ?2, ?3, ?4, 0, ?4, 1, ?5, ?6) ON CONFLICT DO NOTHING",
        )
        .bind(blob(channel_id.as_uuid()))
        .bind(event.provider_event_id.clone())
        .bind(to_json(&event, "an inbound event")?)
        .bind(at.timestamp_millis())
        .bind(blob(lease.token.as_uuid()))
        .bind(lease.until.timestamp_millis())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
        if inserted.rows_affected() == 1 {
            new.push(InboundRecord { channel_id, event, received_at: at });
        }
    }
    if let Some(cursor) = cursor {
        sqlx::query("INSERT OR REPLACE INTO poll_cursors (channel_id, cursor) VALUES (?1, ?2)")
            .bind(blob(channel_id.as_uuid()))
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
        let met = self.unreadable.clone();
        self.writer
            .run(move |connection| Box::pin(async move { claim(connection, &met, request).await }))
            .await
    }

    async fn set_aside(&self, workspace: Option<WorkspaceId>, work: SetAside, because: &str) -> Result<()> {
        self.leave_alone(workspace, work, because).await
    }

    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        let ids: Vec<Value> = channels.iter().map(|id| id.hex().into()).collect();
        let rows = sqlx::query(AssertSqlSafe(next_due()))
            .bind(Value::Array(ids).to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("next due", &error))?;
        let mut found: BTreeMap<ChannelId, Timestamp> = BTreeMap::new();
        let mut others: Option<Timestamp> = None;
        for row in &rows {
            // What is left alone, and what has no moment that can be read, is nothing to wait for.
            let Ok(Some(due)) = row.try_get::<Option<i64>, _>(1) else { continue };
            if due >= left_alone!() {
                continue;
            }
            let due = from_millis(due).max(now);
            match rows::optional_uuid(row, 0)?.map(ChannelId::from_uuid) {
                Some(channel) => {
                    found.entry(channel).and_modify(|have| *have = due.min(*have)).or_insert(due);
                }
                None => others = Some(others.map_or(due, |other| other.min(due))),
            }
        }
        Ok(NextDue { channels: found.into_iter().collect(), others })
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
        let record = |row: &SqliteRow| {
            Ok(LeadRecord {
                id: LeadId::from_uuid(uuid(row, 0)?),
                scope: scope(row, 1)?,
                source_id: SourceId::from_uuid(uuid(row, 3)?),
                created_at: moment(row, 4)?,
                policy: PolicyRef { id: PolicyId::from_uuid(uuid(row, 5)?), version: count(row, 6)? },
                state: rows::json(row, 7)?,
                capture: rows::capture(row, 8)?,
            })
        };
        reading::one(&self.unreadable, Origin::new("leads", 0).of(workspace), &row, record).map(Some)
    }

    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>> {
        let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1 AND workspace_id = ?2");
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(blob(delivery.as_uuid())).bind(blob(workspace.as_uuid()));
        let row =
            query.fetch_optional(&self.readers).await.map_err(|error| failed("read delivery", &error))?;
        let from = Origin::new("deliveries", 0).of(workspace);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| rows::delivery(row, 0))).transpose()
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
        let from = Origin::new("deliveries", 0).of(workspace);
        Ok(reading::each(&self.unreadable, from, &rows, |row| rows::delivery(row, 0)))
    }

    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &MessageReference,
    ) -> Result<Option<Delivery>> {
        let channel_id = channel;
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
        if let (None, MessageReference::Provider(id)) = (&row, message) {
            return self.find_by_part(channel_id, id).await;
        }
        let from = Origin::new("deliveries", 0);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| rows::delivery(row, 0))).transpose()
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
        self.writer
            .run(move |connection| Box::pin(async move { record_receipt(connection, &met, receipt).await }))
            .await
    }

    async fn record_inbound(&self, batch: InboundBatch) -> Result<Vec<InboundRecord>> {
        self.writer.run(move |connection| Box::pin(record_inbound(connection, batch))).await
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

    async fn put_off_inbound(&self, inbound: InboundRef, token: LeaseToken, due_at: Timestamp) -> Result<()> {
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE inbound SET due_at = ?4, lease_token = NULL, lease_until = NULL
                         WHERE channel_id = ?1 AND provider_event_id = ?2 AND lease_token = ?3",
                    )
                    .bind(blob(inbound.channel_id.as_uuid()))
                    .bind(inbound.provider_event_id)
                    .bind(blob(token.as_uuid()))
                    .bind(due_at.timestamp_millis())
                    .execute(connection)
                    .await
                    .map(drop)
                    .map_err(|error| failed("put off inbound", &error))
                })
            })
            .await
    }

    async fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Vec<LeadId>> {
        self.find_leads_of(workspace, person).await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased> {
        self.erase_person(erasure).await
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>> {
        let query = sqlx::query("SELECT cursor, channel_id FROM poll_cursors WHERE channel_id = ?1")
            .bind(blob(channel.as_uuid()));
        let row = query.fetch_optional(&self.readers).await.map_err(|error| failed("read cursor", &error))?;
        // A channel whose cursor cannot be read begins where its provider lets it begin.
        let from = Origin::new("poll_cursors", 1);
        Ok(row.and_then(|row| reading::one(&self.unreadable, from, &row, |row| text(row, 0)).ok()))
    }
}

#[async_trait]
impl Leases for SqliteStore {
    async fn take_lease(&self, lease: NamedLease) -> Result<LeaseAnswer> {
        Ok(self.named.take(lease))
    }

    async fn end_lease(&self, name: &str, holder: LeaseToken) -> Result<()> {
        self.named.end(name, holder);
        Ok(())
    }
}
