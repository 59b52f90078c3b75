-- Version 6: what is to be sent or found out is claimed before receipts that are owed, so each of the two kinds is a
-- range of its own.
DROP INDEX deliveries_open;
CREATE INDEX deliveries_open ON deliveries (channel_id, (state < 2 OR uncertain = 1), coalesce(lease_until, due_at), id, state)
  WHERE state < 10;
