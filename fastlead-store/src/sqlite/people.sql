-- Version 7: which accounts and phone numbers are one person's, and what people have said over a channel.
CREATE TABLE identities (
  id BLOB PRIMARY KEY, workspace_id BLOB NOT NULL, account BLOB NOT NULL, phone BLOB NOT NULL, active INTEGER NOT NULL, doc TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX identities_active ON identities (account) WHERE active = 1;
CREATE INDEX identities_by_workspace ON identities (workspace_id, id);
CREATE INDEX identities_by_account ON identities (account, id);
CREATE INDEX identities_by_phone ON identities (phone, id);
-- The index of what people have said is made anew by version 9, and there only: an event that is no JSON fails no start.
