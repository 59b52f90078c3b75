//! The numbered log of changes. Triggers write it; see `schema.sql`.

use async_trait::async_trait;
use fastlead_core::error::{ErrorKind, Result};
use fastlead_core::id::{ChannelId, IdentityId, ProjectId, SourceId};
use fastlead_core::port::{AddressKey, ChangeLog, Changes, IdentityLink, InstallationChange, Revision};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::catalog::{CHANNELS, channel, channel_statement, newest_readable};
use super::fault::failed;
use super::journal::SNAPSHOT;
use super::reading::{self, Origin};
use super::rows::{get, json, uuid};

const CHANGES: &str =
    "SELECT revision, kind, key FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2";

/// Kind of a policy, which is the newest one of a project that can be read.
const POLICY: i64 = 4;

const PROJECT: &str = "SELECT id, doc, workspace_id FROM projects WHERE id = $1";
const SOURCE: &str = "SELECT id, doc, workspace_id FROM sources WHERE id = $1";
const SUPPRESSION: &str = "SELECT id, doc, workspace_id FROM suppressions WHERE key = $1";
const MOVED: &str = "SELECT key, doc FROM moved_addresses WHERE key = $1";
const LINK: &str = "SELECT id, doc, workspace_id FROM identities WHERE id = $1";

/// The statement that reads a thing of this kind, and where it comes from. `None` where this program does not know it: a
/// newer program on the same database keeps more in memory.
fn statement(kind: i64) -> Option<(String, Origin)> {
    let (statement, table) = match kind {
        1 => (PROJECT, "projects"),
        2 => (SOURCE, "sources"),
        3 => return Some((channel_statement(), CHANNELS)),
        5 => (SUPPRESSION, "suppressions"),
        6 => (MOVED, "moved_addresses"),
        7 => (LINK, "identities"),
        _ => return None,
    };
    Some((statement.to_owned(), Origin::new(table, 0)))
}

/// The thing that stands in a row.
fn read(kind: i64, row: &PgRow) -> Result<Option<InstallationChange>> {
    use InstallationChange as Change;
    Ok(Some(match kind {
        1 => Change::Project(Box::new(json(row, 1)?)),
        2 => Change::Source(Box::new(json(row, 1)?)),
        3 => Change::Channel(Box::new(channel(row)?)),
        5 => Change::Suppressed(Box::new(json(row, 1)?)),
        6 => Change::Moved(Box::new(json(row, 1)?)),
        7 => {
            let link: Box<IdentityLink> = Box::new(json(row, 1)?);
            if link.undone.is_none() { Change::Linked(link) } else { Change::Unlinked(link) }
        }
        _ => return Ok(None),
    }))
}

/// What there is to say of a thing that is not there.
fn removed(kind: i64, key: Uuid) -> Result<Option<InstallationChange>> {
    use InstallationChange as Change;
    Ok(Some(match kind {
        1 => Change::ProjectRemoved(ProjectId::from_uuid(key)),
        2 => Change::SourceRemoved(SourceId::from_uuid(key)),
        3 => Change::ChannelRemoved(ChannelId::from_uuid(key)),
        5 => Change::Lifted(AddressKey(key.into_bytes())),
        6 => Change::MoveForgotten(AddressKey(key.into_bytes())),
        7 => Change::LinkRemoved(IdentityId::from_uuid(key)),
        _ => return Ok(None),
    }))
}

impl PostgresStore {
    /// Reads a changed thing as it is now. `None` where there is nothing to say of it.
    async fn changed(
        &self,
        reader: &mut PgConnection,
        kind: i64,
        key: Uuid,
    ) -> Result<Option<InstallationChange>> {
        if kind == POLICY {
            let record = newest_readable(reader, key).await?;
            return Ok(record.map(|record| InstallationChange::Policy(Box::new(record))));
        }
        let Some((statement, from)) = statement(kind) else { return Ok(None) };
        let row = sqlx::query(AssertSqlSafe(statement)).bind(key).fetch_optional(reader).await;
        let Some(row) = row.map_err(|error| failed("read changes", &error))? else {
            return removed(kind, key);
        };
        match reading::one(&self.unreadable, from, &row, |row| read(kind, row)) {
            // Nobody knows what it forbids.
            Err(_) if kind == 5 => {
                Ok(Some(InstallationChange::SuppressedUnread(AddressKey(key.into_bytes()))))
            }
            read => read,
        }
    }
}

#[async_trait]
impl ChangeLog for PostgresStore {
    async fn revision(&self) -> Result<Revision> {
        let row = sqlx::query("SELECT revision FROM last_change").fetch_one(&self.pool).await;
        let row = row.map_err(|error| failed("read the revision", &error))?;
        Ok(Revision(u64::try_from(get::<i64>(&row, 0)?).unwrap_or_default()))
    }

    async fn changes_since(&self, revision: Revision, limit: u32) -> Result<Changes> {
        let fault = |error: sqlx::Error| failed("read changes", &error);
        let limit = limit.max(1);
        // One transaction, so that everything is of the same moment.
        let mut reader = self.pool.begin_with(SNAPSHOT).await.map_err(fault)?;
        let last: i64 = sqlx::query_scalar("SELECT revision FROM last_change")
            .fetch_one(&mut *reader)
            .await
            .map_err(fault)?;
        let after = i64::try_from(revision.0).ok().filter(|after| *after <= last).unwrap_or_default();
        let rows = sqlx::query(CHANGES)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *reader)
            .await
            .map_err(fault)?;
        let more = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Changes {
            changes: Vec::with_capacity(rows.len()),
            revision: Revision(u64::try_from(after).unwrap_or_default()),
            more,
        };
        for row in &rows {
            let (number, kind) = (get::<i64>(row, 0)?, i64::from(get::<i16>(row, 1)?));
            let key = uuid(row, 2)?;
            match self.changed(&mut reader, kind, key).await {
                Ok(change) => found.changes.extend(change),
                // It is noted by its name; what was known of it stays.
                Err(error) if error.kind() == ErrorKind::Unreadable => {}
                Err(error) => return Err(error),
            }
            found.revision = Revision(u64::try_from(number).unwrap_or_default());
        }
        reader.commit().await.map_err(fault)?;
        Ok(found)
    }
}
