-- Version 9: inbound events are worked on under leases, as deliveries are. What an earlier version has left is due at once.
ALTER TABLE inbound ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbound ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbound ADD COLUMN lease_token BLOB;
ALTER TABLE inbound ADD COLUMN lease_until INTEGER;
DROP INDEX inbound_pending;
CREATE INDEX inbound_pending ON inbound (coalesce(lease_until, due_at), number) WHERE done = 0;
-- Lease under which the last attempt was begun and whose outcome nobody has recorded: who holds it may still tell.
ALTER TABLE deliveries ADD COLUMN begun_by BLOB;
UPDATE deliveries SET begun_by = lease_token WHERE state = 1;
-- Whether the lead has no use for the message any more: it is not made due again.
ALTER TABLE deliveries ADD COLUMN unwanted INTEGER NOT NULL DEFAULT 0;
