-- Who published a message that failed, as RabbitMQ checked (AMQP's user_id): when it is replayed, it must still be the service
-- whose event it is. Of those that are here already, and of those that a service of an older version adds, it is not known (`*`).
ALTER TABLE failed_messages ADD COLUMN user_id text DEFAULT '*';
