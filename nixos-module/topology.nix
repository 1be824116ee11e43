# Exchanges, queues and bindings, as in `contracts/src/topology.rs` and `services/chassis/src/broker/topology.rs`. A test
# compares the names with the first; another lets the services redeclare theirs on a broker that has these.
rec {
  deadLetterExchange = "dlx.exchange";

  exchanges = [
    "orders.exchange"
    "payments.exchange"
    deadLetterExchange
  ];

  # routing key, producer, and the queue that it is routed to
  routes = [
    {
      key = "order.create.requested";
      publisher = "gateway";
      queue = "order.create.queue";
    }
    {
      key = "order.cancel.requested";
      publisher = "gateway";
      queue = "order.cancel-requested.queue";
    }
    {
      key = "order.created";
      publisher = "order";
      queue = "payment.order-created.queue";
    }
    {
      key = "order.cancelled";
      publisher = "order";
      queue = "payment.order-cancelled.queue";
    }
    {
      key = "payment.approved";
      publisher = "payment";
      queue = "order.payment-result.queue";
    }
    {
      key = "payment.declined";
      publisher = "payment";
      queue = "order.payment-result.queue";
    }
    {
      key = "payment.failed";
      publisher = "payment";
      queue = "order.payment-result.queue";
    }
    {
      key = "payment.cancelled";
      publisher = "payment";
      queue = "order.payment-timeline.queue";
    }
    {
      key = "payment.refunded";
      publisher = "payment";
      queue = "order.payment-timeline.queue";
    }
  ];

  exchangeOf = publisher: if publisher == "payment" then "payments.exchange" else "orders.exchange";

  # The name of a queue begins with the service that consumes it.
  consumerOf = queue: builtins.head (builtins.match "([a-z]+)\\..*" queue);

  deadLetterQueueOf = queue: builtins.replaceStrings [ ".queue" ] [ ".dlq" ] queue;

  # Work queues dead-letter at least once, also after 20 redeliveries; dead-letter queues keep their messages.
  argumentsOf = queue: {
    x-queue-type = "quorum";
    x-delivery-limit = 20;
    x-dead-letter-exchange = deadLetterExchange;
    x-dead-letter-routing-key = deadLetterQueueOf queue;
    x-dead-letter-strategy = "at-least-once";
    x-overflow = "reject-publish";
  };
  deadLetterArguments = {
    x-queue-type = "quorum";
    x-delivery-limit = 1000000000;
  };
}
