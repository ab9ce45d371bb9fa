-- What could not be accepted, and the count of everything that came in.

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    fingerprint bytea NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 16),
    stream text,
    routing_key text NOT NULL,
    content_type text,
    event_source text,
    event_id text,
    event_type text,
    code text NOT NULL CHECK (code IN (
        'not-json', 'too-large', 'bad-envelope', 'unknown-type', 'wrong-stream', 'schema-violation',
        'time-in-future', 'id-collision', 'case-pruned', 'delivery-limit', 'unroutable', 'expired',
        'processing-failed')),
    detail text NOT NULL,
    pointer text,
    attempts bigint NOT NULL CHECK (attempts >= 1),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL CHECK (last_seen_at >= first_seen_at),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded')),
    body bytea NOT NULL,
    headers jsonb NOT NULL CHECK (jsonb_typeof(headers) = 'object')
);
CREATE INDEX dead_letters_latest ON dead_letters (last_seen_at, id);
CREATE INDEX dead_letters_codes ON dead_letters (code, last_seen_at);
CREATE INDEX dead_letters_types ON dead_letters (event_type, last_seen_at);
CREATE INDEX dead_letters_streams ON dead_letters (stream, last_seen_at);
CREATE INDEX dead_letters_open ON dead_letters (code, stream) WHERE status = 'open';
COMMENT ON TABLE dead_letters IS 'Messages that were refused, each kept as it came. The same message again counts up one row.';
COMMENT ON COLUMN dead_letters.id IS 'What operators and alerts name it by.';
COMMENT ON COLUMN dead_letters.fingerprint IS 'A digest of body, content type, CloudEvents attributes and stream.';
COMMENT ON COLUMN dead_letters.stream IS 'The queue that it came from; null where none is known.';
COMMENT ON COLUMN dead_letters.routing_key IS 'The routing key that it came with last.';
COMMENT ON COLUMN dead_letters.content_type IS 'Its content type, where it had one.';
COMMENT ON COLUMN dead_letters.event_source IS 'CloudEvents source, as far as it could be read.';
COMMENT ON COLUMN dead_letters.event_id IS 'CloudEvents id, as far as it could be read.';
COMMENT ON COLUMN dead_letters.event_type IS 'CloudEvents type, as far as it could be read.';
COMMENT ON COLUMN dead_letters.code IS 'Why it was refused last.';
COMMENT ON COLUMN dead_letters.detail IS 'A sentence for a person; it quotes no values of data.';
COMMENT ON COLUMN dead_letters.pointer IS 'JSON Pointer of the fault, as in structured mode.';
COMMENT ON COLUMN dead_letters.attempts IS 'How often it came.';
COMMENT ON COLUMN dead_letters.first_seen_at IS 'When it came first.';
COMMENT ON COLUMN dead_letters.last_seen_at IS 'When it came last.';
COMMENT ON COLUMN dead_letters.status IS 'open, replayed or discarded; a replayed one that comes again is open again.';
COMMENT ON COLUMN dead_letters.body IS 'The bytes as they came; for operators only.';
COMMENT ON COLUMN dead_letters.headers IS 'The AMQP headers as they came last; for operators only.';

CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    received bigint NOT NULL CHECK (received >= 0),
    accepted bigint NOT NULL CHECK (accepted >= 0),
    duplicates bigint NOT NULL CHECK (duplicates >= 0),
    dead bigint NOT NULL CHECK (dead >= 0),
    committed_at timestamptz NOT NULL
);
COMMENT ON TABLE ledger IS 'What came in, a row for each batch and stream. received is counted before anything is looked at, so that the rest can be held against it.';
COMMENT ON COLUMN ledger.id IS 'Only tells rows apart.';
COMMENT ON COLUMN ledger.stream IS 'The stream; none where it is not known.';
COMMENT ON COLUMN ledger.received IS 'Messages taken from the queue.';
COMMENT ON COLUMN ledger.accepted IS 'Those that came into the history.';
COMMENT ON COLUMN ledger.duplicates IS 'Those that were in the history already.';
COMMENT ON COLUMN ledger.dead IS 'Those that became dead letters, repetitions included.';
COMMENT ON COLUMN ledger.committed_at IS 'The clock of the batch.';
