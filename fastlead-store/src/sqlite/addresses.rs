//! Suppressions and moved addresses.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{SuppressionId, WorkspaceId};
use fastlead_core::port::{AddressBook, AddressKey, AddressMove, Addresses, Page, PageRequest, Suppression};
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::fault::failed;
use super::journal::{before, limit, page};
use super::rows::{blob, json, to_json};

/// A workspace's suppressions, newest first.
pub(super) const SUPPRESSIONS: &str = concat!(
    "SELECT doc FROM suppressions WHERE workspace_id = ?1 AND ",
    before!(),
    " ORDER BY id DESC LIMIT ?3"
);

pub(super) const SUPPRESSION_OF: &str = "SELECT doc FROM suppressions WHERE key = ?1 AND workspace_id = ?2";

async fn suppress(connection: &mut SqliteConnection, new: Suppression) -> Result<Suppression> {
    let key = new.key().0.to_vec();
    let held = match held(connection, &key).await? {
        Some(held) => held.followed_by(new),
        None => new,
    };
    put(connection, key, &held).await?;
    Ok(held)
}

/// The suppression of the address with this key.
async fn held(connection: &mut SqliteConnection, key: &[u8]) -> Result<Option<Suppression>> {
    let row = sqlx::query("SELECT doc FROM suppressions WHERE key = ?1")
        .bind(key.to_vec())
        .fetch_optional(connection)
        .await
        .map_err(|error| failed("read suppression", &error))?;
    row.map(|row| json(&row, 0, "suppressions.doc")).transpose()
}

async fn put(connection: &mut SqliteConnection, key: Vec<u8>, held: &Suppression) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO suppressions (key, id, workspace_id, doc) VALUES (?1, ?2, ?3, ?4)")
        .bind(key)
        .bind(blob(held.id.as_uuid()))
        .bind(blob(held.workspace_id.as_uuid()))
        .bind(to_json(held, "a suppression")?)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| failed("suppress", &error))
}

async fn lift(connection: &mut SqliteConnection, workspace: WorkspaceId, key: Vec<u8>) -> Result<bool> {
    sqlx::query("DELETE FROM suppressions WHERE key = ?1 AND workspace_id = ?2")
        .bind(key)
        .bind(blob(workspace.as_uuid()))
        .execute(connection)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(|error| failed("lift suppression", &error))
}

async fn narrow(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    key: Vec<u8>,
) -> Result<Option<Suppression>> {
    let held = held(connection, &key).await?.filter(|held| held.workspace_id == workspace);
    let Some(held) = held else { return Ok(None) };
    let left = held.narrowed();
    match &left {
        Some(left) => put(connection, key, left).await?,
        None => drop(lift(connection, workspace, key).await?),
    }
    Ok(left)
}

#[async_trait]
impl Addresses for SqliteStore {
    async fn address_book(&self) -> Result<AddressBook> {
        let fault = |error: sqlx::Error| failed("read addresses", &error);
        let mut book = AddressBook::default();
        let rows = sqlx::query("SELECT doc FROM suppressions").fetch_all(&self.readers).await;
        for row in rows.map_err(fault)? {
            book.suppress(&json(&row, 0, "suppressions.doc")?);
        }
        let rows = sqlx::query("SELECT doc FROM moved_addresses").fetch_all(&self.readers).await;
        for row in rows.map_err(fault)? {
            book.moved(&json(&row, 0, "moved_addresses.doc")?);
        }
        Ok(book)
    }

    async fn suppress(&self, suppression: Suppression) -> Result<Suppression> {
        self.writer.run(move |connection| Box::pin(suppress(connection, suppression))).await
    }

    async fn lift(&self, workspace: WorkspaceId, address: AddressKey) -> Result<bool> {
        let key = address.0.to_vec();
        self.writer.run(move |connection| Box::pin(lift(connection, workspace, key))).await
    }

    async fn narrow(&self, workspace: WorkspaceId, address: AddressKey) -> Result<Option<Suppression>> {
        let key = address.0.to_vec();
        self.writer.run(move |connection| Box::pin(narrow(connection, workspace, key))).await
    }

    async fn suppression_of(
        &self,
        workspace: WorkspaceId,
        address: AddressKey,
    ) -> Result<Option<Suppression>> {
        let row = sqlx::query(SUPPRESSION_OF)
            .bind(address.0.to_vec())
            .bind(blob(workspace.as_uuid()))
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| failed("read suppression", &error))?;
        row.map(|row| json(&row, 0, "suppressions.doc")).transpose()
    }

    async fn suppression(&self, workspace: WorkspaceId, id: SuppressionId) -> Result<Option<Suppression>> {
        let row = sqlx::query("SELECT doc FROM suppressions WHERE workspace_id = ?1 AND id = ?2")
            .bind(blob(workspace.as_uuid()))
            .bind(blob(id.as_uuid()))
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| failed("read suppression", &error))?;
        row.map(|row| json(&row, 0, "suppressions.doc")).transpose()
    }

    async fn suppressions(&self, workspace: WorkspaceId, request: PageRequest) -> Result<Page<Suppression>> {
        let limit = limit(&request);
        let rows = sqlx::query(SUPPRESSIONS)
            .bind(blob(workspace.as_uuid()))
            .bind(request.after.map(|cursor| blob(cursor.0)))
            .bind(limit + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("list suppressions", &error))?;
        let items: Vec<Suppression> =
            rows.iter().map(|row| json(row, 0, "suppressions.doc")).collect::<Result<_>>()?;
        Ok(page(items, limit, |held| held.id.as_uuid()))
    }

    async fn move_address(&self, moved: AddressMove) -> Result<()> {
        self.writer
            .run(move |connection| {
                Box::pin(async move {
                    let key = AddressKey::of(moved.workspace_id, moved.channel_id, &moved.from);
                    sqlx::query("INSERT OR REPLACE INTO moved_addresses (key, doc) VALUES (?1, ?2)")
                        .bind(key.0.to_vec())
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
