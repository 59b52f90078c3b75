-- Version 13: sessions of people, users who may not sign in any more, and keys with a scope, an end and a last use.
ALTER TABLE users ADD COLUMN disabled_at INTEGER;
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
CREATE TABLE sessions (
  id BLOB PRIMARY KEY, user_id BLOB NOT NULL, workspace_id BLOB NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL, address TEXT, client TEXT, ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, id);
