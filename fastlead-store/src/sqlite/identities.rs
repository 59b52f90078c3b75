//! Links of identities, and what people have said.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, IdentityId, WorkspaceId};
use fastlead_core::port::{
    Identities, IdentityFilter, IdentityKey, IdentityLink, InboundRecord, Page, PageRequest, Undone,
    UnreadableRows,
};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::SqliteStore;
use super::fault::failed;
use super::journal::{before, limit};
use super::reading::{self, Origin};
use super::rows::{blob, integer, json, moment, to_json};

/// A workspace's links, newest first.
pub(super) const LINKS: &str = concat!(
    "SELECT doc, id FROM identities WHERE workspace_id = ?1 AND ",
    before!(),
    " ORDER BY id DESC LIMIT ?3"
);

/// Those of one account, and of them those to the phone number where one is asked for.
pub(super) const LINKS_OF_ACCOUNT: &str = concat!(
    "SELECT doc, id FROM identities WHERE account = ?1 AND ",
    before!(),
    " AND (?4 IS NULL OR phone = ?4) ORDER BY id DESC LIMIT ?3"
);

/// Those to one phone number.
pub(super) const LINKS_OF_PHONE: &str =
    concat!("SELECT doc, id FROM identities WHERE phone = ?1 AND ", before!(), " ORDER BY id DESC LIMIT ?3");

/// Every link of an account.
pub(super) const KNOWN: &str = "SELECT doc, id FROM identities WHERE account = ?1 ORDER BY id";

/// What people have said over a channel; the conditions on the event are those of the index.
pub(super) const SPOKEN: &str =
    "SELECT number, event, received_at FROM inbound WHERE channel_id = ?1 AND number < ?2
    AND CASE WHEN json_valid(event) THEN json_extract(event, '$.kind.type') ELSE 'message' END
      IN ('message', 'started', 'phone_shared')
    AND EXISTS (SELECT 1 FROM channels WHERE id = ?1 AND workspace_id = ?4) ORDER BY number DESC LIMIT ?3";

const FROM: Origin = Origin::new("identities", 1);

async fn link(
    connection: &mut SqliteConnection,
    met: &UnreadableRows,
    link: IdentityLink,
) -> Result<IdentityLink> {
    let fault = |error: sqlx::Error| failed("link identity", &error);
    let account = link.account().0.to_vec();
    let rows = sqlx::query(KNOWN).bind(account.clone()).fetch_all(&mut *connection).await.map_err(fault)?;
    for row in &rows {
        let Ok(mut known) = reading::one(met, FROM, row, |row| json::<IdentityLink>(row, 0)) else {
            // Nobody can go by it any more, and it must not stand in the way of the new one.
            sqlx::query("UPDATE identities SET active = 0 WHERE id = ?1")
                .bind(reading::raw_id(row, 1))
                .execute(&mut *connection)
                .await
                .map_err(fault)?;
            continue;
        };
        let holds = known.undone.is_none();
        if known.by.same_event(&link.by) || (holds && known.phone == link.phone) {
            return Ok(known);
        }
        if holds {
            known.undone = Some(Undone { at: link.at, reason: Undone::REPLACED.to_owned(), by: None });
            write_undone(connection, &known).await?;
        }
    }
    sqlx::query("INSERT INTO identities (id, workspace_id, account, phone, active, doc) VALUES (?1, ?2, ?3, ?4, 1, ?5)")
        .bind(blob(link.id.as_uuid()))
        .bind(blob(link.workspace_id.as_uuid()))
        .bind(account)
        .bind(link.number().0.to_vec())
        .bind(to_json(&link, "a link of identities")?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(link)
}

async fn write_undone(connection: &mut SqliteConnection, link: &IdentityLink) -> Result<()> {
    sqlx::query("UPDATE identities SET active = 0, doc = ?2 WHERE id = ?1")
        .bind(blob(link.id.as_uuid()))
        .bind(to_json(link, "a link of identities")?)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failed("undo link", &error))
}

async fn undo(
    connection: &mut SqliteConnection,
    met: &UnreadableRows,
    workspace: WorkspaceId,
    id: IdentityId,
    undone: Undone,
) -> Result<Option<IdentityLink>> {
    let row = sqlx::query("SELECT doc, id FROM identities WHERE id = ?1 AND workspace_id = ?2")
        .bind(blob(id.as_uuid()))
        .bind(blob(workspace.as_uuid()))
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| failed("undo link", &error))?;
    let Some(row) = row else { return Ok(None) };
    let mut link: IdentityLink = reading::one(met, FROM.of(workspace), &row, |row| json(row, 0))?;
    if link.undone.is_none() {
        link.undone = Some(undone);
        write_undone(connection, &link).await?;
    }
    Ok(Some(link))
}

#[async_trait]
impl Identities for SqliteStore {
    async fn active_links(&self) -> Result<Vec<IdentityLink>> {
        let rows = sqlx::query("SELECT doc, id, workspace_id FROM identities WHERE active = 1")
            .fetch_all(&self.readers)
            .await;
        let rows = rows.map_err(|error| failed("read links", &error))?;
        Ok(reading::each(&self.unreadable, FROM, &rows, |row| json(row, 0)))
    }

    async fn link(&self, new: IdentityLink) -> Result<IdentityLink> {
        let met = self.unreadable.clone();
        self.writer.run(move |connection| Box::pin(async move { link(connection, &met, new).await })).await
    }

    async fn undo_link(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>> {
        let met = self.unreadable.clone();
        self.writer
            .run(move |connection| {
                Box::pin(async move { undo(connection, &met, workspace, id, undone).await })
            })
            .await
    }

    async fn identity_links(
        &self,
        workspace: WorkspaceId,
        filter: IdentityFilter,
        request: PageRequest,
    ) -> Result<Page<IdentityLink>> {
        let limit = limit(&request);
        let phone = filter.phone.map(|phone| IdentityKey::of_phone(workspace, &phone).0.to_vec());
        let account = filter.handle.map(|handle| IdentityKey::of_account(workspace, &handle).0.to_vec());
        let (statement, key) = match (account, &phone) {
            (Some(account), _) => (LINKS_OF_ACCOUNT, account),
            (None, Some(phone)) => (LINKS_OF_PHONE, phone.clone()),
            (None, None) => (LINKS, blob(workspace.as_uuid())),
        };
        let mut query =
            sqlx::query(statement).bind(key).bind(request.after.map(|cursor| blob(cursor.0))).bind(limit + 1);
        if statement == LINKS_OF_ACCOUNT {
            query = query.bind(phone);
        }
        let rows = query.fetch_all(&self.readers).await.map_err(|error| failed("list links", &error))?;
        Ok(reading::page(&self.unreadable, FROM.of(workspace), &rows, limit, |row| json(row, 0)))
    }
}

impl SqliteStore {
    pub(super) async fn read_spoken(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        request: PageRequest,
    ) -> Result<Page<InboundRecord>> {
        let limit = limit(&request);
        let after = request.after.map(|cursor| i64::try_from(cursor.0.as_u128()).unwrap_or(i64::MAX));
        let rows = sqlx::query(SPOKEN)
            .bind(blob(channel.as_uuid()))
            .bind(after.unwrap_or(i64::MAX))
            .bind(limit + 1)
            .bind(blob(workspace.as_uuid()))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("read inbound", &error))?;
        let place = |row: &SqliteRow| Some(Uuid::from_u128(u128::try_from(integer(row, 0).ok()?).ok()?));
        let record = |row: &SqliteRow| {
            Ok(InboundRecord { channel_id: channel, event: json(row, 1)?, received_at: moment(row, 2)? })
        };
        let from = Origin::new("inbound", 0).of(workspace);
        Ok(reading::page_by(&self.unreadable, from, &rows, limit, place, record))
    }
}
