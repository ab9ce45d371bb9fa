-- Types of derived events that an operator holds back for a while, and what makes it cheap to
-- ask every minute whether everything adds up.

CREATE TABLE pauses (
    type text COLLATE "C" PRIMARY KEY,
    since timestamptz NOT NULL,
    who text NOT NULL,
    reason text
);
COMMENT ON TABLE pauses IS 'Types of messages that the relay does not send for now. An empty table costs a look a second.';
COMMENT ON COLUMN pauses.type IS 'CloudEvents type; of a derived event its withdrawals wait too.';
COMMENT ON COLUMN pauses.since IS 'Since when.';
COMMENT ON COLUMN pauses.who IS 'Who paused it.';
COMMENT ON COLUMN pauses.reason IS 'Why, in words.';

-- The relay marks what it must not send as it comes upon it, so that a pause of days is not
-- read again at each look.
ALTER TABLE outbox ADD COLUMN held boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN outbox.held IS 'Its type is paused, or an earlier message of its case is held. Set and taken back by whoever sends its lane.';
DROP INDEX outbox_lanes;
CREATE INDEX outbox_lanes ON outbox (lane, position) WHERE NOT held;
CREATE INDEX outbox_held ON outbox (lane, case_key) WHERE held;

-- Rows come in the order of these clocks, give or take a transaction's length: a few pages
-- tell where those since a moment are.
CREATE INDEX history_received ON history
    USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX ledger_committed ON ledger
    USING brin (committed_at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX derived_events_recorded ON derived_events
    USING brin (recorded_at) WITH (pages_per_range = 32, autosummarize = on);
-- The few rows that say something.
CREATE INDEX ledger_dead ON ledger (dead) WHERE dead > 0;
