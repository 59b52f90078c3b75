//! Links of identities, and what people have said.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, IdentityId, WorkspaceId};
use fastlead_core::port::{
    Identities, IdentityFilter, IdentityKey, IdentityLink, InboundRecord, Page, PageRequest, Undone,
    UnreadableRows,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::journal::limit;
use super::reading::{self, Origin};
use super::rows::{get, json, moment, to_json, uuid};

/// The links of whom `$1` names, by which column; `and` narrows them.
fn list(by: &str, and: &str) -> String {
    format!("SELECT doc, id FROM identities WHERE {by} = $1{and} ORDER BY id DESC LIMIT $3")
}

/// Every link of an account.
const KNOWN: &str = "SELECT doc, id FROM identities WHERE account = $1 ORDER BY id";

/// What people have said over a channel; the condition on the event is that of the index.
const SPOKEN: &str =
    "SELECT number, event, received_at FROM inbound WHERE channel_id = $1 AND number < $2 AND spoken
    AND EXISTS (SELECT 1 FROM channels WHERE id = $1 AND workspace_id = $4) ORDER BY number DESC LIMIT $3";

const FROM: Origin = Origin::new("identities", 1);

async fn link(
    connection: &mut PgConnection,
    met: &UnreadableRows,
    link: IdentityLink,
) -> Result<IdentityLink> {
    let fault = |error: sqlx::Error| failed("link identity", &error);
    let account = Uuid::from_bytes(link.account().0);
    let rows = sqlx::query(KNOWN).bind(account).fetch_all(&mut *connection).await.map_err(fault)?;
    for row in &rows {
        let Ok(mut known) = reading::one(met, FROM, row, |row| json::<IdentityLink>(row, 0)) else {
            // Nobody can go by it any more, and it must not stand in the way of the new one.
            sqlx::query("UPDATE identities SET active = false WHERE id = $1")
                .bind(uuid(row, 1)?)
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
    sqlx::query("INSERT INTO identities (id, workspace_id, account, phone, active, doc) VALUES ($1, $2, $3, $4, true, $5)")
        .bind(link.id.as_uuid())
        .bind(link.workspace_id.as_uuid())
        .bind(account)
        .bind(Uuid::from_bytes(link.number().0))
        .bind(to_json(&link, "a link of identities")?)
        .execute(connection)
        .await
        .map_err(fault)?;
    Ok(link)
}

async fn write_undone(connection: &mut PgConnection, link: &IdentityLink) -> Result<()> {
    sqlx::query("UPDATE identities SET active = false, doc = $2 WHERE id = $1")
        .bind(link.id.as_uuid())
        .bind(to_json(link, "a link of identities")?)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failed("undo link", &error))
}

async fn undo(
    connection: &mut PgConnection,
    met: &UnreadableRows,
    workspace: WorkspaceId,
    id: IdentityId,
    undone: Undone,
) -> Result<Option<IdentityLink>> {
    let row = sqlx::query("SELECT doc, id FROM identities WHERE id = $1 AND workspace_id = $2")
        .bind(id.as_uuid())
        .bind(workspace.as_uuid())
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
impl Identities for PostgresStore {
    async fn active_links(&self) -> Result<Vec<IdentityLink>> {
        let rows = sqlx::query("SELECT doc, id, workspace_id FROM identities WHERE active")
            .fetch_all(&self.pool)
            .await;
        let rows = rows.map_err(|error| failed("read links", &error))?;
        Ok(reading::each(&self.unreadable, FROM, &rows, |row| json(row, 0)))
    }

    async fn link(&self, new: IdentityLink) -> Result<IdentityLink> {
        let met = self.unreadable.clone();
        self.change("link identity", move |connection| {
            Box::pin(async move { link(connection, &met, new).await })
        })
        .await
    }

    async fn undo_link(
        &self,
        workspace: WorkspaceId,
        id: IdentityId,
        undone: Undone,
    ) -> Result<Option<IdentityLink>> {
        let met = self.unreadable.clone();
        self.change("undo link", move |connection| {
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
        let phone = filter.phone.map(|phone| Uuid::from_bytes(IdentityKey::of_phone(workspace, &phone).0));
        let account =
            filter.handle.map(|handle| Uuid::from_bytes(IdentityKey::of_account(workspace, &handle).0));
        let (by, key) = match (account, phone) {
            (Some(account), _) => ("account", account),
            (None, Some(phone)) => ("phone", phone),
            (None, None) => ("workspace_id", workspace.as_uuid()),
        };
        let after = if request.after.is_some() { " AND id < $2" } else { "" };
        let to = if account.is_some() && phone.is_some() { " AND phone = $4" } else { "" };
        let rows = sqlx::query(AssertSqlSafe(list(by, &format!("{after}{to}"))))
            .bind(key)
            .bind(request.after.map(|cursor| cursor.0))
            .bind(limit + 1)
            .bind(phone)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list links", &error))?;
        Ok(reading::page(&self.unreadable, FROM.of(workspace), &rows, limit, |row| json(row, 0)))
    }
}

impl PostgresStore {
    pub(super) async fn read_spoken(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        request: PageRequest,
    ) -> Result<Page<InboundRecord>> {
        let limit = limit(&request);
        let after = request.after.map(|cursor| i64::try_from(cursor.0.as_u128()).unwrap_or(i64::MAX));
        let rows = sqlx::query(SPOKEN)
            .bind(channel.as_uuid())
            .bind(after.unwrap_or(i64::MAX))
            .bind(limit + 1)
            .bind(workspace.as_uuid())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("read inbound", &error))?;
        let place = |row: &PgRow| Some(Uuid::from_u128(u128::try_from(get::<i64>(row, 0).ok()?).ok()?));
        let record = |row: &PgRow| {
            Ok(InboundRecord { channel_id: channel, event: json(row, 1)?, received_at: moment(row, 2)? })
        };
        let from = Origin::new("inbound", 0).of(workspace);
        Ok(reading::page_by(&self.unreadable, from, &rows, limit, place, record))
    }
}
