-- What an event costs is above all the rows and index entries that it writes.

-- A regular expression is judged again at every change of a row, and costs more than the change.
ALTER TABLE cases DROP CONSTRAINT cases_key_check;
ALTER TABLE cases ADD CHECK (key LIKE 'o/%' OR key LIKE 't/%');
ALTER TABLE read_model.orders DROP CONSTRAINT orders_currency_check;
ALTER TABLE read_model.orders ADD CHECK (char_length(currency) = 3);
-- Policies are recorded before they are referred to, and never deleted.
ALTER TABLE cases DROP CONSTRAINT cases_policy_fkey;

-- Messages are confirmed in runs of positions: a row for a run instead of a change of each
-- derived event's row.
CREATE TABLE publications (
    last bigint PRIMARY KEY,
    first bigint NOT NULL CHECK (first <= last),
    published_at timestamptz NOT NULL
);
COMMENT ON TABLE publications IS 'Positions of the outbox whose messages the broker has confirmed. Runs never overlap.';
COMMENT ON COLUMN publications.last IS 'The last position of a run.';
COMMENT ON COLUMN publications.first IS 'Its first.';
COMMENT ON COLUMN publications.published_at IS 'When the broker confirmed them.';

ALTER TABLE derived_events ADD COLUMN position bigint;
COMMENT ON COLUMN derived_events.position IS 'Its position in the outbox, and for good its name in publications; null: it is recorded only.';
-- What was published so far is a run of its own each, below all positions to come.
UPDATE derived_events SET position = numbered.position
FROM (SELECT event_id, -row_number() OVER (ORDER BY published_at DESC, event_id DESC) AS position
      FROM derived_events WHERE published_at IS NOT NULL) numbered
WHERE derived_events.event_id = numbered.event_id;
INSERT INTO publications (last, first, published_at)
SELECT max(position), min(position), published_at FROM derived_events
WHERE published_at IS NOT NULL GROUP BY published_at;
UPDATE derived_events SET position = outbox.position
FROM outbox WHERE outbox.derived AND outbox.event_id = derived_events.event_id;

DROP VIEW read_model.derived_events;
ALTER TABLE derived_events DROP COLUMN published_at;
ALTER TABLE derived_events
    ADD CHECK (suppressed = (position IS NULL)),
    ADD CHECK (case_key LIKE 't/%' OR order_id = substr(case_key, 3));
CREATE VIEW read_model.derived_events AS
SELECT event_id, type, order_id, seller_id, sequence, time,
       (SELECT CASE WHEN run.first <= d.position THEN run.published_at END
        FROM public.publications run WHERE run.last >= d.position
        ORDER BY run.last LIMIT 1) AS published_at,
       withdrawn_at, data
FROM public.derived_events d;
COMMENT ON VIEW read_model.derived_events IS 'Every event ever derived, the withdrawn ones too.';
COMMENT ON COLUMN read_model.derived_events.event_id IS 'Its id.';
COMMENT ON COLUMN read_model.derived_events.type IS 'Its type.';
COMMENT ON COLUMN read_model.derived_events.order_id IS 'The order; null for an inquiry that no order may be told of.';
COMMENT ON COLUMN read_model.derived_events.seller_id IS 'The seller.';
COMMENT ON COLUMN read_model.derived_events.sequence IS 'Rises within a case; gaps are possible.';
COMMENT ON COLUMN read_model.derived_events.time IS 'When it became true in the world.';
COMMENT ON COLUMN read_model.derived_events.published_at IS 'When the broker confirmed it; null: not yet, or recorded only.';
COMMENT ON COLUMN read_model.derived_events.withdrawn_at IS 'When it was found to hold no longer.';
COMMENT ON COLUMN read_model.derived_events.data IS 'As published.';

-- A row of derived_events changes but once, if it is withdrawn. Its primary key is a digest of
-- case, type, key and n, and its number is given out under the case's lock: no other index is
-- needed to forbid what can't be. Those of an order are found by the order.
ALTER TABLE derived_events SET (fillfactor = 100);
ALTER TABLE derived_events DROP CONSTRAINT derived_events_case_key_sequence_key;
DROP INDEX derived_events_standing;
DROP INDEX derived_events_types;
CREATE INDEX derived_events_threads ON derived_events (case_key) WHERE case_key LIKE 't/%';

-- A message is read and deleted by its lane and position.
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey;
DROP INDEX outbox_lanes;
CREATE UNIQUE INDEX outbox_lanes ON outbox (lane, position) WHERE NOT held;

-- What a processor remembers of a case is as good as what is stored, while this is the same.
ALTER TABLE cases ADD COLUMN version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN cases.version IS 'Rises whenever its history, its decision or a fact of it is written.';

-- Most releases change once: they end.
ALTER TABLE releases SET (fillfactor = 85);
