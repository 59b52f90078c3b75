-- Version 8: leads at risk are read in the order of their list. The key is the place of a timer in it, in hexadecimal
-- digits: its moment in milliseconds and the last ten bytes of its id.
CREATE INDEX timers_at_risk ON timers (workspace_id, printf('%012X', due_at) || hex(substr(id, 7)))
  WHERE name NOT IN ('"queue"', '"confirm"', '"auction_ends"');
