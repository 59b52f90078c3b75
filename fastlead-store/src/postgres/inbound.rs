//! Receipts, and what providers send.

use fastlead_core::delivery::DeliveryState;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::LeaseToken;
use fastlead_core::parts::SentPart;
use fastlead_core::port::{InboundBatch, InboundRecord, InboundRef, Receipt, UnreadableRows};
use fastlead_core::time::Timestamp;
use sqlx::PgConnection;

use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{clean, count, state, to_json};
use super::write::Changes;
use super::{Clock, PostgresStore, parts};

pub(super) async fn record_receipt(
    connection: &mut PgConnection,
    met: &UnreadableRows,
    receipt: Receipt,
) -> Result<(DeliveryState, bool)> {
    let fault = |error: sqlx::Error| failed("record receipt", &error);
    let row =
        sqlx::query("SELECT state, id, workspace_id, parts_sent FROM deliveries WHERE id = $1 FOR UPDATE")
            .bind(receipt.delivery_id.as_uuid())
            .fetch_optional(&mut *connection)
            .await
            .map_err(fault)?;
    let row = row.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "no such delivery").with_operation("record receipt")
    })?;
    let before = reading::one(met, Origin::new("deliveries", 1), &row, |row| state(row, 0))?;
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
                changed.write(connection, None).await.map_err(fault)?;
            }
            return Ok((before, false));
        }
    }
    changed.receipt(&receipt)?;
    changed.write(connection, None).await.map_err(fault)?;
    Ok((receipt.state, true))
}

/// Two that bring the same event at the same time: the second waits for the first, and finds the event there.
const INSERT: &str = "INSERT INTO inbound (channel_id, provider_event_id, event, spoken, received_at, done, due_at, tries, lease_token, lease_until)
  VALUES ($1, $2, $3, $4, $5, 0, $5, 1, $6, $7) ON CONFLICT (channel_id, provider_event_id) DO NOTHING";

pub(super) async fn record_inbound(
    connection: &mut PgConnection,
    clock: Clock,
    batch: InboundBatch,
) -> Result<Vec<InboundRecord>> {
    let fault = |error: sqlx::Error| failed("record inbound", &error);
    let InboundBatch { channel_id, events, cursor, at, lease } = batch;
    let until = (clock.now(connection, at).await.map_err(fault)? + (lease.until - at)).timestamp_millis();
    let mut new = Vec::new();
    for mut event in events {
        event.provider_event_id = clean(&event.provider_event_id).into_owned();
        let inserted = sqlx::query(INSERT)
            .bind(channel_id.as_uuid())
            .bind(&event.provider_event_id)
            .bind(to_json(&event, "an inbound event")?)
            .bind(event.kind.is_spoken())
            .bind(at.timestamp_millis())
            .bind(lease.token.as_uuid())
            .bind(until)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        if inserted.rows_affected() == 1 {
            new.push(InboundRecord { channel_id, event, received_at: at });
        }
    }
    if let Some(cursor) = cursor {
        sqlx::query(
            "INSERT INTO poll_cursors (channel_id, cursor) VALUES ($1, $2)
             ON CONFLICT (channel_id) DO UPDATE SET cursor = excluded.cursor",
        )
        .bind(channel_id.as_uuid())
        .bind(clean(&cursor))
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    }
    Ok(new)
}

impl PostgresStore {
    pub(super) async fn finish(&self, inbound: InboundRef) -> Result<()> {
        sqlx::query("UPDATE inbound SET done = 1 WHERE channel_id = $1 AND provider_event_id = $2")
            .bind(inbound.channel_id.as_uuid())
            .bind(clean(&inbound.provider_event_id))
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(|error| failed("finish inbound", &error))
    }

    pub(super) async fn put_off(
        &self,
        inbound: InboundRef,
        token: LeaseToken,
        due_at: Timestamp,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE inbound SET due_at = $4, lease_token = NULL, lease_until = NULL
             WHERE channel_id = $1 AND provider_event_id = $2 AND lease_token = $3",
        )
        .bind(inbound.channel_id.as_uuid())
        .bind(clean(&inbound.provider_event_id))
        .bind(token.as_uuid())
        .bind(due_at.timestamp_millis())
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(|error| failed("put off inbound", &error))
    }
}
