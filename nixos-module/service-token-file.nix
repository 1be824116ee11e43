# Where the token is that is made on this host, and whether it is.
rec {
  directory = "/var/lib/paysaga-service-token";
  file = "${directory}/token";

  # A gateway and a service on different hosts can't share what one of them makes.
  isMadeHere =
    paysaga:
    builtins.all (name: paysaga.${name}.enable or false) [
      "gateway"
      "order"
      "payment"
    ];
}
