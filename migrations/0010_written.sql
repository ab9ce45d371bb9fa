-- What did not change is not written again.

ALTER TABLE cases ADD COLUMN written bytea;
COMMENT ON COLUMN cases.written IS 'Digests of the rows that the read model was given last, table by table; null: none, so all are written.';
