//! Suppressions and moved addresses.

use async_trait::async_trait;
use fastlead_core::error::{ErrorKind, Result};
use fastlead_core::id::{SuppressionId, WorkspaceId};
use fastlead_core::port::{
    AddressBook, AddressKey, AddressMove, Addresses, Page, PageRequest, Suppression, SuppressionScope,
    UnreadableRows,
};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::journal::limit;
use super::reading::{self, Origin};
use super::rows::{self, json, to_json};

const FROM: Origin = Origin::new("suppressions", 1);

/// Where the one that was there cannot be read, nobody knows what it forbids: everything is forbidden then.
async fn suppress(
    connection: &mut PgConnection,
    met: &UnreadableRows,
    new: Suppression,
) -> Result<Suppression> {
    let key = Uuid::from_bytes(new.key().0);
    let held = match held(connection, met, key).await {
        Ok(Some(held)) => held.followed_by(new),
        Ok(None) => new,
        Err(error) if error.kind() == ErrorKind::Unreadable => {
            Suppression { scope: SuppressionScope::All, ..new }
        }
        Err(error) => return Err(error),
    };
    put(connection, key, &held).await?;
    Ok(held)
}

/// The suppression of the address with this key.
async fn held(connection: &mut PgConnection, met: &UnreadableRows, key: Uuid) -> Result<Option<Suppression>> {
    let row = sqlx::query("SELECT doc, id, workspace_id FROM suppressions WHERE key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(|error| failed("read suppression", &error))?;
    row.map(|row| reading::one(met, FROM, &row, |row| json(row, 0))).transpose()
}

async fn put(connection: &mut PgConnection, key: Uuid, held: &Suppression) -> Result<()> {
    sqlx::query("INSERT INTO suppressions (key, id, workspace_id, doc) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO UPDATE SET id = excluded.id, workspace_id = excluded.workspace_id, doc = excluded.doc")
        .bind(key)
        .bind(held.id.as_uuid())
        .bind(held.workspace_id.as_uuid())
        .bind(to_json(held, "a suppression")?)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failed("suppress", &error))
}

async fn lift(connection: &mut PgConnection, workspace: WorkspaceId, key: Uuid) -> Result<bool> {
    sqlx::query("DELETE FROM suppressions WHERE key = $1 AND workspace_id = $2")
        .bind(key)
        .bind(workspace.as_uuid())
        .execute(connection)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(|error| failed("lift suppression", &error))
}

async fn narrow(
    connection: &mut PgConnection,
    met: &UnreadableRows,
    workspace: WorkspaceId,
    key: Uuid,
) -> Result<Option<Suppression>> {
    let held = held(connection, met, key).await?.filter(|held| held.workspace_id == workspace);
    let Some(held) = held else { return Ok(None) };
    let left = held.narrowed();
    match &left {
        Some(left) => put(connection, key, left).await?,
        None => drop(lift(connection, workspace, key).await?),
    }
    Ok(left)
}

#[async_trait]
impl Addresses for PostgresStore {
    async fn address_book(&self) -> Result<AddressBook> {
        let fault = |error: sqlx::Error| failed("read addresses", &error);
        let mut book = AddressBook::default();
        let rows =
            sqlx::query("SELECT doc, id, workspace_id, key FROM suppressions").fetch_all(&self.pool).await;
        for row in rows.map_err(fault)? {
            match reading::one(&self.unreadable, FROM, &row, |row| json(row, 0)) {
                Ok(held) => book.suppress(&held),
                // Nobody knows what it forbids, so nothing is sent there.
                Err(_) => {
                    let key = reading::one(&self.unreadable, FROM, &row, |row| rows::key(row, 3));
                    key.into_iter().for_each(|key| book.suppress_unread(AddressKey(key)));
                }
            }
        }
        let rows = sqlx::query("SELECT doc, key FROM moved_addresses").fetch_all(&self.pool).await;
        let from = Origin::new("moved_addresses", 1);
        for moved in reading::each(&self.unreadable, from, &rows.map_err(fault)?, |row| json(row, 0)) {
            book.moved(&moved);
        }
        Ok(book)
    }

    async fn suppress(&self, suppression: Suppression) -> Result<Suppression> {
        let met = self.unreadable.clone();
        self.change("suppress", move |connection| {
            Box::pin(async move { suppress(connection, &met, suppression).await })
        })
        .await
    }

    async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool> {
        let key = Uuid::from_bytes(address.0);
        self.change("lift suppression", move |connection| Box::pin(lift(connection, workspace, key))).await
    }

    async fn narrow(&self, workspace: WorkspaceId, address: AddressKey) -> Result<Option<Suppression>> {
        let key = Uuid::from_bytes(address.0);
        let met = self.unreadable.clone();
        self.change("narrow suppression", move |connection| {
            Box::pin(async move { narrow(connection, &met, workspace, key).await })
        })
        .await
    }

    async fn suppression(&self, workspace: WorkspaceId, id: SuppressionId) -> Result<Option<Suppression>> {
        let row = sqlx::query("SELECT doc, id FROM suppressions WHERE workspace_id = $1 AND id = $2")
            .bind(workspace.as_uuid())
            .bind(id.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| failed("read suppression", &error))?;
        let from = FROM.of(workspace);
        row.map(|row| reading::one(&self.unreadable, from, &row, |row| json(row, 0))).transpose()
    }

    async fn suppressions(&self, workspace: WorkspaceId, request: PageRequest) -> Result<Page<Suppression>> {
        let limit = limit(&request);
        let after = if request.after.is_some() { " AND id < $2" } else { "" };
        let sql = format!(
            "SELECT doc, id FROM suppressions WHERE workspace_id = $1{after} ORDER BY id DESC LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(workspace.as_uuid())
            .bind(request.after.map(|cursor| cursor.0))
            .bind(limit + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("list suppressions", &error))?;
        Ok(reading::page(&self.unreadable, FROM.of(workspace), &rows, limit, |row| json(row, 0)))
    }

    async fn move_address(&self, moved: AddressMove) -> Result<()> {
        self.change("move address", move |connection| {
                Box::pin(async move {
                    let key = AddressKey::of(moved.workspace_id, moved.channel_id, &moved.from);
                    sqlx::query("INSERT INTO moved_addresses (key, workspace_id, doc) VALUES ($1, $2, $3)
                         ON CONFLICT (key) DO UPDATE SET workspace_id = excluded.workspace_id, doc = excluded.doc")
                        .bind(Uuid::from_bytes(key.0))
                        .bind(moved.workspace_id.as_uuid())
                        .bind(to_json(&moved, "a moved address")?)
                        .execute(connection)
                        .await
                        .map(drop)
                        .map_err(|error| failed("move address", &error))
                })
            })
            .await
    }
}
