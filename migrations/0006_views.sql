-- The part of the read model that other tables hold already.

CREATE VIEW read_model.threads AS
SELECT t.thread_id, t.order_id, t.seller_id, t.topic, t.opened_at, t.last_buyer_message_at,
       t.last_seller_reply_at, t.awaiting, t.awaiting_since, t.reply_by,
       (SELECT count(*) FROM public.history m
        WHERE m.thread_id = t.thread_id AND NOT m.repeated) AS message_count
FROM public.threads t
-- An order's word goes before the thread's own.
WHERE NOT EXISTS (SELECT FROM public.threads other
                  WHERE other.thread_id = t.thread_id AND other.case_key < t.case_key);
COMMENT ON VIEW read_model.threads IS 'Every thread: whose turn it is.';
COMMENT ON COLUMN read_model.threads.thread_id IS 'The thread.';
COMMENT ON COLUMN read_model.threads.order_id IS 'The order that it belongs to; null: none.';
COMMENT ON COLUMN read_model.threads.seller_id IS 'The seller.';
COMMENT ON COLUMN read_model.threads.topic IS 'What it is about.';
COMMENT ON COLUMN read_model.threads.opened_at IS 'When it began.';
COMMENT ON COLUMN read_model.threads.last_buyer_message_at IS 'The buyer''s last message.';
COMMENT ON COLUMN read_model.threads.last_seller_reply_at IS 'The seller''s last reply.';
COMMENT ON COLUMN read_model.threads.awaiting IS 'Whose turn it is: seller, buyer or nobody.';
COMMENT ON COLUMN read_model.threads.awaiting_since IS 'Since when.';
COMMENT ON COLUMN read_model.threads.reply_by IS 'Until when the seller wants an answer.';
COMMENT ON COLUMN read_model.threads.message_count IS 'All its messages, those too that no order may be told of.';

CREATE VIEW read_model.messages AS
SELECT facts ->> 'message_id' AS message_id, thread_id,
       CASE WHEN case_key LIKE 'o/%' AND NOT stray THEN substr(case_key, 3) END AS order_id,
       facts ->> 'from' AS sent_from, facts ->> 'channel' AS channel,
       coalesce(facts ->> 'topic', 'other') AS topic,
       coalesce((facts ->> 'automatic')::boolean, false) AS automatic,
       time AS sent_at, unread ->> 'body' AS body
FROM public.history
WHERE type = 'message-sent' AND NOT repeated;
COMMENT ON VIEW read_model.messages IS 'The messages of both sides.';
COMMENT ON COLUMN read_model.messages.message_id IS 'The message.';
COMMENT ON COLUMN read_model.messages.thread_id IS 'Its thread.';
COMMENT ON COLUMN read_model.messages.order_id IS 'The order whose case it belongs to; null: none.';
COMMENT ON COLUMN read_model.messages.sent_from IS 'buyer, seller or marketplace.';
COMMENT ON COLUMN read_model.messages.channel IS 'The way that it took.';
COMMENT ON COLUMN read_model.messages.topic IS 'What it is about.';
COMMENT ON COLUMN read_model.messages.automatic IS 'Sent by a machine.';
COMMENT ON COLUMN read_model.messages.sent_at IS 'When it was sent.';
COMMENT ON COLUMN read_model.messages.body IS 'What it says; for operators only.';

CREATE VIEW read_model.derived_events AS
SELECT event_id, type, order_id, seller_id, sequence, time, published_at, withdrawn_at, data
FROM public.derived_events;
COMMENT ON VIEW read_model.derived_events IS 'Every event ever derived, the withdrawn ones too.';
COMMENT ON COLUMN read_model.derived_events.event_id IS 'Its id.';
COMMENT ON COLUMN read_model.derived_events.type IS 'Its type.';
COMMENT ON COLUMN read_model.derived_events.order_id IS 'The order; null for an inquiry that no order may be told of.';
COMMENT ON COLUMN read_model.derived_events.seller_id IS 'The seller.';
COMMENT ON COLUMN read_model.derived_events.sequence IS 'Rises within a case; gaps are possible.';
COMMENT ON COLUMN read_model.derived_events.time IS 'When it became true in the world.';
COMMENT ON COLUMN read_model.derived_events.published_at IS 'When the broker confirmed it; null: not yet, or recorded only.';
COMMENT ON COLUMN read_model.derived_events.withdrawn_at IS 'When it was found to hold no longer.';
COMMENT ON COLUMN read_model.derived_events.data IS 'As published.';

CREATE VIEW read_model.dead_letters AS
SELECT id, stream, routing_key, event_source, event_id, event_type, code, detail, pointer, attempts,
       first_seen_at, last_seen_at, status, body, headers
FROM public.dead_letters;
COMMENT ON VIEW read_model.dead_letters IS 'Messages that were refused.';
COMMENT ON COLUMN read_model.dead_letters.id IS 'What operators and alerts name it by.';
COMMENT ON COLUMN read_model.dead_letters.stream IS 'The queue that it came from; null where none is known.';
COMMENT ON COLUMN read_model.dead_letters.routing_key IS 'The routing key that it came with last.';
COMMENT ON COLUMN read_model.dead_letters.event_source IS 'CloudEvents source, as far as it could be read.';
COMMENT ON COLUMN read_model.dead_letters.event_id IS 'CloudEvents id, as far as it could be read.';
COMMENT ON COLUMN read_model.dead_letters.event_type IS 'CloudEvents type, as far as it could be read.';
COMMENT ON COLUMN read_model.dead_letters.code IS 'Why it was refused last.';
COMMENT ON COLUMN read_model.dead_letters.detail IS 'A sentence for a person.';
COMMENT ON COLUMN read_model.dead_letters.pointer IS 'JSON Pointer of the fault.';
COMMENT ON COLUMN read_model.dead_letters.attempts IS 'How often it came.';
COMMENT ON COLUMN read_model.dead_letters.first_seen_at IS 'When it came first.';
COMMENT ON COLUMN read_model.dead_letters.last_seen_at IS 'When it came last.';
COMMENT ON COLUMN read_model.dead_letters.status IS 'open, replayed or discarded.';
COMMENT ON COLUMN read_model.dead_letters.body IS 'The bytes as they came; for operators only.';
COMMENT ON COLUMN read_model.dead_letters.headers IS 'The AMQP headers; for operators only.';
