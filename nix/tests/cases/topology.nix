# nixos-module/topology.nix agrees with contracts/src/topology.rs.
let
  lib = import ../stand-in/lib.nix;
  topology = import ../../../nixos-module/topology.nix;
  accounts = import ../../../nixos-module/rabbitmq-accounts.nix { inherit lib; };
  rust = builtins.readFile ../../../contracts/src/topology.rs;

  inherit (builtins) filter isList map;
  matches = pattern: text: map (groups: groups) (filter isList (builtins.split pattern text));
  inherit (builtins) replaceStrings;

  # #[strum(serialize = "order.create.queue")] OrderCreate,
  names = builtins.listToAttrs (
    map (groups: {
      name = builtins.elemAt groups 1;
      value = builtins.elemAt groups 0;
    }) (matches "#\\[strum\\(serialize = \"([a-z.-]+)\"\\)]\n *([A-Za-z]+)," rust)
  );
  # route(EventType::OrderCreated, "order.created", Service::Order, Queue::PaymentOrderCreated),
  routes =
    map
      (groups: {
        key = builtins.elemAt groups 0;
        publisher = lower (builtins.elemAt groups 1);
        queue = names.${builtins.elemAt groups 2};
      })
      (
        matches "route\\([^\"()]*\"([a-z.]+)\",[ \n]*Service::([A-Za-z]+),[ \n]*Queue::([A-Za-z]+),?[ \n]*\\)" rust
      );
  lower = replaceStrings [ "G" "O" "P" ] [ "g" "o" "p" ];
  exchanges = filter (name: lib.hasSuffix ".exchange" name) (builtins.attrValues names);
  sorted = builtins.sort (one: other: builtins.toJSON one < builtins.toJSON other);
  allows = permission: name: builtins.match permission name != null;
in
{
  "something was read from the Rust source" = builtins.length routes >= 9;
  "the routes are the same" = sorted routes == sorted topology.routes;
  "the exchanges are the same" = sorted exchanges == sorted topology.exchanges;
  "a service reads its own queues, dead letters included, and no others" = builtins.all (
    queue:
    builtins.all (
      service:
      let
        inherit (accounts.permissionsOf service) read;
        own = topology.consumerOf queue == service;
      in
      allows read queue == own && allows read (topology.deadLetterQueueOf queue) == own
    ) accounts.services
  ) accounts.queues;
  "a service writes to the exchange of its own events, under their routing keys, and to no other" =
    builtins.all
      (
        route:
        builtins.all (
          service:
          let
            topic = accounts.topicPermissionOf service;
            exchange = topology.exchangeOf route.publisher;
            mayWrite =
              allows (accounts.permissionsOf service).write exchange
              && topic.exchange == exchange
              && allows topic.write route.key;
          in
          mayWrite == (route.publisher == service)
        ) accounts.services
      )
      topology.routes;
  "no service may configure a queue" = builtins.all (
    service: !(allows (accounts.permissionsOf service).configure "order.create.queue")
  ) accounts.services;
}
