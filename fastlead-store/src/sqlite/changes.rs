//! The numbered log of changes. Triggers write it; see `revisions.sql`.

use async_trait::async_trait;
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, IdentityId, ProjectId, SourceId};
use fastlead_core::port::{AddressKey, ChangeLog, Changes, IdentityLink, InstallationChange, Revision};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::SqliteStore;
use super::catalog::{channel, channel_statement, current_policy, policy};
use super::fault::{failed, unreadable};
use super::rows::{integer, json};

pub(super) const CHANGES: &str =
    "SELECT revision, kind, key FROM changes WHERE revision > ?1 ORDER BY revision LIMIT ?2";

const PROJECT: &str = "SELECT doc FROM projects WHERE id = ?1";
const SOURCE: &str = "SELECT doc FROM sources WHERE id = ?1";
const SUPPRESSION: &str = "SELECT doc FROM suppressions WHERE key = ?1";
const MOVED: &str = "SELECT doc FROM moved_addresses WHERE key = ?1";
const LINK: &str = "SELECT doc FROM identities WHERE id = ?1";

/// The statements that read one thing each.
#[cfg(test)]
pub(super) fn one_statements() -> impl Iterator<Item = String> {
    (1..).map_while(statement)
}

/// The statement that reads a thing of this kind. `None` where this program does not know it: a newer program on the same
/// file keeps more in memory.
fn statement(kind: i64) -> Option<String> {
    Some(match kind {
        1 => PROJECT.to_owned(),
        2 => SOURCE.to_owned(),
        3 => channel_statement(),
        4 => current_policy(),
        5 => SUPPRESSION.to_owned(),
        6 => MOVED.to_owned(),
        7 => LINK.to_owned(),
        _ => return None,
    })
}

/// The thing with this key as it is now. `None` where there is nothing to say of it.
fn change(kind: i64, key: &[u8], row: Option<&SqliteRow>) -> Result<Option<InstallationChange>> {
    use InstallationChange as Change;
    let id = || Uuid::from_slice(key).map_err(|_| unreadable("changes.key"));
    let address = || <[u8; 16]>::try_from(key).map(AddressKey).map_err(|_| unreadable("changes.key"));
    Ok(Some(match (kind, row) {
        (1, Some(row)) => Change::Project(Box::new(json(row, 0, "projects.doc")?)),
        (1, None) => Change::ProjectRemoved(ProjectId::from_uuid(id()?)),
        (2, Some(row)) => Change::Source(Box::new(json(row, 0, "sources.doc")?)),
        (2, None) => Change::SourceRemoved(SourceId::from_uuid(id()?)),
        (3, Some(row)) => Change::Channel(Box::new(channel(row)?)),
        (3, None) => Change::ChannelRemoved(ChannelId::from_uuid(id()?)),
        (4, Some(row)) => Change::Policy(Box::new(policy(row)?)),
        (5, Some(row)) => Change::Suppressed(Box::new(json(row, 0, "suppressions.doc")?)),
        (5, None) => Change::Lifted(address()?),
        (6, Some(row)) => Change::Moved(Box::new(json(row, 0, "moved_addresses.doc")?)),
        (7, Some(row)) => {
            let link: Box<IdentityLink> = Box::new(json(row, 0, "identities.doc")?);
            if link.undone.is_none() { Change::Linked(link) } else { Change::Unlinked(link) }
        }
        (7, None) => Change::LinkRemoved(IdentityId::from_uuid(id()?)),
        _ => return Ok(None),
    }))
}

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl ChangeLog for SqliteStore {
    async fn revision(&self) -> Result<Revision> {
        let row =
            sqlx::query("SELECT coalesce(max(revision), 0) FROM changes").fetch_one(&self.readers).await;
        let row = row.map_err(|error| failed("read the revision", &error))?;
        Ok(Revision(u64::try_from(integer(&row, 0)?).unwrap_or_default()))
    }

    async fn changes_since(&self, revision: Revision, limit: u32) -> Result<Changes> {
        let fault = |error: sqlx::Error| failed("read changes", &error);
        let after = i64::try_from(revision.0).unwrap_or(i64::MAX);
        let logged = sqlx::query(CHANGES).bind(after).bind(limit);
        // One transaction, so that everything is of the same moment.
        let mut reader = self.readers.begin().await.map_err(fault)?;
        let rows = logged.fetch_all(&mut *reader).await.map_err(fault)?;
        let more = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Changes { changes: Vec::with_capacity(rows.len()), revision, more };
        for row in &rows {
            let (number, kind) = (integer(row, 0)?, integer(row, 1)?);
            let key: &[u8] = row.try_get(2).map_err(|error| failed("read changes", &error))?;
            if let Some(statement) = statement(kind) {
                let query = sqlx::query(AssertSqlSafe(statement)).bind(key);
                let thing = query.fetch_optional(&mut *reader).await.map_err(fault)?;
                match change(kind, key, thing.as_ref()) {
                    Ok(change) => found.changes.extend(change),
                    Err(error) => {
                        let key = hex(key);
                        tracing::error!(revision = number, kind, key, %error, "a changed row cannot be read; what was known of it stays");
                    }
                }
            }
            found.revision = Revision(u64::try_from(number).unwrap_or_default());
        }
        reader.commit().await.map_err(fault)?;
        Ok(found)
    }
}
