-- Version 14: memory follows a log. First the indexes with which what belongs to one workspace is found without reading that
-- of others, and counters of nothing that name no end are found when nobody has counted with them for long.
CREATE INDEX projects_by_workspace ON projects (workspace_id, id);
CREATE INDEX sources_by_workspace ON sources (workspace_id, id);
CREATE INDEX channels_by_workspace ON channels (workspace_id, id);
CREATE INDEX policies_by_workspace ON policies (workspace_id, project_id, version);
CREATE INDEX counters_idle ON counters (last_at) WHERE until IS NULL AND value = 0 AND note IS NULL;
-- Then a numbered log of changes of what engines keep in memory, one row for each thing, at its last change. Written
-- by triggers, so that no statement can change such a thing without it. Kinds: 1 project, 2 source, 3 channel, 4 policy of a
-- project, 5 suppression, 6 moved address, 7 link of identities.
CREATE TABLE changes (revision INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, key BLOB NOT NULL, UNIQUE (kind, key));
CREATE TRIGGER projects_added AFTER INSERT ON projects BEGIN
  DELETE FROM changes WHERE kind = 1 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (1, NEW.id);
END;
CREATE TRIGGER projects_changed AFTER UPDATE ON projects BEGIN
  DELETE FROM changes WHERE kind = 1 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (1, NEW.id);
END;
CREATE TRIGGER projects_removed AFTER DELETE ON projects BEGIN
  DELETE FROM changes WHERE kind = 1 AND key = OLD.id; INSERT INTO changes (kind, key) VALUES (1, OLD.id);
END;
CREATE TRIGGER sources_added AFTER INSERT ON sources BEGIN
  DELETE FROM changes WHERE kind = 2 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (2, NEW.id);
END;
CREATE TRIGGER sources_changed AFTER UPDATE ON sources BEGIN
  DELETE FROM changes WHERE kind = 2 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (2, NEW.id);
END;
CREATE TRIGGER sources_removed AFTER DELETE ON sources BEGIN
  DELETE FROM changes WHERE kind = 2 AND key = OLD.id; INSERT INTO changes (kind, key) VALUES (2, OLD.id);
END;
CREATE TRIGGER channels_added AFTER INSERT ON channels BEGIN
  DELETE FROM changes WHERE kind = 3 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (3, NEW.id);
END;
CREATE TRIGGER channels_changed AFTER UPDATE ON channels BEGIN
  DELETE FROM changes WHERE kind = 3 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (3, NEW.id);
END;
CREATE TRIGGER channels_removed AFTER DELETE ON channels BEGIN
  DELETE FROM changes WHERE kind = 3 AND key = OLD.id; INSERT INTO changes (kind, key) VALUES (3, OLD.id);
END;
CREATE TRIGGER policies_added AFTER INSERT ON policies BEGIN
  DELETE FROM changes WHERE kind = 4 AND key = NEW.project_id; INSERT INTO changes (kind, key) VALUES (4, NEW.project_id);
END;
CREATE TRIGGER suppressions_added AFTER INSERT ON suppressions BEGIN
  DELETE FROM changes WHERE kind = 5 AND key = NEW.key; INSERT INTO changes (kind, key) VALUES (5, NEW.key);
END;
CREATE TRIGGER suppressions_changed AFTER UPDATE ON suppressions BEGIN
  DELETE FROM changes WHERE kind = 5 AND key = NEW.key; INSERT INTO changes (kind, key) VALUES (5, NEW.key);
END;
CREATE TRIGGER suppressions_removed AFTER DELETE ON suppressions BEGIN
  DELETE FROM changes WHERE kind = 5 AND key = OLD.key; INSERT INTO changes (kind, key) VALUES (5, OLD.key);
END;
CREATE TRIGGER moved_addresses_added AFTER INSERT ON moved_addresses BEGIN
  DELETE FROM changes WHERE kind = 6 AND key = NEW.key; INSERT INTO changes (kind, key) VALUES (6, NEW.key);
END;
CREATE TRIGGER moved_addresses_removed AFTER DELETE ON moved_addresses BEGIN
  DELETE FROM changes WHERE kind = 6 AND key = OLD.key; INSERT INTO changes (kind, key) VALUES (6, OLD.key);
END;
CREATE TRIGGER identities_added AFTER INSERT ON identities BEGIN
  DELETE FROM changes WHERE kind = 7 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (7, NEW.id);
END;
CREATE TRIGGER identities_changed AFTER UPDATE ON identities BEGIN
  DELETE FROM changes WHERE kind = 7 AND key = NEW.id; INSERT INTO changes (kind, key) VALUES (7, NEW.id);
END;
CREATE TRIGGER identities_removed AFTER DELETE ON identities BEGIN
  DELETE FROM changes WHERE kind = 7 AND key = OLD.id; INSERT INTO changes (kind, key) VALUES (7, OLD.id);
END;
