//! The texts of consents, kept for good.

use fastlead_core::error::Result;
use fastlead_core::id::WorkspaceId;
use fastlead_core::lead::ConsentDocument;
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{blob, json};

/// The documents that go by a name and a version.
pub(super) const NAMED: &str = "SELECT doc, rowid FROM consent_documents WHERE workspace_id = ?1 AND document_id = ?2 AND version = ?3 ORDER BY rowid";

/// Keeps the documents of a source, `doc` being the source as it is stored.
pub(super) async fn keep(connection: &mut SqliteConnection, workspace: WorkspaceId, doc: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO consent_documents
         SELECT ?1, j.value ->> 'document_id', j.value ->> 'version', j.value FROM json_each(?2, '$.consents') j
         WHERE NOT EXISTS (
           SELECT 1 FROM consent_documents d WHERE d.workspace_id = ?1 AND d.document_id = j.value ->> 'document_id'
             AND d.version = j.value ->> 'version' AND d.doc = j.value)",
    )
    .bind(blob(workspace.as_uuid()))
    .bind(doc)
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failed("keep consent documents", &error))
}

impl SqliteStore {
    pub(super) async fn read_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>> {
        let rows = sqlx::query(NAMED)
            .bind(blob(workspace.as_uuid()))
            .bind(document_id)
            .bind(version)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("read consent documents", &error))?;
        let from = Origin::new("consent_documents", 1).of(workspace);
        Ok(reading::each(&self.unreadable, from, &rows, |row| json(row, 0)))
    }
}
