-- What the order service may do with its tables, where the role that it works as, :service, is not the one that owns them.
-- Run after each migration (docs/SECURITY.md, "The databases").
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :service;
GRANT USAGE ON SCHEMA public TO :service;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO :service;

-- Orders are placed and changed, never deleted.
GRANT INSERT, UPDATE ON orders TO :service;
GRANT INSERT ON early_cancellations, idempotency_keys TO :service;
-- What a key stands for is not changed; what became of the request is added.
GRANT UPDATE (executing_until, executing_request, answer_status, answer_body) ON idempotency_keys TO :service;
-- What happened is not changed; it may be deleted after a time (RETENTION_TIMELINE).
GRANT INSERT, DELETE ON order_events TO :service;
GRANT INSERT, DELETE ON order_count_deltas TO :service;
GRANT INSERT, UPDATE ON order_count_sums, listening TO :service;
GRANT INSERT, UPDATE, DELETE ON outbox, rejections TO :service;
GRANT INSERT, UPDATE, DELETE ON failed_messages, replays, replay_members TO :service;
-- Decisions about a replay go with it, after a time (RETENTION_FAILED_MESSAGES).
GRANT INSERT, DELETE ON replay_decisions TO :service;
-- UPDATE only to lock what it deletes.
GRANT INSERT, UPDATE, DELETE ON samples TO :service;
-- What operators did stays as it was written.
GRANT INSERT ON failed_message_audit TO :service;
-- The audit is added to, and neither changed nor deleted from.
GRANT INSERT ON audit_records TO :service;
-- The one row of the running check changes with each look.
GRANT UPDATE ON books TO :service;
-- What a dump from another server brings along is put in order at the start.
GRANT EXECUTE ON FUNCTION adopt_restored_events() TO :service;
-- Operators search among the orders of all clients.
GRANT EXECUTE ON FUNCTION orders_of_correlation(text, bigint), orders_of_trace(text, bigint) TO :service;
