-- no-transaction
-- Refunds that are owed, the oldest first. While two versions run side by side, the older one schedules refunds without
-- saying since when.
CREATE INDEX CONCURRENTLY payments_refunds ON payments ((coalesce(refund_owed_since, updated_at)), id)
    WHERE next_step = 'REFUND' OR refund_refusal IS NOT NULL;
