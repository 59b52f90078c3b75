-- Version 15: the ledger. Amounts are minor units; a balance is the sum of the entries of its account, and is kept with it.
CREATE TABLE ledger_accounts (
  workspace_id BLOB NOT NULL CHECK (length(workspace_id) = 16), id BLOB NOT NULL CHECK (length(id) = 16), name TEXT NOT NULL,
  currency TEXT NOT NULL, credit INTEGER CHECK (credit >= 0), balance INTEGER NOT NULL, entries INTEGER NOT NULL CHECK (entries >= 0),
  PRIMARY KEY (workspace_id, id), CHECK (balance >= -credit)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_postings (
  workspace_id BLOB NOT NULL, id BLOB NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, lead_id BLOB, reverses BLOB,
  PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;
-- A posting is taken back once.
CREATE UNIQUE INDEX ledger_postings_reversed ON ledger_postings (workspace_id, reverses) WHERE reverses IS NOT NULL;
-- Entries have the numbers 1, 2, 3 and so on in their account; `line` is the place in the posting, `balance` what is on the
-- account after the entry.
CREATE TABLE ledger_entries (
  workspace_id BLOB NOT NULL, account_id BLOB NOT NULL, number INTEGER NOT NULL, posting_id BLOB NOT NULL, line INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount <> 0), currency TEXT NOT NULL, balance INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, account_id, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_entries_by_posting ON ledger_entries (workspace_id, posting_id, line);
-- Append-only: nothing of a posting is ever changed, deleted or replaced, by whatever statement. (REPLACE deletes without the
-- triggers of DELETE, so an insert looks as well.)
CREATE TRIGGER ledger_postings_stay BEFORE UPDATE ON ledger_postings BEGIN SELECT RAISE(ABORT, 'a posting is never changed'); END;
CREATE TRIGGER ledger_postings_are_kept BEFORE DELETE ON ledger_postings BEGIN SELECT RAISE(ABORT, 'a posting is never deleted'); END;
CREATE TRIGGER ledger_postings_are_new BEFORE INSERT ON ledger_postings
  WHEN EXISTS (SELECT 1 FROM ledger_postings p WHERE p.workspace_id = NEW.workspace_id AND p.id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a posting is never replaced'); END;
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE ON ledger_entries BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER ledger_entries_are_kept BEFORE DELETE ON ledger_entries BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
CREATE TRIGGER ledger_entries_are_new BEFORE INSERT ON ledger_entries
  WHEN EXISTS (SELECT 1 FROM ledger_entries e
    WHERE e.workspace_id = NEW.workspace_id AND e.account_id = NEW.account_id AND e.number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'an entry is never replaced'); END;
-- An account keeps its currency, in which its entries are.
CREATE TRIGGER ledger_accounts_keep_their_currency BEFORE UPDATE OF workspace_id, id, currency ON ledger_accounts
BEGIN SELECT RAISE(ABORT, 'an account keeps its currency'); END;
CREATE TRIGGER ledger_accounts_are_kept BEFORE DELETE ON ledger_accounts BEGIN SELECT RAISE(ABORT, 'an account is never deleted'); END;
