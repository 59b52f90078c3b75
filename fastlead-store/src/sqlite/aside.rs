//! Work that is left alone because it, or something that it needs, cannot be read.
//!
//! It is leased to nobody until the end of time (`left_alone`), so that no claim finds it; its state stays. What was
//! left alone is given back when the file is opened: the program may be a newer one, or somebody has mended the row.

use fastlead_core::error::Result;
use fastlead_core::id::{LeaseToken, WorkspaceId};
use fastlead_core::port::{InboundRef, SetAside, UnreadableRow};
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::fault::failed;
use super::rows::{blob, integer};

/// The lease of what is left alone ends then: on the first of January 9999, in milliseconds.
macro_rules! left_alone {
    () => {
        253_370_764_800_000_i64
    };
}
pub(super) use left_alone;

/// What claims set aside, by the bytes of its id whatever they are: a damaged id is not always a blob.
const IDS: &str = "(?1, CAST(?1 AS TEXT), CAST(CAST(?1 AS TEXT) AS INTEGER))";

/// Whose lease it is: its token, or whoever sets it aside.
enum Whose {
    Holder(LeaseToken),
    Anybody,
}

async fn leave(
    connection: &mut SqliteConnection,
    work: &'static str,
    id: Vec<u8>,
    whose: Whose,
) -> sqlx::Result<bool> {
    let (order, order_key) = match work {
        "deliveries" => (", order_key = NULL", "order_key"),
        _ => ("", "NULL"),
    };
    let (held, token) = match whose {
        Whose::Holder(token) => ("lease_token = ?2", Some(blob(token.as_uuid()))),
        Whose::Anybody => ("?2 IS NULL", None),
    };
    let note = format!(
        "INSERT OR IGNORE INTO set_aside SELECT '{work}', id, {order_key} FROM {work} WHERE id IN {IDS} AND {held}"
    );
    let noted = sqlx::query(sqlx::AssertSqlSafe(note)).bind(id.clone()).bind(token.clone());
    noted.execute(&mut *connection).await?;
    let leave = format!(
        "UPDATE {work} SET lease_token = NULL, lease_until = {}{order} WHERE id IN {IDS} AND {held}",
        left_alone!()
    );
    let left = sqlx::query(sqlx::AssertSqlSafe(leave)).bind(id).bind(token).execute(connection).await?;
    Ok(left.rows_affected() > 0)
}

/// Leaves a row alone that a claim has met and cannot read.
pub(super) async fn leave_unread(
    connection: &mut SqliteConnection,
    work: &'static str,
    id: Vec<u8>,
) -> Result<()> {
    leave(connection, work, id, Whose::Anybody).await.map(drop).map_err(|error| failed("set aside", &error))
}

/// Answers its number where it waited.
async fn leave_inbound(connection: &mut SqliteConnection, inbound: &InboundRef) -> Result<Option<i64>> {
    let row = sqlx::query(
        "SELECT number FROM inbound WHERE channel_id = ?1 AND provider_event_id = ?2 AND done = 0",
    )
    .bind(blob(inbound.channel_id.as_uuid()))
    .bind(inbound.provider_event_id.clone())
    .fetch_optional(&mut *connection)
    .await
    .map_err(|error| failed("set aside", &error))?;
    let Some(row) = row else { return Ok(None) };
    let number = integer(&row, 0)?;
    leave_unread_inbound(connection, &[number]).await?;
    Ok(Some(number))
}

/// Leaves inbound events alone that cannot be read.
pub(super) async fn leave_unread_inbound(connection: &mut SqliteConnection, numbers: &[i64]) -> Result<()> {
    for number in numbers {
        for sql in [
            "INSERT OR IGNORE INTO set_aside SELECT 'inbound', number, NULL FROM inbound WHERE number = ?1 AND done = 0",
            "UPDATE inbound SET done = 2 WHERE number = ?1 AND done = 0",
        ] {
            let done = sqlx::query(sql).bind(number).execute(&mut *connection).await;
            done.map_err(|error| failed("set aside", &error))?;
        }
    }
    Ok(())
}

/// What was left alone is due again. So is work whose moment or lease is no number, and greater than each: no claim would
/// ever find it, to work on it or to set it aside.
const GIVE_BACK: &str = concat!(
    "BEGIN IMMEDIATE;
UPDATE deliveries SET lease_token = NULL, lease_until = NULL,
    order_key = (SELECT s.order_key FROM set_aside s WHERE s.work = 'deliveries' AND s.id = deliveries.id)
  WHERE id IN (SELECT id FROM set_aside WHERE work = 'deliveries') AND lease_until = ",
    left_alone!(),
    ";
UPDATE timers SET lease_token = NULL, lease_until = NULL
  WHERE id IN (SELECT id FROM set_aside WHERE work = 'timers') AND lease_until = ",
    left_alone!(),
    ";
UPDATE inbound SET done = 0 WHERE number IN (SELECT id FROM set_aside WHERE work = 'inbound') AND done = 2;
DELETE FROM set_aside;
UPDATE deliveries SET lease_token = NULL, lease_until = 0 WHERE id IN
  (SELECT id FROM deliveries INDEXED BY deliveries_open WHERE state < 10 AND coalesce(lease_until, due_at) > ",
    left_alone!(),
    ");
UPDATE timers SET lease_token = NULL, lease_until = 0 WHERE id IN
  (SELECT id FROM timers WHERE coalesce(lease_until, due_at) > ",
    left_alone!(),
    ");
UPDATE inbound SET lease_token = NULL, lease_until = 0 WHERE done = 0 AND coalesce(lease_until, due_at) > ",
    left_alone!(),
    ";
COMMIT"
);

/// Gives back what was left alone. Called when the file is opened.
pub(super) async fn give_back(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::raw_sql(GIVE_BACK).execute(connection).await.map(drop).map_err(|error| failed("give back", &error))
}

impl SqliteStore {
    pub(super) async fn leave_alone(
        &self,
        workspace: Option<WorkspaceId>,
        work: SetAside,
        because: &str,
    ) -> Result<()> {
        let left = self
            .writer
            .run(move |connection| {
                Box::pin(async move {
                    let (table, id, token, name) = match work {
                        SetAside::Delivery(id, token) => ("deliveries", id.as_uuid(), token, id.to_string()),
                        SetAside::Timer(id, token) => ("timers", id.as_uuid(), token, id.to_string()),
                        SetAside::Inbound(inbound) => {
                            let left = leave_inbound(connection, &inbound).await?;
                            return Ok(left.map(|number| ("inbound", number.to_string())));
                        }
                    };
                    let left = leave(connection, table, blob(id), Whose::Holder(token)).await;
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
