-- What anyone with SQL may read. Columns may be added, never renamed.

CREATE SCHEMA read_model;
COMMENT ON SCHEMA read_model IS 'The state of every order and inquiry, for anyone with SQL. It follows from the history and can be rebuilt.';

CREATE TABLE read_model.orders (
    order_id text COLLATE "C" PRIMARY KEY,
    seller_id text COLLATE "C" NOT NULL,
    buyer_id text COLLATE "C" NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'unshipped', 'partially-shipped', 'shipped', 'cancelled')),
    sold_by text NOT NULL CHECK (sold_by IN ('seller', 'marketplace')),
    fulfilled_by text NOT NULL CHECK (fulfilled_by IN ('seller', 'marketplace')),
    payment_status text NOT NULL CHECK (payment_status IN ('pending', 'authorized', 'failed')),
    payment_method text,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    items_total bigint NOT NULL CHECK (items_total BETWEEN 0 AND 1000000000000000),
    tax_total bigint NOT NULL CHECK (tax_total BETWEEN 0 AND 1000000000000000),
    shipping_total bigint NOT NULL CHECK (shipping_total BETWEEN 0 AND 1000000000000000),
    placed_at timestamptz NOT NULL,
    authorized_at timestamptz,
    ship_by timestamptz,
    cancelled_at timestamptz,
    buyer_name text,
    relay_email text,
    phone text,
    ship_to jsonb,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    CHECK (payment_status <> 'authorized' OR authorized_at IS NOT NULL),
    CHECK (status <> 'cancelled' OR cancelled_at IS NOT NULL),
    CHECK ((sold_by = 'seller' AND fulfilled_by = 'seller')
        OR (buyer_name IS NULL AND phone IS NULL AND ship_to IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX orders_sellers ON read_model.orders (seller_id, placed_at);
CREATE INDEX orders_buyers ON read_model.orders (buyer_id);
CREATE INDEX orders_emails ON read_model.orders (md5(lower(relay_email))) WHERE relay_email IS NOT NULL;
COMMENT ON TABLE read_model.orders IS 'One row for each order that was placed.';
COMMENT ON COLUMN read_model.orders.order_id IS 'The order.';
COMMENT ON COLUMN read_model.orders.seller_id IS 'The seller.';
COMMENT ON COLUMN read_model.orders.buyer_id IS 'The buyer.';
COMMENT ON COLUMN read_model.orders.status IS 'pending, unshipped, partially-shipped, shipped or cancelled.';
COMMENT ON COLUMN read_model.orders.sold_by IS 'seller or marketplace.';
COMMENT ON COLUMN read_model.orders.fulfilled_by IS 'seller or marketplace.';
COMMENT ON COLUMN read_model.orders.payment_status IS 'pending, authorized or failed.';
COMMENT ON COLUMN read_model.orders.payment_method IS 'How the buyer pays, where known.';
COMMENT ON COLUMN read_model.orders.currency IS 'ISO 4217.';
COMMENT ON COLUMN read_model.orders.items_total IS 'Of all lines as placed and changed, in minor units, tax included; not reduced by cancellations.';
COMMENT ON COLUMN read_model.orders.tax_total IS 'The tax in it, in minor units.';
COMMENT ON COLUMN read_model.orders.shipping_total IS 'The shipping fees of all lines, in minor units.';
COMMENT ON COLUMN read_model.orders.placed_at IS 'When it was placed.';
COMMENT ON COLUMN read_model.orders.authorized_at IS 'Since when its payment is authorised without a break.';
COMMENT ON COLUMN read_model.orders.ship_by IS 'Until when it must be shipped.';
COMMENT ON COLUMN read_model.orders.cancelled_at IS 'When it was cancelled.';
COMMENT ON COLUMN read_model.orders.buyer_name IS 'Null unless the seller sells and ships it, and it is authorised.';
COMMENT ON COLUMN read_model.orders.relay_email IS 'The buyer''s address at the marketplace.';
COMMENT ON COLUMN read_model.orders.phone IS 'Null unless the seller sells and ships it, and it is authorised.';
COMMENT ON COLUMN read_model.orders.ship_to IS 'Null unless the seller sells and ships it, and it is authorised.';
COMMENT ON COLUMN read_model.orders.updated_at IS 'When another column of this row changed last.';
COMMENT ON COLUMN read_model.orders.version IS 'How many contents this row has had.';

CREATE TABLE read_model.order_lines (
    order_id text COLLATE "C" NOT NULL,
    line_id text COLLATE "C" NOT NULL,
    sku text NOT NULL,
    title text,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    tax bigint CHECK (tax >= 0),
    shipping_fee bigint CHECK (shipping_fee >= 0),
    quantity_shipped bigint NOT NULL CHECK (quantity_shipped >= 0),
    quantity_unshippable bigint NOT NULL CHECK (quantity_unshippable >= 0),
    quantity_cancelled bigint NOT NULL CHECK (quantity_cancelled >= 0),
    PRIMARY KEY (order_id, line_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE read_model.order_lines IS 'The lines of the orders.';
COMMENT ON COLUMN read_model.order_lines.order_id IS 'The order.';
COMMENT ON COLUMN read_model.order_lines.line_id IS 'The line.';
COMMENT ON COLUMN read_model.order_lines.sku IS 'The seller''s name of the article.';
COMMENT ON COLUMN read_model.order_lines.title IS 'The article''s name.';
COMMENT ON COLUMN read_model.order_lines.quantity IS 'Pieces, as placed and changed.';
COMMENT ON COLUMN read_model.order_lines.unit_price IS 'For one piece, in minor units, tax included.';
COMMENT ON COLUMN read_model.order_lines.tax IS 'For the whole line, in minor units.';
COMMENT ON COLUMN read_model.order_lines.shipping_fee IS 'For the whole line, in minor units.';
COMMENT ON COLUMN read_model.order_lines.quantity_shipped IS 'Pieces that left.';
COMMENT ON COLUMN read_model.order_lines.quantity_unshippable IS 'Pieces that the seller can''t ship.';
COMMENT ON COLUMN read_model.order_lines.quantity_cancelled IS 'Pieces that were cancelled.';

CREATE TABLE read_model.packages (
    order_id text COLLATE "C" NOT NULL,
    package_id text COLLATE "C" NOT NULL,
    carrier text,
    tracking_number text,
    insured boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('dispatched', 'in-transit', 'out-for-delivery',
        'attempt-failed', 'delivered', 'lost', 'returning', 'returned')),
    return_reason text,
    dispatched_at timestamptz NOT NULL,
    delivered_at timestamptz,
    returned_at timestamptz,
    lines jsonb NOT NULL CHECK (jsonb_typeof(lines) = 'array'),
    PRIMARY KEY (order_id, package_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE read_model.packages IS 'The packages of the orders.';
COMMENT ON COLUMN read_model.packages.order_id IS 'The order.';
COMMENT ON COLUMN read_model.packages.package_id IS 'The package; orders may share one.';
COMMENT ON COLUMN read_model.packages.carrier IS 'Who carries it.';
COMMENT ON COLUMN read_model.packages.tracking_number IS 'The carrier''s number.';
COMMENT ON COLUMN read_model.packages.insured IS 'Whether it is insured.';
COMMENT ON COLUMN read_model.packages.status IS 'dispatched, then as last updated.';
COMMENT ON COLUMN read_model.packages.return_reason IS 'Why it comes, or came, back.';
COMMENT ON COLUMN read_model.packages.dispatched_at IS 'When it left.';
COMMENT ON COLUMN read_model.packages.delivered_at IS 'When it arrived.';
COMMENT ON COLUMN read_model.packages.returned_at IS 'When it was back.';
COMMENT ON COLUMN read_model.packages.lines IS 'Its pieces: [{line_id, quantity}].';

CREATE TABLE threads (
    case_key text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C" NOT NULL,
    order_id text COLLATE "C",
    seller_id text COLLATE "C" NOT NULL,
    topic text NOT NULL,
    opened_at timestamptz NOT NULL,
    last_buyer_message_at timestamptz,
    last_seller_reply_at timestamptz,
    awaiting text NOT NULL CHECK (awaiting IN ('seller', 'buyer', 'nobody')),
    awaiting_since timestamptz,
    reply_by timestamptz,
    PRIMARY KEY (thread_id, case_key)
) WITH (fillfactor = 80);
CREATE INDEX threads_cases ON threads (case_key);
CREATE INDEX threads_sellers ON threads (seller_id, awaiting);
COMMENT ON TABLE threads IS 'What each case says of the threads in it; read_model.threads shows it.';
COMMENT ON COLUMN threads.case_key IS 'The case that says so.';
COMMENT ON COLUMN threads.thread_id IS 'The thread.';
COMMENT ON COLUMN threads.order_id IS 'The order that it belongs to; null: none.';
COMMENT ON COLUMN threads.seller_id IS 'The seller.';
COMMENT ON COLUMN threads.topic IS 'What it is about.';
COMMENT ON COLUMN threads.opened_at IS 'When it began.';
COMMENT ON COLUMN threads.last_buyer_message_at IS 'The buyer''s last message.';
COMMENT ON COLUMN threads.last_seller_reply_at IS 'The seller''s last reply.';
COMMENT ON COLUMN threads.awaiting IS 'Whose turn it is: seller, buyer or nobody.';
COMMENT ON COLUMN threads.awaiting_since IS 'Since when.';
COMMENT ON COLUMN threads.reply_by IS 'Until when the seller wants an answer.';

CREATE TABLE read_model.refunds (
    refund_key text COLLATE "C" PRIMARY KEY,
    order_id text COLLATE "C" NOT NULL,
    reason text NOT NULL CHECK (reason IN ('returned', 'combined-shipping', 'lines-unshippable',
        'late-payment', 'cancelled', 'guarantee')),
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount = item_amount + shipping_amount),
    item_amount bigint NOT NULL CHECK (item_amount >= 0),
    shipping_amount bigint NOT NULL CHECK (shipping_amount >= 0),
    package_id text COLLATE "C",
    status text NOT NULL CHECK (status IN ('required', 'issued', 'withdrawn')),
    required_at timestamptz NOT NULL,
    issued_at timestamptz,
    withdrawn_at timestamptz,
    CHECK (status = CASE WHEN issued_at IS NOT NULL THEN 'issued'
                         WHEN withdrawn_at IS NOT NULL THEN 'withdrawn' ELSE 'required' END)
) WITH (fillfactor = 80);
CREATE INDEX refunds_orders ON read_model.refunds (order_id);
COMMENT ON TABLE read_model.refunds IS 'Money that is to go back, or was thought to be: a withdrawn refund keeps its row.';
COMMENT ON COLUMN read_model.refunds.refund_key IS 'For ever the same, so that a payer can pay once.';
COMMENT ON COLUMN read_model.refunds.order_id IS 'The order.';
COMMENT ON COLUMN read_model.refunds.reason IS 'Why.';
COMMENT ON COLUMN read_model.refunds.currency IS 'ISO 4217.';
COMMENT ON COLUMN read_model.refunds.amount IS 'In minor units.';
COMMENT ON COLUMN read_model.refunds.item_amount IS 'Of it for items.';
COMMENT ON COLUMN read_model.refunds.shipping_amount IS 'Of it for shipping.';
COMMENT ON COLUMN read_model.refunds.package_id IS 'The package, where one is the reason.';
COMMENT ON COLUMN read_model.refunds.status IS 'required, issued or withdrawn; issued beside a withdrawn_at: paid without a reason.';
COMMENT ON COLUMN read_model.refunds.required_at IS 'When the reason arose.';
COMMENT ON COLUMN read_model.refunds.issued_at IS 'When it was paid.';
COMMENT ON COLUMN read_model.refunds.withdrawn_at IS 'When it was found that there is no reason.';

CREATE TABLE read_model.guarantees (
    order_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C",
    basis text CHECK (basis IN ('contact', 'return-request')),
    since timestamptz,
    eligible_at timestamptz,
    status text NOT NULL CHECK (status IN ('waiting', 'eligible', 'claimed', 'refused', 'closed')),
    PRIMARY KEY (order_id, key)
) WITH (fillfactor = 80);
COMMENT ON TABLE read_model.guarantees IS 'How far the guarantee is, for each thread with a contact and each request without one.';
COMMENT ON COLUMN read_model.guarantees.order_id IS 'The order.';
COMMENT ON COLUMN read_model.guarantees.key IS 'What tells the rows of an order apart.';
COMMENT ON COLUMN read_model.guarantees.thread_id IS 'The thread; null for a request without one.';
COMMENT ON COLUMN read_model.guarantees.basis IS 'contact or return-request.';
COMMENT ON COLUMN read_model.guarantees.since IS 'The contact that went unanswered.';
COMMENT ON COLUMN read_model.guarantees.eligible_at IS 'From when on the buyer may claim.';
COMMENT ON COLUMN read_model.guarantees.status IS 'waiting, eligible, claimed, refused or closed.';
