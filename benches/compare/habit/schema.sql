-- What a team that writes its consumer by hand would keep: an inbox against duplicates, the
-- current state, and an outbox.

CREATE SCHEMA habit;

CREATE TABLE habit.inbox (
    source text NOT NULL,
    event_id text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id)
);

CREATE TABLE habit.orders (
    order_id text PRIMARY KEY,
    seller_id text,
    buyer_id text,
    status text NOT NULL DEFAULT 'pending',
    payment_status text NOT NULL DEFAULT 'pending',
    currency text,
    buyer_name text,
    relay_email text,
    phone text,
    ship_to jsonb,
    placed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX ON habit.orders (seller_id, buyer_id, placed_at);

CREATE TABLE habit.order_lines (
    order_id text NOT NULL,
    line_id text NOT NULL,
    sku text NOT NULL,
    title text,
    quantity bigint NOT NULL,
    unit_price bigint NOT NULL,
    tax bigint,
    shipping_fee bigint,
    unshippable boolean NOT NULL DEFAULT false,
    PRIMARY KEY (order_id, line_id)
) WITH (fillfactor = 80);

CREATE TABLE habit.payments (
    order_id text NOT NULL,
    payment_id text NOT NULL,
    kind text NOT NULL,
    amount bigint,
    at timestamptz NOT NULL,
    PRIMARY KEY (order_id, payment_id, kind)
);

CREATE TABLE habit.shipments (
    order_id text NOT NULL,
    package_id text NOT NULL,
    carrier text,
    tracking_number text,
    status text NOT NULL,
    dispatched_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, package_id)
) WITH (fillfactor = 80);

CREATE TABLE habit.messages (
    message_id text PRIMARY KEY,
    thread_id text NOT NULL,
    order_id text,
    seller_id text NOT NULL,
    sent_from text NOT NULL,
    topic text,
    body text,
    sent_at timestamptz NOT NULL
);
CREATE INDEX ON habit.messages (thread_id, sent_at);

CREATE TABLE habit.requests (
    order_id text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (order_id, event_id)
);

CREATE TABLE habit.outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    type text NOT NULL,
    routing_key text NOT NULL,
    body text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
