//! Parts of split texts: their ids and receipts stand in the attempts.

use fastlead_core::delivery::{Attempt, Delivery};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId};
use fastlead_core::parts::SentPart;
use fastlead_core::port::UnreadableRows;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteExecutor};

use super::SqliteStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{self, DELIVERY, blob, json};

/// The delivery of which a part has this id. The conditions are those of the index.
const BY_PART: &str = "id = (SELECT a.delivery_id FROM attempts a INDEXED BY attempts_parts
    CROSS JOIN deliveries d ON d.id = a.delivery_id
  WHERE CASE WHEN json_valid(attempt) THEN attempt ->> 'provider_message_id' END = ?1
    AND CASE WHEN json_valid(attempt) THEN attempt ->> 'part' > 0 OR attempt ->> 'verdict' = 'next_part' END
    AND d.channel_id = ?2 ORDER BY a.delivery_id DESC LIMIT 1)";

/// Reads the delivery of which a part has an id, on a channel.
pub(super) fn by_part() -> String {
    format!("SELECT {DELIVERY} FROM deliveries WHERE {BY_PART}")
}

/// All attempts at a delivery that can be read, oldest first.
pub(super) async fn attempts(
    executor: impl SqliteExecutor<'_>,
    met: &UnreadableRows,
    delivery: DeliveryId,
) -> Result<Vec<Attempt>> {
    let rows =
        sqlx::query("SELECT attempt, delivery_id FROM attempts WHERE delivery_id = ?1 ORDER BY number")
            .bind(blob(delivery.as_uuid()))
            .fetch_all(executor)
            .await
            .map_err(|error| failed("read attempts", &error))?;
    Ok(reading::each(met, Origin::new("attempts", 1), &rows, |row: &SqliteRow| json(row, 0)))
}

impl SqliteStore {
    pub(super) async fn read_parts(&self, delivery: DeliveryId) -> Result<Vec<SentPart>> {
        Ok(SentPart::of(&attempts(&self.readers, &self.unreadable, delivery).await?))
    }

    /// The delivery of which the provider calls a part `id`.
    pub(super) async fn find_by_part(&self, channel: ChannelId, id: &str) -> Result<Option<Delivery>> {
        let row = sqlx::query(AssertSqlSafe(by_part()))
            .bind(id.to_owned())
            .bind(blob(channel.as_uuid()))
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| failed("find delivery", &error))?;
        let from = Origin::new("deliveries", 0);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| rows::delivery(row, 0))).transpose()
    }
}
