-- What the ids of keyed orders are derived with (HMAC-SHA-256): who guesses a client's name and its Idempotency-Key can't tell
-- the order's id. All gateways and replicas share it, and it is backed up with the keys that it belongs to. It never changes:
-- with another one, a key that is used again would place a second order.
CREATE TABLE idempotency_secret (
    secret bytea NOT NULL CHECK (octet_length(secret) = 64)
);
CREATE UNIQUE INDEX idempotency_secret_is_one ON idempotency_secret ((true));

-- gen_random_uuid() draws 122 bits from a cryptographically secure source.
INSERT INTO idempotency_secret (secret)
SELECT sha512(string_agg(uuid_send(gen_random_uuid()), '')) FROM generate_series(1, 5);
