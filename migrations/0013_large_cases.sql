-- A case of thousands of events is read as a whole for each decision: it is decided from time to
-- time, however many come in between.

ALTER TABLE cases
    ADD COLUMN events bigint NOT NULL DEFAULT 0 CHECK (events >= 0),
    ADD COLUMN deferred boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN cases.events IS 'How many events its last decision read.';
COMMENT ON COLUMN cases.deferred IS 'Events have come since, and a wake-up will have them decided.';
