-- Until when a charge may be begun, as the order service set it; none if it set none.
ALTER TABLE payments ADD COLUMN expires_at timestamptz;
