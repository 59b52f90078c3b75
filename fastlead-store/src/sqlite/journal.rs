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
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::SqliteStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, blob, integer, json, moment, uuid};

pub(super) fn limit(request: &PageRequest) -> i64 {
    i64::from(request.limit.clamp(1, 500))
}

/// Before the first page: greater than every id. Written so that the index finds the place.
macro_rules! before {
    () => {
        "id < coalesce(?2, X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF')"
    };
}
pub(super) use before;

/// The index that brings the fewest rows, and the condition that lets SQLite use it.
fn way(filter: &DeliveryFilter) -> (&'static str, &'static str) {
    match (filter.lead_id, filter.state) {
        (Some(_), _) => ("deliveries_by_lead", "lead_id = ?3"),
        (None, Some(state)) if !state.is_terminal() => ("deliveries_open", "?3 IS NULL AND state < 10"),
        (None, Some(state)) if state.number() >= DeliveryState::Failed.number() => {
            ("deliveries_not_sent", "?3 IS NULL AND state >= 12")
        }
        (None, _) => ("deliveries_by_workspace", "?3 IS NULL"),
    }
}

pub(super) const EVENTS: &str = "SELECT id, lead_id, at, event, trace, actor, position FROM events INDEXED BY events_by_lead
    WHERE lead_id = ?1 AND workspace_id = ?2 AND position > coalesce((SELECT position FROM events WHERE id = ?3), 0)
    ORDER BY position LIMIT ?4";

pub(super) const EVENTS_SINCE: &str = "SELECT id, lead_id, at, event, trace, actor, position
    FROM events INDEXED BY events_by_workspace WHERE workspace_id = ?1 AND position > ?2 ORDER BY position LIMIT ?3";

fn event(row: &SqliteRow) -> Result<StoredEvent> {
    Ok(StoredEvent {
        position: position(row)?,
        id: EventId::from_uuid(uuid(row, 0)?),
        lead_id: LeadId::from_uuid(uuid(row, 1)?),
        at: moment(row, 2)?,
        event: json(row, 3)?,
        actor: rows::optional_json(row, 5)?,
        trace: json(row, 4)?,
    })
}

fn position(row: &SqliteRow) -> Result<u64> {
    integer(row, 6).map(|position| u64::try_from(position).unwrap_or(0))
}

pub(super) fn list_deliveries(filter: &DeliveryFilter) -> String {
    let (index, narrow) = way(filter);
    let before = before!();
    format!(
        "SELECT {DELIVERY} FROM deliveries INDEXED BY {index} WHERE workspace_id = ?1 AND {before} AND {narrow}
           AND (?4 IS NULL OR channel_id = ?4) AND (?5 IS NULL OR state = ?5) ORDER BY id DESC LIMIT ?6"
    )
}

/// What a channel failed to deliver; the first condition is the one of the index.
pub(super) fn lost() -> String {
    format!(
        "SELECT {DELIVERY} FROM deliveries WHERE channel_id = ?1 AND workspace_id = ?2 AND state IN (12, 13, 16)
           AND (state < 16 OR ?5) AND (created_at, id) > (?3, ?6) ORDER BY created_at, id LIMIT ?4"
    )
}

/// How much work waits.
pub(super) const DEPTH: &str =
    "SELECT coalesce(sum(state = 0), 0), coalesce(sum(state = 1), 0), coalesce(sum(state = 2), 0),
               (SELECT count(*) FROM deliveries WHERE state IN (12, 13, 16) AND state = 16),
               CAST(coalesce(max(0, ?1 - min(CASE state WHEN 0 THEN coalesce(lease_until, due_at) END)), 0) AS INTEGER),
               (SELECT count(*) FROM timers)
             FROM deliveries INDEXED BY deliveries_open WHERE state < 10";

/// Makes lost deliveries due again; `now` and `expires_at` are the numbers of the parameters.
fn revive(now: u8, expires_at: u8) -> String {
    format!(
        "UPDATE deliveries SET state = 0, reason = NULL, due_at = ?{now}, expires_at = ?{expires_at}, updated_at = ?{now},
           attempts = 0, checks = 0, uncertain = (state = 16), unwanted = 0, begun_by = NULL, lease_token = NULL, lease_until = NULL"
    )
}

/// Ended deliveries that were made before `?1` and not touched since `?2`. Ids begin with the moment at which they
/// were made, so the primary key finds them.
pub(super) const PURGE_DELIVERIES: &str = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries
    WHERE id < ?1 AND state >= 10 AND updated_at < ?2 ORDER BY id LIMIT ?3) RETURNING id";

pub(super) const PURGE_INBOUND: &str = "DELETE FROM inbound WHERE number IN (SELECT number FROM inbound
    WHERE received_at < ?1 AND done = 1 LIMIT ?2)";

pub(super) const PURGE_ATTEMPTS: &str =
    "DELETE FROM attempts WHERE delivery_id IN (SELECT unhex(value) FROM json_each(?1))";

async fn purge(connection: &mut SqliteConnection, before: Timestamp, limit: u32) -> Result<Purged> {
    let fault = |error: sqlx::Error| failed("purge", &error);
    let millis = before.timestamp_millis();
    let first = u64::try_from(millis).unwrap_or(0).to_be_bytes();
    let mut cut = [0_u8; 16];
    cut[..6].copy_from_slice(&first[2..]);
    let rows = sqlx::query(PURGE_DELIVERIES)
        .bind(cut.to_vec())
        .bind(millis)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
    let ids: Vec<serde_json::Value> =
        rows.iter().map(|row| hex::encode(reading::raw_id(row, 0)).into()).collect();
    sqlx::query(PURGE_ATTEMPTS)
        .bind(serde_json::Value::Array(ids).to_string())
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let inbound =
        sqlx::query(PURGE_INBOUND).bind(millis).bind(limit).execute(connection).await.map_err(fault)?;
    let (deliveries, inbound) = (u64::try_from(rows.len()).unwrap_or(u64::MAX), inbound.rows_affected());
    let more = deliveries == u64::from(limit) || inbound == u64::from(limit);
    Ok(Purged { deliveries, inbound, more })
}

#[async_trait]
impl Journal for SqliteStore {
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
            .bind(blob(lead.as_uuid()))
            .bind(blob(workspace.as_uuid()))
            .bind(request.after.map(|cursor| blob(cursor.0)))
            .bind(limit + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("list events", &error))?;
        let from = Origin::new("events", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, event))
    }

    async fn events_since(&self, workspace: WorkspaceId, position: u64, limit: u32) -> Result<EventBatch> {
        let limit = self::limit(&PageRequest { after: None, limit });
        let rows = sqlx::query(EVENTS_SINCE)
            .bind(blob(workspace.as_uuid()))
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(limit + 1)
            .fetch_all(&self.readers)
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
        let rows = sqlx::query(AssertSqlSafe(list_deliveries(&filter)))
            .bind(blob(workspace.as_uuid()))
            .bind(request.after.map(|cursor| blob(cursor.0)))
            .bind(filter.lead_id.map(|id| blob(id.as_uuid())))
            .bind(filter.channel_id.map(|id| blob(id.as_uuid())))
            .bind(filter.state.map(DeliveryState::number))
            .bind(limit + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("list deliveries", &error))?;
        let from = Origin::new("deliveries", 0).of(workspace);
        Ok(reading::page(&self.unreadable, from, &rows, limit, |row| rows::delivery(row, 0)))
    }

    async fn delivery_record(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
    ) -> Result<Option<DeliveryRecord>> {
        let fault = |error: sqlx::Error| failed("read a delivery with its attempts", &error);
        // One transaction, so that both are of the same moment.
        let mut reader = self.readers.begin().await.map_err(fault)?;
        let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1 AND workspace_id = ?2");
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(blob(delivery.as_uuid())).bind(blob(workspace.as_uuid()));
        let Some(row) = query.fetch_optional(&mut *reader).await.map_err(fault)? else { return Ok(None) };
        let query =
            sqlx::query("SELECT attempt, delivery_id FROM attempts WHERE delivery_id = ?1 ORDER BY number")
                .bind(blob(delivery.as_uuid()));
        let rows = query.fetch_all(&mut *reader).await.map_err(fault)?;
        reader.commit().await.map_err(fault)?;
        let from = Origin::new("deliveries", 0).of(workspace);
        let delivery = reading::one(&self.unreadable, from, &row, |row| rows::delivery(row, 0))?;
        let from = Origin::new("attempts", 1).of(workspace);
        Ok(Some(DeliveryRecord {
            delivery,
            attempts: reading::each(&self.unreadable, from, &rows, |row| json(row, 0)),
        }))
    }

    async fn attempts(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Vec<AttemptRecord>> {
        let rows = sqlx::query(
            "SELECT a.attempt, a.delivery_id FROM attempts a JOIN deliveries d ON d.id = a.delivery_id
             WHERE a.delivery_id = ?1 AND d.workspace_id = ?2 ORDER BY a.number",
        )
        .bind(blob(delivery.as_uuid()))
        .bind(blob(workspace.as_uuid()))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| failed("list attempts", &error))?;
        let attempt = |row: &SqliteRow| Ok(AttemptRecord { delivery_id: delivery, attempt: json(row, 0)? });
        Ok(reading::each(&self.unreadable, Origin::new("attempts", 1).of(workspace), &rows, attempt))
    }

    async fn purge(&self, before: Timestamp, limit: u32) -> Result<Purged> {
        let limit = limit.max(1);
        self.writer.run(move |connection| Box::pin(purge(connection, before, limit))).await
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
            .fetch_one(&self.readers)
            .await
            .map_err(|error| failed("queue depth", &error))?;
        let whole = |index| integer(&row, index).map(|count| u64::try_from(count).unwrap_or(0));
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

impl SqliteStore {
    pub(super) async fn make_due(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery> {
        let met = self.unreadable.clone();
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let fault = |error: sqlx::Error| failed("retry", &error);
                    let sql =
                        format!("{} WHERE id = ?1 AND workspace_id = ?2 AND state IN (12, 13, 16) RETURNING {DELIVERY}", revive(3, 4));
                    let row = sqlx::query(AssertSqlSafe(sql))
                        .bind(blob(delivery.as_uuid()))
                        .bind(blob(workspace.as_uuid()))
                        .bind(now.timestamp_millis())
                        .bind(expires_at.timestamp_millis())
                        .fetch_optional(&mut *connection)
                        .await
                        .map_err(fault)?;
                    if let Some(row) = row {
                        let from = Origin::new("deliveries", 0).of(workspace);
                        return reading::one(&met, from, &row, |row| rows::delivery(row, 0));
                    }
                    let there = sqlx::query("SELECT 1 FROM deliveries WHERE id = ?1 AND workspace_id = ?2")
                        .bind(blob(delivery.as_uuid()))
                        .bind(blob(workspace.as_uuid()))
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
        // No id is empty, so that the first page begins with what was made at `since`.
        let (from, id) = after.map_or((since, Vec::new()), |(at, id)| (at, blob(id.as_uuid())));
        let mut from = from.max(since).timestamp_millis();
        let mut found = Vec::new();
        let mut id = id;
        loop {
            let rows = sqlx::query(AssertSqlSafe(lost()))
                .bind(blob(channel_id.as_uuid()))
                .bind(blob(workspace.as_uuid()))
                .bind(from)
                .bind(limit)
                .bind(ambiguous)
                .bind(id.clone())
                .fetch_all(&self.readers)
                .await
                .map_err(|error| failed("read lost deliveries", &error))?;
            let Some(last) = rows.last() else { return Ok(found) };
            let read = |row| {
                let origin = Origin::new("deliveries", 0).of(workspace);
                reading::one(&self.unreadable, origin, row, |row| rows::delivery(row, 0)).ok()
            };
            found.extend(rows.iter().filter_map(read));
            // Where nothing of a page could be read there may still be more.
            if !found.is_empty() {
                return Ok(found);
            }
            (from, id) = (integer(last, 7)?, reading::raw_id(last, 0));
        }
    }
}
