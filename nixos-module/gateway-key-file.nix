# Where the API key is that is made on this host, and whether it is.
rec {
  # Readable by root only.
  directory = "/var/lib/paysaga-gateway-key";

  authenticates = gateway: gateway.settings.AUTHENTICATION != "off";
  isMadeHere = gateway: authenticates gateway && gateway.credentials.API_KEYS == null;
}
