-- Version 16: what wallets have begun with payment providers. `payment` is the provider's id of a top-up or charge, and belongs
-- to one intent; `open` is 1 until nothing is left to do.
CREATE TABLE payment_intents (
  workspace_id BLOB NOT NULL CHECK (length(workspace_id) = 16), id TEXT NOT NULL, version INTEGER NOT NULL, made_at INTEGER NOT NULL,
  payment TEXT, open INTEGER NOT NULL CHECK (open IN (0, 1)), doc TEXT NOT NULL,
  PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX payment_intents_by_payment ON payment_intents (workspace_id, payment) WHERE payment IS NOT NULL;
CREATE INDEX payment_intents_open ON payment_intents (workspace_id, made_at, id) WHERE open = 1;
