-- Version 10: work that is left alone because it, or something that it needs, cannot be read. It is given back when the
-- file is opened the next time; `order_key` is what a delivery had.
CREATE TABLE set_aside (work TEXT NOT NULL, id BLOB NOT NULL, order_key BLOB, PRIMARY KEY (work, id)) WITHOUT ROWID;
-- An event that is no JSON must not fail the statements that come across it, and is shown among what people have said.
DROP INDEX IF EXISTS inbound_spoken;
CREATE INDEX inbound_spoken ON inbound (channel_id, number)
  WHERE CASE WHEN json_valid(event) THEN json_extract(event, '$.kind.type') ELSE 'message' END
    IN ('message', 'started', 'phone_shared');
