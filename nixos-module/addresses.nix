# IP addresses to listen on.
{ lib }:
rec {
  isLoopback = address: address == "::1" || address == "localhost" || lib.hasPrefix "127." address;

  isEverywhere = address: address == "0.0.0.0" || address == "::";

  # The address at which this host itself reaches a service that listens on `address`, as it is written in a URL.
  reachable = address: if isEverywhere address then "127.0.0.1" else bracketed address;

  bracketed = address: if lib.hasInfix ":" address then "[${address}]" else address;

  # Address and port as one.
  socket = address: port: "${bracketed address}:${toString port}";
}
