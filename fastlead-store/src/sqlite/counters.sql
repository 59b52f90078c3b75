-- Version 3: what many leads share, and the leads that wait.
CREATE TABLE counters (key BLOB PRIMARY KEY, value INTEGER NOT NULL, note TEXT, last_at INTEGER, until INTEGER) WITHOUT ROWID;
CREATE INDEX counters_until ON counters (until) WHERE until IS NOT NULL;
CREATE INDEX leads_waiting ON leads (project_id, id) WHERE status = 'queued';
