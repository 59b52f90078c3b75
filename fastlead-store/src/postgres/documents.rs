//! The texts of consents, kept for good.

use fastlead_core::error::Result;
use fastlead_core::id::WorkspaceId;
use fastlead_core::lead::ConsentDocument;
use sqlx::PgConnection;

use super::PostgresStore;
use super::fault::failed;
use super::reading::{self, Origin};
use super::rows::{clean, json, to_json};

/// The documents that go by a name and a version.
const NAMED: &str = "SELECT doc, number FROM consent_documents WHERE workspace_id = $1 AND document_id = $2 AND version = $3 ORDER BY number";

/// Keeps the documents of a source.
pub(super) async fn keep(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    documents: &[ConsentDocument],
) -> Result<()> {
    for document in documents {
        sqlx::query(
            "INSERT INTO consent_documents (workspace_id, document_id, version, digest, doc)
             VALUES ($1, $2, $3, sha256(convert_to($4, 'UTF8')), $4) ON CONFLICT DO NOTHING",
        )
        .bind(workspace.as_uuid())
        .bind(clean(&document.document_id))
        .bind(clean(&document.version))
        .bind(to_json(document, "a consent document")?)
        .execute(&mut *connection)
        .await
        .map_err(|error| failed("keep consent documents", &error))?;
    }
    Ok(())
}

impl PostgresStore {
    pub(super) async fn read_documents(
        &self,
        workspace: WorkspaceId,
        document_id: &str,
        version: &str,
    ) -> Result<Vec<ConsentDocument>> {
        let rows = sqlx::query(NAMED)
            .bind(workspace.as_uuid())
            .bind(clean(document_id))
            .bind(clean(version))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("read consent documents", &error))?;
        let from = Origin::new("consent_documents", 1).of(workspace);
        Ok(reading::each(&self.unreadable, from, &rows, |row| json(row, 0)))
    }
}
