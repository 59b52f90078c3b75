//! Rows become values.

use fastlead_core::decide::Event;
use fastlead_core::delivery::{Delivery, DeliveryState, OrderKey, Scope};
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, ProjectId, WorkspaceId};
use fastlead_core::lead::Capture;
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, ColumnOrigin, Decode, Row as _, Sqlite, Type};
use uuid::Uuid;

/// The columns of a delivery, in the order in which [`delivery`] reads them.
pub(super) const DELIVERY: &str = "id, workspace_id, project_id, lead_id, channel_id, state, reason, created_at, due_at, \
     expires_at, updated_at, attempts, parts_sent, checks, uncertain, last_attempt_at, provider_message_id, order_key, spec, unwanted";

pub(super) fn blob(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// The error of a column that cannot be read. It names the column and tells nothing of what stands in it.
pub(super) fn unread(row: &SqliteRow, index: usize) -> Error {
    let column = row.columns().get(index).map_or_else(String::new, |column| match column.origin() {
        ColumnOrigin::Table(origin) => format!("{}.{}", origin.table, origin.name),
        ColumnOrigin::Expression | ColumnOrigin::Unknown => column.name().to_owned(),
    });
    Error::new(ErrorKind::Unreadable, format!("column `{column}` cannot be read"))
        .with_operation("read")
        .with_context(COLUMN, column)
}

/// Under which name an error of [`unread`] keeps its column.
pub(super) const COLUMN: &str = "column";

fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, index: usize) -> Result<T> {
    row.try_get(index).map_err(|_| unread(row, index))
}

pub(super) fn uuid(row: &SqliteRow, index: usize) -> Result<Uuid> {
    Uuid::from_slice(get(row, index)?).map_err(|_| unread(row, index))
}

pub(super) fn optional_uuid(row: &SqliteRow, index: usize) -> Result<Option<Uuid>> {
    let bytes: Option<&[u8]> = get(row, index)?;
    bytes.map(Uuid::from_slice).transpose().map_err(|_| unread(row, index))
}

pub(super) fn bytes<const LENGTH: usize>(row: &SqliteRow, index: usize) -> Result<[u8; LENGTH]> {
    get::<&[u8]>(row, index)?.try_into().map_err(|_| unread(row, index))
}

pub(super) fn any_bytes(row: &SqliteRow, index: usize) -> Result<Vec<u8>> {
    get(row, index)
}

pub(super) fn text(row: &SqliteRow, index: usize) -> Result<String> {
    get(row, index)
}

pub(super) fn optional_text(row: &SqliteRow, index: usize) -> Result<Option<String>> {
    get(row, index)
}

pub(super) fn integer(row: &SqliteRow, index: usize) -> Result<i64> {
    get(row, index)
}

pub(super) fn optional_integer(row: &SqliteRow, index: usize) -> Result<Option<i64>> {
    get(row, index)
}

pub(super) fn count(row: &SqliteRow, index: usize) -> Result<u32> {
    u32::try_from(integer(row, index)?).map_err(|_| unread(row, index))
}

pub(super) fn moment(row: &SqliteRow, index: usize) -> Result<Timestamp> {
    integer(row, index).map(from_millis)
}

pub(super) fn optional_moment(row: &SqliteRow, index: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, index)?.map(from_millis))
}

pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, index: usize) -> Result<T> {
    serde_json::from_str(get(row, index)?).map_err(|_| unread(row, index))
}

pub(super) fn optional_json<T: DeserializeOwned>(row: &SqliteRow, index: usize) -> Result<Option<T>> {
    optional_text(row, index)?
        .map(|text| serde_json::from_str(&text).map_err(|_| unread(row, index)))
        .transpose()
}

/// A lead's capture, which is an event.
pub(super) fn capture(row: &SqliteRow, index: usize) -> Result<Capture> {
    match json(row, index)? {
        Event::Captured(capture) => Ok(*capture),
        _ => Err(unread(row, index)),
    }
}

pub(super) fn to_json(value: &impl serde::Serialize, what: &'static str) -> Result<String> {
    serde_json::to_string(value).map_err(|_| super::fault::unwritable(what))
}

/// The first column of a row of [`DELIVERY`] stands at `at`.
pub(super) fn delivery(row: &SqliteRow, at: usize) -> Result<Delivery> {
    let order_key: Option<&[u8]> = get(row, at + 17)?;
    let order_key = order_key.map(|bytes| bytes.try_into().map(OrderKey)).transpose();
    Ok(Delivery {
        id: DeliveryId::from_uuid(uuid(row, at)?),
        scope: Scope {
            workspace_id: WorkspaceId::from_uuid(uuid(row, at + 1)?),
            project_id: ProjectId::from_uuid(uuid(row, at + 2)?),
        },
        lead_id: optional_uuid(row, at + 3)?.map(LeadId::from_uuid),
        channel_id: ChannelId::from_uuid(uuid(row, at + 4)?),
        state: DeliveryState::from_number(integer(row, at + 5)?).ok_or_else(|| unread(row, at + 5))?,
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
        order_key: order_key.map_err(|_| unread(row, at + 17))?,
        spec: json(row, at + 18)?,
        unwanted: integer(row, at + 19)? != 0,
    })
}
