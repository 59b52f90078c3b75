//! Claims: due work is leased to whoever asks, and to nobody else. No claim waits for another: `SKIP LOCKED`.

use std::collections::BTreeMap;

use fastlead_core::channel::InboundEvent;
use fastlead_core::delivery::{Lease, LeasedDelivery};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, LeadId, TimerId};
use fastlead_core::port::{
    ClaimRequest, Claimed, InboundRecord, LeasedInbound, LeasedTimer, NextDue, UnreadableRows,
};
use fastlead_core::time::{Timestamp, from_millis};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::aside::{LEFT_ALONE, leave_unread, leave_unread_inbound};
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, count, get, json, moment, unread, uuid};
use super::{Clock, PostgresStore};

/// What is to be sent or found out, of deliveries `x`. The condition of an index.
const WORK: &str = "x.state < 10 AND (x.state < 2 OR x.uncertain)";
/// Receipts that are owed. The condition of an index.
const OWED: &str = "x.state = 2 AND NOT x.uncertain";

/// Whether no earlier delivery of the same key has yet to be accepted by the provider.
const NOT_HELD_BACK: &str = "(x.state <> 0 OR x.order_key IS NULL OR NOT EXISTS (SELECT 1 FROM deliveries o
    WHERE o.order_key = x.order_key AND o.state < 10 AND (o.state < 2 OR o.uncertain) AND (o.created_at, o.id) < (x.created_at, x.id)))";

/// Which of the channels have something that is due. `LIMIT` keeps the database from looking at all channels instead.
fn busy() -> String {
    let due = |kind: &str| {
        format!(
            "(SELECT true FROM deliveries x WHERE x.channel_id = c.id AND {kind} AND coalesce(x.lease_until, x.due_at) <= $2 LIMIT 1)"
        )
    };
    format!(
        "SELECT c.id FROM unnest($1::uuid[]) AS c(id) WHERE coalesce({}, {}, false)",
        due(WORK),
        due(OWED)
    )
}

/// Leases what is due on one channel: at most `$5`, of them at most `$6` receipts that are owed, which get what the
/// others leave and `$7` at the least. Of the two kinds each is a range of an index.
fn claim_deliveries() -> String {
    let due = "coalesce(x.lease_until, x.due_at)";
    let owed = format!("FROM deliveries x WHERE x.channel_id = $1 AND {OWED} AND {due} <= $2");
    let columns =
        DELIVERY.split(',').map(|column| format!("d.{}", column.trim())).collect::<Vec<_>>().join(", ");
    format!(
        "WITH others AS MATERIALIZED (SELECT x.id FROM deliveries x
           WHERE x.channel_id = $1 AND {WORK} AND {due} <= $2 AND {NOT_HELD_BACK}
           ORDER BY {due}, x.id LIMIT $5 - (SELECT count(*) FROM (SELECT 1 {owed} LIMIT $7) AS first)
           FOR UPDATE OF x SKIP LOCKED),
         receipts AS MATERIALIZED (SELECT x.id {owed}
           ORDER BY {due}, x.id LIMIT least($6, $5 - (SELECT count(*) FROM others)) FOR UPDATE OF x SKIP LOCKED)
         UPDATE deliveries d SET lease_token = $3, lease_until = $4, checks = d.checks + CASE d.state WHEN 2 THEN 1 ELSE 0 END
         WHERE d.id IN (SELECT id FROM others UNION ALL SELECT id FROM receipts) RETURNING {columns}"
    )
}

const CLAIM_TIMERS: &str = "UPDATE timers SET lease_token = $2, lease_until = $3
    WHERE id IN (SELECT id FROM timers WHERE coalesce(lease_until, due_at) <= $1
      ORDER BY coalesce(lease_until, due_at), id LIMIT $4 FOR UPDATE SKIP LOCKED)
    RETURNING id, workspace_id, project_id, lead_id, name, due_at";

const CLAIM_INBOUND: &str = "UPDATE inbound SET lease_token = $2, lease_until = $3, tries = tries + 1
    WHERE number IN (SELECT number FROM inbound WHERE done = 0 AND coalesce(lease_until, due_at) <= $1
      ORDER BY coalesce(lease_until, due_at), number LIMIT $4 FOR UPDATE SKIP LOCKED)
    RETURNING number, channel_id, event, received_at, tries - 1 AS tries, provider_event_id";

/// The next moments of each channel, `NULL` where it has no open work of a kind, and those of all timers and all inbound
/// events. Whoever reads them leaves out what is left alone.
fn next_due() -> String {
    let first = |kind: &str, and: &str| {
        format!(
            "SELECT c.id, (SELECT coalesce(x.lease_until, x.due_at) FROM deliveries x WHERE x.channel_id = c.id AND {kind}{and}
               ORDER BY coalesce(x.lease_until, x.due_at), x.id LIMIT 1) AS due FROM unnest($1::uuid[]) AS c(id)"
        )
    };
    format!(
        "{} UNION ALL {}
         UNION ALL SELECT NULL, (SELECT coalesce(lease_until, due_at) FROM timers ORDER BY coalesce(lease_until, due_at), id LIMIT 1)
         UNION ALL SELECT NULL, (SELECT coalesce(lease_until, due_at) FROM inbound WHERE done = 0
             ORDER BY coalesce(lease_until, due_at), number LIMIT 1)",
        first(WORK, &format!(" AND {NOT_HELD_BACK}")),
        first(OWED, "")
    )
}

/// What a claim leases, and until when.
struct Taking {
    now: i64,
    lease: Lease,
}

/// What cannot be read is left alone for good; it neither fails the claim nor is claimed again and again.
pub(super) async fn claim(
    connection: &mut PgConnection,
    met: &UnreadableRows,
    clock: Clock,
    request: ClaimRequest,
) -> Result<Claimed> {
    let now = clock.now(connection, request.now).await.map_err(fault)?;
    let lease = Lease { until: now + (request.lease.until - request.now), ..request.lease };
    let taking = Taking { now: now.timestamp_millis(), lease };
    let mut claimed = Claimed::default();
    taking.deliveries(connection, met, &request, &mut claimed).await?;
    if request.timers > 0 {
        taking.timers(connection, met, request.timers, &mut claimed).await?;
    }
    if request.inbound > 0 {
        taking.inbound(connection, met, request.inbound, &mut claimed).await?;
    }
    Ok(claimed)
}

fn fault(error: sqlx::Error) -> fastlead_core::Error {
    failed("claim", &error)
}

impl Taking {
    async fn deliveries(
        &self,
        connection: &mut PgConnection,
        met: &UnreadableRows,
        request: &ClaimRequest,
        claimed: &mut Claimed,
    ) -> Result<()> {
        if request.channels.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = request.channels.iter().map(|room| room.channel_id.as_uuid()).collect();
        let busy: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(busy()))
            .bind(ids)
            .bind(self.now)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
        for channel in busy {
            let channel = ChannelId::from_uuid(channel);
            let Some(room) = request.channels.iter().find(|room| room.channel_id == channel) else {
                continue;
            };
            let rows = sqlx::query(AssertSqlSafe(claim_deliveries()))
                .bind(channel.as_uuid())
                .bind(self.now)
                .bind(self.lease.token.as_uuid())
                .bind(self.lease.until.timestamp_millis())
                .bind(i64::from(room.limit))
                .bind(i64::from(room.checks))
                // A negative limit would be none.
                .bind(i64::from(room.checks_first.min(room.checks).min(room.limit)))
                .fetch_all(&mut *connection)
                .await
                .map_err(fault)?;
            for row in &rows {
                let leased = reading::one(met, Origin::new("deliveries", 0), row, |row| {
                    let delivery = rows::delivery(row)?;
                    let phase = LeasedDelivery::phase(delivery.state).ok_or_else(|| unread(row, 5))?;
                    Ok(LeasedDelivery { delivery, phase, lease: self.lease })
                });
                match leased {
                    Ok(leased) => claimed.deliveries.push(leased),
                    Err(_) => leave_unread(connection, "deliveries", uuid(row, 0)?).await?,
                }
            }
        }
        claimed.deliveries.sort_unstable_by_key(|leased| {
            (leased.delivery.owes_receipt(), leased.delivery.due_at, leased.delivery.id)
        });
        Ok(())
    }

    async fn rows(
        &self,
        statement: &'static str,
        limit: u32,
        connection: &mut PgConnection,
    ) -> Result<Vec<PgRow>> {
        sqlx::query(statement)
            .bind(self.now)
            .bind(self.lease.token.as_uuid())
            .bind(self.lease.until.timestamp_millis())
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await
            .map_err(fault)
    }

    async fn timers(
        &self,
        connection: &mut PgConnection,
        met: &UnreadableRows,
        limit: u32,
        claimed: &mut Claimed,
    ) -> Result<()> {
        for row in &self.rows(CLAIM_TIMERS, limit, connection).await? {
            let timer = reading::one(met, Origin::new("timers", 0), row, |row| {
                Ok(LeasedTimer {
                    id: TimerId::from_uuid(uuid(row, 0)?),
                    scope: rows::scope(row, 1)?,
                    lead_id: LeadId::from_uuid(uuid(row, 3)?),
                    name: json(row, 4)?,
                    due_at: moment(row, 5)?,
                    token: self.lease.token,
                })
            });
            match timer {
                Ok(timer) => claimed.timers.push(timer),
                Err(_) => leave_unread(connection, "timers", uuid(row, 0)?).await?,
            }
        }
        claimed.timers.sort_unstable_by_key(|timer| (timer.due_at, timer.id));
        Ok(())
    }

    async fn inbound(
        &self,
        connection: &mut PgConnection,
        met: &UnreadableRows,
        limit: u32,
        claimed: &mut Claimed,
    ) -> Result<()> {
        let (mut found, mut lost) = (Vec::new(), Vec::new());
        for row in &self.rows(CLAIM_INBOUND, limit, connection).await? {
            let number: i64 = get(row, 0)?;
            let leased = reading::one(met, Origin::new("inbound", 0), row, |row| {
                let event: InboundEvent = json(row, 2)?;
                // It is finished by this name: under another one it would come again and again.
                if get::<&str>(row, 5)? != event.provider_event_id {
                    return Err(unread(row, 5));
                }
                let record = InboundRecord {
                    channel_id: ChannelId::from_uuid(uuid(row, 1)?),
                    event,
                    received_at: moment(row, 3)?,
                };
                Ok(LeasedInbound { record, token: self.lease.token, tries: count(row, 4)? })
            });
            match leased {
                Ok(leased) => found.push((number, leased)),
                Err(_) => lost.push(number),
            }
        }
        leave_unread_inbound(connection, &lost).await?;
        found.sort_unstable_by_key(|(number, _)| *number);
        claimed.inbound = found.into_iter().map(|(_, leased)| leased).collect();
        Ok(())
    }
}

impl PostgresStore {
    pub(super) async fn read_next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        let ids: Vec<Uuid> = channels.iter().map(|channel| channel.as_uuid()).collect();
        let rows: Vec<(Option<Uuid>, Option<i64>)> = sqlx::query_as(AssertSqlSafe(next_due()))
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("next due", &error))?;
        let mut found: BTreeMap<ChannelId, Timestamp> = BTreeMap::new();
        let mut others: Option<Timestamp> = None;
        for (channel, due) in rows {
            let Some(due) = due.filter(|due| *due < LEFT_ALONE) else { continue };
            let due = from_millis(due).max(now);
            match channel.map(ChannelId::from_uuid) {
                Some(channel) => {
                    found.entry(channel).and_modify(|have| *have = due.min(*have)).or_insert(due);
                }
                None => others = Some(others.map_or(due, |other| other.min(due))),
            }
        }
        Ok(NextDue { channels: found.into_iter().collect(), others })
    }
}
