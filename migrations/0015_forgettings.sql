-- Buyers whose personal data was erased.

CREATE TABLE forgettings (
    buyer_id text COLLATE "C" PRIMARY KEY,
    salt bytea CHECK (octet_length(salt) = 32),
    begun_at timestamptz NOT NULL,
    ended_at timestamptz,
    CHECK ((salt IS NULL) = (ended_at IS NOT NULL))
);
COMMENT ON TABLE forgettings IS 'Buyers who are forgotten, or about to be: what an interrupted `forget` needs to go on as it began.';
COMMENT ON COLUMN forgettings.buyer_id IS 'The buyer, by the marketplace''s id, which stays in the books.';
COMMENT ON COLUMN forgettings.salt IS 'What pseudonyms are made with until it is done; then it is gone, and nobody can try which text one stands for.';
COMMENT ON COLUMN forgettings.begun_at IS 'When it was begun last.';
COMMENT ON COLUMN forgettings.ended_at IS 'When it was done; null: it was interrupted, and is to be run again.';
