-- Why the next step is due when it is: new, retry, or lease_lapsed if no answer is stored before. For traces; rows of older versions
-- have none.
ALTER TABLE payments ADD COLUMN step_reason text;
