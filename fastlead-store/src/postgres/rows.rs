//! Rows become values.

use std::borrow::Cow;

use fastlead_core::decide::Event;
use fastlead_core::delivery::{Delivery, DeliveryState, OrderKey, Scope};
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, ProjectId, WorkspaceId};
use fastlead_core::lead::Capture;
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Column as _, Decode, Postgres, Row as _, Type};
use uuid::Uuid;

/// The columns of a delivery, in the order in which [`delivery`] reads them.
pub(super) const DELIVERY: &str = "id, workspace_id, project_id, lead_id, channel_id, state, reason, created_at, due_at, \
     expires_at, updated_at, attempts, parts_sent, checks, uncertain, last_attempt_at, provider_message_id, order_key, spec, unwanted";

/// Under which name an error of [`unread`] keeps its column.
pub(super) const COLUMN: &str = "column";

/// A text as it is stored: PostgreSQL has no place for U+0000.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// The error of a column that cannot be read. It names the column and tells nothing of what stands in it.
pub(super) fn unread(row: &PgRow, index: usize) -> Error {
    let column = row.columns().get(index).map_or_else(String::new, |column| column.name().to_owned());
    Error::new(ErrorKind::Unreadable, format!("column `{column}` cannot be read"))
        .with_operation("read")
        .with_context(COLUMN, column)
}

pub(super) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, index: usize) -> Result<T> {
    row.try_get(index).map_err(|_| unread(row, index))
}

pub(super) fn uuid(row: &PgRow, index: usize) -> Result<Uuid> {
    get(row, index)
}

pub(super) fn key(row: &PgRow, index: usize) -> Result<[u8; 16]> {
    Ok(uuid(row, index)?.into_bytes())
}

pub(super) fn count(row: &PgRow, index: usize) -> Result<u32> {
    u32::try_from(get::<i32>(row, index)?).map_err(|_| unread(row, index))
}

pub(super) fn moment(row: &PgRow, index: usize) -> Result<Timestamp> {
    get(row, index).map(from_millis)
}

pub(super) fn optional_moment(row: &PgRow, index: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, index)?.map(from_millis))
}

pub(super) fn json<T: DeserializeOwned>(row: &PgRow, index: usize) -> Result<T> {
    serde_json::from_str(get(row, index)?).map_err(|_| unread(row, index))
}

/// A lead's capture, which is an event.
pub(super) fn capture(row: &PgRow, index: usize) -> Result<Capture> {
    match json(row, index)? {
        Event::Captured(capture) => Ok(*capture),
        _ => Err(unread(row, index)),
    }
}

pub(super) fn state(row: &PgRow, index: usize) -> Result<DeliveryState> {
    DeliveryState::from_number(i64::from(get::<i16>(row, index)?)).ok_or_else(|| unread(row, index))
}

pub(super) fn scope(row: &PgRow, at: usize) -> Result<Scope> {
    Ok(Scope {
        workspace_id: WorkspaceId::from_uuid(uuid(row, at)?),
        project_id: ProjectId::from_uuid(uuid(row, at + 1)?),
    })
}

pub(super) fn to_json(value: &impl serde::Serialize, what: &'static str) -> Result<String> {
    serde_json::to_string(value).map_err(|_| super::fault::unwritable(what))
}

/// A row of [`DELIVERY`].
pub(super) fn delivery(row: &PgRow) -> Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId::from_uuid(uuid(row, 0)?),
        scope: scope(row, 1)?,
        lead_id: get::<Option<Uuid>>(row, 3)?.map(LeadId::from_uuid),
        channel_id: ChannelId::from_uuid(uuid(row, 4)?),
        state: state(row, 5)?,
        reason: get(row, 6)?,
        created_at: moment(row, 7)?,
        due_at: moment(row, 8)?,
        expires_at: moment(row, 9)?,
        updated_at: moment(row, 10)?,
        attempts: count(row, 11)?,
        parts_sent: count(row, 12)?,
        checks: count(row, 13)?,
        uncertain: get(row, 14)?,
        last_attempt_at: optional_moment(row, 15)?,
        provider_message_id: get(row, 16)?,
        order_key: get::<Option<Uuid>>(row, 17)?.map(|key| OrderKey(key.into_bytes())),
        spec: json(row, 18)?,
        unwanted: get(row, 19)?,
    })
}
