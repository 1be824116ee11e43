# The definitions that the local RabbitMQ imports at its start (https://www.rabbitmq.com/docs/definitions): users,
# permissions, topology. On the host, @SERVICE@ is replaced by the hash of the service's password.
{ lib }:
let
  topology = import ./topology.nix;
  accounts = import ./rabbitmq-accounts.nix { inherit lib; };
  inherit (accounts) vhost services userOf;

  queue = name: arguments: {
    inherit name vhost arguments;
    durable = true;
    auto_delete = false;
  };
  binding = source: destination: routing_key: {
    inherit
      source
      vhost
      destination
      routing_key
      ;
    destination_type = "queue";
    arguments = { };
  };
in
builtins.toJSON {
  vhosts = [ { name = vhost; } ];

  users = map (service: {
    name = userOf service;
    password_hash = "@${service}@";
    hashing_algorithm = "rabbit_password_hashing_sha256";
    tags = [ ];
  }) services;

  permissions = map (
    service:
    {
      user = userOf service;
      inherit vhost;
    }
    // accounts.permissionsOf service
  ) services;

  topic_permissions = map (
    service:
    {
      user = userOf service;
      inherit vhost;
    }
    // accounts.topicPermissionOf service
  ) services;

  exchanges = map (name: {
    inherit name vhost;
    type = "topic";
    durable = true;
    auto_delete = false;
    internal = false;
    arguments = { };
  }) topology.exchanges;

  queues = lib.concatMap (name: [
    (queue name (topology.argumentsOf name))
    (queue (topology.deadLetterQueueOf name) topology.deadLetterArguments)
  ]) accounts.queues;

  bindings =
    map (route: binding (topology.exchangeOf route.publisher) route.queue route.key) topology.routes
    ++ map (
      name:
      let
        deadLetterQueue = topology.deadLetterQueueOf name;
      in
      binding topology.deadLetterExchange deadLetterQueue deadLetterQueue
    ) accounts.queues;
}
