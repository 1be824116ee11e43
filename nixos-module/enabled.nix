# The services that are enabled on this host. A host may import the modules of some of them only.
{ config }:
builtins.filter (name: config.services.paysaga.${name}.enable or false) [
  "gateway"
  "order"
  "payment"
]
