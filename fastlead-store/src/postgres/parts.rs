//! Parts of split texts: their ids and receipts stand in the attempts.

use fastlead_core::delivery::{Attempt, Delivery};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId};
use fastlead_core::parts::SentPart;
use fastlead_core::port::UnreadableRows;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgExecutor};

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, clean, json};

/// The delivery of which a part has this id, on a channel.
fn by_part() -> String {
    format!(
        "SELECT {DELIVERY} FROM deliveries WHERE id = (SELECT a.delivery_id FROM attempts a JOIN deliveries d ON d.id = a.delivery_id
           WHERE a.part_id = $1 AND d.channel_id = $2 ORDER BY a.delivery_id DESC LIMIT 1)"
    )
}

/// All attempts at a delivery that can be read, oldest first.
pub(super) async fn attempts(
    executor: impl PgExecutor<'_>,
    met: &UnreadableRows,
    delivery: DeliveryId,
) -> Result<Vec<Attempt>> {
    let rows =
        sqlx::query("SELECT attempt, delivery_id FROM attempts WHERE delivery_id = $1 ORDER BY number")
            .bind(delivery.as_uuid())
            .fetch_all(executor)
            .await
            .map_err(|error| failed("read attempts", &error))?;
    Ok(reading::each(met, Origin::new("attempts", 1), &rows, |row: &PgRow| json(row, 0)))
}

impl PostgresStore {
    pub(super) async fn read_parts(&self, delivery: DeliveryId) -> Result<Vec<SentPart>> {
        Ok(SentPart::of(&attempts(&self.pool, &self.unreadable, delivery).await?))
    }

    /// The delivery of which the provider calls a part `id`.
    pub(super) async fn find_by_part(&self, channel: ChannelId, id: &str) -> Result<Option<Delivery>> {
        let row = sqlx::query(AssertSqlSafe(by_part()))
            .bind(clean(id))
            .bind(channel.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failed("find delivery", &error))?;
        let from = Origin::new("deliveries", 0);
        row.map(|row| reading::one(&self.unreadable, from, &row, rows::delivery)).transpose()
    }
}
