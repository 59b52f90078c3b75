-- Version 17: rates and holds that several engines keep together, by scope and key. `arrival` is when all permits are back, in
-- nanoseconds since the Unix epoch; `held_until` and `gone_at`, after which the row says nothing, are in milliseconds.
CREATE TABLE quota (
  scope TEXT NOT NULL, key BLOB NOT NULL CHECK (length(key) = 16), arrival INTEGER, held_until INTEGER, gone_at INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX quota_gone ON quota (gone_at);
CREATE INDEX quota_held ON quota (scope) WHERE held_until IS NOT NULL;
