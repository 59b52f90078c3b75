-- Version 9: what belongs to one workspace is found without reading that of others, and counters of nothing that name no
-- end are found when nobody has counted with them for long.
CREATE INDEX projects_by_workspace ON projects (workspace_id, id);
CREATE INDEX sources_by_workspace ON sources (workspace_id, id);
CREATE INDEX policies_by_workspace ON policies (workspace_id, project_id, version);
CREATE INDEX counters_idle ON counters (last_at) WHERE until IS NULL AND value = 0 AND note IS NULL;
