# One machine runs everything from the module, the other is a client with an API key, and then without.
#   nix build .#machine-test      virtual machines (the builder has KVM)
#   nix build .#container-test    containers, quicker (the builder has auto-allocate-uids, cgroups and uid-range; at the pinned
#                                 nixpkgs it may be asked for KVM as well)
{
  self,
  lib,
  pkgs,
  ...
}:
let
  # Jaeger, which it queries, is packaged for this system alone.
  canRun = self.packages.${pkgs.stdenv.hostPlatform.system} ? jaeger;
  key = "a-customers-key";
  digest = builtins.hashString "sha256" key;

  server = {
    imports = [ self.nixosModules.default ];
    # For the test only: a real secret is not part of the configuration.
    environment.etc."paysaga-keys".text = "customer:${digest}\n";
    services.paysaga = {
      gateway = {
        enable = true;
        listenAddress = "0.0.0.0";
        openFirewall = true;
        settings.ALLOW_PLAINTEXT = "http";
        credentials.API_KEYS = "/etc/paysaga-keys";
      };
      order.enable = true;
      payment.enable = true;
      tracing = {
        enable = true;
        jaeger.enable = true;
      };
    };
  };

  client.environment.systemPackages = [
    pkgs.curl
    pkgs.jq
    pkgs.netcat
  ];

  testScript = ''
    import json

    API = "http://server:3000/api"

    def call(arguments):
        return json.loads(client.succeed(
            "curl --silent --show-error --fail-with-body --header 'authorization: Bearer ${key}' "
            f"--header 'content-type: application/json' {arguments}"))

    def place(total):
        body = json.dumps({"userId": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "total": total})
        return call(f"--request POST --data '{body}' {API}/orders")["orderId"]

    def wait_for(path, status):
        client.wait_until_succeeds(
            "curl --silent --header 'authorization: Bearer ${key}' "
            f"{API}/{path} | jq --exit-status '.status == \"{status}\"'", timeout=60)

    def ready():
        for port in (4000, 4001, 4002):
            server.wait_until_succeeds(f"curl --fail --silent http://127.0.0.1:{port}/health/ready", timeout=180)

    start_all()
    server.wait_for_unit("multi-user.target")
    client.wait_for_unit("multi-user.target")
    ready()

    with subtest("an order is paid, cancelled and refunded"):
        order = place(999.99)
        wait_for(f"orders/{order}", "PAID")
        call(f"--request PATCH {API}/orders/{order}/cancel")
        wait_for(f"orders/{order}", "CANCELLED")
        wait_for(f"payments/order/{order}", "REFUNDED")

    with subtest("the saga survives a restart of the broker"):
        server.systemctl("restart rabbitmq.service")
        ready()
        wait_for(f"orders/{place(25.01)}", "PAID")

    with subtest("the saga is one trace, through all three services"):
        server.wait_until_succeeds(
            "curl --silent 'http://127.0.0.1:16686/api/traces?service=gateway&limit=50' | ${pkgs.jq}/bin/jq --exit-status "
            "'any(.data[]; [.processes[].serviceName] | unique == [\"gateway\", \"order\", \"payment\"])'", timeout=60)

    with subtest("without a key, the network reaches the gateway alone and gets 401"):
        client.succeed("nc -z server 3000")
        client.succeed(f"test $(curl --silent --output /dev/null --write-out '%{{http_code}}' {API}/orders) = 401")
        for port in (3001, 3002, 4000, 4001, 4002, 4317, 4318, 4369, 5432, 5672, 15672, 16686, 25672):
            client.fail(f"nc -z -w 2 server {port}")

    with subtest("order and payment answer the gateway alone, on loopback too"):
        for path in ("3001/orders", "3002/payments"):
            server.succeed(f"test $(curl --silent --output /dev/null --write-out '%{{http_code}}' http://127.0.0.1:{path}) = 401")

    with subtest("passwords are readable by root alone"):
        server.succeed("test $(stat --format=%a /var/lib/private/paysaga-rabbitmq) = 700")
        server.fail("grep --dereference-recursive --files-with-matches 'amqp://paysaga-' /etc/systemd/system/")
  '';
in
lib.optionalAttrs canRun {
  machine-test = pkgs.testers.runNixOSTest {
    name = "paysaga";
    nodes = {
      inherit client;
      server.imports = [
        server
        {
          virtualisation = {
            memorySize = 3072;
            diskSize = 2048;
            cores = 2;
          };
        }
      ];
    };
    inherit testScript;
  };

  container-test = pkgs.testers.runNixOSTest {
    name = "paysaga-containers";
    containers = { inherit client server; };
    inherit testScript;
  };
}
