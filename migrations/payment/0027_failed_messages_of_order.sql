-- no-transaction
-- What failed about one order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS failed_messages_of_order ON failed_messages (order_id, last_seen DESC)
    WHERE order_id IS NOT NULL;
