-- The few facts that cases need of each other, and the rows that make a case be
-- decided again when those of another changed. All of it follows from the history.

CREATE TABLE identities (
    order_id text COLLATE "C" PRIMARY KEY,
    seller_id text COLLATE "C" NOT NULL,
    buyer_id text COLLATE "C" NOT NULL,
    relay_email text COLLATE "C",
    placed_at timestamptz NOT NULL
);
CREATE INDEX identities_buyers ON identities (seller_id, buyer_id, placed_at);
CREATE INDEX identities_emails ON identities (seller_id, md5(relay_email), placed_at) WHERE relay_email IS NOT NULL;
COMMENT ON TABLE identities IS 'Who placed each order with whom: what inquiries are matched by.';
COMMENT ON COLUMN identities.order_id IS 'The order.';
COMMENT ON COLUMN identities.seller_id IS 'Its seller.';
COMMENT ON COLUMN identities.buyer_id IS 'Its buyer.';
COMMENT ON COLUMN identities.relay_email IS 'The buyer''s address at the marketplace, in lower case. Indexed by its digest: a text may be longer than an index takes.';
COMMENT ON COLUMN identities.placed_at IS 'When it was placed.';

CREATE TABLE lookups (
    case_key text COLLATE "C" NOT NULL CHECK (case_key LIKE 't/%'),
    order_id text COLLATE "C",
    seller_id text COLLATE "C",
    buyer_id text COLLATE "C",
    relay_email text COLLATE "C",
    asked_at timestamptz,
    CHECK ((order_id IS NULL) <> (seller_id IS NULL)),
    CHECK ((seller_id IS NULL) = (asked_at IS NULL)),
    CHECK (seller_id IS NOT NULL OR (buyer_id IS NULL AND relay_email IS NULL))
);
CREATE INDEX lookups_cases ON lookups (case_key);
CREATE INDEX lookups_orders ON lookups (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX lookups_buyers ON lookups (seller_id, buyer_id) WHERE buyer_id IS NOT NULL;
CREATE INDEX lookups_emails ON lookups (seller_id, md5(relay_email)) WHERE buyer_id IS NULL AND relay_email IS NOT NULL;
COMMENT ON TABLE lookups IS 'Which orders a thread''s placing depends on: those that its messages name, and those that they may mean. An order that changes wakes the threads that asked.';
COMMENT ON COLUMN lookups.case_key IS 'The thread''s case.';
COMMENT ON COLUMN lookups.order_id IS 'An order that is named; null: orders are looked for.';
COMMENT ON COLUMN lookups.seller_id IS 'Whose orders are looked for.';
COMMENT ON COLUMN lookups.buyer_id IS 'By which buyer; null: any.';
COMMENT ON COLUMN lookups.relay_email IS 'By which address, in lower case; null: any.';
COMMENT ON COLUMN lookups.asked_at IS 'Placed by then at the latest.';

CREATE TABLE releases (
    order_id text COLLATE "C" NOT NULL,
    seller_id text COLLATE "C" NOT NULL,
    buyer_id text COLLATE "C" NOT NULL,
    address bytea NOT NULL CHECK (octet_length(address) = 16),
    address_key text NOT NULL,
    released_at timestamptz NOT NULL,
    ready_from timestamptz NOT NULL,
    ready_until timestamptz,
    CHECK (ready_until IS NULL OR ready_until >= ready_from)
);
CREATE INDEX releases_orders ON releases (order_id);
CREATE INDEX releases_groups ON releases (seller_id, buyer_id, address, released_at);
COMMENT ON TABLE releases IS 'The stretches in which an order could be shipped together with others of the same seller, buyer and address.';
COMMENT ON COLUMN releases.order_id IS 'The order.';
COMMENT ON COLUMN releases.seller_id IS 'Its seller.';
COMMENT ON COLUMN releases.buyer_id IS 'Its buyer.';
COMMENT ON COLUMN releases.address IS 'A digest of address_key: addresses may be longer than an index takes.';
COMMENT ON COLUMN releases.address_key IS 'Where it goes, in the form in which two addresses are the same.';
COMMENT ON COLUMN releases.released_at IS 'When the seller was told to ship it.';
COMMENT ON COLUMN releases.ready_from IS 'From when on it was unshipped at this address.';
COMMENT ON COLUMN releases.ready_until IS 'Up to, but not including, when; null: it still is.';

CREATE TABLE wake_ups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_key text COLLATE "C" NOT NULL,
    announce boolean NOT NULL,
    due_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX wake_ups_due ON wake_ups (due_at);
CREATE INDEX wake_ups_cases ON wake_ups (case_key);
COMMENT ON TABLE wake_ups IS 'Cases to be decided again because of another case. Several rows for one case are no fault: whoever decides it deletes those that it saw before.';
COMMENT ON COLUMN wake_ups.id IS 'Only tells rows apart.';
COMMENT ON COLUMN wake_ups.case_key IS 'The case to decide again.';
COMMENT ON COLUMN wake_ups.announce IS 'Another transaction had the group of its neighbours: its facts count as changed when it is decided again.';
COMMENT ON COLUMN wake_ups.due_at IS 'Not before.';
