//! What people read and mend.

use async_trait::async_trait;
use fastlead_core::delivery::{Delivery, DeliveryState};
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, WorkspaceId};
use fastlead_core::port::{
    AttemptRecord, CaptureFilter, DeliveryFilter, DeliveryRecord, DeliverySummary, EventBatch, InboundRecord,
    Journal, LeadAtRisk, LeadCounts, LeadFilter, LeadSummary, Page, PageRequest, Purged, QueueDepth,
    Recovery, RiskFilter, StoredCapture, StoredEvent, UnreadableRow,
};
use fastlead_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, get, json, moment, uuid};

/// Begins a transaction all of whose statements see the same moment.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) fn limit(request: &PageRequest) -> i64 {
    i64::from(request.limit.clamp(1, 500))
}

/// The list of deliveries: conditions that are not asked for are left out, so that the plan is that of the others.
fn list_deliveries(filter: &DeliveryFilter, after: bool) -> String {
    let narrow = [
        (after, "id < $2"),
        (filter.lead_id.is_some(), "lead_id = $3"),
        (filter.channel_id.is_some(), "channel_id = $4"),
        (filter.state.is_some(), "state = $5"),
        // The conditions of the partial indexes.
        (filter.state.is_some_and(|state| !state.is_terminal()), "state < 10"),
        (filter.state.is_some_and(|state| state.number() >= DeliveryState::Failed.number()), "state >= 12"),
    ];
    format!(
        "SELECT {DELIVERY} FROM deliveries WHERE workspace_id = $1{} ORDER BY id DESC LIMIT $6",
        conditions(&narrow)
    )
}

pub(super) fn conditions(all: &[(bool, &str)]) -> String {
    all.iter().filter(|(wanted, _)| *wanted).map(|(_, condition)| format!(" AND {condition}")).collect()
}

const EVENTS: &str = "SELECT id, lead_id, at, event, trace, actor, position FROM events
    WHERE lead_id = $1 AND workspace_id = $2 AND position > coalesce((SELECT position FROM events WHERE id = $3), 0)
    ORDER BY position LIMIT $4";

const EVENTS_SINCE: &str = "SELECT id, lead_id, at, event, trace, actor, position
    FROM events WHERE workspace_id = $1 AND position > $2 ORDER BY position LIMIT $3";

fn event(row: &PgRow) -> Result<StoredEvent> {
    Ok(StoredEvent {
        position: position(row)?,
        id: EventId::from_uuid(uuid(row, 0)?),
        lead_id: LeadId::from_uuid(uuid(row, 1)?),
        at: moment(row, 2)?,
        event: json(row, 3)?,
        actor: Some(json(row, 5)?),
        trace: json(row, 4)?,
    })
}

fn position(row: &PgRow) -> Result<u64> {
    get::<i64>(row, 6).map(|position| u64::try_from(position).unwrap_or(0))
}

/// What a channel failed to deliver; the first condition is the one of the index.
fn lost() -> String {
    format!(
        "SELECT {DELIVERY} FROM deliveries WHERE channel_id = $1 AND workspace_id = $2 AND state IN (12, 13, 16)
           AND (state < 16 OR $5) AND (created_at, id) > ($3, $6) ORDER BY created_at, id LIMIT $4"
    )
}

/// How much work waits. Each number is a range of an index of what is not done.
const DEPTH: &str = "SELECT
    (SELECT count(*) FROM deliveries WHERE state = 0 AND state < 10 AND (state < 2 OR uncertain)),
    (SELECT count(*) FROM deliveries WHERE state = 1 AND state < 10 AND (state < 2 OR uncertain)),
    (SELECT count(*) FROM deliveries WHERE state = 2 AND NOT uncertain)
      + (SELECT count(*) FROM deliveries WHERE state = 2 AND state < 10 AND (state < 2 OR uncertain)),
    (SELECT count(*) FROM deliveries WHERE state IN (12, 13, 16) AND state = 16),
    (SELECT greatest(0, $1 - coalesce(min(coalesce(lease_until, due_at)), $1)) FROM deliveries
       WHERE state = 0 AND state < 10 AND (state < 2 OR uncertain)),
    (SELECT count(*) FROM timers)";

/// Ended deliveries that were made before `$1` and not touched since `$2`, with their attempts. Ids begin with the moment at
/// which they were made, so the primary key finds them. What somebody works on is left to the next time.
const PURGE_DELIVERIES: &str = "WITH old AS MATERIALIZED (SELECT id FROM deliveries
      WHERE id < $1 AND state >= 10 AND updated_at < $2 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM old))
  DELETE FROM deliveries WHERE id IN (SELECT id FROM old)";

const PURGE_INBOUND: &str = "DELETE FROM inbound WHERE number IN (SELECT number FROM inbound
    WHERE received_at < $1 AND done = 1 ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// The least id that can be made at a moment.
pub(super) fn least_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0).min((1 << 48) - 1).to_be_bytes();
    let mut id = [0_u8; 16];
    id[..6].copy_from_slice(&millis[2..]);
    Uuid::from_bytes(id)
}

async fn purge(connection: &mut PgConnection, before: Timestamp, limit: u32) -> Result<Purged> {
    let fault = |error: sqlx::Error| failed("purge", &error);
    let millis = before.timestamp_millis();
    let deliveries = sqlx::query(PURGE_DELIVERIES)
        .bind(least_id(before))
        .bind(millis)
        .bind(i64::from(limit))
        .execute(&mut *connection)
        .await
        .map_err(fault)?
        .rows_affected();
    let inbound = sqlx::query(PURGE_INBOUND)
        .bind(millis)
        .bind(i64::from(limit))
        .execute(connection)
        .await
        .map_err(fault)?
        .rows_affected();
    let more = deliveries == u64::from(limit) || inbound == u64::from(limit);
    Ok(Purged { deliveries, inbound, more })
}

#[async_trait]
impl Journal for PostgresStore {
    async fn leads(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        request: PageRequest,
    ) -> Result<Page<LeadSummary>> {
        self.list_leads(workspace, filter, request).await
    }

    async fn count_leads(&self, workspace: WorkspaceId, filter: LeadFilter, most: u32) -> Result<LeadCounts> {
        self.count_leads_by_status(workspace, filter, most).await
    }

    async fn events(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        request: PageRequest,
    ) -> Result<Page<StoredEvent>> {
        let limit = limit(&request);
        let rows = sqlx::query(EVENTS)
            .bind(lead.as_uuid())
            .bind(workspace.as_uuid())
            .bind(request.after.map(|cursor| cursor.0))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list events", &error))?;
        let from = Origin::new("events", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, event))
    }

    async fn events_since(&self, workspace: WorkspaceId, position: u64, limit: u32) -> Result<EventBatch> {
        let limit = self::limit(&PageRequest { after: None, limit });
        let rows = sqlx::query(EVENTS_SINCE)
            .bind(workspace.as_uuid())
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list events", &error))?;
        let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        let from = Origin::new("events", 0).of(workspace);
        let page = reading::page(&self.unreadable, from, &rows, limit, event);
        let last = rows.get(..rows.len() - usize::from(more)).and_then(<[_]>::last);
        Ok(EventBatch {
            position: last.map_or(Ok(position), self::position)?,
            events: page.items,
            more,
            unreadable: page.unreadable,
        })
    }

    async fn captures(
        &self,
        workspace: WorkspaceId,
        filter: CaptureFilter,
        request: PageRequest,
    ) -> Result<Page<StoredCapture>> {
        self.read_captures(workspace, filter, request).await
    }

    async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: DeliveryFilter,
        request: PageRequest,
    ) -> Result<Page<DeliverySummary>> {
        let limit = limit(&request);
        let rows = sqlx::query(AssertSqlSafe(list_deliveries(&filter, request.after.is_some())))
            .bind(workspace.as_uuid())
            .bind(request.after.map(|cursor| cursor.0))
            .bind(filter.lead_id.map(|id| id.as_uuid()))
            .bind(filter.channel_id.map(|id| id.as_uuid()))
            .bind(filter.state.map(|state| i16::try_from(state.number()).unwrap_or(i16::MAX)))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list deliveries", &error))?;
        let from = Origin::new("deliveries", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, rows::delivery))
    }

    async fn delivery_record(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
    ) -> Result<Option<DeliveryRecord>> {
        let fault = |error: sqlx::Error| failed("read a delivery with its attempts", &error);
        // One transaction, so that both are of the same moment.
        let mut reader = self.pool.begin_with(SNAPSHOT).await.map_err(fault)?;
        let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = $1 AND workspace_id = $2");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(delivery.as_uuid()).bind(workspace.as_uuid());
        let Some(row) = query.fetch_optional(&mut *reader).await.map_err(fault)? else { return Ok(None) };
        let query =
            sqlx::query("SELECT attempt, delivery_id FROM attempts WHERE delivery_id = $1 ORDER BY number")
                .bind(delivery.as_uuid());
        let rows = query.fetch_all(&mut *reader).await.map_err(fault)?;
        reader.commit().await.map_err(fault)?;
        let from = Origin::new("deliveries", 0).of(workspace);
        let delivery = reading::one(&self.unreadable, from, &row, rows::delivery)?;
        let from = Origin::new("attempts", 1).of(workspace);
        Ok(Some(DeliveryRecord {
            delivery,
            attempts: reading::each(&self.unreadable, from, &rows, |row| json(row, 0)),
        }))
    }

    async fn attempts(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Vec<AttemptRecord>> {
        let rows = sqlx::query(
            "SELECT a.attempt, a.delivery_id FROM attempts a JOIN deliveries d ON d.id = a.delivery_id
             WHERE a.delivery_id = $1 AND d.workspace_id = $2 ORDER BY a.number",
        )
        .bind(delivery.as_uuid())
        .bind(workspace.as_uuid())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| failed("list attempts", &error))?;
        let attempt = |row: &PgRow| Ok(AttemptRecord { delivery_id: delivery, attempt: json(row, 0)? });
        Ok(reading::each(&self.unreadable, Origin::new("attempts", 1).of(workspace), &rows, attempt))
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        let limit = limit.max(1);
        self.run("purge", move |connection| Box::pin(purge(connection, before, limit))).await
    }

    async fn at_risk(
        &self,
        workspace: WorkspaceId,
        filter: RiskFilter,
        request: PageRequest,
    ) -> Result<Page<LeadAtRisk>> {
        self.read_at_risk(workspace, filter, request).await
    }

    async fn count_at_risk(&self, until: Timestamp, most: u32) -> Result<u64> {
        self.count_leads_at_risk(until, most).await
    }

    async fn spoken(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        request: PageRequest,
    ) -> Result<Page<InboundRecord>> {
        self.read_spoken(workspace, channel, request).await
    }

    async fn unreadable(&self, workspace: Option<WorkspaceId>) -> Result<Vec<UnreadableRow>> {
        Ok(self.unreadable.of(workspace))
    }

    async fn queue_depth(&self, now: Timestamp) -> Result<QueueDepth> {
        let row = sqlx::query(DEPTH)
            .bind(now.timestamp_millis())
            .fetch_one(&self.pool)
            .await
            .map_err(|error| failed("queue depth", &error))?;
        let whole = |index| get::<i64>(&row, index).map(|count| u64::try_from(count).unwrap_or(0));
        Ok(QueueDepth {
            pending: whole(0)?,
            sending: whole(1)?,
            awaiting_receipt: whole(2)?,
            ambiguous: whole(3)?,
            oldest_due_millis: whole(4)?,
            timers: whole(5)?,
        })
    }
}

impl PostgresStore {
    pub(super) async fn make_due(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery> {
        let met = self.unreadable.clone();
        self.run("retry", move |connection| {
                Box::pin(async move {
                    let fault = |error: sqlx::Error| failed("retry", &error);
                    let sql = format!(
                        "UPDATE deliveries SET state = 0, reason = NULL, due_at = $3, expires_at = $4, updated_at = $3, attempts = 0, checks = 0,
                           uncertain = (state = 16), unwanted = false, begun_by = NULL, lease_token = NULL, lease_until = NULL
                         WHERE id = $1 AND workspace_id = $2 AND state IN (12, 13, 16) RETURNING {DELIVERY}"
                    );
                    let row = sqlx::query(AssertSqlSafe(sql))
                        .bind(delivery.as_uuid())
                        .bind(workspace.as_uuid())
                        .bind(now.timestamp_millis())
                        .bind(expires_at.timestamp_millis())
                        .fetch_optional(&mut *connection)
                        .await
                        .map_err(fault)?;
                    if let Some(row) = row {
                        let from = Origin::new("deliveries", 0).of(workspace);
                        return reading::one(&met, from, &row, rows::delivery);
                    }
                    let there = sqlx::query("SELECT 1 FROM deliveries WHERE id = $1 AND workspace_id = $2")
                        .bind(delivery.as_uuid())
                        .bind(workspace.as_uuid())
                        .fetch_optional(connection)
                        .await
                        .map_err(fault)?;
                    Err(if there.is_some() {
                        let message = "only a failed, expired or ambiguous delivery is retried";
                        Error::new(ErrorKind::Conflict, message).with_operation("retry")
                    } else {
                        Error::new(ErrorKind::NotFound, "no such delivery").with_operation("retry")
                    })
                })
            })
            .await
    }

    pub(super) async fn read_lost(
        &self,
        workspace: WorkspaceId,
        recovery: Recovery,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let Recovery { channel_id, since, ambiguous } = recovery;
        // No id is nil, so that the first page begins with what was made at `since`.
        let (from, id) = after.map_or((since, Uuid::nil()), |(at, id)| (at, id.as_uuid()));
        let mut from = from.max(since).timestamp_millis();
        let mut found = Vec::new();
        let mut id = id;
        loop {
            let rows = sqlx::query(AssertSqlSafe(lost()))
                .bind(channel_id.as_uuid())
                .bind(workspace.as_uuid())
                .bind(from)
                .bind(i64::from(limit))
                .bind(ambiguous)
                .bind(id)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| failed("read lost deliveries", &error))?;
            let Some(last) = rows.last() else { return Ok(found) };
            let read = |row| {
                let origin = Origin::new("deliveries", 0).of(workspace);
                reading::one(&self.unreadable, origin, row, rows::delivery).ok()
            };
            found.extend(rows.iter().filter_map(read));
            // Where nothing of a page could be read there may still be more.
            if !found.is_empty() {
                return Ok(found);
            }
            (from, id) = (get::<i64>(last, 7)?, uuid(last, 0)?);
        }
    }
}
