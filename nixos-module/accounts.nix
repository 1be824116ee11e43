# The users of the services' units, which are also their roles in PostgreSQL and their users of RabbitMQ. Each database has the
# name of its service's role.
rec {
  userOf = service: "paysaga-${service}";
  # Owns the schema, and migrates it.
  ownerOf = service: "${userOf service}-owner";
}
