-- Publishing an event changes one column of its row. With room on its page and no index that
-- speaks of that column, the row is changed in place and no index is written.

ALTER TABLE derived_events SET (fillfactor = 85);
DROP INDEX derived_events_unpublished;

-- The primary key is a digest of case, type, key and n: it forbids the same already.
ALTER TABLE derived_events DROP CONSTRAINT derived_events_case_key_type_key_n_key;
-- Nothing is looked for by its seller alone.
DROP INDEX derived_events_sellers;
