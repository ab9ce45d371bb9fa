-- What follows from the cases, and what is on its way to the broker.

CREATE TABLE derived_events (
    event_id uuid PRIMARY KEY,
    case_key text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    n integer NOT NULL CHECK (n >= 1),
    sequence bigint NOT NULL CHECK (sequence >= 1),
    order_id text COLLATE "C",
    seller_id text COLLATE "C" NOT NULL,
    rule text NOT NULL,
    time timestamptz NOT NULL,
    data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    content bytea NOT NULL CHECK (octet_length(content) = 16),
    cause_source text,
    cause_id text,
    traceparent text,
    tracestate text,
    suppressed boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    published_at timestamptz,
    withdrawn_at timestamptz,
    replaced_by uuid,
    UNIQUE (case_key, type, key, n),
    UNIQUE (case_key, sequence),
    CHECK ((cause_source IS NULL) = (cause_id IS NULL)),
    CHECK (NOT suppressed OR published_at IS NULL),
    CHECK (replaced_by IS NULL OR withdrawn_at IS NOT NULL)
);
CREATE UNIQUE INDEX derived_events_standing ON derived_events (case_key, type, key) WHERE withdrawn_at IS NULL;
CREATE INDEX derived_events_orders ON derived_events (order_id);
CREATE INDEX derived_events_types ON derived_events (type, time);
CREATE INDEX derived_events_sellers ON derived_events (seller_id, time);
COMMENT ON TABLE derived_events IS 'Every event ever derived, the withdrawn ones too. Of a case, type and key one stands at most.';
COMMENT ON COLUMN derived_events.event_id IS 'UUIDv5 of source, case, type, key and n.';
COMMENT ON COLUMN derived_events.case_key IS 'The case that it follows from.';
COMMENT ON COLUMN derived_events.type IS 'Its type.';
COMMENT ON COLUMN derived_events.key IS 'What names it within its case and type.';
COMMENT ON COLUMN derived_events.n IS '1 + how often this key was withdrawn before.';
COMMENT ON COLUMN derived_events.sequence IS 'Rises within the case; withdrawals take numbers too.';
COMMENT ON COLUMN derived_events.order_id IS 'The order; null for an inquiry that no order may be told of.';
COMMENT ON COLUMN derived_events.seller_id IS 'The seller.';
COMMENT ON COLUMN derived_events.rule IS 'The rule that it follows from.';
COMMENT ON COLUMN derived_events.time IS 'When it became true in the world.';
COMMENT ON COLUMN derived_events.data IS 'As published.';
COMMENT ON COLUMN derived_events.content IS 'A digest of time and data: where it differs, the event is replaced.';
COMMENT ON COLUMN derived_events.cause_source IS 'The source of the event that made it true; null where only time did.';
COMMENT ON COLUMN derived_events.cause_id IS 'The id of the event that made it true.';
COMMENT ON COLUMN derived_events.traceparent IS 'W3C trace context of that event.';
COMMENT ON COLUMN derived_events.tracestate IS 'W3C trace state of that event.';
COMMENT ON COLUMN derived_events.suppressed IS 'Recorded only: dated before the setting publish-from.';
COMMENT ON COLUMN derived_events.recorded_at IS 'When it was derived.';
COMMENT ON COLUMN derived_events.published_at IS 'When the broker confirmed it.';
COMMENT ON COLUMN derived_events.withdrawn_at IS 'When it was found to hold no longer.';
COMMENT ON COLUMN derived_events.replaced_by IS 'What stands in its place, where only its data changed.';

CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane smallint NOT NULL CHECK (lane BETWEEN 0 AND 15),
    case_key text COLLATE "C" NOT NULL,
    event_id uuid NOT NULL,
    derived boolean NOT NULL,
    type text NOT NULL,
    routing_key text NOT NULL,
    copied_to text,
    time timestamptz NOT NULL,
    body text NOT NULL,
    traceparent text,
    tracestate text,
    queued_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_lanes ON outbox (lane, position);
COMMENT ON TABLE outbox IS 'Messages that the broker has not confirmed. Those of one case go out in the order of their positions.';
COMMENT ON COLUMN outbox.position IS 'Rises within a case, whose row was locked when it was taken; between cases it says nothing.';
COMMENT ON COLUMN outbox.lane IS 'One of 16, by a digest of case_key: a lane is sent by one processor at a time.';
COMMENT ON COLUMN outbox.case_key IS 'The case; for an alert d/<dead letter id>.';
COMMENT ON COLUMN outbox.event_id IS 'The message id.';
COMMENT ON COLUMN outbox.derived IS 'It is a row of derived_events; else a withdrawal or an alert, which stand here only.';
COMMENT ON COLUMN outbox.type IS 'CloudEvents type.';
COMMENT ON COLUMN outbox.routing_key IS 'The routing key.';
COMMENT ON COLUMN outbox.copied_to IS 'A second routing key, in the header CC.';
COMMENT ON COLUMN outbox.time IS 'CloudEvents time.';
COMMENT ON COLUMN outbox.body IS 'The CloudEvent in structured mode, as sent.';
COMMENT ON COLUMN outbox.traceparent IS 'W3C trace context, for the header.';
COMMENT ON COLUMN outbox.tracestate IS 'W3C trace state, for the header.';
COMMENT ON COLUMN outbox.queued_at IS 'When it was derived.';
