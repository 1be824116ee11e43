-- What the payment service may do with its tables, where the role that it works as, :service, is not the one that owns them.
-- Run after each migration (docs/SECURITY.md, "The databases").
REVOKE ALL ON ALL TABLES IN SCHEMA public, provider_simulator FROM :service;
GRANT USAGE ON SCHEMA public, provider_simulator TO :service;
GRANT SELECT ON ALL TABLES IN SCHEMA public, provider_simulator TO :service;

-- Payments are opened and changed, never deleted.
GRANT INSERT, UPDATE ON payments TO :service;
GRANT INSERT ON early_cancellations TO :service;
GRANT INSERT, DELETE ON payment_total_deltas TO :service;
GRANT INSERT, UPDATE ON payment_total_sums TO :service;
GRANT INSERT, UPDATE, DELETE ON outbox, rejections TO :service;
GRANT INSERT, UPDATE, DELETE ON failed_messages, replays, replay_members TO :service;
-- Decisions about a replay go with it, after a time (RETENTION_FAILED_MESSAGES).
GRANT INSERT, DELETE ON replay_decisions TO :service;
-- UPDATE only to lock what it deletes.
GRANT INSERT, UPDATE, DELETE ON samples TO :service;
-- What operators did, and what became of refused refunds, stays as it was written.
GRANT INSERT ON failed_message_audit, refund_audit TO :service;

GRANT INSERT, UPDATE, DELETE ON provider_simulator.charges TO :service;
GRANT INSERT, UPDATE ON provider_simulator.forgotten TO :service;
