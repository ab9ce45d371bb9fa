-- What was received and accepted, and the cases that it belongs to.
--
-- Keys sort by bytes (COLLATE "C"), as in the program: cases are locked in the
-- order of their keys, and two orders of sorting would deadlock.

CREATE TABLE policies (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content jsonb NOT NULL UNIQUE CHECK (jsonb_typeof(content) = 'object')
);
COMMENT ON TABLE policies IS 'Every combination of rule settings that a case was ever opened with.';
COMMENT ON COLUMN policies.id IS 'What a case refers to.';
COMMENT ON COLUMN policies.content IS 'The settings, by name.';

CREATE TABLE cases (
    key text COLLATE "C" PRIMARY KEY CHECK (key ~ '^[ot]/[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
    policy integer NOT NULL REFERENCES policies,
    opened_at timestamptz NOT NULL,
    as_of timestamptz,
    next_at timestamptz,
    last_sequence bigint NOT NULL DEFAULT 0 CHECK (last_sequence >= 0),
    parked_until timestamptz,
    parked_attempts integer NOT NULL DEFAULT 0 CHECK (parked_attempts >= 0),
    parked_error text,
    CHECK ((parked_until IS NULL) = (parked_attempts = 0)),
    CHECK ((parked_until IS NULL) = (parked_error IS NULL)),
    CHECK (parked_until IS NULL OR next_at = parked_until)
) WITH (fillfactor = 80);
CREATE INDEX cases_due ON cases (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX cases_parked ON cases (key) WHERE parked_until IS NOT NULL;
COMMENT ON TABLE cases IS 'One row for each order and each inquiry thread; its row lock is the lock of the case.';
COMMENT ON COLUMN cases.key IS 'o/<order id> or t/<thread id>.';
COMMENT ON COLUMN cases.policy IS 'The settings in force when the case was opened; kept for good.';
COMMENT ON COLUMN cases.opened_at IS 'When the first of its events was accepted.';
COMMENT ON COLUMN cases.as_of IS 'The moment that it was last decided at, never earlier than before; null while deadlines were held ever since it was opened.';
COMMENT ON COLUMN cases.next_at IS 'When it must be decided again though nothing arrives; null: never.';
COMMENT ON COLUMN cases.last_sequence IS 'The greatest sequence of its derived events.';
COMMENT ON COLUMN cases.parked_until IS 'When its decision, which failed on what is stored, is tried again; null: it did not fail.';
COMMENT ON COLUMN cases.parked_attempts IS 'How often in a row its decision failed.';
COMMENT ON COLUMN cases.parked_error IS 'Why its decision failed last.';

CREATE TABLE event_keys (
    key bytea PRIMARY KEY CHECK (octet_length(key) = 16),
    content bytea NOT NULL CHECK (octet_length(content) = 16)
);
COMMENT ON TABLE event_keys IS 'Every event ever accepted, so that its repetition is known; it outlives archived histories, so it is narrow.';
COMMENT ON COLUMN event_keys.key IS 'A digest of source and id.';
COMMENT ON COLUMN event_keys.content IS 'A digest of type, time, subject and data: another one under the same key is a collision.';

CREATE TABLE history (
    case_key text COLLATE "C" NOT NULL,
    key bytea NOT NULL CHECK (octet_length(key) = 16),
    source text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    time timestamptz NOT NULL,
    subject text,
    thread_id text COLLATE "C",
    facts json NOT NULL CHECK (json_typeof(facts) = 'object'),
    unread json,
    joined_at timestamptz,
    owns_thread boolean NOT NULL DEFAULT false,
    found boolean NOT NULL DEFAULT false,
    stray boolean NOT NULL DEFAULT false,
    repeated boolean NOT NULL DEFAULT false,
    received_at timestamptz NOT NULL,
    traceparent text,
    tracestate text,
    PRIMARY KEY (case_key, key),
    CHECK ((type = 'message-sent') = (thread_id IS NOT NULL)),
    CHECK (thread_id IS NOT NULL OR (joined_at IS NULL AND NOT owns_thread AND NOT found AND NOT stray AND NOT repeated)),
    CHECK (type = 'message-sent' OR case_key LIKE 'o/%')
);
CREATE INDEX history_threads ON history (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX history_messages_of_orders
    ON history ((CASE WHEN case_key LIKE 'o/%' AND NOT stray THEN substr(case_key, 3) END))
    WHERE type = 'message-sent';
COMMENT ON TABLE history IS 'Every accepted event: what the cases are decided from. facts and unread together are its stripped data.';
COMMENT ON COLUMN history.case_key IS 'The case whose decision reads it; for a message its home: an order, or its thread.';
COMMENT ON COLUMN history.key IS 'Its key in event_keys.';
COMMENT ON COLUMN history.source IS 'CloudEvents source.';
COMMENT ON COLUMN history.event_id IS 'CloudEvents id.';
COMMENT ON COLUMN history.type IS 'CloudEvents type.';
COMMENT ON COLUMN history.time IS 'When it happened in the world.';
COMMENT ON COLUMN history.subject IS 'CloudEvents subject, where it had one.';
COMMENT ON COLUMN history.thread_id IS 'A message''s thread; null for all other types.';
COMMENT ON COLUMN history.facts IS 'What the rules read of data.';
COMMENT ON COLUMN history.unread IS 'What else was in data: a message''s body, unknown fields and words; null where nothing was. Decisions never load it.';
COMMENT ON COLUMN history.joined_at IS 'When a message that named no order joined this one.';
COMMENT ON COLUMN history.owns_thread IS 'The message''s thread belongs to this order.';
COMMENT ON COLUMN history.found IS 'The message named no order, and this one was found for it.';
COMMENT ON COLUMN history.stray IS 'The message names an order of another seller or buyer, and nothing of that order is told.';
COMMENT ON COLUMN history.repeated IS 'Its message stands in the history already, under another event.';
COMMENT ON COLUMN history.received_at IS 'When it was accepted.';
COMMENT ON COLUMN history.traceparent IS 'W3C trace context, carried to what is derived from it.';
COMMENT ON COLUMN history.tracestate IS 'W3C trace state, carried along.';
