//! Rows become values.

use fastlead_core::delivery::{Delivery, DeliveryState, OrderKey, Scope};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, ProjectId, WorkspaceId};
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fault::{failed, unreadable};

/// The columns of a delivery, in the order in which [`delivery`] reads them.
pub(super) const DELIVERY: &str = "id, workspace_id, project_id, lead_id, channel_id, state, reason, created_at, due_at, \
     expires_at, updated_at, attempts, parts_sent, checks, uncertain, last_attempt_at, provider_message_id, order_key, spec, unwanted";

pub(super) fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub(super) fn uuid(row: &SqliteRow, index: usize) -> Result<Uuid> {
    let bytes: &[u8] = row.try_get(index).map_err(|error| failed("read", &error))?;
    Uuid::from_slice(bytes).map_err(|_| unreadable("an id"))
}

pub(super) fn optional_uuid(row: &SqliteRow, index: usize) -> Result<Option<Uuid>> {
    let bytes: Option<&[u8]> = row.try_get(index).map_err(|error| failed("read", &error))?;
    bytes.map(Uuid::from_slice).transpose().map_err(|_| unreadable("an id"))
}

pub(super) fn text(row: &SqliteRow, index: usize) -> Result<String> {
    row.try_get(index).map_err(|error| failed("read", &error))
}

pub(super) fn optional_text(row: &SqliteRow, index: usize) -> Result<Option<String>> {
    row.try_get(index).map_err(|error| failed("read", &error))
}

pub(super) fn integer(row: &SqliteRow, index: usize) -> Result<i64> {
    row.try_get(index).map_err(|error| failed("read", &error))
}

pub(super) fn count(row: &SqliteRow, index: usize) -> Result<u32> {
    u32::try_from(integer(row, index)?).map_err(|_| unreadable("a count"))
}

pub(super) fn moment(row: &SqliteRow, index: usize) -> Result<Timestamp> {
    integer(row, index).map(from_millis)
}

pub(super) fn optional_moment(row: &SqliteRow, index: usize) -> Result<Option<Timestamp>> {
    let millis: Option<i64> = row.try_get(index).map_err(|error| failed("read", &error))?;
    Ok(millis.map(from_millis))
}

pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, index: usize, what: &'static str) -> Result<T> {
    let text: &str = row.try_get(index).map_err(|error| failed("read", &error))?;
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

pub(super) fn to_json(value: &impl serde::Serialize, what: &'static str) -> Result<String> {
    serde_json::to_string(value).map_err(|_| super::fault::unwritable(what))
}

/// The first column of a row of [`DELIVERY`] stands at `at`.
pub(super) fn delivery(row: &SqliteRow, at: usize) -> Result<Delivery> {
    let order_key: Option<&[u8]> = row.try_get(at + 17).map_err(|error| failed("read", &error))?;
    let order_key = order_key.map(|bytes| bytes.try_into().map(OrderKey)).transpose();
    Ok(Delivery {
        id: DeliveryId::from_uuid(uuid(row, at)?),
        scope: Scope {
            workspace_id: WorkspaceId::from_uuid(uuid(row, at + 1)?),
            project_id: ProjectId::from_uuid(uuid(row, at + 2)?),
        },
        lead_id: optional_uuid(row, at + 3)?.map(LeadId::from_uuid),
        channel_id: ChannelId::from_uuid(uuid(row, at + 4)?),
        state: DeliveryState::from_number(integer(row, at + 5)?)
            .ok_or_else(|| unreadable("deliveries.state"))?,
        reason: optional_text(row, at + 6)?,
        created_at: moment(row, at + 7)?,
        due_at: moment(row, at + 8)?,
        expires_at: moment(row, at + 9)?,
        updated_at: moment(row, at + 10)?,
        attempts: count(row, at + 11)?,
        parts_sent: count(row, at + 12)?,
        checks: count(row, at + 13)?,
        uncertain: integer(row, at + 14)? != 0,
        last_attempt_at: optional_moment(row, at + 15)?,
        provider_message_id: optional_text(row, at + 16)?,
        order_key: order_key.map_err(|_| unreadable("deliveries.order_key"))?,
        spec: json(row, at + 18, "deliveries.spec")?,
        unwanted: integer(row, at + 19)? != 0,
    })
}
