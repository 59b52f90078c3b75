-- Version 1. Times are milliseconds since the Unix epoch; ids are 16-byte UUIDs.
CREATE TABLE workspaces (id BLOB PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE projects (id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, key TEXT NOT NULL UNIQUE, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE channels (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, config BLOB NOT NULL,
  webhook_token TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE (workspace_id, name)
) WITHOUT ROWID;
CREATE TABLE policies (
  id BLOB NOT NULL, version INTEGER NOT NULL, workspace_id BLOB NOT NULL, project_id BLOB NOT NULL, doc TEXT NOT NULL,
  published_at INTEGER NOT NULL, PRIMARY KEY (id, version)
) WITHOUT ROWID;
CREATE INDEX policies_by_project ON policies (project_id, version);
CREATE TABLE users (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, login TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL, role TEXT NOT NULL,
  created_at INTEGER NOT NULL, tokens_valid_from INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE api_keys (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, hint TEXT NOT NULL,
  role TEXT NOT NULL, created_at INTEGER NOT NULL, revoked_at INTEGER
) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE leads (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, project_id BLOB NOT NULL, source_id BLOB NOT NULL, created_at INTEGER NOT NULL,
  version INTEGER NOT NULL, status TEXT NOT NULL, assigned_to TEXT, policy_id BLOB NOT NULL, policy_version INTEGER NOT NULL,
  state TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX leads_by_workspace ON leads (workspace_id, id);
-- The first event of a lead has the lead's own id: the capture is kept there and nowhere else. The rows are
-- long, and a table with row ids keeps them in their page up to its size instead of a quarter of it.
CREATE TABLE events (
  id BLOB PRIMARY KEY NOT NULL, workspace_id BLOB NOT NULL, lead_id BLOB NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL, trace TEXT NOT NULL
);
CREATE INDEX events_by_lead ON events (lead_id, id);
CREATE TABLE deliveries (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, project_id BLOB NOT NULL, lead_id BLOB, channel_id BLOB NOT NULL,
  purpose TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT, created_at INTEGER NOT NULL, due_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, attempts INTEGER NOT NULL, parts_sent INTEGER NOT NULL,
  checks INTEGER NOT NULL, uncertain INTEGER NOT NULL, last_attempt_at INTEGER, provider_message_id TEXT, order_key BLOB,
  lease_token BLOB, lease_until INTEGER, spec TEXT NOT NULL
) WITHOUT ROWID;
-- The work that is not done, by the moment at which it can be claimed. Done rows are not in it, so
-- claiming costs the same however many there are. `state` is for counting without the rows.
CREATE INDEX deliveries_open ON deliveries (channel_id, coalesce(lease_until, due_at), id, state) WHERE state < 10;
CREATE INDEX deliveries_by_order ON deliveries (order_key, created_at, id) WHERE state < 10 AND order_key IS NOT NULL;
CREATE INDEX deliveries_by_workspace ON deliveries (workspace_id, id);
CREATE INDEX deliveries_by_lead ON deliveries (lead_id, id) WHERE lead_id IS NOT NULL;
CREATE INDEX deliveries_by_provider ON deliveries (channel_id, provider_message_id) WHERE provider_message_id IS NOT NULL;
-- What failed, expired or was lost sight of: to be listed and recovered by people.
CREATE INDEX deliveries_lost ON deliveries (channel_id, created_at, id) WHERE state IN (12, 13, 16);
CREATE INDEX deliveries_not_sent ON deliveries (workspace_id, id) WHERE state >= 12;
CREATE TABLE attempts (delivery_id BLOB NOT NULL, number INTEGER NOT NULL, attempt TEXT NOT NULL, PRIMARY KEY (delivery_id, number)) WITHOUT ROWID;
CREATE TABLE timers (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, project_id BLOB NOT NULL, lead_id BLOB NOT NULL, name TEXT NOT NULL,
  due_at INTEGER NOT NULL, lease_token BLOB, lease_until INTEGER, UNIQUE (lead_id, name)
) WITHOUT ROWID;
CREATE INDEX timers_due ON timers (coalesce(lease_until, due_at), id);
CREATE TABLE unique_keys (key BLOB PRIMARY KEY, lead_id BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX unique_keys_until ON unique_keys (until);
CREATE TABLE idempotency (
  source_id BLOB NOT NULL, key BLOB NOT NULL, request BLOB NOT NULL, answer TEXT NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY (source_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_until ON idempotency (until);
CREATE TABLE inbound (
  number INTEGER PRIMARY KEY, channel_id BLOB NOT NULL, provider_event_id TEXT NOT NULL, event TEXT NOT NULL,
  received_at INTEGER NOT NULL, done INTEGER NOT NULL, UNIQUE (channel_id, provider_event_id)
);
CREATE INDEX inbound_pending ON inbound (number) WHERE done = 0;
CREATE TABLE poll_cursors (channel_id BLOB PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
