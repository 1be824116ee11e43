# What `paysaga up` starts and what it needs to start it, found on PATH (services/local-stack/src/installation.rs).
{ pkgs, packages }:
[
  pkgs.postgresql
  pkgs.rabbitmq-server
  # epmd, the port mapper of RabbitMQ's Erlang.
  pkgs.beam27Packages.erlang
  # setpriv
  pkgs.util-linux
]
# Not packaged for every system; `paysaga up` runs without it.
++ builtins.filter (package: package != null) [ (packages.jaeger or null) ]
