-- While a snapshot is held, by a backup for instance, nothing that is dead can be removed, and every vacuum reads all of it
-- in vain. Without pauses it takes a processor from the saga each time, once a minute and longer each time. With these it
-- keeps up with ten times of what the saga deletes, and takes a part of one.
ALTER TABLE outbox SET (autovacuum_vacuum_cost_delay = 10);
ALTER TABLE payment_total_deltas SET (autovacuum_vacuum_cost_delay = 10);
