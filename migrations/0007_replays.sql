-- Dead letters on their way back, and what operators did.

-- Letters of one cause, found as one group whatever place of a list or number it names.
ALTER TABLE dead_letters
    ADD COLUMN place text GENERATED ALWAYS AS (regexp_replace(pointer, '/[0-9]+', '/*', 'g')) STORED,
    ADD COLUMN cause text NOT NULL GENERATED ALWAYS AS (
        regexp_replace(detail, '`[^`]*`|[0-9]+', '…', 'g')) STORED;
COMMENT ON COLUMN dead_letters.place IS 'The pointer with * for each place in a list.';
COMMENT ON COLUMN dead_letters.cause IS 'The detail without what differs from letter to letter: names and numbers.';

CREATE TABLE replay_jobs (
    id uuid PRIMARY KEY,
    submitted_by text NOT NULL,
    submitted_at timestamptz NOT NULL,
    filter jsonb NOT NULL CHECK (jsonb_typeof(filter) = 'object'),
    patch jsonb CHECK (jsonb_typeof(patch) = 'array'),
    letters bigint NOT NULL CHECK (letters >= 1),
    canary integer NOT NULL CHECK (canary >= 0),
    rate integer CHECK (rate >= 1),
    max_failures integer NOT NULL CHECK (max_failures >= 0),
    state text NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'paused', 'stopped', 'cancelled', 'done')),
    why text,
    forgiven bigint NOT NULL DEFAULT 0 CHECK (forgiven >= 0),
    ended_at timestamptz,
    CHECK ((ended_at IS NULL) = (state IN ('running', 'paused', 'stopped')))
);
CREATE INDEX replay_jobs_latest ON replay_jobs (submitted_at);
CREATE INDEX replay_jobs_running ON replay_jobs (submitted_at) WHERE state = 'running';
COMMENT ON TABLE replay_jobs IS 'Replays of dead letters: each a set of letters that was fixed when it was submitted.';
COMMENT ON COLUMN replay_jobs.id IS 'What operators name it by.';
COMMENT ON COLUMN replay_jobs.submitted_by IS 'Who.';
COMMENT ON COLUMN replay_jobs.submitted_at IS 'When.';
COMMENT ON COLUMN replay_jobs.filter IS 'How the letters were chosen, for people to read; the set itself is in replay_letters.';
COMMENT ON COLUMN replay_jobs.patch IS 'The repair (RFC 6902) that each letter gets; null: they go as they came.';
COMMENT ON COLUMN replay_jobs.letters IS 'How many.';
COMMENT ON COLUMN replay_jobs.canary IS 'So many go one by one at first; when one of these is refused again the job stops.';
COMMENT ON COLUMN replay_jobs.rate IS 'The most in a second; null: as fast as they go.';
COMMENT ON COLUMN replay_jobs.max_failures IS 'The job stops when more than so many were refused again.';
COMMENT ON COLUMN replay_jobs.state IS 'running, paused (by somebody), stopped (by itself), cancelled or done.';
COMMENT ON COLUMN replay_jobs.why IS 'Why it is in its state, where somebody or something decided so.';
COMMENT ON COLUMN replay_jobs.forgiven IS 'Failures before it was last resumed: they count no longer.';
COMMENT ON COLUMN replay_jobs.ended_at IS 'When it was done or cancelled; null: it may go on.';

CREATE TABLE replay_letters (
    job uuid NOT NULL REFERENCES replay_jobs,
    position bigint NOT NULL CHECK (position >= 1),
    letter uuid NOT NULL,
    outcome text CHECK (outcome IN ('accepted', 'duplicate', 'refused', 'cancelled')),
    code text,
    pointer text,
    detail text,
    finished_at timestamptz,
    PRIMARY KEY (job, position),
    UNIQUE (letter, job),
    CHECK ((outcome IS NULL) = (finished_at IS NULL)),
    CHECK ((outcome IS NOT DISTINCT FROM 'refused') = (code IS NOT NULL))
);
CREATE UNIQUE INDEX replay_letters_claims ON replay_letters (letter) WHERE outcome IS NULL;
CREATE INDEX replay_letters_waiting ON replay_letters (job, position) WHERE outcome IS NULL;
CREATE INDEX replay_letters_outcomes ON replay_letters (job, outcome);
COMMENT ON TABLE replay_letters IS 'The letters of the jobs. A letter waits in one job at most, so no two replay it.';
COMMENT ON COLUMN replay_letters.job IS 'The job.';
COMMENT ON COLUMN replay_letters.position IS 'They go in this order: that of the events'' times.';
COMMENT ON COLUMN replay_letters.letter IS 'The dead letter.';
COMMENT ON COLUMN replay_letters.outcome IS 'accepted, duplicate, refused (again) or cancelled; null: it waits.';
COMMENT ON COLUMN replay_letters.code IS 'Why it was refused again.';
COMMENT ON COLUMN replay_letters.pointer IS 'Where the fault was then.';
COMMENT ON COLUMN replay_letters.detail IS 'A sentence for a person.';
COMMENT ON COLUMN replay_letters.finished_at IS 'When it was processed: in the transaction that its event came into the history with.';

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    who text NOT NULL,
    act text NOT NULL,
    target text,
    detail jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object')
);
CREATE INDEX audit_targets ON audit (target, id);
CREATE INDEX audit_latest ON audit (at);
COMMENT ON TABLE audit IS 'What operators did, and who saw personal data. Rows are only ever added.';
COMMENT ON COLUMN audit.id IS 'In the order in which it was done.';
COMMENT ON COLUMN audit.at IS 'When.';
COMMENT ON COLUMN audit.who IS 'Who, by the name that they gave or their system knows.';
COMMENT ON COLUMN audit.act IS 'What was done: replay, discard, reveal, pause, ….';
COMMENT ON COLUMN audit.target IS 'To what: the id of a dead letter or a job, a type; null: to several.';
COMMENT ON COLUMN audit.detail IS 'Whatever else belongs to it; never personal data.';
