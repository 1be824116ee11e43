# Users and permissions on the local RabbitMQ: a user for each service, with the least permissions that it needs.
{ lib }:
let
  topology = import ./topology.nix;

  # A permission is a regular expression over whole names.
  nothing = "^$";
  oneOf =
    names:
    if names == [ ] then
      nothing
    else
      "^(${lib.concatMapStringsSep "|" (builtins.replaceStrings [ "." ] [ "\\." ]) names})$";

  routesOf = service: builtins.filter (route: route.publisher == service) topology.routes;
  queuesOf = service: builtins.filter (queue: topology.consumerOf queue == service) queues;
  queues = lib.unique (map (route: route.queue) topology.routes);
in
rec {
  inherit queues;

  services = [
    "gateway"
    "order"
    "payment"
  ];

  vhost = "paysaga";
  userOf = service: "paysaga-${service}";

  # Where passwords, URLs and definitions are kept: readable by root only.
  directory = "/var/lib/paysaga-rabbitmq";
  urlFile = service: "${directory}/${service}.url";
  definitionsFile = "${directory}/definitions.json";

  # https://www.rabbitmq.com/docs/access-control#authorisation. No service needs `configure`: the definitions hold the
  # topology.
  permissionsOf = service: {
    configure = nothing;
    write = oneOf [ (topology.exchangeOf service) ];
    read = oneOf (
      lib.concatMap (queue: [
        queue
        (topology.deadLetterQueueOf queue)
      ]) (queuesOf service)
    );
  };

  # The routing keys under which it may publish there: a service can't publish another's events.
  topicPermissionOf = service: {
    exchange = topology.exchangeOf service;
    write = oneOf (map (route: route.key) (routesOf service));
    read = nothing;
  };
}
