-- The history by the month in which its cases were opened, so that old cases leave whole tables
-- behind; and what remains of a case that was archived.

-- A row belongs to the month of its home. The program makes the tables of the months ahead of
-- time; where one is missing a row goes into the default table, and is moved later.

ALTER TABLE history RENAME TO history_in_one;
ALTER TABLE history_in_one RENAME CONSTRAINT history_pkey TO history_in_one_pkey;
ALTER INDEX history_threads RENAME TO history_in_one_threads;
ALTER INDEX history_messages_of_orders RENAME TO history_in_one_messages_of_orders;
ALTER INDEX history_received RENAME TO history_in_one_received;

CREATE TABLE history (
    case_key text COLLATE "C" NOT NULL,
    key bytea NOT NULL CHECK (octet_length(key) = 16),
    source text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    time timestamptz NOT NULL,
    subject text,
    thread_id text COLLATE "C",
    facts json NOT NULL,
    unread json,
    joined_at timestamptz,
    owns_thread boolean NOT NULL DEFAULT false,
    found boolean NOT NULL DEFAULT false,
    stray boolean NOT NULL DEFAULT false,
    repeated boolean NOT NULL DEFAULT false,
    received_at timestamptz NOT NULL,
    traceparent text,
    tracestate text,
    opened date NOT NULL,
    CHECK ((type = 'message-sent') = (thread_id IS NOT NULL)),
    CHECK (thread_id IS NOT NULL OR (joined_at IS NULL AND NOT owns_thread AND NOT found AND NOT stray AND NOT repeated)),
    CHECK (type = 'message-sent' OR case_key LIKE 'o/%')
) PARTITION BY RANGE (opened);
COMMENT ON TABLE history IS 'Every accepted event: what the cases are decided from. facts and unread together are its stripped data. A table for each month in which cases were opened.';
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
COMMENT ON COLUMN history.opened IS 'The first of the month (UTC) in which its case was opened: cases.opened_at never changes.';

CREATE TABLE history_default PARTITION OF history DEFAULT;
COMMENT ON TABLE history_default IS 'Events of cases whose month has no table yet: normally none.';

DO $$
DECLARE month date;
BEGIN
    FOR month IN
        SELECT DISTINCT date_trunc('month', opened_at AT TIME ZONE 'UTC')::date FROM cases
        UNION SELECT DISTINCT date_trunc('month', h.received_at AT TIME ZONE 'UTC')::date
              FROM history_in_one h
              WHERE NOT EXISTS (SELECT FROM cases c WHERE c.key = h.case_key)
        ORDER BY 1
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF history FOR VALUES FROM (%L) TO (%L)',
            'history_' || to_char(month, 'YYYY_MM'), month, (month + interval '1 month')::date);
        EXECUTE format('COMMENT ON TABLE %I IS %L', 'history_' || to_char(month, 'YYYY_MM'),
            'Events of the cases that were opened in this month.');
    END LOOP;
END $$;

-- Indexes after the rows: they are built once.
INSERT INTO history
SELECT h.*, date_trunc('month', coalesce(c.opened_at, h.received_at) AT TIME ZONE 'UTC')::date
FROM history_in_one h LEFT JOIN cases c ON c.key = h.case_key;

ALTER TABLE history ADD PRIMARY KEY (case_key, key, opened);
CREATE INDEX history_threads ON history (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX history_messages_of_orders
    ON history ((CASE WHEN case_key LIKE 'o/%' AND NOT stray THEN substr(case_key, 3) END))
    WHERE type = 'message-sent';
CREATE INDEX history_received ON history
    USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE OR REPLACE VIEW read_model.threads AS
SELECT t.thread_id, t.order_id, t.seller_id, t.topic, t.opened_at, t.last_buyer_message_at,
       t.last_seller_reply_at, t.awaiting, t.awaiting_since, t.reply_by,
       (SELECT count(*) FROM public.history m
        WHERE m.thread_id = t.thread_id AND NOT m.repeated) AS message_count
FROM public.threads t
-- An order's word goes before the thread's own.
WHERE NOT EXISTS (SELECT FROM public.threads other
                  WHERE other.thread_id = t.thread_id AND other.case_key < t.case_key);

CREATE OR REPLACE VIEW read_model.messages AS
SELECT facts ->> 'message_id' AS message_id, thread_id,
       CASE WHEN case_key LIKE 'o/%' AND NOT stray THEN substr(case_key, 3) END AS order_id,
       facts ->> 'from' AS sent_from, facts ->> 'channel' AS channel,
       coalesce(facts ->> 'topic', 'other') AS topic,
       coalesce((facts ->> 'automatic')::boolean, false) AS automatic,
       time AS sent_at, unread ->> 'body' AS body
FROM public.history
WHERE type = 'message-sent' AND NOT repeated;

DROP TABLE history_in_one;

ALTER TABLE event_keys ADD COLUMN archived boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN event_keys.archived IS 'Its event is in an archive, and no longer in the history.';

CREATE TABLE pruned_cases (
    key text COLLATE "C" PRIMARY KEY CHECK (key LIKE 'o/%' OR key LIKE 't/%'),
    file text NOT NULL,
    pruned_at timestamptz NOT NULL,
    last_received_at timestamptz,
    orders integer NOT NULL CHECK (orders >= 0),
    payments integer NOT NULL CHECK (payments >= 0),
    shipments integer NOT NULL CHECK (shipments >= 0),
    messages integer NOT NULL CHECK (messages >= 0)
);
CREATE INDEX pruned_cases_received ON pruned_cases (last_received_at);
COMMENT ON TABLE pruned_cases IS 'Cases that were archived: what comes for one is refused, until a replay brings it back. A key stands here or in cases, never in both.';
COMMENT ON COLUMN pruned_cases.key IS 'o/<order id> or t/<thread id>.';
COMMENT ON COLUMN pruned_cases.file IS 'The name of the archive file, without its folder.';
COMMENT ON COLUMN pruned_cases.pruned_at IS 'When it was archived.';
COMMENT ON COLUMN pruned_cases.last_received_at IS 'When the last of its events was accepted; null where it had none.';
COMMENT ON COLUMN pruned_cases.orders IS 'How many of its events came by the stream orders.';
COMMENT ON COLUMN pruned_cases.payments IS 'By the stream payments.';
COMMENT ON COLUMN pruned_cases.shipments IS 'By the stream shipments.';
COMMENT ON COLUMN pruned_cases.messages IS 'By the stream messages.';
