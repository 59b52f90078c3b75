-- Version 11: events have a position, which is the order in which they were committed, and say whose doing they are
-- (NULL where an earlier version has stored them). No event is ever deleted, so no position is given twice. The history of
-- a lead and of a workspace are ranges of positions: an index ends with them.
CREATE TABLE events_in_order (
  position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, workspace_id BLOB NOT NULL, lead_id BLOB NOT NULL, at INTEGER NOT NULL,
  event TEXT NOT NULL, trace TEXT NOT NULL, actor TEXT
);
INSERT INTO events_in_order (id, workspace_id, lead_id, at, event, trace)
  SELECT id, workspace_id, lead_id, at, event, trace FROM events ORDER BY rowid;
DROP TABLE events;
ALTER TABLE events_in_order RENAME TO events;
CREATE INDEX events_by_lead ON events (lead_id);
CREATE INDEX events_by_workspace ON events (workspace_id);
