ALTER TABLE early_cancellations
    DROP CONSTRAINT early_cancellations_pkey,
    ADD CONSTRAINT early_cancellations_pkey PRIMARY KEY USING INDEX early_cancellations_of_owner;

-- A second wall: connections that answer clients see the rows of one client only, whatever is asked. They say whose in the
-- setting `paysaga.owners`, a pattern. Connections without it, as those of the saga, see every row.
--
-- It holds for every role but the one that owns the tables. A pattern, since the planner knows how many rows match one: that all
-- do if it is `%`.
CREATE FUNCTION is_visible(owner text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN owner LIKE coalesce(nullif(current_setting('paysaga.owners', true), ''), '%');

CREATE POLICY rows_of_owner ON payments USING (is_visible(owner));
ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
