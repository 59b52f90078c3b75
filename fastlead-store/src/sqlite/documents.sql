-- Every text that a consent was ever asked with. Not unique: sources may give one name to different texts.
CREATE TABLE consent_documents (workspace_id BLOB NOT NULL, document_id TEXT NOT NULL, version TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX consent_documents_name ON consent_documents (workspace_id, document_id, version);
INSERT INTO consent_documents SELECT DISTINCT s.workspace_id, j.value ->> 'document_id', j.value ->> 'version', j.value
  FROM sources s, json_each(CASE WHEN json_valid(s.doc) THEN s.doc ELSE '{}' END, '$.consents') j;
