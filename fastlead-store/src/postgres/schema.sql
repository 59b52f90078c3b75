-- Version 1. Times are milliseconds since the Unix epoch; keys of 16 bytes are kept as uuid, whatever they are made of.
-- Documents are text and not json: what cannot be read fails only who reads it, and a document may hold what json refuses (U+0000).

-- The database's clock, in milliseconds. Not the moment at which the transaction began: that may be long ago.
CREATE FUNCTION fastlead_now() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE workspaces (id uuid PRIMARY KEY, doc text NOT NULL);
CREATE TABLE projects (id uuid PRIMARY KEY, workspace_id uuid NOT NULL, doc text NOT NULL);
CREATE INDEX projects_by_workspace ON projects (workspace_id, id);
CREATE TABLE sources (id uuid PRIMARY KEY, workspace_id uuid NOT NULL, key text NOT NULL UNIQUE, doc text NOT NULL);
CREATE INDEX sources_by_workspace ON sources (workspace_id, id);
CREATE TABLE channels (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, kind text NOT NULL, name text NOT NULL, config bytea NOT NULL,
  webhook_token text NOT NULL, status text NOT NULL, created_at bigint NOT NULL, UNIQUE (workspace_id, name)
);
CREATE INDEX channels_by_workspace ON channels (workspace_id, id);
CREATE TABLE policies (
  id uuid NOT NULL, version integer NOT NULL, workspace_id uuid NOT NULL, project_id uuid NOT NULL, doc text NOT NULL,
  published_at bigint NOT NULL, PRIMARY KEY (id, version)
);
CREATE UNIQUE INDEX policies_by_project ON policies (project_id, version);
CREATE INDEX policies_by_workspace ON policies (workspace_id, project_id, version);
CREATE TABLE policy_drafts (project_id uuid PRIMARY KEY, workspace_id uuid NOT NULL, doc text NOT NULL);
-- Every text that a consent was ever asked with. Sources may give one name to different texts.
CREATE TABLE consent_documents (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, workspace_id uuid NOT NULL, document_id text NOT NULL, version text NOT NULL,
  digest bytea NOT NULL, doc text NOT NULL, UNIQUE (workspace_id, document_id, version, digest)
);

CREATE TABLE users (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, login text NOT NULL UNIQUE, password_hash text NOT NULL, role text NOT NULL,
  created_at bigint NOT NULL, tokens_valid_from bigint NOT NULL, disabled_at bigint
);
CREATE INDEX users_by_workspace ON users (workspace_id, id);
CREATE TABLE api_keys (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, name text NOT NULL, hash bytea NOT NULL UNIQUE, hint text NOT NULL, role text NOT NULL,
  created_at bigint NOT NULL, revoked_at bigint, scopes text NOT NULL, expires_at bigint, last_used_at bigint
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);
CREATE TABLE sessions (
  id uuid PRIMARY KEY, user_id uuid NOT NULL, workspace_id uuid NOT NULL, created_at bigint NOT NULL, expires_at bigint NOT NULL,
  last_used_at bigint NOT NULL, address text, client text, ended_at bigint
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE TABLE settings (name text PRIMARY KEY, value bytea NOT NULL);

CREATE TABLE leads (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, project_id uuid NOT NULL, source_id uuid NOT NULL, created_at bigint NOT NULL,
  version bigint NOT NULL, status text NOT NULL, assigned_to text, policy_id uuid NOT NULL, policy_version integer NOT NULL,
  state text NOT NULL, search text NOT NULL
);
CREATE INDEX leads_by_workspace ON leads (workspace_id, id);
CREATE INDEX leads_by_status ON leads (workspace_id, status, id);
CREATE INDEX leads_waiting ON leads (project_id, id) WHERE status = 'queued';

-- The first event of a lead has the lead's own id: the capture is kept there and nowhere else. Positions are counted within a
-- workspace, in the order of commits.
CREATE TABLE events (
  workspace_id uuid NOT NULL, position bigint NOT NULL, id uuid NOT NULL, lead_id uuid NOT NULL, at bigint NOT NULL,
  captured boolean NOT NULL, event text NOT NULL, trace text NOT NULL, actor text NOT NULL, PRIMARY KEY (workspace_id, position)
);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_lead ON events (lead_id, position);
CREATE INDEX events_captured ON events (workspace_id, id) WHERE captured;

CREATE TABLE deliveries (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, project_id uuid NOT NULL, lead_id uuid, channel_id uuid NOT NULL, purpose text NOT NULL,
  state smallint NOT NULL, reason text, created_at bigint NOT NULL, due_at bigint NOT NULL, expires_at bigint NOT NULL,
  updated_at bigint NOT NULL, attempts integer NOT NULL, parts_sent integer NOT NULL, checks integer NOT NULL,
  uncertain boolean NOT NULL, unwanted boolean NOT NULL, last_attempt_at bigint, provider_message_id text, order_key uuid,
  lease_token uuid, lease_until bigint, begun_by uuid, spec text NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
-- Work that is not done, by the moment at which it can be claimed. Done rows are in none of these, so claiming costs the same
-- however many there are.
CREATE INDEX deliveries_work ON deliveries (channel_id, (coalesce(lease_until, due_at)), id)
  WHERE state < 10 AND (state < 2 OR uncertain);
CREATE INDEX deliveries_owed ON deliveries (channel_id, (coalesce(lease_until, due_at)), id) WHERE state = 2 AND NOT uncertain;
CREATE INDEX deliveries_by_order ON deliveries (order_key, created_at, id)
  WHERE state < 10 AND (state < 2 OR uncertain) AND order_key IS NOT NULL;
CREATE INDEX deliveries_by_workspace ON deliveries (workspace_id, id);
CREATE INDEX deliveries_by_lead ON deliveries (lead_id, id) WHERE lead_id IS NOT NULL;
CREATE INDEX deliveries_by_provider ON deliveries (channel_id, provider_message_id) WHERE provider_message_id IS NOT NULL;
-- What failed, expired or was lost sight of: to be listed and recovered by people.
CREATE INDEX deliveries_lost ON deliveries (channel_id, created_at, id) WHERE state IN (12, 13, 16);
CREATE INDEX deliveries_not_sent ON deliveries (workspace_id, id) WHERE state >= 12;
-- `part_id` is the provider's id of a part of a split text, to match its receipt.
CREATE TABLE attempts (
  delivery_id uuid NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, attempt text NOT NULL, part_id text,
  PRIMARY KEY (delivery_id, number)
);
CREATE INDEX attempts_parts ON attempts (part_id) WHERE part_id IS NOT NULL;
-- `place` is the place in the list of leads at risk, and `deadline` whether the timer is in it.
CREATE TABLE timers (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, project_id uuid NOT NULL, lead_id uuid NOT NULL, name text NOT NULL,
  due_at bigint NOT NULL, place uuid NOT NULL, deadline boolean NOT NULL, lease_token uuid, lease_until bigint, UNIQUE (lead_id, name)
);
CREATE INDEX timers_due ON timers ((coalesce(lease_until, due_at)), id);
CREATE INDEX timers_at_risk ON timers (workspace_id, place) WHERE deadline;
CREATE TABLE unique_keys (key uuid PRIMARY KEY, lead_id uuid NOT NULL, until bigint NOT NULL);
CREATE INDEX unique_keys_until ON unique_keys (until);
CREATE INDEX unique_keys_by_lead ON unique_keys (lead_id);
CREATE TABLE counters (key uuid PRIMARY KEY, value bigint NOT NULL, note text, last_at bigint, until bigint);
CREATE INDEX counters_until ON counters (until) WHERE until IS NOT NULL;
CREATE INDEX counters_idle ON counters (last_at) WHERE until IS NULL AND value = 0 AND note IS NULL;
CREATE TABLE idempotency (
  source_id uuid NOT NULL, key uuid NOT NULL, request uuid NOT NULL, answer text NOT NULL, until bigint NOT NULL,
  PRIMARY KEY (source_id, key)
);
CREATE INDEX idempotency_until ON idempotency (until);
-- `done`: 0 waits, 1 acted upon, 2 set aside.
CREATE TABLE inbound (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel_id uuid NOT NULL, provider_event_id text NOT NULL, event text NOT NULL,
  spoken boolean NOT NULL, received_at bigint NOT NULL, done smallint NOT NULL, due_at bigint NOT NULL, tries integer NOT NULL,
  lease_token uuid, lease_until bigint, UNIQUE (channel_id, provider_event_id)
);
CREATE INDEX inbound_pending ON inbound ((coalesce(lease_until, due_at)), number) WHERE done = 0;
CREATE INDEX inbound_received ON inbound (received_at) WHERE done = 1;
CREATE INDEX inbound_spoken ON inbound (channel_id, number) WHERE spoken;
CREATE TABLE poll_cursors (channel_id uuid PRIMARY KEY, cursor text NOT NULL);
-- Work that is left alone because something that it needs cannot be read; `order_key` is what a delivery had.
CREATE TABLE set_aside (work text NOT NULL, id text NOT NULL, order_key uuid, PRIMARY KEY (work, id));
-- Nothing of it need outlive a crash of the server: a lease that is forgotten has ended.
CREATE UNLOGGED TABLE named_leases (name text PRIMARY KEY, holder uuid NOT NULL, until bigint NOT NULL);
-- Rates and holds, by scope and key: `arrival` is when all permits are back, in nanoseconds since the Unix epoch, `held_until`
-- and `gone_at`, after which the row says nothing, are in milliseconds. Nothing of it need outlive a crash either.
CREATE UNLOGGED TABLE quota (
  scope text NOT NULL, key uuid NOT NULL, arrival bigint, held_until bigint, gone_at bigint NOT NULL, PRIMARY KEY (scope, key)
);
CREATE INDEX quota_gone ON quota (gone_at);
CREATE INDEX quota_held ON quota (scope) WHERE held_until IS NOT NULL;

CREATE TABLE suppressions (key uuid PRIMARY KEY, id uuid NOT NULL, workspace_id uuid NOT NULL, doc text NOT NULL);
CREATE INDEX suppressions_by_workspace ON suppressions (workspace_id, id);
CREATE TABLE moved_addresses (key uuid PRIMARY KEY, workspace_id uuid NOT NULL, doc text NOT NULL);
CREATE INDEX moved_addresses_by_workspace ON moved_addresses (workspace_id);
CREATE TABLE identities (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL, account uuid NOT NULL, phone uuid NOT NULL, active boolean NOT NULL, doc text NOT NULL
);
CREATE UNIQUE INDEX identities_active ON identities (account) WHERE active;
CREATE INDEX identities_by_workspace ON identities (workspace_id, id);
CREATE INDEX identities_by_account ON identities (account, id);
CREATE INDEX identities_by_phone ON identities (phone, id);

-- The ledger. Amounts are minor units; a balance is the sum of the entries of its account, and is kept with it.
CREATE TABLE ledger_accounts (
  workspace_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, currency text NOT NULL, credit bigint CHECK (credit >= 0),
  balance bigint NOT NULL, entries bigint NOT NULL CHECK (entries >= 0), PRIMARY KEY (workspace_id, id), CHECK (balance >= -credit)
);
CREATE TABLE ledger_postings (
  workspace_id uuid NOT NULL, id uuid NOT NULL, at bigint NOT NULL, kind text NOT NULL, lead_id uuid, reverses uuid,
  PRIMARY KEY (workspace_id, id)
);
-- A posting is taken back once.
CREATE UNIQUE INDEX ledger_postings_reversed ON ledger_postings (workspace_id, reverses) WHERE reverses IS NOT NULL;
-- Entries have the numbers 1, 2, 3 and so on in their account; `line` is the place in the posting, `balance` what is on the
-- account after the entry.
CREATE TABLE ledger_entries (
  workspace_id uuid NOT NULL, account_id uuid NOT NULL, number bigint NOT NULL, posting_id uuid NOT NULL, line integer NOT NULL,
  amount bigint NOT NULL CHECK (amount <> 0), currency text NOT NULL, balance bigint NOT NULL,
  PRIMARY KEY (workspace_id, account_id, number)
);
CREATE UNIQUE INDEX ledger_entries_by_posting ON ledger_entries (workspace_id, posting_id, line);

-- What wallets have begun with payment providers. `payment` is the provider's id of a top-up or charge, and belongs to one
-- intent; `open` until nothing is left to do.
CREATE TABLE payment_intents (
  workspace_id uuid NOT NULL, id text NOT NULL, version bigint NOT NULL, made_at bigint NOT NULL, payment text, open boolean NOT NULL,
  doc text NOT NULL, PRIMARY KEY (workspace_id, id)
);
CREATE UNIQUE INDEX payment_intents_by_payment ON payment_intents (workspace_id, payment) WHERE payment IS NOT NULL;
CREATE INDEX payment_intents_open ON payment_intents (workspace_id, made_at, id) WHERE open;

-- Append-only: no statement changes or deletes an event, a posting or an entry. Erasing a person takes texts out of events,
-- and says so for its own transaction.
CREATE FUNCTION is_never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a row of % is never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION event_may_be_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('fastlead.erasing', true) = 'on'
    AND (OLD.workspace_id, OLD.position, OLD.id, OLD.lead_id, OLD.at, OLD.captured, OLD.trace, OLD.actor)
      = (NEW.workspace_id, NEW.position, NEW.id, NEW.lead_id, NEW.at, NEW.captured, NEW.trace, NEW.actor)
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'an event is never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_stay BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION event_may_be_erased();
CREATE TRIGGER events_are_kept BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER events_are_not_emptied BEFORE TRUNCATE ON events EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER ledger_postings_stay BEFORE UPDATE OR DELETE ON ledger_postings FOR EACH ROW EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER ledger_postings_are_not_emptied BEFORE TRUNCATE ON ledger_postings EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE OR DELETE ON ledger_entries FOR EACH ROW EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER ledger_entries_are_not_emptied BEFORE TRUNCATE ON ledger_entries EXECUTE FUNCTION is_never_changed();
-- An account keeps its currency, in which its entries are.
CREATE TRIGGER ledger_accounts_keep_their_currency BEFORE UPDATE ON ledger_accounts FOR EACH ROW
  WHEN ((OLD.workspace_id, OLD.id, OLD.currency) IS DISTINCT FROM (NEW.workspace_id, NEW.id, NEW.currency))
  EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER ledger_accounts_are_kept BEFORE DELETE ON ledger_accounts FOR EACH ROW EXECUTE FUNCTION is_never_changed();

-- A numbered log of changes of what engines keep in memory, one row for each thing, at its last change. Triggers write it, so
-- that no statement can change such a thing without it. Kinds: 1 project, 2 source, 3 channel, 4 policy of a project,
-- 5 suppression, 6 moved address, 7 link of identities. The one row of `last_change` is locked from the first change of a
-- transaction to its commit: revisions become visible in their order.
CREATE TABLE last_change (one boolean PRIMARY KEY DEFAULT true CHECK (one), revision bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO last_change (revision) VALUES (0);
CREATE TABLE changes (kind smallint NOT NULL, key uuid NOT NULL, revision bigint NOT NULL UNIQUE, PRIMARY KEY (kind, key));
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  next bigint;
  thing uuid := (to_jsonb(coalesce(NEW, OLD)) ->> TG_ARGV[1])::uuid;
BEGIN
  UPDATE last_change SET revision = revision + 1 RETURNING revision INTO next;
  INSERT INTO changes (kind, key, revision) VALUES (TG_ARGV[0]::smallint, thing, next)
    ON CONFLICT (kind, key) DO UPDATE SET revision = excluded.revision;
  RETURN NULL;
END $$;
CREATE TRIGGER projects_change AFTER INSERT OR UPDATE OR DELETE ON projects FOR EACH ROW EXECUTE FUNCTION note_change(1, 'id');
CREATE TRIGGER sources_change AFTER INSERT OR UPDATE OR DELETE ON sources FOR EACH ROW EXECUTE FUNCTION note_change(2, 'id');
CREATE TRIGGER channels_change AFTER INSERT OR UPDATE OR DELETE ON channels FOR EACH ROW EXECUTE FUNCTION note_change(3, 'id');
CREATE TRIGGER policies_change AFTER INSERT ON policies FOR EACH ROW EXECUTE FUNCTION note_change(4, 'project_id');
CREATE TRIGGER suppressions_change AFTER INSERT OR UPDATE OR DELETE ON suppressions FOR EACH ROW EXECUTE FUNCTION note_change(5, 'key');
CREATE TRIGGER moved_addresses_change AFTER INSERT OR UPDATE OR DELETE ON moved_addresses FOR EACH ROW EXECUTE FUNCTION note_change(6, 'key');
CREATE TRIGGER identities_change AFTER INSERT OR UPDATE OR DELETE ON identities FOR EACH ROW EXECUTE FUNCTION note_change(7, 'id');
