-- The state of the running check of the books (contracts/src/books), one row. One gateway at a time carries it on: the one whose
-- lease it is. The service keeps it, and does not look into it.
CREATE TABLE books (
    singleton   boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Names the gateway that has the lease, and until when; another one may take it then.
    holder      uuid,
    held_until  timestamptz NOT NULL DEFAULT '-infinity',
    -- An operator wants a full pass, and none has begun since.
    pass_wanted boolean     NOT NULL DEFAULT false,
    state       jsonb       NOT NULL DEFAULT '{}'
);

INSERT INTO books DEFAULT VALUES;
