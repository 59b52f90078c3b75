//! Work that is left alone because it, or something that it needs, cannot be read.
//!
//! It is leased to nobody until the end of time (`left_alone`), so that no claim finds it; its state stays. What was
//! left alone is given back when a store is opened: the program may be a newer one, or somebody has mended the row.

use fastlead_core::error::Result;
use fastlead_core::id::{LeaseToken, WorkspaceId};
use fastlead_core::port::{InboundRef, SetAside, UnreadableRow};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::rows::clean;

/// The lease of what is left alone ends then: on the first of January 9999, in milliseconds.
macro_rules! left_alone {
    () => {
        "253370764800000"
    };
}
pub(super) use left_alone;

/// The same as a number.
pub(super) const LEFT_ALONE: i64 = 253_370_764_800_000;

/// Leaves a row of work alone; with `token` only where it is leased under that.
async fn leave(
    connection: &mut PgConnection,
    work: &'static str,
    id: Uuid,
    token: Option<LeaseToken>,
) -> sqlx::Result<bool> {
    let (order, order_key) = match work {
        "deliveries" => (", order_key = NULL", "order_key"),
        _ => ("", "NULL::uuid"),
    };
    let token = token.map(|token| token.as_uuid());
    let note = format!(
        "INSERT INTO set_aside SELECT '{work}', id::text, {order_key} FROM {work}
         WHERE id = $1 AND ($2 IS NULL OR lease_token = $2) FOR UPDATE ON CONFLICT DO NOTHING"
    );
    sqlx::query(AssertSqlSafe(note)).bind(id).bind(token).execute(&mut *connection).await?;
    let leave = format!(
        "UPDATE {work} SET lease_token = NULL, lease_until = {}{order} WHERE id = $1 AND ($2 IS NULL OR lease_token = $2)",
        left_alone!()
    );
    let left = sqlx::query(AssertSqlSafe(leave)).bind(id).bind(token).execute(connection).await?;
    Ok(left.rows_affected() > 0)
}

/// Leaves a row alone that a claim has met and cannot read.
pub(super) async fn leave_unread(connection: &mut PgConnection, work: &'static str, id: Uuid) -> Result<()> {
    leave(connection, work, id, None).await.map(drop).map_err(|error| failed("set aside", &error))
}

/// Leaves inbound events alone that cannot be read.
pub(super) async fn leave_unread_inbound(connection: &mut PgConnection, numbers: &[i64]) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH gone AS (UPDATE inbound SET done = 2 WHERE number = ANY($1) AND done = 0 RETURNING number)
         INSERT INTO set_aside SELECT 'inbound', number::text, NULL FROM gone ON CONFLICT DO NOTHING",
    )
    .bind(numbers)
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failed("set aside", &error))
}

/// Answers its number where it waited.
async fn leave_inbound(connection: &mut PgConnection, inbound: &InboundRef) -> Result<Option<i64>> {
    let number: Option<i64> = sqlx::query_scalar(
        "SELECT number FROM inbound WHERE channel_id = $1 AND provider_event_id = $2 AND done = 0 FOR UPDATE",
    )
    .bind(inbound.channel_id.as_uuid())
    .bind(clean(&inbound.provider_event_id))
    .fetch_optional(&mut *connection)
    .await
    .map_err(|error| failed("set aside", &error))?;
    leave_unread_inbound(connection, number.as_slice()).await?;
    Ok(number)
}

/// What was left alone is due again. One statement, so that what is set aside meanwhile is not forgotten; `CASE` keeps the ids of
/// other work from being read as ids of this.
const GIVE_BACK: &str = concat!(
    "WITH s AS (DELETE FROM set_aside RETURNING work, id, order_key),
       d AS (UPDATE deliveries d SET lease_token = NULL, lease_until = NULL, order_key = s.order_key FROM s
         WHERE d.id = CASE s.work WHEN 'deliveries' THEN s.id::uuid END AND d.lease_until = ",
    left_alone!(),
    "), t AS (UPDATE timers t SET lease_token = NULL, lease_until = NULL FROM s
         WHERE t.id = CASE s.work WHEN 'timers' THEN s.id::uuid END AND t.lease_until = ",
    left_alone!(),
    ")
     UPDATE inbound i SET done = 0 FROM s WHERE i.number = CASE s.work WHEN 'inbound' THEN s.id::bigint END AND i.done = 2"
);

/// Gives back what was left alone. Called when a store is opened; of several that are opened at once one has something to do.
pub(super) async fn give_back(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(GIVE_BACK).execute(connection).await.map(drop).map_err(|error| failed("give back", &error))
}

impl PostgresStore {
    pub(super) async fn leave_alone(
        &self,
        workspace: Option<WorkspaceId>,
        work: SetAside,
        because: &str,
    ) -> Result<()> {
        let left = self
            .run("set aside", move |connection| {
                Box::pin(async move {
                    let (table, id, token, name) = match work {
                        SetAside::Delivery(id, token) => ("deliveries", id.as_uuid(), token, id.to_string()),
                        SetAside::Timer(id, token) => ("timers", id.as_uuid(), token, id.to_string()),
                        SetAside::Inbound(inbound) => {
                            let left = leave_inbound(connection, &inbound).await?;
                            return Ok(left.map(|number| ("inbound", number.to_string())));
                        }
                    };
                    let left = leave(connection, table, id, Some(token)).await;
                    let left = left.map_err(|error| failed("set aside", &error))?;
                    Ok(left.then_some((table, name)))
                })
            })
            .await?;
        if let Some((table, id)) = left {
            self.unreadable.notice(&UnreadableRow::new(table, id, because).of(workspace));
        }
        Ok(())
    }
}
