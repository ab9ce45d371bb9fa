-- The orders placed last, a page at a time, however many there are.
CREATE INDEX orders_latest ON read_model.orders (placed_at, order_id);
