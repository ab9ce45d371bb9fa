-- Who may do what in the database, no more than each needs. Run by the owner of the tables (who runs
-- `otodoke migrate`), after each migration, as `psql "$DATABASE_URL" -f postgresql.sql`; again it
-- changes nothing. Then give logins to roles:
--
--   CREATE ROLE shop_processor LOGIN PASSWORD '…' IN ROLE otodoke_processor;
--   CREATE ROLE shop_reports   LOGIN PASSWORD '…' IN ROLE otodoke_reader;
--
-- The owner             tables, migrations, `otodoke migrate`, `prune`, `forget` and all commands.
-- otodoke_processor     `otodoke run --no-setup`, and nothing else: it changes no table's form, and reads
--                       neither messages' bodies nor who did what.
-- otodoke_reader        the read model without bodies and headers   (made by `otodoke migrate`)
-- otodoke_operator      the read model with them                    (made by `otodoke migrate`)
--
-- New months of the history are the owner's to make: have `otodoke migrate` run once a month.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'otodoke_processor') THEN
        CREATE ROLE otodoke_processor NOLOGIN;
    END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public, read_model FROM otodoke_processor;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA public, read_model TO otodoke_processor;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO otodoke_processor;
GRANT SELECT ON SEQUENCE outbox_position_seq TO otodoke_processor;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    cases, derived_events, event_keys, identities, lookups, outbox, publications, releases, threads,
    wake_ups, read_model.orders, read_model.order_lines, read_model.packages, read_model.refunds,
    read_model.guarantees
    TO otodoke_processor;
-- Of an event all but what no decision reads: bodies of messages, and fields that nobody knows.
GRANT INSERT, DELETE ON history TO otodoke_processor;
GRANT SELECT (case_key, key, source, event_id, type, time, thread_id, facts, joined_at, owns_thread,
              found, stray, repeated, received_at, traceparent, tracestate, opened)
    ON history TO otodoke_processor;
-- Whether a month has no table yet.
GRANT SELECT (opened) ON history_default TO otodoke_processor;
GRANT UPDATE (case_key, opened, joined_at, owns_thread, found, stray, repeated)
    ON history TO otodoke_processor;
-- A case that was archived comes back with its row gone from here.
GRANT SELECT, UPDATE, DELETE ON pruned_cases TO otodoke_processor;
GRANT SELECT, INSERT, UPDATE ON policies, dead_letters, ledger, replay_jobs, replay_letters
    TO otodoke_processor;
GRANT SELECT ON pauses TO otodoke_processor;
