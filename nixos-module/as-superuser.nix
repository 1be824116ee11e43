# What units have in common that run as the superuser of the local PostgreSQL, by peer authentication.
{ postgresql }:
{
  after = [ "postgresql.target" ];
  wants = [ "postgresql.target" ];
  # Of the server's own version.
  path = [ postgresql.finalPackage ];
  environment = {
    PGHOST = "/run/postgresql";
    PGPORT = toString postgresql.settings.port;
  };
  serviceConfig = import ./hardening.nix // {
    DynamicUser = false;
    User = "postgres";
    PrivateNetwork = true;
  };
}
