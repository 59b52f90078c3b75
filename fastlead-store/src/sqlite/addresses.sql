-- Version 2: addresses to which nothing is sent, addresses that have moved, and forgetting of what is old.
CREATE TABLE suppressions (key BLOB PRIMARY KEY, id BLOB NOT NULL, workspace_id BLOB NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX suppressions_by_workspace ON suppressions (workspace_id, id);
CREATE TABLE moved_addresses (key BLOB PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX inbound_received ON inbound (received_at) WHERE done = 1;
