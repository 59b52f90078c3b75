-- Version 4: drafts of policies.
CREATE TABLE policy_drafts (project_id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
