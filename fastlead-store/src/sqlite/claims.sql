-- Version 6: what is to be sent or found out is claimed before receipts that are owed, so each of the two kinds is a
-- range of its own.
DROP INDEX deliveries_open;
CREATE INDEX deliveries_open ON deliveries (channel_id, (state < 2 OR uncertain = 1), coalesce(lease_until, due_at), id, state)
  WHERE state < 10;
-- What the provider has accepted holds nobody back any more.
DROP INDEX deliveries_by_order;
CREATE INDEX deliveries_by_order ON deliveries (order_key, created_at, id)
  WHERE state < 10 AND (state < 2 OR uncertain = 1) AND order_key IS NOT NULL;
-- Counters of nothing, which were made where something forgotten was given back; none of them would ever be forgotten.
DELETE FROM counters WHERE value = 0 AND note IS NULL AND last_at IS NULL AND until IS NULL;
