-- Version 18: leads are found by a part of a name, phone number or e-mail address, and listed and counted by status. The text
-- is written as `fastlead_core::lead::search_text` says; the program fills in that of leads of earlier versions.
ALTER TABLE leads ADD COLUMN search TEXT NOT NULL DEFAULT '';
CREATE INDEX leads_by_text ON leads (workspace_id, id, project_id, source_id, search);
CREATE INDEX leads_by_status ON leads (workspace_id, status, id, project_id, source_id);
