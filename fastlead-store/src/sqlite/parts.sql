-- Version 12: the provider's ids of the parts of split texts, to match their receipts. Attempts at other messages are not in it.
CREATE INDEX attempts_parts ON attempts (CASE WHEN json_valid(attempt) THEN attempt ->> 'provider_message_id' END)
  WHERE CASE WHEN json_valid(attempt) THEN attempt ->> 'part' > 0 OR attempt ->> 'verdict' = 'next_part' END;
