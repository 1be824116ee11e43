-- What operators did stays when the message that it was about is deleted after a time.
ALTER TABLE failed_message_audit DROP CONSTRAINT failed_message_audit_failed_message_id_fkey;
